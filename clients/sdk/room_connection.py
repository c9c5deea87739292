"""A participant's connection to a room: join, resume, what the server tells, tracks and data that come in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from clients.sdk import media_session, room_events
from clients.sdk.capabilities import rtp_capabilities
from clients.sdk.errors import ROOM_ELSEWHERE, ConnectionLost, RequestRefused, SdkError
from clients.sdk.limits import CONNECT_TIMEOUT_S, EVENT_QUEUE
from clients.sdk.media_session import ReceiveMedia, SendMedia
from clients.sdk.media_sink import MediaSink
from clients.sdk.room_events import (
    ChatReceived,
    ConsumerAdded,
    DataReceived,
    DataStreamAdded,
    PeerInfo,
    RecordingChanged,
    RoomEvent,
    SignalingLost,
)
from clients.sdk.signaling_socket import SignalingSocket
from clients.sdk.track_sender import TrackSender
from clients.sdk.trust import Trust
from media.clock import Clock
from media.errors import Fault, RemoteProtocolError
from media.transport import DtlsCertificate, IceParameters

logger = logging.getLogger(__name__)

NAMESPACE = "/room"
E = TypeVar("E", bound=RoomEvent)


@dataclass(frozen=True, slots=True)
class _DataStream:
    """One incoming data stream."""

    consumer_id: str
    peer_id: str
    label: str


class RoomConnection:
    """Base of `RoomSession`: everything that comes from the server.

    What is known stands in the attributes; what changes them is told once as an event, read by `next_event`
    or `wait_for`.
    """

    def __init__(self, url: str, token: str, clock: Clock, receive: bool, ssl_verify: Trust) -> None:
        self.peer_id = ""
        self.role = ""
        self.grants: dict[str, Any] = {}
        self.peers: dict[str, PeerInfo] = {}
        """The others, by peer id."""
        self.sinks: dict[str, MediaSink] = {}
        """Tracks being received, by consumer id."""
        self.tracks: dict[str, TrackSender] = {}
        """Tracks being sent, by producer id."""
        self.chat_history: list[ChatReceived] = []
        """What was said before we came."""
        self.recording = RecordingChanged("off", None, None)
        self.resumed = False
        """Whether the last join found the peer as it was before the cut."""
        self._url = url
        self._token = token
        self._clock = clock
        self._receive = receive
        self._ssl_verify = ssl_verify
        self._resume_token = ""
        self._certificate = DtlsCertificate(clock.wall())
        self._send: SendMedia | None = None
        self._recv: ReceiveMedia | None = None
        self._incoming: asyncio.Queue[tuple[str, Any]] = asyncio.Queue(EVENT_QUEUE)
        self._events: asyncio.Queue[RoomEvent] = asyncio.Queue(EVENT_QUEUE)
        self._sink_added = asyncio.Event()
        self._data_streams: dict[int, _DataStream] = {}
        self._socket = self._new_socket()
        self._worker: asyncio.Task[None] | None = None

    async def resume(self) -> None:
        """Come back after `SignalingLost`; ``resumed`` says whether the peer was still there.

        When it was not, this is a new peer, and what was published is to be published again.

        :raises RequestRefused: removed, ended or closed meanwhile.
        :raises ConnectionLost: not reachable; may be tried again.
        """
        await self._stop_worker()
        await self._socket.close()
        self._socket = self._new_socket()
        await self._connect({"token": self._token, "resume": self._resume_token})

    # events

    async def next_event(self) -> RoomEvent:
        """The next event; waits for it."""
        return await self._events.get()

    async def wait_for(
        self,
        kind: type[E],
        matches: Callable[[E], bool] = lambda _: True,
        timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> E:
        """Skip events up to the first of ``kind`` that ``matches``; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                event = await self._events.get()
                if isinstance(event, kind) and matches(event):
                    return event

    async def wait_for_sink(
        self, matches: Callable[[MediaSink], bool] = lambda _: True, timeout_s: float = CONNECT_TIMEOUT_S
    ) -> MediaSink:
        """The first track that ``matches`` and has a whole frame; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                self._sink_added.clear()
                for sink in list(self.sinks.values()):
                    if matches(sink):
                        await sink.first_frame.wait()
                        return sink
                await self._sink_added.wait()

    async def close(self) -> None:
        """Close everything without a word; idempotent."""
        await self._stop_worker()
        await self._socket.close()
        await self._drop_media()

    async def cut(self) -> None:
        """Lose the signaling connection, for tests of what happens then."""
        await self._socket.cut()

    # joining

    async def _connect(self, auth: Mapping[str, str]) -> None:
        """Connect and join, then connect media and take what is already there."""
        await self._enter(auth)
        request = {"rtpCapabilities": rtp_capabilities()} if self._receive else {}
        reply = await self._socket.request("join", request)
        self.resumed = bool(reply.get("resumed"))
        self.peer_id, self.role = str(reply["peerId"]), str(reply["role"])
        self.grants = dict(reply["grants"])
        self.peers = {peer["id"]: PeerInfo.from_json(peer) for peer in reply["peers"]}
        self.chat_history = [room_events.chat_from_json(item) for item in reply["chat"]]
        self.recording = room_events.recording_from_json(reply["recording"])
        self._resume_token = str(reply["resumeToken"])
        if not self.resumed:
            await self._drop_media()
            await self._connect_media(reply)
        self._take_consumers(reply["consumers"])
        for consumer_id in self.sinks.keys() - {item["id"] for item in reply["consumers"]}:
            self._drop_sink(consumer_id)
        self._take_data_consumers(reply["dataConsumers"])
        self._worker = asyncio.create_task(self._work(), name="room events")

    async def _enter(self, auth: Mapping[str, str]) -> None:
        """Connect; a node that does not have the room says which does."""
        try:
            await self._socket.connect(self._url, auth)
        except RequestRefused as refusal:
            if refusal.code != ROOM_ELSEWHERE or refusal.detail == self._url:
                raise
            self._url = refusal.detail
            self._socket = self._new_socket()
            await self._socket.connect(self._url, auth)

    async def _connect_media(self, reply: Mapping[str, Any]) -> None:
        """Make the transports and connect them, both at once."""
        if reply.get("sendTransport"):
            self._send = SendMedia(reply["sendTransport"], self._clock, self._certificate)
        if reply.get("recvTransport") and self._receive:
            self._recv = ReceiveMedia(
                reply["recvTransport"], self._clock, self._certificate, self._data_received
            )
        await asyncio.gather(
            *(self._connect_transport(media) for media in (self._send, self._recv) if media is not None)
        )

    async def _connect_transport(self, media: SendMedia | ReceiveMedia) -> None:
        request = {
            "transportId": media.id,
            "dtlsParameters": media.transport.dtls_parameters.as_json(),
        }
        try:
            await asyncio.gather(
                self._socket.request("connectTransport", request), media_session.connect(media)
            )
        except RemoteProtocolError as error:
            raise ConnectionLost(f"media: {error}") from error

    async def _drop_media(self) -> None:
        for media in (self._send, self._recv):
            if media is not None:
                await media.close()
        self._send = self._recv = None
        self.tracks.clear()
        self.sinks.clear()
        self._data_streams.clear()

    # what the server tells

    def _new_socket(self) -> SignalingSocket:
        return SignalingSocket(
            NAMESPACE,
            self._took,
            lambda: self._tell(SignalingLost()),
            self._ssl_verify,
        )

    def _took(self, name: str, payload: Any) -> None:
        if self._incoming.full():
            # So far behind, what came before is what can still be made sense of.
            logger.warning("event %s dropped: too many wait", name)
            return
        self._incoming.put_nowait((name, payload))

    async def _work(self) -> None:
        """Handle events one after another; begun after join, so that none comes before its reply."""
        while True:
            name, payload = await self._incoming.get()
            try:
                await self._handle(name, payload)
            except SdkError:
                # The socket was lost, or what the event was about is gone; either is told by its own event.
                continue
            except (Fault, LookupError, TypeError, ValueError) as error:
                logger.warning("event %s not usable: %s", name, type(error).__name__)

    async def _handle(self, name: str, payload: Any) -> None:
        if name == "newConsumers":
            ids = self._take_consumers(payload["consumers"])
            await self._socket.request("resumeConsumers", {"consumerIds": ids})
            return
        if name == "newDataConsumers":
            self._take_data_consumers(payload["dataConsumers"])
            return
        event = room_events.read_event(name, payload)
        if event is None:
            return
        self._apply(event)
        self._tell(event)
        if isinstance(event, room_events.TransportState) and event.state == "failed":
            await self._restart_ice(event.transport_id)

    def _apply(self, event: RoomEvent) -> None:
        """Bring the attributes up to date."""
        match event:
            case room_events.PeerJoined(peer):
                self.peers[peer.id] = peer
            case room_events.PeerLeft(peer_id):
                self.peers.pop(peer_id, None)
            case room_events.ConsumerClosed(consumer_id):
                self._drop_sink(consumer_id)
            case room_events.ConsumerPaused(consumer_id) if consumer_id in self.sinks:
                self.sinks[consumer_id].paused = True
            case room_events.ConsumerResumed(consumer_id) if consumer_id in self.sinks:
                self.sinks[consumer_id].paused = False
            case RecordingChanged():
                self.recording = event
            case room_events.DataStreamClosed(consumer_id):
                self._drop_data_stream(consumer_id)
            case _:
                pass

    def _tell(self, event: RoomEvent) -> None:
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(event)

    async def _restart_ice(self, transport_id: str) -> None:
        media = next((m for m in (self._send, self._recv) if m is not None and m.id == transport_id), None)
        if media is None:
            return
        reply = await self._socket.request("restartIce", {"transportId": transport_id})
        try:
            await media.transport.restart_ice(IceParameters.from_json(reply["iceParameters"]))
        except RemoteProtocolError as error:
            raise ConnectionLost(f"media: {error}") from error

    async def _stop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    # what comes in

    def _take_consumers(self, consumers: list[Mapping[str, Any]]) -> list[str]:
        """Make a sink for each consumer that has none; returns all of their ids."""
        recv = self._recv
        for json in consumers:
            if recv is None or json["id"] in self.sinks:
                continue
            sink = MediaSink(json, self._clock)
            self.sinks[sink.id] = sink
            recv.add(sink)
            self._sink_added.set()
            self._tell(ConsumerAdded(sink.id, sink.producer_id, sink.peer_id, sink.kind, sink.source))
        return [str(json["id"]) for json in consumers]

    def _drop_sink(self, consumer_id: str) -> None:
        sink = self.sinks.pop(consumer_id, None)
        if sink is not None and self._recv is not None:
            self._recv.remove(sink)

    def _take_data_consumers(self, consumers: list[Mapping[str, Any]]) -> None:
        for json in consumers:
            parameters = json["sctpStreamParameters"]
            stream_id = int(parameters["streamId"])
            if self._recv is None or stream_id in self._data_streams:
                continue
            stream = _DataStream(str(json["id"]), str(json.get("peerId", "")), str(json.get("label", "")))
            self._data_streams[stream_id] = stream
            self._recv.transport.open_data_stream(
                stream_id, ordered=bool(parameters.get("ordered", True)), label=stream.label
            )
            self._tell(DataStreamAdded(stream.consumer_id, stream.peer_id, stream.label))

    def _drop_data_stream(self, consumer_id: str) -> None:
        for stream_id, stream in list(self._data_streams.items()):
            if stream.consumer_id == consumer_id and self._recv is not None:
                del self._data_streams[stream_id]
                self._recv.transport.close_data_stream(stream_id)

    def _data_received(self, stream_id: int, payload: str | bytes) -> None:
        stream = self._data_streams.get(stream_id)
        if stream is not None:
            self._tell(DataReceived(stream.consumer_id, stream.peer_id, stream.label, payload))
