"""What leaves by the compiled plane: subscriptions of a transport or a tap, pace, what a receiver says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING

from media.relay.gradient import Signal
from media.relay.hearing import Heard
from media.relay.layer import Layer
from media.relay.native_events import STARVED, SWITCHED
from media.relay.native_layer import NativeLayer
from media.relay.native_subscription import NativeSubscription
from media.relay.subscription import Subscription, SubscriptionEvents, SubscriptionValues
from media.rtp import rtcp
from media.rtp.twcc import TransportFeedback

if TYPE_CHECKING:
    from media._native import RulePeer
    from media.relay.native_tables import NativeTables


def _nothing() -> None:
    """Nobody wants to know."""


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
            cname=values.cname,
        )
        return NativeSubscription(
            table,
            values.ssrc,
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

    def be_calm(self, until: float, delay: float, most_bps: float = inf) -> None:
        if self._peer is not None:
            self._peer.be_calm(until, delay, most_bps)

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

    def set_target(self, bps: float, queued_s: float = 0.0) -> None:
        if self._last is None:
            self._peer.set_target(bps, queued_s)

    def say_again(self, copies: int) -> None:
        if self._last is None:
            self._peer.say_again(copies)

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
