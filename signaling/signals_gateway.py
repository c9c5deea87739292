"""WebSockets ``/signals/publish`` and ``/signals/view``: the wire under `media.signals`.

`PublishSession` decides, this module does: it reads, sends, opens the log and closes. A publisher and a
viewer are attachments of a room: when the room closes or their token is ended, they are told and closed.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType, web

from media.errors import LIMIT_REACHED, Fault, LocalProtocolError, RemoteProtocolError
from media.signals import (
    Close,
    Lose,
    Mark,
    Open,
    Output,
    PublishSession,
    Send,
    Store,
    StreamDescriptor,
    StreamLog,
    ViewerQueue,
    wire,
)
from media.signals.analysis.feed import AnalysisFeed
from media.signals.analysis.patients import WantedLimits
from media.signals.errors import SIGNAL_CLOCK_JUMP, SIGNAL_UNEXPECTED
from media.signals.records import Loss
from media.signals.wish import FrameWish
from signaling.access import may_use_signals
from signaling.errors import RATE_LIMITED, STREAM_BUSY
from signaling.events import SignalEnded, SignalStarted
from signaling.limits import (
    SIGNAL_HELLO_S,
    SIGNAL_PUBLISHERS_PER_ROOM_MAX,
    SIGNAL_VIEWERS_PER_ROOM_MAX,
    VIEWER_REQUESTS_BURST,
    VIEWER_REQUESTS_PER_SECOND,
)
from signaling.rates import TokenBucket
from signaling.room import Room
from signaling.service import RoomService
from signaling.signal_analysis import SignalAnalysis
from signaling.signal_socket import SignalSocket

logger = logging.getLogger(__name__)


class SignalsGateway:
    """Both WebSocket endpoints, for all rooms."""

    def __init__(self, rooms: RoomService) -> None:
        self.rooms = rooms
        self.analysis = SignalAnalysis(
            rooms.clock, rooms.signal_store, rooms.publish_event, rooms.config.alarm_limits
        )
        self.wish = FrameWish()
        self._sockets: set[SignalSocket] = set()

    def attach(self, app: web.Application) -> None:
        """Mount the endpoints."""
        app.router.add_get("/signals/publish", self._publish)
        app.router.add_get("/signals/view", self._view)

    async def close(self) -> None:
        """End every socket and wait until its streams are closed. Idempotent."""
        for socket in list(self._sockets):
            socket.end("room_closed")
        while self._sockets:
            await asyncio.wait({socket.done for socket in self._sockets})
        await self.analysis.close()

    async def _publish(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(Publisher(self, request))

    async def _view(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(Viewer(self, request))

    async def _serve(self, socket: SignalSocket) -> web.StreamResponse:
        self._sockets.add(socket)
        self.wish.count(self.publishers)
        try:
            await socket.open()
            await socket.run()
        except ConnectionError:
            logger.info("signal socket lost")
        finally:
            await socket.finish()
            self._sockets.discard(socket)
            self.wish.count(self.publishers)
            socket.done.set_result(None)
        return socket.ws

    @property
    def publishers(self) -> int:
        """Devices that send."""
        return sum(isinstance(socket, Publisher) for socket in self._sockets)

    async def admit(self, socket: SignalSocket, token: str, limit: int) -> Room:
        """The room of a token, with this socket attached to it.

        :raises RemoteProtocolError: a token code, not_granted, room_elsewhere, room_closed, limit_reached.
        """
        claims = self.rooms.verify(token)
        may_use_signals(claims.grant, "publish" if isinstance(socket, Publisher) else "watch")
        await self.rooms.place(claims)
        room = self.rooms.room_for(claims)
        if sum(isinstance(other, type(socket)) for other in room.attachments) >= limit:
            raise RemoteProtocolError(LIMIT_REACHED, "signal sockets")
        socket.claims = claims
        room.attachments.add(socket)
        return room

    def replace(self, room: Room, stream_id: str, publisher: Publisher) -> None:
        """A device that came back replaces its own earlier socket, which may not know yet that it is dead.

        :raises RemoteProtocolError: stream_busy, when somebody else sends this stream.
        """
        for other in list(room.attachments):
            if isinstance(other, Publisher) and other is not publisher and other.stream_id == stream_id:
                if other.claims.user_id != publisher.claims.user_id:
                    raise RemoteProtocolError(STREAM_BUSY)
                other.end("replaced")


class Publisher(SignalSocket):
    """A device that sends one stream. Does what its `PublishSession` says."""

    def __init__(self, gateway: SignalsGateway, request: web.Request) -> None:
        super().__init__(gateway.rooms, request)
        self._gateway = gateway
        self.stream_id = ""
        self._session = PublishSession(self._clock.monotonic())
        self._closing: Close | None = None
        self._log: StreamLog | None = None
        self._feed: AnalysisFeed | None = None
        self._unsettled: list[Output] = []
        self._doing: set[asyncio.Future[None]] = set()

    async def run(self) -> None:
        while not self.ws.closed:
            outputs = await self._next()
            if self.end_fault is not None:
                await self.refuse(self.end_fault)
            elif self._closing is not None:
                await self.close(self._closing.code, self._closing.reason)
            elif outputs is None:
                return
            else:
                await self._do_all(outputs)

    async def _next(self) -> list[Output] | None:
        """Wait for the next message or for the session's timeout; None when the socket is gone.

        Frames of a live stream are settled while it waits. The timeout that they push away is looked at when
        the first one is over, and found not to be due.
        """
        deadline = self._session.next_timeout()
        wait = None if deadline is None else max(0.01, deadline - self._clock.monotonic())
        message = await self.receive(wait, self._settle)
        now = self._clock.monotonic()
        if self._unsettled:
            outputs, self._unsettled = self._unsettled, []
            return outputs
        if message is None:
            return self._session.tick(now)
        if message.type is WSMsgType.TEXT:
            return self._session.receive_text(message.data, now)
        if message.type is WSMsgType.BINARY:
            return []  # settled
        problem = message.data
        if isinstance(problem, WebSocketError) and problem.code == WSCloseCode.MESSAGE_TOO_BIG:
            return self._session.receive_oversized(now)
        return None

    def _settle(self, message: WSMessage) -> bool:
        """A frame, when nothing that it causes has to be waited for; what has to be is kept for `run`."""
        if message.type is not WSMsgType.BINARY:
            return False
        outputs = self._session.receive_frame(message.data, self._clock.monotonic())
        self._unsettled = self._do_now(outputs)
        return not self._unsettled

    def _do_now(self, outputs: list[Output]) -> list[Output]:
        """Do what can be done without waiting; the rest, from the first that cannot."""
        for index, output in enumerate(outputs):
            if isinstance(output, Store):
                self._store(output)
            elif not isinstance(output, Send) or not self.offer(output.text):
                return outputs[index:]
        return []

    async def _do_all(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Send(text):
                    await self.send(text)
                case Open(token, descriptor):
                    await self._do_all(await self._open_stream(token, descriptor))
                case Store():
                    self._store(output)
                case Lose(loss):
                    self._lose(loss)
                case Mark(code):
                    await self._mark(code)
                case Close():
                    # The last acknowledgement may say so, while `run` reads: that has to let go first.
                    self._closing = output
                    self.wake()

    async def _open_stream(self, token: str, descriptor: StreamDescriptor) -> list[Output]:
        try:
            self.room = await self._gateway.admit(self, token, SIGNAL_PUBLISHERS_PER_ROOM_MAX)
            self.stream_id = descriptor.stream_id
            self._gateway.replace(self.room, self.stream_id, self)
            self._log = await self._rooms.signal_store.open(self.room.id, descriptor)
            self.room.signals.start_stream(descriptor)
        except Fault as fault:
            self._note(fault)
            return self._session.refused(fault, self._clock.monotonic())
        await self._gateway.analysis.know_patient(self.room)
        self._feed = self._gateway.analysis.begin(self.room, descriptor)
        self.room.signal_started(descriptor, await self._first_sample_at(self._log))
        self._tell(SignalStarted)
        now, log = self._clock.monotonic(), self._log
        return self._session.opened(log.ledger, now, log.fingerprints, self._gateway.wish)

    async def _first_sample_at(self, log: StreamLog) -> float:
        """When this stream began, Unix seconds; now, for a new one."""
        if log.durable_sequence < 0:
            return self._clock.wall()
        store = self._rooms.signal_store
        for stored in await asyncio.to_thread(store.streams, log.owner):
            if stored.descriptor.stream_id == self.stream_id:
                return stored.start
        return self._clock.wall()

    def _store(self, output: Store) -> None:
        if self._log is None or self.room is None:
            return
        # Viewers do not wait for the disk; only the acknowledgement does.
        arrived_ns = round(self._clock.wall() * 1e9)
        if self.room.signals.publish(output.frame, output.data, arrived_ns):
            logger.warning("stream %s: the device's clock was set", self.stream_id)
            self._do_soon([Mark(SIGNAL_CLOCK_JUMP.code)])
        if self._feed is not None:
            self._feed.put(output.frame, output.payload, self._clock.monotonic())
        sequence = output.frame.sequence
        self._log.submit(sequence, output.data, partial(self._stored, sequence))

    def _lose(self, loss: Loss) -> None:
        if self._log is not None:
            logger.warning("stream %s lost %d to %d: %s", self.stream_id, loss.first, loss.last, loss.reason)
            self._log.lose(loss, partial(self._stored, None))

    def _stored(self, sequence: int | None, fault: LocalProtocolError | None) -> None:
        """A frame, or a loss, is durable: acknowledge. Of those that became so together the first speaks."""
        now = self._clock.monotonic()
        self._note(fault)
        if fault is not None:
            self._do_soon(self._session.store_failed(fault, now))
        elif sequence is None:
            self._do_soon(self._session.loss_stored(now))
        else:
            self._do_soon(self._session.stored(sequence, now))

    def _note(self, fault: Fault | None) -> None:
        """Tell the room whether what it sees is being kept."""
        if self.room is not None and (fault is None or isinstance(fault, LocalProtocolError)):
            self.room.signals.storing(None if fault is None else fault.code)

    def _do_soon(self, outputs: list[Output]) -> None:
        rest = self._do_now(outputs) if outputs else outputs
        if rest:
            task = asyncio.ensure_future(self._do_all(rest))
            self._doing.add(task)
            task.add_done_callback(self._doing.discard)

    async def _mark(self, code: str) -> None:
        if self._log is not None:
            try:
                await self._log.mark(code)
            except LocalProtocolError as fault:
                logger.error("stream %s: mark %s not stored: %s", self.stream_id, code, fault.code.code)

    async def finish(self) -> None:
        await super().finish()
        log, self._log = self._log, None
        if log is None or self.room is None:
            return
        if not any(
            isinstance(other, Publisher) and other.stream_id == self.stream_id
            for other in self.room.attachments
        ):
            self._gateway.analysis.end(self.room, self.stream_id)
            broke = None if self._closing is None else self._closing.broke
            self.room.signals.end_stream(self.stream_id, broke)
            self.room.signal_ended(self.stream_id)
        await log.settled()
        while self._doing:
            await asyncio.wait(set(self._doing))
        await log.close()
        self._tell(SignalEnded)

    def _tell(self, event: type[SignalStarted] | type[SignalEnded]) -> None:
        room_id = self.claims.room_id
        at = self._clock.wall()
        logger.info("room %s: %s %s", room_id, event.__name__, self.stream_id)
        self._rooms.publish_event(event(room_id, self.claims.user_id, self.stream_id, at))


class Viewer(SignalSocket):
    """Somebody who watches the streams of a room. Its queue is bounded and drops the oldest frame."""

    def __init__(self, gateway: SignalsGateway, request: web.Request) -> None:
        super().__init__(gateway.rooms, request)
        self._gateway = gateway
        now = self._clock.monotonic()
        self._requests = TokenBucket(VIEWER_REQUESTS_PER_SECOND, VIEWER_REQUESTS_BURST, now)

    async def run(self) -> None:
        hello = await self.receive(SIGNAL_HELLO_S)
        if hello is None or hello.type is not WSMsgType.TEXT:
            await self.close(wire.CLOSE_TIMEOUT if hello is None else wire.CLOSE_PEER_FAULT)
            return
        try:
            wanted = wire.parse_view(hello.data)
            if not isinstance(wanted, wire.Watch):
                raise RemoteProtocolError(SIGNAL_UNEXPECTED)
            room = self.room = await self._gateway.admit(self, wanted.token, SIGNAL_VIEWERS_PER_ROOM_MAX)
        except Fault as fault:
            await self.refuse(fault)
            return
        queue = room.signals.add_viewer(self.wake, self.offer)
        for text in room.analysis.hello():
            queue.put(text)
        listening = asyncio.ensure_future(self._listen(room, queue))
        listening.add_done_callback(lambda _: self.wake())
        try:
            await self._watch(queue, listening)
        finally:
            room.signals.remove_viewer(queue)
            await _ended(listening)

    async def _listen(self, room: Room, queue: ViewerQueue) -> None:
        """What a viewer may say while it watches; returns when it goes, or says something it may not."""
        while (message := await self.ws.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
            if message.type is WSMsgType.BINARY:
                continue
            try:
                wanted = wire.parse_view(message.data)
                if isinstance(wanted, wire.Watch):
                    raise RemoteProtocolError(SIGNAL_UNEXPECTED)
            except RemoteProtocolError as fault:
                self.end_fault = self.end_fault or fault
                return
            self._wish(room, queue, wanted)

    def _wish(self, room: Room, queue: ViewerQueue, wanted: wire.Acknowledge | WantedLimits) -> None:
        """What is not granted, or comes too often, is refused and the socket stays."""
        about = wanted.alarm_id if isinstance(wanted, wire.Acknowledge) else "limits"
        try:
            if not self._requests.take(self._clock.monotonic()):
                raise RemoteProtocolError(RATE_LIMITED)
            if isinstance(wanted, wire.Acknowledge):
                self._gateway.analysis.acknowledge(room, self.claims, wanted.alarm_id)
            else:
                self._gateway.analysis.choose_limits(room, self.claims, wanted)
        except RemoteProtocolError as fault:
            queue.put(wire.refused(about, fault))

    async def _watch(self, queue: ViewerQueue, listening: asyncio.Future[None]) -> None:
        """Send what a line that was not free has left in the queue."""
        while not self.ws.closed:
            while (item := queue.pop()) is not None and self.end_fault is None:
                await self.send(item)
            fault = self.end_fault or queue.fault
            if fault is not None:
                await _ended(listening)
                await self.refuse(fault)
                return
            if listening.done():
                return
            await self.sleep()


async def _ended(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
