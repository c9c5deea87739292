"""The bandwidth estimator against a modelled line, on counted time."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import numpy as np
import pytest

from media import limits
from media.relay.estimate import BandwidthEstimator
from media.relay.gradient import DelayGradient, Signal, TrendLine
from media.relay.hearing import Heard, PlainHearing, SentLog
from media.relay.loss import LossControl
from media.rtp.twcc import TransportFeedback
from tests.media.relay.bottleneck import Line, Receiver, bursts, random_loss, tell


class Sender:
    """Thirty frames a second of as much as the estimate allows, up to what is wanted."""

    def __init__(self, line: Line, wanted: float = 20e6, start: int = limits.ESTIMATE_START_BPS) -> None:
        self.sent = SentLog()
        self.hearing = PlainHearing(self.sent)
        self.estimator = BandwidthEstimator(self.hearing, start)
        self.receiver = Receiver(line)
        self.wanted = wanted
        self.now = 10.0
        self.targets: list[tuple[float, int]] = []
        self._number = 65_000
        self._owed = 0.0

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        tick = 0
        while self.now < end:
            for feedback in self.receiver.feedback(self.now):
                tell(self.estimator, self.hearing, feedback, self.now)
            target = self.estimator.target_bps(self.now)
            self.targets.append((self.now, target))
            self._owed = min(self._owed + min(target, self.wanted) * 0.005 / 8, 100_000)
            if tick % 6 == 0:
                while self._owed >= 1000:
                    self._owed -= 1000
                    self.receiver.sent(self._number, 1000, self.now)
                    self.sent.note(self._number & 0xFFFF, 1000, self.now)
                    self._number += 1
            self.now += 0.005
            tick += 1

    def average(self, last_s: float) -> float:
        seen = [target for at, target in self.targets if at > self.now - last_s]
        return sum(seen) / len(seen)


def step(before: float, after: float, at: float) -> Callable[[float], float]:
    return lambda now: before if now < at else after


@pytest.mark.parametrize("rate", [300_000, 1_000_000, 4_000_000])
def test_it_finds_a_steady_line_and_keeps_its_queue_short(rate: float) -> None:
    sender = Sender(Line(lambda _: rate, queue_s=1.0))
    sender.run(40)
    assert 0.6 * rate < sender.average(20) < 1.05 * rate
    assert sender.receiver.bps(30, 50) > 0.6 * rate
    sender.receiver.line.worst_queue_s = 0
    sender.run(20)
    assert sender.receiver.line.worst_queue_s < 0.5


def test_a_step_down_is_followed_within_two_seconds() -> None:
    sender = Sender(Line(step(3e6, 500_000, 40.0), queue_s=1.0))
    sender.run(30)
    assert sender.average(5) > 1.5e6
    sender.run(2.5)
    assert sender.targets[-1][1] < 600_000
    sender.run(10)
    assert 250_000 < sender.average(8) < 600_000


def test_three_percent_of_random_loss_are_no_congestion() -> None:
    sender = Sender(Line(lambda _: 2e6, lose=random_loss(0.03)))
    sender.run(60)
    assert sender.average(30) > 1.2e6
    assert 0.0 < sender.estimator.loss_fraction < 0.1


def test_loss_that_stays_at_a_lower_rate_is_the_lines_own() -> None:
    sender = Sender(Line(lambda _: 2e6, lose=random_loss(0.20)), wanted=800_000)
    sender.run(60)
    assert min(target for _, target in sender.targets) > 400_000


def test_bursts_of_loss_do_not_collapse_it() -> None:
    sender = Sender(Line(lambda _: 2e6, lose=bursts(4.0, 0.12)))
    sender.run(60)
    assert sender.average(30) > 800_000


def test_a_policer_without_a_queue_is_found_by_loss() -> None:
    sender = Sender(Line(lambda _: 600_000, queue_s=0.03), start=3_000_000)
    sender.run(30)
    assert 250_000 < sender.average(15) < 900_000


def test_what_is_not_sent_raises_no_target_far() -> None:
    sender = Sender(Line(lambda _: 10e6), wanted=200_000)
    sender.run(30)
    assert sender.average(10) <= limits.ESTIMATE_START_BPS


def test_a_probe_raises_it_at_once_and_never_lowers_it() -> None:
    sender = Sender(Line(lambda _: 10e6), wanted=200_000)
    sender.run(3)
    sender.estimator.probed(3e6, sender.now)
    assert sender.estimator.target_bps(sender.now) == 3_000_000
    sender.estimator.probed(1e6, sender.now)
    assert sender.estimator.target_bps(sender.now) == 3_000_000
    sender.estimator.probed(1e9, sender.now)
    assert sender.estimator.target_bps(sender.now) == limits.ESTIMATE_MAX_BPS


def test_a_cut_is_no_congestion_but_half_is_tried_first() -> None:
    lost = False
    sender = Sender(Line(lambda _: 2e6, lose=lambda _: lost), wanted=1_500_000)
    sender.run(20)
    before = sender.estimator.target_bps(sender.now)
    lost = True
    sender.run(10)
    lost = False
    sender.run(1)
    assert sender.estimator.target_bps(sender.now) >= 0.4 * before
    assert sender.estimator.loss_fraction < 0.1
    sender.run(10)
    assert sender.average(2) > 0.6 * before


@pytest.mark.parametrize(("rate_after", "kept"), [(2e6, True), (200_000, False)])
def test_what_was_shared_out_before_a_cut_is_kept_for_a_second_unless_the_line_is_full(
    rate_after: float, kept: bool
) -> None:
    lost, rate = False, 2e6
    sender = Sender(Line(lambda _: rate, lose=lambda _: lost), wanted=1_500_000)
    sender.run(20)
    before = sender.estimator.allocatable_bps(sender.now)
    lost = True
    sender.run(5)
    assert sender.estimator.allocatable_bps(sender.now) == before
    lost, rate = False, rate_after
    sender.run(0.7)
    assert sender.estimator.target_bps(sender.now) < before
    assert (sender.estimator.allocatable_bps(sender.now) >= before) is kept
    sender.run(2)
    assert sender.estimator.allocatable_bps(sender.now) == sender.estimator.target_bps(sender.now)


def test_it_counts_from_the_first_second_or_the_first_congestion() -> None:
    hearing = PlainHearing(SentLog())
    estimator = BandwidthEstimator(hearing)
    assert not estimator.settled(5.0)
    tell(estimator, hearing, TransportFeedback(1, 2, 7, 1, 0, 0, ((0, 0),)), 5.0)
    assert estimator.told
    assert not estimator.settled(5.5)
    assert estimator.settled(6.1)
    assert estimator.arriving_bps is None


def test_nonsense_feedback_is_harmless() -> None:
    sent = SentLog()
    hearing = PlainHearing(sent)
    estimator = BandwidthEstimator(hearing)
    for number in range(100):
        sent.note(number, 1000, 1 + number / 100)
    for base, time in ((60_000, 0), (5, 0xFFFFFF), (5, 3), (50, 0), (40_000, 9)):
        feedback = TransportFeedback(1, 2, base, 300, time, 0, tuple((n, -n * 900) for n in range(30)))
        tell(estimator, hearing, feedback, 3.0)
        assert limits.ESTIMATE_MIN_BPS <= estimator.target_bps(3.0) <= limits.ESTIMATE_MAX_BPS


def test_the_trend_line_is_the_least_squares_of_its_window_however_long_it_runs() -> None:
    chance = random.Random(3)
    line, points = TrendLine(), deque[tuple[float, float]](maxlen=20)
    at, delay = 5e7, 40.0
    for _ in range(5000):
        at += chance.choice((5.5, 10.0, 33.3, 700.0))
        delay += chance.gauss(0, 3)
        points.append((at, delay))
        slope = line.add(at, delay)
        if len(points) == 20:
            known = np.polyfit([one - points[0][0] for one, _ in points], [two for _, two in points], 1)[0]
            assert slope == pytest.approx(known, abs=1e-9)
        else:
            assert slope == 0.0


def test_the_gradient_sees_a_queue_grow_and_drain() -> None:
    gradient = DelayGradient()
    for index in range(60):
        gradient.packets([(0, index * 0.02, index * 0.02 + 0.05, 1000)])
    assert gradient.signal == "normal"
    signals = set()
    for index in range(60, 120):
        gradient.packets([(0, index * 0.02, index * 0.02 + 0.05 + (index - 60) * 0.004, 1000)])
        signals.add(gradient.signal)
    assert "overuse" in signals
    for index in range(120, 180):
        gradient.packets([(0, index * 0.02, index * 0.02 + 0.29 - (index - 120) * 0.004, 1000)])
        signals.add(gradient.signal)
    assert "underuse" in signals
    gradient.reset()
    assert gradient.signal == "normal"


def test_loss_is_said_over_a_second_and_forgets_what_came_late() -> None:
    control = LossControl()
    control.count(10, 5, 1.0)
    assert control.fraction == 0.0  # too few to say
    control.count(90, 5, 1.5)
    assert control.fraction == pytest.approx(0.1)
    control.count(0, -5, 1.6)
    assert control.fraction == pytest.approx(0.05)
    control.count(50, 0, 3.0)
    assert control.fraction == 0.0


def test_overuse_that_is_past_lowers_nothing() -> None:
    """Ten packets a second: the trend speaks of a key frame's queue for half a second after it has gone."""

    def heard(number: int, waited_s: float, signal: Signal) -> Heard:
        at = 10 + number / 10
        arrived = at - 0.02 + waited_s
        return Heard(at, False, 1, 1, signal, [(number, at - 0.05, arrived, 1200)], [(arrived, 1200)])

    def run(waited_s: Callable[[int], float]) -> int:
        estimator = BandwidthEstimator(start_bps=200_000)
        for number in range(40):
            estimator.heard(heard(number, waited_s(number), "normal" if number < 30 else "overuse"))
        return estimator.target_bps(14)

    assert run(lambda number: 0.1 if number in (28, 29) else 0.0) >= 200_000
    assert run(lambda number: max(0.0, 0.02 * (number - 28))) < 150_000
