"""A router: the tracks of one room, and the transports over which they come and go."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Protocol

from media.clock import Clock
from media.errors import CLOSED, LocalProtocolError, RemoteProtocolError
from media.limits import ALLOCATION_INTERVAL_S, QUALITY_INTERVAL_S, REPORT_INTERVAL_S
from media.ortc import PLAIN_CAPABILITIES, can_consume, parse_rtp_capabilities, router_rtp_capabilities
from media.relay.allocation import Decision
from media.relay.allocator import Allocator, Prices
from media.relay.consumer import Consumer
from media.relay.consuming import make_consumer
from media.relay.data import DataConsumer, DataProducer
from media.relay.errors import UNKNOWN_PRODUCER
from media.relay.lane import PlainTables, Tables
from media.relay.line import LineWatch
from media.relay.producer import Producer
from media.relay.samples import LineSample
from media.relay.speaker import SpeakerWatch
from media.relay.tap import PacketSink, Tap
from media.relay.timer import RelayTimer, following
from media.relay.transport import WebRtcTransport
from media.relay.wire import WireSocket

logger = logging.getLogger(__name__)

_TOGETHER_S = 0.3
"""A producer's plan is made anew so long before it is due: while it sends, it is then never due by itself."""


class RouterListener(Protocol):
    """What happens on a router. Called on the event loop's thread, often within the call that caused it.

    Every close is told once, whoever caused it; a tap's consumer is not told of.
    """

    def consumer_closed(self, consumer: Consumer) -> None: ...
    def consumer_paused(self, consumer: Consumer, paused_by_producer: bool) -> None:
        """The producer behind it paused (True) or resumed (False)."""

    def consumer_layers(self, consumer: Consumer, spatial: int, temporal: int) -> None: ...
    def consumer_reduced(self, consumer: Consumer, decision: Decision) -> None:
        """Its receiver's line has room for more or less of it than before."""

    def active_speaker(self, producer: Producer | None) -> None:
        """Another microphone is the dominant one; None when the one that was is gone or muted."""

    def lines_sampled(self, samples: Mapping[str, LineSample], lateness_s: float) -> None:
        """How the lines were in the last seconds, by transport; and how late this server's own work came."""

    def producer_closed(self, producer: Producer) -> None: ...
    def data_consumer_closed(self, consumer: DataConsumer) -> None: ...
    def transport_state(self, transport: WebRtcTransport, state: str) -> None: ...


