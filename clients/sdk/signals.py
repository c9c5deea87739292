"""Sending and watching sampled signals over ``/signals/publish`` and ``/signals/view``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from clients.sdk.errors import ROOM_ELSEWHERE, ConnectionLost, RequestRefused
from clients.sdk.limits import CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S
from clients.sdk.trust import Trust
from media.limits import SIGNAL_MAX_FRAME_BYTES
from media.signals import wire
from media.signals.analysis.findings import Alarm, Analysis
from media.signals.descriptor import StreamDescriptor
from media.signals.frames import Frame, decode, read_header

PUBLISH_PATH = "/signals/publish"
VIEW_PATH = "/signals/view"


class _Socket:
    """A WebSocket with the client session that owns it."""

    def __init__(self, http: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._http = http
        self._socket = socket

    @classmethod
    async def connect(cls, url: str, path: str, ssl_verify: Trust) -> _Socket:
        http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=ssl_verify))
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                socket = await http.ws_connect(
                    _websocket_url(url, path), max_msg_size=2 * SIGNAL_MAX_FRAME_BYTES
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            await http.close()
            raise ConnectionLost(f"{path}: {type(error).__name__}") from error
        return cls(http, socket)

    async def send(self, message: str | bytes) -> None:
        try:
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)
        except (aiohttp.ClientError, ConnectionError) as error:
            raise ConnectionLost("signals") from error

    async def receive(self) -> str | bytes:
        """The next message.

        :raises RequestRefused: an error message. :raises ConnectionLost: closed.
        """
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionLost(f"signals closed, {self._socket.close_code}")
        text = str(message.data)
        fields = json.loads(text)
        if isinstance(fields, dict) and fields.get("type") == "error":
            raise RequestRefused.from_json(fields)
        return text

    async def close(self) -> None:
        await self._socket.close()
        await self._http.close()


class SignalPublisher:
    """One stream on its way to the server; made by `connect`.

    The caller keeps each frame until ``acknowledged`` reaches its sequence, and after a cut connects again
    and goes on behind `durable_sequence`.
    """

    def __init__(self, socket: _Socket, durable_sequence: int) -> None:
        self.durable_sequence = durable_sequence
        """What the server had when we connected; -1 for nothing."""
        self.acknowledged = durable_sequence
        self.failure: Exception | None = None
        """Why the connection ended, when it did."""
        self._socket = socket
        self._changed = asyncio.Event()
        self._ended = False
        self._reader = asyncio.create_task(self._read(), name="signal acknowledgements")

    @classmethod
    async def connect(
        cls, url: str, room_token: str, descriptor: StreamDescriptor, ssl_verify: Trust = True
    ) -> SignalPublisher:
        """Announce a stream, at the node that has the room.

        :raises RequestRefused: not_granted, stream_busy, the token codes ...
        :raises ConnectionLost: not reachable.
        """
        try:
            return await cls._announce(url, room_token, descriptor, ssl_verify)
        except RequestRefused as refusal:
            if refusal.code != ROOM_ELSEWHERE or refusal.detail == url:
                raise
            return await cls._announce(refusal.detail, room_token, descriptor, ssl_verify)

    @classmethod
    async def _announce(
        cls, url: str, room_token: str, descriptor: StreamDescriptor, ssl_verify: Trust
    ) -> SignalPublisher:
        socket = await _Socket.connect(url, PUBLISH_PATH, ssl_verify)
        try:
            await socket.send(wire.announce(room_token, descriptor))
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                reply = wire.parse_reply(str(await socket.receive()))
        except BaseException:
            await socket.close()
            raise
        if not isinstance(reply, wire.Accepted):
            await socket.close()
            raise ConnectionLost("the announcement was not accepted")
        return cls(socket, reply.durable_sequence)

    async def send(self, frame: bytes) -> None:
        """Send one encoded frame; raises what ended the connection, when it is over."""
        if self.failure is not None:
            raise self.failure
        await self._socket.send(frame)

    async def wait_acknowledged(self, sequence: int, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Wait until ``sequence`` and all before it are durable; raises what ended the connection."""
        await self._wait(lambda: self.acknowledged >= sequence, timeout_s)

    async def end(self) -> None:
        """Tell that all is sent, wait until all is durable, close."""
        await self._socket.send(wire.end())
        await self._wait(lambda: self._ended, REQUEST_TIMEOUT_S)
        await self.close()

    async def close(self) -> None:
        """Close without a word; idempotent."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()

    async def _wait(self, condition: Any, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                if self.failure is not None:
                    raise self.failure
                self._changed.clear()
                await self._changed.wait()

    async def _read(self) -> None:
        try:
            while not self._ended:
                match wire.parse_reply(str(await self._socket.receive())):
                    case wire.Ack(sequence):
                        self.acknowledged = sequence
                    case wire.Ended():
                        self._ended = True
                    case _:
                        pass
                self._changed.set()
        except (RequestRefused, ConnectionLost) as error:
            self.failure = error
            self._changed.set()


@dataclass(frozen=True, slots=True)
class SignalStream:
    """A stream there is, or one that starts."""

    descriptor: StreamDescriptor
    live: bool


@dataclass(frozen=True, slots=True)
class SignalEnded:
    """A stream is over."""

    stream_id: str


@dataclass(frozen=True, slots=True)
class AcknowledgeRefused:
    """An acknowledgement was not taken."""

    alarm_id: str
    refusal: RequestRefused


Told = Frame | SignalStream | SignalEnded | Analysis | Alarm | AcknowledgeRefused
"""What a viewer hears. `Analysis` and `Alarm` are a help, never a diagnosis."""


class SignalViewer:
    """Watches all signals of the token's room; made by `connect`."""

    def __init__(self, socket: _Socket) -> None:
        self.streams: dict[str, StreamDescriptor] = {}
        self._socket = socket
        self._announced: list[SignalStream] = []
        self._again: Callable[[str], Awaitable[_Socket]] | None = None

    @classmethod
    async def connect(cls, url: str, room_token: str, ssl_verify: Trust = True) -> SignalViewer:
        """Begin to watch.

        :raises RequestRefused: not_granted, the token codes.
        :raises ConnectionLost: not reachable.
        """
        viewer = cls(await _watching(url, room_token, ssl_verify))
        viewer._again = lambda node: _watching(node, room_token, ssl_verify)
        return viewer

    async def receive(self) -> Told:
        """The next frame, change or word of the analysis; raises ConnectionLost when it is over."""
        while True:
            if self._announced:
                return self._announced.pop(0)
            message = await self._receive()
            item = self._frame(message) if isinstance(message, bytes) else self._change(json.loads(message))
            if item is not None:
                return item

    async def _receive(self) -> str | bytes:
        """The next message; a node that does not have the room says which does, once."""
        try:
            return await self._socket.receive()
        except RequestRefused as refusal:
            again, self._again = self._again, None
            if refusal.code != ROOM_ELSEWHERE or again is None:
                raise
            await self._socket.close()
            self._socket = await again(refusal.detail)
            return await self._socket.receive()

    async def next_frame(self) -> Frame:
        """The next frame of any stream."""
        while True:
            item = await self.receive()
            if isinstance(item, Frame):
                return item

    async def next_alarm(self, kind: str, state: str = "raised") -> Alarm:
        """The next alarm of this kind in this state."""
        while True:
            item = await self.receive()
            if isinstance(item, Alarm) and (item.kind, item.state) == (kind, state):
                return item

    async def acknowledge(self, alarm_id: str) -> None:
        """Say that a person has seen an alarm. The answer comes as an `Alarm` or an `AcknowledgeRefused`."""
        await self._socket.send(wire.acknowledge(alarm_id))

    async def close(self) -> None:
        """Stop watching; idempotent."""
        await self._socket.close()

    def _frame(self, message: bytes) -> Frame | None:
        descriptor = self.streams.get(str(read_header(message).stream_id))
        return None if descriptor is None else decode(message, descriptor)

    def _change(self, message: dict[str, Any]) -> Told | None:
        match message.get("type"):
            case "ended":
                return SignalEnded(str(message["streamId"]))
            case "analysis":
                return Analysis.from_json(message)
            case "alarm":
                return Alarm.from_json(message)
            case "refused":
                return AcknowledgeRefused(str(message["id"]), RequestRefused.from_json(message))
        found = message.get("streams") or [message.get("stream")]
        for fields in (entry for entry in found if entry):
            live = bool(fields.pop("live", True))
            descriptor = StreamDescriptor.from_json(fields)
            self.streams[descriptor.stream_id] = descriptor
            self._announced.append(SignalStream(descriptor, live))
        return None


async def _watching(url: str, room_token: str, ssl_verify: Trust) -> _Socket:
    socket = await _Socket.connect(url, VIEW_PATH, ssl_verify)
    try:
        await socket.send(wire.watch(room_token))
    except BaseException:
        await socket.close()
        raise
    return socket


def _websocket_url(url: str, path: str) -> str:
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme in ("https", "wss") else "ws"
    return urlunsplit((scheme, parts.netloc, path, "", ""))
