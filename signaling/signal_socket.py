"""What every signal WebSocket does, whichever way its frames go."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiohttp import WSMessage, web

from media.errors import Fault, RemoteProtocolError
from media.signals import wire
from signaling.access import RoomClaims
from signaling.errors import ROOM_CLOSED, STREAM_BUSY, TOKEN_REVOKED
from signaling.limits import SIGNAL_CLOSE_S, SIGNAL_HEARTBEAT_S, SIGNAL_MESSAGE_BYTES_MAX
from signaling.room import Room
from signaling.service import RoomService

logger = logging.getLogger(__name__)

# Why the room ends a socket -> what the socket is told.
_END_CODES: Final = {"room_closed": ROOM_CLOSED, "replaced": STREAM_BUSY}


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
        self._woken = False
        self._receiving: asyncio.Timeout | None = None
        self._sleeping: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Accept the WebSocket."""
        await self.ws.prepare(self._request)

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

    async def receive(self, wait_s: float | None) -> WSMessage | None:
        """The next message; None when woken or after ``wait_s`` seconds.

        A wait that ends early loses no message: aiohttp keeps it for the next one.
        """
        if self._woken:
            self._woken = False
            return None
        try:
            async with asyncio.timeout(wait_s) as self._receiving:
                return await self.ws.receive()
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