class Router:
    """Owns its transports. Closing it closes them all.

    :param clock: monotonic time for everything inside, wall time for sender reports of last resort.
    :param timer: the process's timer; without one the owner calls `tick` when `due` says.
    :param tables: the plane that its packets go through; the plain one by default.
    :param randbits: source of SSRCs, first sequence numbers and ids; tests give a counted one.
    :param phase: where in an interval that is done lies which all rooms do, 0..1: not all at once.
    """

    def __init__(
        self,
        identifier: str,
        clock: Clock,
        listener: RouterListener,
        timer: RelayTimer | None = None,
        randbits: Callable[[int], int] = secrets.randbits,
        tables: Tables | None = None,
        phase: float = 0.0,
    ) -> None:
        self.id = identifier
        self.clock = clock
        self.listener = listener
        self.tables = PlainTables() if tables is None else tables
        self.closed = False
        self.producers: dict[str, Producer] = {}
        self.data_producers: dict[str, DataProducer] = {}
        self.transports: dict[str, WebRtcTransport] = {}
        self.due = inf
        self._is_ticking = False
        self.signals_bps = 0  # kept free on every receiver's line for what goes by TCP: the signals
        self._phase = phase
        self._allocators: dict[str, Allocator] = {}
        self._prices = Prices()
        self._lines: dict[str, LineWatch] = {}
        self._transports_due = self._producers_due = inf  # the earliest of theirs
        self._allocation_due = self._lines_due = inf
        self._has_news = False  # since bandwidth was shared out last
        self._lateness = 0.0  # the most, since the lines were sampled
        self._speakers = SpeakerWatch(self._phase)
        self._taps: dict[str, Tap] = {}
        self._timer = timer
        self._randbits = randbits
        self._ssrcs: set[int | None] = set()

    @property
    def rtp_capabilities(self) -> dict[str, Any]:
        return router_rtp_capabilities()

    def create_transport(self, socket: WireSocket) -> WebRtcTransport:
        """A new path for one peer on the media socket."""
        self._require_open()
        transport = WebRtcTransport(self, socket)
        self.transports[transport.id] = transport
        allocator = Allocator(transport.consumers, transport.available_outgoing_bps, self, self._prices)
        transport.wanted_bps = lambda: allocator.wanted_bps
        self._allocators[transport.id] = allocator
        self._lines[transport.id] = LineWatch(transport.producers, transport.consumers)
        return transport

    def producer(self, producer_id: str) -> Producer:
        """:raises RemoteProtocolError: ``unknown_producer``."""
        producer = self.producers.get(producer_id)
        if producer is None:
            raise RemoteProtocolError(UNKNOWN_PRODUCER)
        return producer

    def data_producer(self, producer_id: str) -> DataProducer:
        """:raises RemoteProtocolError: ``unknown_producer``."""
        producer = self.data_producers.get(producer_id)
        if producer is None:
            raise RemoteProtocolError(UNKNOWN_PRODUCER)
        return producer

    def can_consume(self, producer_id: str, rtp_capabilities: object) -> bool:
        """Whether a receiver with these capabilities can take this producer; False for an unknown one.

        :raises RemoteProtocolError: ``malformed_rtp_capabilities``.
        """
        capabilities = parse_rtp_capabilities(rtp_capabilities)
        producer = self.producers.get(producer_id)
        return producer is not None and can_consume(producer.consumable, capabilities)

    def tap(self, producer_id: str, sink: PacketSink, rtp_capabilities: object = None) -> Consumer:
        """Hand a producer's packets, rewritten as for a receiver, to ``sink``; runs at once.

        Redundant audio comes as plain Opus, unless ``rtp_capabilities`` name it.

        There is no retransmission to a tap, as nothing is lost on the way. Close the consumer to end it.

        :raises RemoteProtocolError: unknown_producer, cannot_consume, malformed_rtp_capabilities.
        """
        self._require_open()
        producer = self.producer(producer_id)
        capabilities = (
            PLAIN_CAPABILITIES if rtp_capabilities is None else parse_rtp_capabilities(rtp_capabilities)
        )
        tap = Tap(self, sink, self.tables.tap(sink))
        consumer = make_consumer(self, tap, producer, capabilities, "0", paused=False)
        self._taps[consumer.id] = tap
        consumer.choose_layer(self.clock.monotonic())
        return consumer

    def tap_closed(self, consumer: Consumer) -> None:
        """Called by a tap whose consumer is closed."""
        self._taps.pop(consumer.id, None)
        self.release_ssrcs(consumer)

    def close(self) -> None:
        """Close every transport and what is on it. Idempotent."""
        if self.closed:
            return
        self.closed = True
        for transport in list(self.transports.values()):
            transport.close()
        if self._timer is not None:
            self._timer.remove(self)
        logger.info("router %s closed", self.id)

    def transport_closed(self, transport: WebRtcTransport) -> None:
        """Called by a transport that is closed."""
        self.transports.pop(transport.id, None)
        self._allocators.pop(transport.id, None)
        self._lines.pop(transport.id, None)

    def _require_open(self) -> None:
        if self.closed:
            raise LocalProtocolError(CLOSED, "router")

    # -- bandwidth -----------------------------------------------------------------------------------------

    def allocator(self, transport_id: str) -> Allocator:
        """Who shares out the line of an open transport."""
        return self._allocators[transport_id]

    def consumer_made(self) -> None:
        """Allocation and sampling begin with the first consumer; all transports are looked at together."""
        self.allocation_news()
        if self._lines_due == inf:
            self._lines_due = self.clock.monotonic() + QUALITY_INTERVAL_S
            self.wake(self._lines_due)

    def allocation_news(self) -> None:
        """A track, who wants it or who speaks is another: share out all lines again, at their next moment."""
        self._has_news = True
        self._plan_allocation(self.clock.monotonic())

    def line_told(self, transport: WebRtcTransport) -> None:
        """A receiver said what its line carries."""
        now = self.clock.monotonic()
        if self._allocators[transport.id].line_told(now):
            self._plan_allocation(now)

    def _plan_allocation(self, soonest: float) -> None:
        """At the next of those moments, the same for everybody, that lie an interval apart."""
        if soonest < inf:
            due = following(soonest, ALLOCATION_INTERVAL_S, self._phase)
            if due < self._allocation_due:
                self._allocation_due = due
                self.wake(due)

    def _allocate(self, now: float) -> None:
        has_news, self._has_news = self._has_news, False
        self._allocation_due = soonest = inf
        for producer in self.producers.values():
            if producer.may_leave_layers:
                producer.bury_layers_behind(now)
                soonest = now
        for allocator in self._allocators.values():
            if has_news:
                allocator.tick(now)
            elif allocator.due <= now:
                allocator.look(now)
            if allocator.due < inf:
                # at ease every second moment is enough: only what swells is looked for
                soonest = min(soonest, now + ALLOCATION_INTERVAL_S if allocator.at_ease else now)
        if soonest < inf and self._prices.read(self.producers.values(), now):
            self.allocation_news()
        self._plan_allocation(soonest)

    def _sample_lines(self, now: float) -> None:
        samples = {
            transport.id: self._lines[transport.id].sample(now, self._allocators[transport.id].available(now))
            for transport in self.transports.values()
            if transport.connected and (transport.producers or transport.consumers)
        }
        lateness, self._lateness = self._lateness, 0.0
        self._lines_due = now + QUALITY_INTERVAL_S if samples else inf
        if samples:
            self.listener.lines_sampled(samples, lateness)

    def consumer_reduced(self, consumer: Consumer, decision: Decision) -> None:
        """Called by an allocator."""
        logger.info("consumer %s: %s", consumer.id, decision.state)
        self.listener.consumer_reduced(consumer, decision)

    def is_speaker(self, producer: Producer) -> bool:
        """Whether this comes from the one who speaks."""
        speaker = self.producers.get(self._speakers.dominant or "")
        return speaker is not None and speaker.owner is producer.owner

    # -- who speaks ----------------------------------------------------------------------------------------

    def levels_heard(self, producer: Producer, levels: bytes, first_at: float, last_at: float) -> None:
        """Called with the levels of a microphone, and when the first and the last came."""
        if self._speakers.heard(producer.id, levels, first_at, last_at):
            self.wake(self._speakers.due)

    def _judge_speakers(self, now: float) -> None:
        for transport in self.transports.values():
            transport.lane.hear_levels()
        if self._speakers.tick(now):
            self.allocation_news()
            self.listener.active_speaker(self.producers.get(self._speakers.dominant or ""))

    def voice_gone(self, producer: Producer) -> None:
        """Called when a microphone is muted or closed."""
        if self._speakers.gone(producer.id):
            self.allocation_news()
            self.listener.active_speaker(None)

    # -- time ----------------------------------------------------------------------------------------------

    def report_after(self, now: float) -> float:
        """When all transports report next: they share a turn of the timer."""
        return following(now, REPORT_INTERVAL_S, self._phase)

    def wake_transport(self, due: float) -> None:
        """A transport is due at ``due``."""
        self._transports_due = min(self._transports_due, due)
        self.wake(due)

    def wake_producer(self, due: float) -> None:
        """A producer is due at ``due``."""
        self._producers_due = min(self._producers_due, due)
        self.wake(due)

    def wake(self, due: float) -> None:
        """Something inside is due at ``due``."""
        if due < self.due and not self.closed:
            self.due = due
            if self._timer is not None and not self._is_ticking:
                self._timer.schedule(self, due)

    def tick(self, now: float) -> float:
        """Do what is due; returns when to call again (monotonic seconds, inf when nothing is planned)."""
        self._lateness = max(self._lateness, now - self.due)
        self.due = inf
        self._is_ticking = True  # what is woken meanwhile is planned when this returns
        try:
            due = self._do_due(now)
        finally:
            self._is_ticking = False
        self.due = inf if self.closed else min(due, self.due)
        return self.due

    def _do_due(self, now: float) -> float:
        if now >= self._transports_due:
            self._transports_due = inf
            for transport in list(self.transports.values()):
                if transport.due <= now:
                    transport.tick(now)
            dues = [transport.due for transport in self.transports.values()]
            self._transports_due = min(self._transports_due, *dues) if dues else inf
        if now + _TOGETHER_S >= self._producers_due:
            for producer in list(self.producers.values()):
                if producer.due <= now + _TOGETHER_S:
                    producer.tick(now)
            self._producers_due = min([producer.due for producer in self.producers.values()], default=inf)
        if now >= self._allocation_due:
            self._allocate(now)
        if now >= self._speakers.due:
            self._judge_speakers(now)
        if now >= self._lines_due:
            self._sample_lines(now)
        return min(
            self._transports_due,
            self._producers_due,
            self._allocation_due,
            self._speakers.due,
            self._lines_due,
        )

    # -- chance --------------------------------------------------------------------------------------------

    def new_ssrc(self) -> int:
        """An SSRC that is in no other use on this router; never 0."""
        while True:
            ssrc = self._randbits(32)
            if ssrc and ssrc not in self._ssrcs:
                self._ssrcs.add(ssrc)
                return ssrc

    def release_ssrcs(self, consumer: Consumer) -> None:
        """A consumer is closed; its SSRCs may be used again."""
        encoding = consumer.parameters.encodings[0]
        self._ssrcs -= {encoding.ssrc, encoding.rtx_ssrc}

    def new_sequence(self) -> int:
        """A first sequence number in the lower half: no early loss falls on the wrap (RFC 3711 3.3.1)."""
        return self._randbits(15)

    def new_id(self) -> str:
        """An identifier that cannot be guessed."""
        return f"{self._randbits(96):024x}"
