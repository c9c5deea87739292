"""The compiled plane behind the relay's face (`media.relay.lane`): what packets touch is in `media._native`.

Python decides as ever. What it must hear of comes as events: `NativeTables.dispatch` hands each to the object
it concerns. A packet of an unknown SSRC, or of a layer that was dead, waits inside until Python has decided,
and is then taken as if it came now; so both planes do the same in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from media.errors import RemoteProtocolError
from media.native import RULE_LIMITS
from media.relay.demux import Demultiplexer, Route
from media.relay.gradient import Signal
from media.relay.hearing import Heard
from media.relay.lane import Lane
from media.relay.layer import Layer
from media.relay.native_layer import ClosedTable, NativeLayer
from media.relay.native_subscription import NativeSubscription
from media.relay.native_upstream import NativeUpstream
from media.relay.subscription import Outlet, Subscription, SubscriptionEvents, SubscriptionValues
from media.relay.tap import PacketSink
from media.relay.wire import Wire
from media.rtp import rtcp
from media.rtp.packet import parse_header
from media.rtp.twcc import TransportFeedback

if TYPE_CHECKING:
    from media._native import Rule, RulePeer, RuleProducer
    from media.relay.producer import Producer


def _nothing() -> None:
    """There is nothing to detach."""


class Carrier(Protocol):
    """Moves the packets of lanes and taps: the engine, or (`CallingCarrier`) Python itself."""

    drains: bool
    """What waits for the pace leaves without `Path.drain`."""

    def attach(self, wire: Wire, peer: RulePeer) -> None:
        """Packets of ``peer`` leave by ``wire`` from now on; those that come by it go to ``peer``."""

    def attach_tap(self, sink: PacketSink, peer: RulePeer, now: Callable[[], float]) -> Callable[[], None]:
        """Packets of ``peer`` go to ``sink`` until what is returned is called."""


class CallingCarrier:
    """Each packet is a call of Python's, and comes by one: where no engine runs."""

    drains = False

    def attach(self, wire: Wire, peer: RulePeer) -> None:
        peer.set_out(wire.send_rtp)

    def attach_tap(self, sink: PacketSink, peer: RulePeer, now: Callable[[], float]) -> Callable[[], None]:
        def send(packet: bytes) -> bool:
            sink.packet(packet, now())
            return True

        peer.set_out(send)
        return _nothing


class _Told(Protocol):
    def told(self, kinds: int, now: float) -> None: ...


class NativeTables:
    """See `media.relay.lane.Tables`; one for all routers of a process.

    :param compiled: `media.native.module`'s.
    :param carrier: moves the packets.
    :param rule: the tables that the carrier moves packets through; its own by default.
    """

    def __init__(
        self, compiled: ModuleType, carrier: Carrier | None = None, rule: Rule | None = None
    ) -> None:
        self.compiled: Any = compiled
        self.rule: Rule = self.compiled.Rule(RULE_LIMITS) if rule is None else rule
        self.carrier: Carrier = CallingCarrier() if carrier is None else carrier
        self._told: dict[int, _Told] = {}
        self._next = 1
        self._now = 0.0
        self._busy = False
        self._woken: list[tuple[NativeLayer, float, float]] = []

    def lane(
        self, wire: Wire, wake: Callable[[float], None], heard: Callable[[], None], local_ssrc: int
    ) -> Lane:
        return NativeLane(self, wire, wake, heard, local_ssrc)

    def tap(self, sink: PacketSink) -> Outlet:
        peer = self.compiled.RulePeer(self.rule, 0)
        detach = self.carrier.attach_tap(sink, peer, lambda: self._now)

        def closed() -> None:
            detach()
            peer.close()

        return NativeOutlet(self, peer, closed)

    def dispatch(self, now: float) -> None:
        """Hand out what there is to tell. Call it when the carrier says that there is something."""
        self._now = now
        if self._busy:
            return
        self._busy = True
        try:
            self._hand_out(now)
            while self._woken:
                layer, planned, at = self._woken.pop()
                layer.producer.serve_wish(layer, planned, at)
                self._hand_out(now)
        finally:
            self._busy = False

    def _hand_out(self, now: float) -> None:
        while (event := self.rule.next_event()) is not None:
            kinds, key = event
            told = self._told.get(key)
            if told is not None:
                told.told(kinds, now)

    def woke(self, layer: NativeLayer, now: float) -> None:
        """A packet of a dead layer came; once it is taken, a key frame is asked for if it was none."""
        self._woken.append((layer, layer.keyframes.due, now))
        layer.wake(now)

    def starts(self, now: float) -> None:
        """A call is about to forward packets that are of this moment."""
        self._now = now

    def register(self, told: _Told) -> int:
        """A key under which events come back."""
        key, self._next = self._next, self._next + 1
        self._told[key] = told
        return key

    def forget(self, key: int) -> None:
        self._told.pop(key, None)

    def find(self, key: int) -> object:
        return self._told.get(key)


