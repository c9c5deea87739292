"""A transport of a router: one peer's path, with what it produces and consumes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from math import inf
from typing import TYPE_CHECKING, Any

from media import limits
from media.errors import CLOSED, LIMIT_REACHED, LocalProtocolError, RemoteProtocolError
from media.ortc import consumable_parameters, map_producer, parse_rtp_capabilities, parse_rtp_parameters
from media.relay.consumer import Consumer
from media.relay.consuming import make_consumer
from media.relay.data import DataConsumer, DataProducer
from media.relay.data_streams import DataStreams
from media.relay.downstream import Downstream
from media.relay.errors import WRONG_KIND
from media.relay.producer import Producer
from media.relay.subscription import Subscription
from media.relay.wire import WireSocket
from media.rtp import rtcp
from media.rtp.twcc import TransportFeedback
from media.transport.parameters import DtlsParameters

if TYPE_CHECKING:
    from media.relay.router import Router

logger = logging.getLogger(__name__)


class WebRtcTransport:
    """Made by `Router.create_transport`. Closing it closes everything on it.

    It is the handler of its wire (`media.transport.TransportHandlers`).
    """

    def __init__(self, router: Router, socket: WireSocket) -> None:
        self.closed = False
        self.local_ssrc = router.new_ssrc()
        self.state = "new"
        self.producers: dict[str, Producer] = {}
        self.consumers: dict[str, Consumer] = {}
        self._malformed = 0  # RTCP
        self.receiver_estimate: int | None = None  # REMB, bits per second: read, not obeyed
        self.wanted_bps: Callable[[], float] = lambda: 0
        """Aim of probing, bits per second: what would be sent were there room. Told by the owner."""
        self.due = inf
        """When `tick` is wanted, what its tracks plan for themselves left out."""
        self._reports_due = inf
        self._router = router
        self._by_ssrc: dict[int, Consumer] = {}
        self._next_mid = 0
        self._wire = socket.create_transport(self)
        self.id = self._wire.id
        self._data = DataStreams(router, self._wire)
        self.lane = router.tables.lane(self._wire, self._wake, self._receiver_told, self.local_ssrc)
        self.outlet = Downstream(self.lane.path, self._wake, self._probe_sources, self._cut_over)

    # -- setting up ----------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """mediasoup's transport options for the client."""
        wire = self._wire
        return {
            "id": self.id,
            "iceParameters": wire.ice_parameters.as_json(),
            "iceCandidates": [candidate.as_json() for candidate in wire.ice_candidates],
            "dtlsParameters": wire.dtls_parameters.as_json(),
            "sctpParameters": wire.sctp_parameters,
        }

    def connect(self, dtls_parameters: object) -> None:
        """Begin the handshake; returns at once.

        :raises RemoteProtocolError: malformed parameters, or connected before.
        """
        self._require_open()
        self._wire.connect(DtlsParameters.from_json(dtls_parameters))

    def restart_ice(self) -> dict[str, Any]:
        """New ICE parameters; media goes on."""
        self._require_open()
        return self._wire.restart_ice().as_json()

    def produce(
        self, kind: str, rtp_parameters: object, source: str, paused: bool = False, label: str = ""
    ) -> Producer:
        """Take a track in.

        :raises RemoteProtocolError: malformed_rtp_parameters, unsupported_codec, wrong_kind, duplicate_ssrc,
            limit_reached.
        """
        self._require_open()
        self._require_room(self.producers, limits.MAX_PRODUCERS_PER_TRANSPORT)
        parameters = parse_rtp_parameters(rtp_parameters)
        if parameters.media_codec.kind != kind:
            raise RemoteProtocolError(WRONG_KIND)
        mapping = map_producer(parameters)
        consumable = consumable_parameters(parameters)
        identifier = self._router.new_id()
        producer = Producer(identifier, self, parameters, consumable, mapping, source, paused, label)
        self.lane.add(producer)
        self.producers[producer.id] = producer
        self._router.producers[producer.id] = producer
        self.lane.upstream.learn(parameters)
        self._wake(self.lane.upstream.due)
        self._start_reports()
        logger.info("producer %s opened: %s %s %s", producer.id, source, producer.codec.name, producer.type)
        return producer

    def consume(
        self,
        producer_id: str,
        rtp_capabilities: object,
        paused: bool = True,
        preferred_layers: tuple[int, int | None] | None = None,
    ) -> Consumer:
        """Send a track of the router to this peer.

        :raises RemoteProtocolError: malformed_rtp_capabilities, cannot_consume, unknown_producer,
            limit_reached.
        """
        self._require_open()
        self._require_room(self.consumers, limits.MAX_CONSUMERS_PER_TRANSPORT)
        producer = self._router.producer(producer_id)
        mid = str(self._next_mid)
        consumer = make_consumer(
            self._router, self, producer, parse_rtp_capabilities(rtp_capabilities), mid, paused
        )
        self._next_mid += 1
        self.consumers[consumer.id] = consumer
        self._by_ssrc[consumer.ssrc] = consumer
        if preferred_layers is not None:
            consumer.set_preferred_layers(*preferred_layers)
        consumer.choose_layer(self.now())
        self._start_reports()
        return consumer

    def produce_data(
        self, sctp_stream_parameters: object, label: str = "", protocol: str = ""
    ) -> DataProducer:
        """Take a data channel in.

        :raises RemoteProtocolError: malformed_sctp_parameters, duplicate_stream_id, limit_reached.
        """
        self._require_open()
        return self._data.produce(sctp_stream_parameters, label, protocol)

    def consume_data(self, data_producer_id: str) -> DataConsumer:
        """Send a data channel of the router to this peer.

        :raises RemoteProtocolError: unknown_producer, limit_reached.
        """
        self._require_open()
        return self._data.consume(self._router.data_producer(data_producer_id))

    def close(self) -> None:
        """Close everything on it, then the wire. Idempotent."""
        if self.closed:
            return
        self.closed = True
        children: list[Producer | DataProducer | Consumer | DataConsumer] = [
            *self.producers.values(),
            *self.consumers.values(),
            *self._data.all(),
        ]
        for child in children:
            child.close()
        self._wire.close_now()
        self.lane.close()
        self._router.transport_closed(self)

    def _require_open(self) -> None:
        if self.closed:
            raise LocalProtocolError(CLOSED, "transport")

    def _require_room(self, table: dict[str, Any], most: int) -> None:
        if len(table) >= most:
            raise RemoteProtocolError(LIMIT_REACHED, f"at most {most} on one transport")

    # -- bandwidth -----------------------------------------------------------------------------------------

    def available_outgoing_bps(self, now: float) -> int | None:
        """What the peer's line carries; None while it has not told, and for peers that never do."""
        return self.outlet.available_bps(now)

    def _cut_over(self) -> None:
        """More is lost than can be sent again. Receivers take seconds to find out: begin again at once."""
        for consumer in self.consumers.values():
            if consumer.kind == "video":
                consumer.request_key_frame()

    def _probe_sources(self) -> Iterator[Subscription]:
        return (one.subscription for one in self.consumers.values() if one.kind == "video")

    @property
    def malformed(self) -> int:
        """Packets that could not be read."""
        return self._malformed + self.lane.malformed

    @property
    def unrouted(self) -> int:
        """Packets that belong to no track."""
        return self.lane.unrouted

    # -- what the wire tells: TransportHandlers --------------------------------------------------------------

    def rtp_received(self, packet: bytearray, now: float) -> None:
        """One packet; the plane's from now on."""
        self.lane.received(packet, now)

    def rtcp_received(self, packet: bytes, now: float) -> None:
        """Hand each part of a compound to the one it concerns."""
        if self.lane.rtcp_received(packet, now):
            return
        try:
            parts = rtcp.parse_compound(packet)
        except RemoteProtocolError:
            self._malformed += 1
            return
        for part in parts:
            self._take_feedback(part, now)

    def _take_feedback(self, part: rtcp.RtcpPacket, now: float) -> None:
        match part:
            case rtcp.SenderReport():
                route = self.lane.route(part.ssrc)
                if route is not None and not route.is_rtx:
                    route.producer.sender_report(route.layer, part, now)
                self._take_blocks(part.reports, now)
            case rtcp.ReceiverReport():
                self._take_blocks(part.reports, now)
            case rtcp.Nack() if part.media_ssrc in self._by_ssrc:
                self._by_ssrc[part.media_ssrc].nack_received(part.sequences, now)
            case rtcp.PictureLoss() if part.media_ssrc in self._by_ssrc:
                self._by_ssrc[part.media_ssrc].keyframe_requested(now)
            case rtcp.FullIntraRequest():
                for ssrc, _ in part.entries:
                    if ssrc in self._by_ssrc:
                        self._by_ssrc[ssrc].keyframe_requested(now)
            case TransportFeedback():
                if self.lane.path.hearing.hear(part, now):
                    self._receiver_told()
            case rtcp.Remb():
                self.receiver_estimate = part.bitrate
            case _:
                pass

    def _receiver_told(self) -> None:
        """The receiver of what we send says something that is to be looked at."""
        self.outlet.heard(self.wanted_bps(), self._router.signals_bps)
        self._router.line_told(self)

    def _take_blocks(self, blocks: tuple[rtcp.ReportBlock, ...], now: float) -> None:
        for block in blocks:
            consumer = self._by_ssrc.get(block.ssrc)
            if consumer is not None:
                consumer.subscription.answer(block, now)

    def state_changed(self, state: str) -> None:
        """Consumers run only while the wire is connected; a key frame is asked for at that moment."""
        self.state = state
        now = self.now()
        for consumer in list(self.consumers.values()):
            consumer.choose_layer(now)
        self._router.listener.transport_state(self, state)
        if state == "closed":
            self.close()

    def data_received(self, stream_id: int, payload: str | bytes) -> None:
        self._data.received(stream_id, payload)

    # -- what producers and consumers need: the owner ------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self.state == "connected"

    def now(self) -> float:
        return self._router.clock.monotonic()

    def wall(self) -> float:
        return self._router.clock.wall()

    def wake(self, due: float) -> None:
        """A track of it is due."""
        self._router.wake_producer(due)

    def _wake(self, due: float) -> None:
        """It is due itself."""
        if due < self.due:
            self.due = due
            self._router.wake_transport(due)

    def send_feedback(self, packet: rtcp.RtcpPacket) -> bool:
        return self._wire.send_rtcp(rtcp.pack(packet))

    def levels_heard(self, producer: Producer, levels: bytes, first_at: float, last_at: float) -> None:
        self._router.levels_heard(producer, levels, first_at, last_at)

    def producer_paused(self, producer: Producer) -> None:
        self._router.voice_gone(producer)

    def producer_closed(self, producer: Producer) -> None:
        self.lane.remove(producer)
        self.producers.pop(producer.id, None)
        self._router.producers.pop(producer.id, None)
        self._router.voice_gone(producer)
        self._router.listener.producer_closed(producer)

    def consumer_closed(self, consumer: Consumer) -> None:
        self.consumers.pop(consumer.id, None)
        self._by_ssrc.pop(consumer.ssrc, None)
        self._router.release_ssrcs(consumer)
        self._router.allocation_news()
        self._router.listener.consumer_closed(consumer)

    def consumer_aimed(self, consumer: Consumer) -> None:
        self._router.allocation_news()

    def consumer_paused(self, consumer: Consumer, paused_by_producer: bool) -> None:
        self._router.listener.consumer_paused(consumer, paused_by_producer)

    def consumer_layers(self, consumer: Consumer, spatial: int, temporal: int) -> None:
        self._router.listener.consumer_layers(consumer, spatial, temporal)

    # -- time ----------------------------------------------------------------------------------------------

    def _start_reports(self) -> None:
        if self._reports_due == inf:
            self._reports_due = self._router.report_after(self.now())
        self._wake(self._reports_due)

    def tick(self, now: float) -> None:
        """Send what is due, and plan the next time."""
        for packet in self.lane.upstream.take(now):
            self._wire.send_rtcp(packet)
        due = self.outlet.due
        if now >= due:
            due = self.outlet.tick(now)
        if now >= self._reports_due:
            self._send_reports(now)
        self.due = min(self._reports_due, self.lane.upstream.due, due)

    def _send_reports(self, now: float) -> None:
        leaving = (consumer.subscription for consumer in self.consumers.values())
        told = self.lane.report(self.producers.values(), leaving, self.connected, now, self.wall())
        for packet in told:
            self._wire.send_rtcp(packet)
        has_work = self.producers or self.consumers
        self._reports_due = self._router.report_after(now) if has_work else inf

    def stats(self) -> dict[str, Any]:
        """Counters of the transport and of everything on it."""
        return {
            "id": self.id,
            "state": self.state,
            "malformed": self.malformed,
            "unrouted": self.unrouted,
            "receiverEstimate": self.receiver_estimate,
            "outgoing": self.outlet.stats(self.now()),
            "producers": [producer.stats() for producer in self.producers.values()],
            "consumers": [consumer.stats() for consumer in self.consumers.values()],
        }
