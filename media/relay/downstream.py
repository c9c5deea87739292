"""What is made of a transport's way out: an estimate from feedback, a pace by it, probes above it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any

from media.limits import (
    DOWNSTREAM_SILENT_S,
    ESTIMATE_SENT_PACKETS,
    HEARD_CALM_S,
    TIMER_SLOT_S,
    VOICE_THRICE_LEAST_BPS,
    VOICE_THRICE_LOSS,
    VOICE_TWICE_LEAST_BPS,
    VOICE_TWICE_LOSS,
    VOICE_TWICE_S,
)
from media.relay.estimate import BandwidthEstimator
from media.relay.hearing import Heard
from media.relay.layer import Layer
from media.relay.path import Path
from media.relay.probe import Prober
from media.relay.subscription import Subscription, SubscriptionEvents, SubscriptionValues


class Downstream:
    """One transport's outgoing path (a `media.relay.subscription.Outlet`).

    :param wake: is told when `tick` is wanted earlier than thought.
    :param subscriptions: what could be probed with.
    :param cut_over: told when the receiver hears us again after a cut that swallowed much.
    """

    def __init__(
        self,
        path: Path,
        wake: Callable[[float], None],
        subscriptions: Callable[[], Iterable[Subscription]],
        cut_over: Callable[[], None],
    ) -> None:
        self.path = path
        self.estimator = BandwidthEstimator(path.hearing)
        self.prober = Prober()
        self.padding_bytes = 0
        self._wake = wake
        self._subscriptions = subscriptions
        self._cut_over = cut_over
        self._probe_due = inf
        self._silent_due = inf  # when nothing was told for so long that nothing may be sent any more
        self._aim = (0.0, 0.0)  # wanted and beside, as last told
        self._twice_until = self._thrice_until = -inf
        self._calm = False  # feedback that is no news is gathered

    @property
    def due(self) -> float:
        """When `tick` is wanted; inf while nothing waits, nothing is probed and nothing was ever told."""
        return min(self._probe_due, self._silent_due, self.path.due)

    def available_bps(self, now: float) -> int | None:
        """The estimate; None while the receiver has told too little, and where it never does."""
        return self.estimator.allocatable_bps(now) if self.estimator.settled(now) else None

    def subscribe(
        self, layers: Sequence[Layer], values: SubscriptionValues, events: SubscriptionEvents
    ) -> Subscription:
        """See `media.relay.subscription.Outlet`."""
        return self.path.subscribe(layers, values, events)

    def tick(self, now: float) -> float:
        """Send what may leave, and padding while a probe runs; returns when to call again."""
        self.path.drain(now)
        if now >= self._probe_due:
            self._probe(now)
        if now >= self._silent_due:
            self._break_silence(now)
        return self.due

    # -- feedback ------------------------------------------------------------------------------------------

    def heard(self, wanted_bps: float, beside_bps: float = 0) -> None:
        """The receiver said something (`Path.hearing`).

        :param wanted_bps: what would be sent were there room.
        :param beside_bps: what goes to the receiver by TCP. Congestion shows what is left beside it, a probe
            is too short to.
        """
        self.estimator.beside_bps = beside_bps
        self._aim = wanted_bps, beside_bps
        for heard in self.path.hearing.take():
            self._learn(heard, wanted_bps, beside_bps)

    def _learn(self, heard: Heard, wanted_bps: float, beside_bps: float) -> None:
        estimator, now = self.estimator, heard.at
        is_first, self._silent_due = self._silent_due == inf, now + DOWNSTREAM_SILENT_S
        if is_first:
            self._wake(self._silent_due)
        estimator.heard(heard)
        if estimator.cut_ended_at == now:
            self._cut_over()
        found = self.prober.heard(heard.packets, estimator.target_bps(now) + beside_bps, now)
        if found is not None and not estimator.overusing:
            estimator.probed(found - beside_bps, now)
        if not self.prober.pending:
            estimator.probing(None)
        target = estimator.target_bps(now)
        if estimator.settled(now):
            self.path.set_target(estimator.pace_bps(now), estimator.queued_s)
        self._judge_voices(target, now)
        if not self.path.waiting and estimator.at_rest(now):
            self._begin_probe(target + beside_bps, wanted_bps, now)
        self._be_calm(target + beside_bps, wanted_bps, now)

    def _be_calm(self, carried: float, wanted_bps: float, now: float) -> None:
        """Where the line has room to spare and shows no sign of anything, look at it less often."""
        estimator = self.estimator
        delay = estimator.calm_delay_s
        at_ease = estimator.settled(now) and estimator.at_rest(now) and not self.path.waiting
        if delay is not None and at_ease and self.prober.is_content(carried, wanted_bps):
            self._calm = True
            self.path.hearing.be_calm(now + HEARD_CALM_S, delay, estimator.target_bps(now))
        else:
            self._be_watchful()

    def _be_watchful(self) -> None:
        if self._calm:
            self._calm = False
            self.path.hearing.be_calm(-inf, 0.0)

    def _judge_voices(self, target: float, now: float) -> None:
        """Voices go twice where the line loses packets, thrice where many, unless for want of room."""
        loss = 0.0 if self.estimator.queued(now) else self.estimator.loss_fraction
        if loss >= VOICE_TWICE_LOSS:
            self._twice_until = now + VOICE_TWICE_S
        if loss >= VOICE_THRICE_LOSS:
            self._thrice_until = now + VOICE_TWICE_S
        twice = now < self._twice_until and target >= VOICE_TWICE_LEAST_BPS
        thrice = now < self._thrice_until and target >= VOICE_THRICE_LEAST_BPS
        self.path.say_again(int(twice) + int(thrice))

    def _break_silence(self, now: float) -> None:
        """Everything is paused and nobody speaks: without a probe nothing would ever be told again."""
        self._silent_due = now + DOWNSTREAM_SILENT_S
        wanted_bps, beside_bps = self._aim
        target = self.estimator.target_bps(now)
        self.prober.heard((), target + beside_bps, now)  # what was not answered has found nothing
        if not self.prober.pending:
            self._begin_probe(target + beside_bps, wanted_bps, now)

    def _begin_probe(self, carried: float, wanted_bps: float, now: float) -> None:
        number = self.path.number
        if self.prober.begin(carried, wanted_bps, number, now):
            self.estimator.probing((number, number + ESTIMATE_SENT_PACKETS))
            self._be_watchful()
            self._probe(now)
            self._wake(self.due)

    def _probe(self, now: float) -> None:
        """One chunk of padding; the next one in the timer's next slot."""
        prober = self.prober
        size = self.path.pad(self._subscriptions(), prober.chunk(now), now)
        if size:
            self.padding_bytes += size
            prober.sent(size, self.path.number, now)
        else:
            prober.give_up(now)
        self._probe_due = now + TIMER_SLOT_S if prober.sending else inf
        if not prober.sending:
            self.estimator.probing((prober.first, prober.last) if prober.pending else None)

    def stats(self, now: float) -> dict[str, Any]:
        """What a report shows of the path; rates in bits per second, times in seconds."""
        estimator = self.estimator
        return {
            "available": self.available_bps(now),
            "arriving": estimator.arriving_bps,
            "state": estimator.state,
            "lossFraction": estimator.loss_fraction,
            "roundTrip": estimator.rtt_s if estimator.told else None,
            "waiting": self.path.waiting,
            "leftOut": self.path.left_out,
            "probes": self.prober.probes,
            "paddingBytes": self.padding_bytes,
        }