class NativeOutlet:
    """See `media.relay.subscription.Outlet`.

    :param closed: is told when a subscription of it is closed: a tap has no more than one.
    """

    def __init__(self, tables: NativeTables, peer: RulePeer, closed: Callable[[], None] = _nothing) -> None:
        self._tables = tables
        self._peer = peer
        self._closed = closed

    def subscribe(
        self, layers: Sequence[Layer], values: SubscriptionValues, events: SubscriptionEvents
    ) -> Subscription:
        tables = self._tables
        first = layers[0]
        assert isinstance(first, NativeLayer)  # one plane makes all of a router's tables
        assert first.open is not None
        told = _SubscriptionTold(events)
        key = tables.register(told)
        table = tables.compiled.RuleSubscription(
            producer=first.open,
            outlet=self._peer,
            key=key,
            ssrc=values.ssrc,
            first_sequence=values.first_sequence,
            clock_rate=values.clock_rate,
            numbered=values.numbered,
            waits=values.waits,
            priority=values.priority,
            removed_extensions=tuple(values.removed_extensions),
            plain_type=values.plain_type,
            rtx=values.rtx,
            voice=values.voice,
        )
        return NativeSubscription(
            table,
            layers,
            values.clock_rate,
            values.priority,
            lambda: self._forget(key),
            tables.dispatch,
        )

    def _forget(self, key: int) -> None:
        self._tables.forget(key)
        self._closed()


class _SubscriptionTold:
    def __init__(self, events: SubscriptionEvents) -> None:
        self._events = events

    def told(self, kinds: int, now: float) -> None:
        if kinds & SWITCHED:
            self._events.switched()
        if kinds & STARVED:
            self._events.starved()


STUCK, FEEDBACK_DUE, HELD, GAP, KEY_WANTED, KEY_CAME, SWITCHED, STARVED, LEVELS, HEARD = (
    1 << n for n in range(10)
)
"""``enum rule_event_kind`` of ``media/native/rule.h``."""


_SIGNALS: tuple[Signal, ...] = ("normal", "overuse", "underuse")


class NativeHearing:
    """See `media.relay.hearing.Hearing`; that there is something to look at is told by an event."""

    def __init__(self, tables: NativeTables, peer: RulePeer) -> None:
        self._tables = tables
        self._peer: RulePeer | None = peer

    def hear(self, feedback: TransportFeedback, now: float) -> bool:
        if self._peer is not None:
            self._peer.hear(rtcp.pack(feedback), now)
            self._tables.dispatch(now)
        return False

    def take(self) -> Sequence[Heard]:
        if self._peer is None:
            return ()
        return [
            Heard(at, silent, expected, arrived, _SIGNALS[signal], packets, rates)
            for at, silent, expected, arrived, signal, packets, rates in self._peer.heard()
        ]

    def be_calm(self, until: float, delay: float) -> None:
        if self._peer is not None:
            self._peer.be_calm(until, delay)

    def probing(self, numbers: tuple[int, int] | None) -> None:
        if self._peer is not None:
            self._peer.probing(*(numbers or (-1, -1)))

    def forget_delays(self) -> None:
        if self._peer is not None:
            self._peer.forget_delays()

    def close(self) -> None:
        self._peer = None


