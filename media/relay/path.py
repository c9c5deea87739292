"""The way out of a transport, as packets see it: numbers, pace, and what left until the receiver tells.

The common path, with nothing waiting, is `send`: it writes the number, sends and keeps the books. Receivers
that did not agree on transport-wide feedback take the shorter way: no number, no pace, no estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Protocol

from media.relay import again, plane, rewrite
from media.relay.hearing import Hearing, PlainHearing, SentLog
from media.relay.layer import Layer
from media.relay.pacer import Pacer, Waiting
from media.relay.subscription import (
    Outlet,
    PlainSubscription,
    Subscription,
    SubscriptionEvents,
    SubscriptionValues,
)


class Path(Outlet, Protocol):
    """One transport's way out."""

    @property
    def number(self) -> int:
        """The next packet's transport-wide number, unwrapped."""

    @property
    def hearing(self) -> Hearing:
        """What the receiver says of what left."""

    @property
    def waiting(self) -> int:
        """Packets that wait."""

    @property
    def left_out(self) -> int:
        """Packets that waited and were left out."""

    @property
    def due(self) -> float:
        """When `drain` is wanted; inf while nothing waits, and where the plane drains by itself."""

    def set_target(self, bps: float, queued_s: float = 0.0) -> None:
        """The estimate, bits per second, and for how many seconds packets stand in the line's queue; from now
        on there is a pace."""

    def say_again(self, copies: int) -> None:
        """From now on each voice goes so many times again, first after `VOICE_TWICE_AFTER` packets, at most
        twice, then with the next packet."""

    def drain(self, now: float) -> None:
        """Send what waits and may leave."""

    def pad(self, subscriptions: Iterable[Subscription], least: int, now: float) -> int:
        """Send at least so many bytes that carry nothing new; returns how many, 0 when no track has RTX."""


class PlainPath:
    """The plain plane's (a `PlainOutlet`).

    :param send_rtp: protects and sends a packet; False when it was dropped.
    :param wake: is told when `drain` is wanted earlier than thought.
    """

    def __init__(self, send_rtp: Callable[[bytes | bytearray], bool], wake: Callable[[float], None]) -> None:
        self.gate = Pacer()
        self.sent = SentLog()
        self.hearing = PlainHearing(self.sent)
        self.number = 1
        self._send_rtp = send_rtp
        self._wake = wake

    @property
    def waiting(self) -> int:
        return self.gate.count

    @property
    def left_out(self) -> int:
        return self.gate.dropped

    @property
    def due(self) -> float:
        return self.gate.opens_at if self.gate.count else inf

    def subscribe(
        self, layers: Sequence[Layer], values: SubscriptionValues, events: SubscriptionEvents
    ) -> Subscription:
        return PlainSubscription(self, layers, values, events)

    def set_target(self, bps: float, queued_s: float = 0.0) -> None:
        self.gate.set_target(bps, queued_s)

    def say_again(self, copies: int) -> None:
        self.gate.voice_copies = copies

    def send(self, packet: bytearray, number_at: int, now: float) -> bool:
        """Send at once. ``number_at`` is where the transport-wide number stands, -1 without one."""
        if number_at < 0:
            return self._send_rtp(packet)
        number = self.number
        packet[number_at] = number >> 8 & 0xFF
        packet[number_at + 1] = number & 0xFF
        if not self._send_rtp(packet):
            return False
        self.number = number + 1
        size = len(packet)
        self.sent.note(number, size, now)
        gate = self.gate
        if gate.pace:
            gate.spend(size, now)
        return True

    def repeat(self, packet: bytes, number_at: int, now: float) -> bool:
        """Send the same bytes again. When they arrive tells nothing more of the line's delay."""
        if not self._send_rtp(packet):
            return False
        if number_at >= 0:
            self.sent.doubt(packet[number_at] << 8 | packet[number_at + 1])
            if self.gate.pace:
                self.gate.spend(len(packet), now)
        return True

    def hold(self, item: Waiting, now: float) -> None:
        """Keep a packet until it may leave; too much of it, and frames are left out."""
        gate = self.gate
        gate.push(item, now)
        while gate.overfull:
            for victim in gate.shed():
                victim.cut()
        self._wake(self.due)

    def drain(self, now: float) -> None:
        gate = self.gate
        send_time = rewrite.abs_send_time(now)
        while gate.count and now >= gate.opens_at:
            index, item = gate.pop(now)
            before = self.number
            if item.packet is None or item.layer is None:
                again.resend(item.subscription, item.sequence, now)
                item.subscription.budget.left(item.sequence, now)
            else:
                rewrite.stamp(item.packet, send_time)
                plane.deliver(item.subscription, item.layer, item.packet, item.starts, now)
            if self.number > before:
                gate.passed(index, item, now)

    def pad(self, subscriptions: Iterable[Subscription], least: int, now: float) -> int:
        return again.pad((one for one in subscriptions if isinstance(one, PlainSubscription)), least, now)
