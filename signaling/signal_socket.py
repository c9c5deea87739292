"""What every signal WebSocket does, whichever way its frames go."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Final

from aiohttp import WSMessage, web

from media.errors import Fault, RemoteProtocolError
from media.signals import wire
from signaling.access import RoomClaims
from signaling.errors import ROOM_CLOSED, STREAM_BUSY, TOKEN_REVOKED
from signaling.limits import (
    SIGNAL_AT_ONCE_BYTES,
    SIGNAL_CLOSE_S,
    SIGNAL_HEARTBEAT_S,
    SIGNAL_MESSAGE_BYTES_MAX,
)
from signaling.room import Room
from signaling.service import RoomService

logger = logging.getLogger(__name__)

# Why the room ends a socket -> what the socket is told.
_END_CODES: Final = {"room_closed": ROOM_CLOSED, "replaced": STREAM_BUSY}

_TEXT, _BINARY = 0x81, 0x82  # whole messages (RFC 6455 section 5.2)
_SHORT_BYTES = 126
_LONG_BYTES = 1 << 16
_LONG_HEAD, _LONGEST_HEAD = struct.Struct("!BBH"), struct.Struct("!BBQ")


class SignalSocket:
    """What both kinds share: the WebSocket, the room, the end.

    Only the task that serves the socket reads and closes it; `end` merely wakes that task.
    """

    claims: RoomClaims

    def __init__(self, rooms: RoomService, request: web.Request) -> None:
        self.ws = web.WebSocketResponse(
            heartbeat=SIGNAL_HEARTBEAT_S,
            max_msg_size=SIGNAL_MESSAGE_BYTES_MAX,
            timeout=SIGNAL_CLOSE_S,
            compress=False,
        )
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.room: Room | None = None
        self.end_fault: Fault | None = None
        self._rooms = rooms
        self._clock = rooms.clock
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._woken = False
        self._receiving: asyncio.Timeout | None = None
        self._sleeping: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Accept the WebSocket."""
        await self.ws.prepare(self._request)
        self._transport = self._request.transport

    async def run(self) -> None:
        """Serve until the socket closes."""
        raise NotImplementedError

    async def finish(self) -> None:
        """Let go of the room. Idempotent."""
        if self.room is not None:
            self.room.detach(self)

    def end(self, reason: str) -> None:
        """The room closed or the token was ended: it is told and closed. Idempotent."""
        if self.end_fault is None:
            self.end_fault = RemoteProtocolError(_END_CODES.get(reason, TOKEN_REVOKED))
            self.wake()
        if self.room is not None:
            self.room.detach(self)

    def wake(self) -> None:
        """`receive` or `sleep`, whichever runs now or is called next, returns at once."""
        self._woken = True
        if self._sleeping is not None and not self._sleeping.done():
            self._sleeping.set_result(None)
        if self._receiving is not None and not self._receiving.expired():
            self._receiving.reschedule(asyncio.get_running_loop().time())

    async def receive(
        self, wait_s: float | None, settle: Callable[[WSMessage], bool] | None = None
    ) -> WSMessage | None:
        """The next message; None when woken or after ``wait_s`` seconds.

        A wait that ends early loses no message: aiohttp keeps it for the next one.

        :param settle: takes care of a message by itself, or says no. Those that it took are not returned, and
            the wait goes on: a timer for each of thousands of frames a second costs more than the frame.
        """
        if self._woken:
            self._woken = False
            return None
        try:
            async with asyncio.timeout(wait_s) as self._receiving:
                message = await self.ws.receive()
                while settle is not None and settle(message):
                    message = await self.ws.receive()
                return message
        except TimeoutError:
            self._woken = False
            return None
        finally:
            self._receiving = None

    async def sleep(self) -> None:
        """Until woken."""
        if not self._woken:
            self._sleeping = asyncio.get_running_loop().create_future()
            await self._sleeping
            self._sleeping = None
        self._woken = False

    async def refuse(self, fault: Fault) -> None:
        """Tell the fault and close."""
        code = wire.CLOSE_PEER_FAULT if isinstance(fault, RemoteProtocolError) else wire.CLOSE_SERVER_FAULT
        await self.send(wire.error(fault))
        await self.close(code, fault.code.code)

    def offer(self, message: str | bytes) -> bool:
        """Send one message at once, past aiohttp's coroutines, if nobody has to wait for the line.

        A message is one write here and there, so the two never mix.
        """
        transport = self._transport
        if (
            transport is None
            or self.end_fault is not None
            or self.ws.closed
            or transport.is_closing()
            or transport.get_write_buffer_size() >= SIGNAL_AT_ONCE_BYTES
        ):
            return False
        transport.write(websocket_frame(message))
        return True

    async def send(self, message: str | bytes) -> None:
        """Send one message; nothing happens when the socket is closed already."""
        if self.ws.closed or not self.ws.prepared:
            return
        try:
            if isinstance(message, str):
                await self.ws.send_str(message)
            else:
                await self.ws.send_bytes(message)
        except ConnectionError:
            logger.debug("signal socket was gone before the message")

    async def close(self, code: int, reason: str = "") -> None:
        """Close the WebSocket. Idempotent."""
        if self.ws.prepared and not self.ws.closed:
            await self.ws.close(code=code, message=reason.encode())


def websocket_frame(message: str | bytes) -> bytes:
    """A message as a server sends it: one frame, without a mask (RFC 6455 sections 5.1 and 5.2)."""
    payload, first = (message.encode(), _TEXT) if isinstance(message, str) else (message, _BINARY)
    length = len(payload)
    if length < _SHORT_BYTES:
        return bytes((first, length)) + payload
    if length < _LONG_BYTES:
        return _LONG_HEAD.pack(first, 126, length) + payload
    return _LONGEST_HEAD.pack(first, 127, length) + payload