class NativePath(NativeOutlet):
    """See `media.relay.path.Path`."""

    def __init__(self, tables: NativeTables, peer: RulePeer) -> None:
        super().__init__(tables, peer)
        self.hearing = NativeHearing(tables, peer)
        self._last: tuple[int, int, int, int, int, float, int] | None = None

    @property
    def state(self) -> tuple[int, int, int, int, int, float, int]:
        """As `media._native.RulePeer.state`; of a closed one as it was."""
        return self._peer.state() if self._last is None else self._last

    @property
    def number(self) -> int:
        return self.state[6]

    @property
    def waiting(self) -> int:
        return self.state[3]

    @property
    def left_out(self) -> int:
        return self.state[4]

    @property
    def due(self) -> float:
        return inf if self._tables.carrier.drains or self._last else self._peer.state()[5]

    def close(self) -> None:
        """Idempotent."""
        if self._last is None:
            self._last = self._peer.state()
            self.hearing.close()
            self._peer.close()

    def set_target(self, bps: float) -> None:
        if self._last is None:
            self._peer.set_target(bps)

    def say_twice(self, twice: bool) -> None:
        if self._last is None:
            self._peer.say_twice(twice)

    def drain(self, now: float) -> None:
        if not self._tables.carrier.drains and self._last is None:
            self._tables.starts(now)
            self._peer.drain(now)
            self._tables.dispatch(now)

    def pad(self, subscriptions: Iterable[Subscription], least: int, now: float) -> int:
        able = [one.table for one in subscriptions if isinstance(one, NativeSubscription)]
        if not able:
            return 0
        size: int = self._tables.compiled.RuleSubscription.pad(able, least, now)
        self._tables.dispatch(now)
        return size


class _Track:
    """A producer's tables."""

    def __init__(self, lane: NativeLane, tables: NativeTables, producer: Producer, asks_again: bool) -> None:
        self._tables = tables
        self._producer = producer
        ingress = producer.ingress
        self.has_levels = ingress.level_id > 0
        count = len(producer.parameters.encodings)
        self._key = tables.register(self)
        reserved = [_LayerTold() for _ in range(count)]
        self._layer_keys = tuple(tables.register(told) for told in reserved)
        self.table: RuleProducer = tables.compiled.RuleProducer(
            peer=lane.peer,
            key=self._key,
            layer_keys=self._layer_keys,
            payload_types=ingress.payload_types,
            rtx_payload_types=ingress.rtx_payload_types,
            extension_ids=ingress.extension_ids,
            send_time_id=ingress.send_time_id,
            number_id=ingress.number_id,
            level_id=ingress.level_id,
            red_type=ingress.red_type,
            codec=ingress.codec,
            clock_rate=producer.codec.clock_rate,
            asks_again=asks_again,
        )
        self.table.set_paused(producer.paused)
        self.layers = [
            NativeLayer(producer, index, lane.peer, self.table, asks_again) for index in range(count)
        ]
        for told, layer in zip(reserved, self.layers, strict=True):
            told.layer = layer

    def told(self, kinds: int, now: float) -> None:
        self.hear_levels()

    def hear_levels(self) -> None:
        """What the microphone said since the last time."""
        for level, at in self.table.levels():
            self._producer.level_heard(level, at)

    def close(self) -> None:
        self.hear_levels()
        last = ClosedTable(self.table, len(self.layers))
        for layer in self.layers:
            layer.close(last)
        self.table.close()
        for key in (self._key, *self._layer_keys):
            self._tables.forget(key)


