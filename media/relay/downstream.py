"""The way out of a transport: numbers packets, paces them, learns from feedback, probes.

The common path, with nothing waiting, is `send`: it writes the number, sends and keeps the books. Receivers
that did not agree on transport-wide feedback take the shorter way: no number, no pace, no estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING, Any

from media.limits import ESTIMATE_SENT_PACKETS, TIMER_SLOT_S
from media.relay import plane, rewrite
from media.relay.estimate import BandwidthEstimator
from media.relay.pacer import Pacer, Waiting
from media.relay.probe import Prober
from media.rtp.twcc import TransportFeedback

if TYPE_CHECKING:
    from media.relay.plane import Subscription

_SENT_MASK = ESTIMATE_SENT_PACKETS - 1


class Downstream:
    """One transport's outgoing path (a `media.relay.plane.Outlet`).

    :param send_rtp: protects and sends a packet; False when it was dropped.
    :param wake: is told when `tick` is wanted earlier than thought.
    :param subscriptions: what could be probed with.
    """

    def __init__(
        self,
        send_rtp: Callable[[bytearray], bool],
        wake: Callable[[float], None],
        subscriptions: Callable[[], Iterable[Subscription]],
    ) -> None:
        self.estimator = BandwidthEstimator()
        self.gate = Pacer()
        self.prober = Prober()
        self.padding_bytes = 0
        self._send_rtp = send_rtp
        self._wake = wake
        self._subscriptions = subscriptions
        self._number = 1  # the next packet's, unwrapped
        self._sent = self.estimator.sent
        self._probe_due = inf

    @property
    def due(self) -> float:
        """When `tick` is wanted; inf while nothing waits and nothing is probed."""
        return min(self._probe_due, self.gate.opens_at if self.gate.count else inf)

    def available_bps(self, now: float) -> int | None:
        """The estimate; None while the receiver has told too little, and where it never does."""
        return self.estimator.target_bps(now) if self.estimator.settled(now) else None

    # -- packets -------------------------------------------------------------------------------------------

    def send(self, packet: bytearray, number_at: int, now: float) -> bool:
        """Send at once. ``number_at`` is where the transport-wide number stands, -1 without one."""
        if number_at < 0:
            return self._send_rtp(packet)
        number = self._number
        packet[number_at] = number >> 8 & 0xFF
        packet[number_at + 1] = number & 0xFF
        if not self._send_rtp(packet):
            return False
        self._number = number + 1
        size = len(packet)
        self._sent[number & _SENT_MASK] = (number, now, size)
        gate = self.gate
        if gate.pace:
            gate.spend(size, now)
        return True

    def hold(self, item: Waiting, now: float) -> None:
        """Keep a packet until it may leave; too much of it, and frames are left out."""
        gate = self.gate
        gate.push(item)
        while gate.overfull:
            for victim in gate.shed():
                plane.cut(victim)
        self._wake(self.due)

    def tick(self, now: float) -> float:
        """Send what may leave, and padding while a probe runs; returns when to call again."""
        self._drain(now)
        if now >= self._probe_due:
            self._probe(now)
        return self.due

    def _drain(self, now: float) -> None:
        gate = self.gate
        send_time = rewrite.abs_send_time(now)
        while gate.count and now >= gate.opens_at:
            item = gate.pop()
            if item.packet is None or item.layer is None:
                plane.resend(item.subscription, item.sequence, now)
            else:
                plane.deliver(item.subscription, item.layer, item.packet, item.starts, send_time, now)

    # -- feedback ------------------------------------------------------------------------------------------

    def feedback_received(self, feedback: TransportFeedback, wanted_bps: float, now: float) -> None:
        """What the receiver says came, and when; ``wanted_bps`` is what would be sent were there room."""
        estimator = self.estimator
        acknowledged = estimator.on_feedback(feedback, now)
        found = self.prober.heard(acknowledged, estimator.target_bps(now), now)
        if found is not None and not estimator.overusing:
            estimator.probed(found, now)
        if not self.prober.pending:
            estimator.probing = None
        target = estimator.target_bps(now)
        if estimator.settled(now):
            self.gate.set_target(target)
        if not (self.gate.count or estimator.overusing):
            self._begin_probe(target, wanted_bps, now)

    def _begin_probe(self, target: float, wanted_bps: float, now: float) -> None:
        if self.prober.begin(target, wanted_bps, self._number, now):
            self.estimator.probing = (self._number, self._number + ESTIMATE_SENT_PACKETS)
            self._probe(now)
            self._wake(self.due)

    def _probe(self, now: float) -> None:
        """One chunk of padding; the next one in the timer's next slot."""
        prober = self.prober
        size = plane.pad(self._subscriptions(), prober.chunk(now), now)
        if size:
            self.padding_bytes += size
            prober.sent(size, self._number, now)
        else:
            prober.give_up(now)
        self._probe_due = now + TIMER_SLOT_S if prober.sending else inf
        if not prober.sending:
            self.estimator.probing = (prober.first, prober.last) if prober.pending else None

    def stats(self, now: float) -> dict[str, Any]:
        """What a report shows of the path; rates in bits per second, times in seconds."""
        estimator = self.estimator
        return {
            "available": self.available_bps(now),
            "arriving": estimator.arriving_bps,
            "state": estimator.state,
            "lossFraction": estimator.loss_fraction,
            "roundTrip": estimator.rtt_s if estimator.told else None,
            "waiting": self.gate.count,
            "leftOut": self.gate.dropped,
            "probes": self.prober.probes,
            "paddingBytes": self.padding_bytes,
        }
