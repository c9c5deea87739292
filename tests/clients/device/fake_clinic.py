"""A server for gateways: real store and publish session, real WebSocket, and a hand on the plug."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from aiohttp import WSMsgType, web

from media.clock import SystemClock
from media.errors import Fault, LocalProtocolError, RemoteProtocolError
from media.signals import Close, Lose, Mark, Open, Output, PublishSession, Send, SignalStore, Store, StreamLog
from media.signals.commit import Told
from media.signals.wish import FrameWish

ROOM = "c-room"


def room_token(room: str = ROOM) -> str:
    """A token as a gateway reads it; nobody checks its signature here."""
    claims = base64.urlsafe_b64encode(json.dumps({"room": room}).encode()).decode().rstrip("=")
    return f"e30.{claims}.x"


class FakeClinic:
    """One stream's endpoint.

    ``refuse`` is what every announcement is answered with, while it is set; nothing is stored, and so
    confirmed, while ``may_store`` is not. ``wish`` is for frames of what length it asks.
    """

    def __init__(self, directory: Path) -> None:
        self.store = SignalStore(directory, SystemClock())
        self.refuse: Fault | None = None
        self.may_store = asyncio.Event()
        self.may_store.set()
        self.wish = FrameWish()
        self.announced = 0
        self.frames = 0
        self.newest_samples = 0
        self.streams: set[str] = set()
        self.changed = asyncio.Condition()
        self._sockets: set[web.WebSocketResponse] = set()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen; on the same port after a `stop`."""
        app = web.Application()
        app.router.add_get("/signals/publish", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        addresses = self._runner.addresses
        self._port = addresses[0][1]

    async def stop(self) -> None:
        """Pull the plug."""
        await self.cut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def cut(self) -> None:
        """End every connection without a word."""
        for socket in list(self._sockets):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition over the counters."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(condition)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        connection = _Connection(self, socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await connection.do(connection.session.receive_text(message.data, 0.0))
                elif message.type is WSMsgType.BINARY:
                    await connection.do(connection.session.receive_frame(message.data, 0.0))
        finally:
            self._sockets.discard(socket)
            if connection.log is not None:
                await connection.log.close()
        return socket

    async def count(self, announced: int = 0, frames: int = 0) -> None:
        """Note what came."""
        async with self.changed:
            self.announced += announced
            self.frames += frames
            self.changed.notify_all()


class _Connection:
    """One `PublishSession` and its socket."""

    def __init__(self, clinic: FakeClinic, socket: web.WebSocketResponse) -> None:
        self.session = PublishSession(0.0)
        self.log: StreamLog | None = None
        self._clinic = clinic
        self._socket = socket

    async def do(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Open(_, descriptor):
                    self._clinic.streams.add(descriptor.stream_id)
                    if self._clinic.refuse is not None:
                        await self.do(self.session.refused(self._clinic.refuse, 0.0))
                    else:
                        self.log = await self._clinic.store.open(ROOM, descriptor)
                        await self.do(self.session.opened(self.log.ledger, 0.0, wish=self._clinic.wish))
                    await self._clinic.count(announced=1)
                case Store(frame, data):
                    assert self.log is not None
                    await self._clinic.may_store.wait()
                    await durable(partial(self.log.submit, frame.sequence, data))
                    self._clinic.newest_samples = frame.samples_per_lead
                    await self._clinic.count(frames=1)
                    await self.do(self.session.stored(frame.sequence, 0.0))
                case Lose(loss):
                    assert self.log is not None
                    await durable(partial(self.log.lose, loss))
                    await self.do(self.session.loss_stored(0.0))
                case Send(text) if not self._socket.closed:
                    await self._socket.send_str(text)
                case Close(code, reason):
                    await self._socket.close(code=code, message=reason.encode())
                case Mark() | Send():
                    pass


async def durable(hand_over: Callable[[Told], None]) -> None:
    """Hand something to a stream's log, and wait until it is on the disk."""
    written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(fault: LocalProtocolError | None) -> None:
        if fault is None:
            written.set_result(None)
        else:
            written.set_exception(fault)

    hand_over(told)
    await written


def peer_fault(code: str) -> RemoteProtocolError:
    """A refusal with a code of the layer above."""
    from media.errors import ErrorCode

    return RemoteProtocolError(ErrorCode(code, 401, "令牌不可用。", "The token is no good."))