class _LayerTold:
    layer: NativeLayer

    def told(self, kinds: int, now: float) -> None:
        layer = self.layer
        planned = layer.keyframes.due
        if kinds & KEY_CAME:
            layer.keyframes.satisfied()
        if kinds & KEY_WANTED and layer.keyed:
            layer.keyframes.want(now)
        if kinds & GAP:
            layer.producer.serve(layer, now)
        else:
            layer.producer.serve_wish(layer, planned, now)


class NativeLane:
    """See `media.relay.lane.Lane`."""

    def __init__(
        self,
        tables: NativeTables,
        wire: Wire,
        wake: Callable[[float], None],
        heard: Callable[[], None],
        local_ssrc: int,
    ) -> None:
        self._tables = tables
        self._wake = wake
        self._heard = heard
        self._key = tables.register(self)
        self.peer: RulePeer = tables.compiled.RulePeer(tables.rule, self._key)
        tables.carrier.attach(wire, self.peer)
        self.path = NativePath(tables, self.peer)
        self.upstream = NativeUpstream(self.peer, local_ssrc, tables.carrier.drains)
        self._demux = Demultiplexer()
        self._tracks: dict[str, _Track] = {}
        self._is_closed = False

    @property
    def malformed(self) -> int:
        return self.path.state[0]

    @property
    def unrouted(self) -> int:
        return self.path.state[1]

    def layers(self, producer: Producer, asks_again: bool) -> list[Layer]:
        track = self._tracks[producer.id] = _Track(self, self._tables, producer, asks_again)
        return list(track.layers)

    def add(self, producer: Producer) -> None:
        try:
            self._demux.add(producer)
        except RemoteProtocolError:
            self._tracks.pop(producer.id).close()
            raise
        for layer in producer.layers:
            for ssrc, is_rtx in ((layer.ssrc, False), (layer.rtx_ssrc, True)):
                if ssrc is not None:
                    layer.bind(ssrc, is_rtx)

    def remove(self, producer: Producer) -> None:
        self._demux.remove(producer)
        track = self._tracks.pop(producer.id, None)
        if track is not None:
            track.close()

    def pause_changed(self, producer: Producer) -> None:
        track = self._tracks[producer.id]
        track.hear_levels()
        track.table.set_paused(producer.paused)

    def hear_levels(self) -> None:
        for track in self._tracks.values():
            if track.has_levels:
                track.hear_levels()

    def route(self, ssrc: int) -> Route | None:
        return self._demux.get(ssrc)

    def received(self, packet: bytearray, now: float) -> None:
        if self._is_closed:
            return
        self._tables.starts(now)
        self.peer.receive(packet, now)
        self._tables.dispatch(now)

    def rtcp_received(self, packet: bytes, now: float) -> bool:
        if self._is_closed:
            return True
        taken = self.peer.hear(packet, now)
        self._tables.dispatch(now)
        return taken

    def told(self, kinds: int, now: float) -> None:
        if kinds & STUCK:
            self._decide()
        if kinds & HEARD:
            self._heard()
        if kinds & FEEDBACK_DUE:
            self._wake(self.upstream.due)
        if kinds & HELD and not self._tables.carrier.drains:
            self._wake(self.path.due)

    def _decide(self) -> None:
        """Say whose the packets are that wait."""
        while (stuck := self.peer.stuck()) is not None:
            data, at, key = stuck
            malformed = False
            if key is not None:
                dead = self._tables.find(key)
                if isinstance(dead, _LayerTold):
                    self._tables.woke(dead.layer, at)
            else:
                malformed = not self._learn(bytearray(data), at)
            self.peer.resume(malformed)

    def _learn(self, data: bytearray, at: float) -> bool:
        try:
            route = self._demux.learn(data, parse_header(data), at)
        except RemoteProtocolError:
            return False
        if route is not None and not route.is_rtx and not route.layer.alive:
            assert isinstance(route.layer, NativeLayer)
            self._tables.woke(route.layer, at)
        return True

    def close(self) -> None:
        self._is_closed = True
        self._tables.forget(self._key)
        self.upstream.close()
        self.path.close()
