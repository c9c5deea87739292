"""Whether a line is full, from one-way delays on two clocks."""

from __future__ import annotations

from math import inf

import pytest

from media.relay.estimate import BandwidthEstimator
from media.relay.hearing import PlainHearing, SentLog
from media.relay.line_queue import LineQueue
from media.rtp.twcc import REFERENCE_S, TICK_S, TransportFeedback
from tests.media.relay.bottleneck import Line, Receiver, tell

CLOCKS_S = 5000.0  # the receiver's clock is another one


class Feed:
    """Packets of one size at a steady rate over a modelled line, told each 100 ms."""

    def __init__(self, line: Line, bps: float, beside_bps: float = 0.0) -> None:
        self.queue = LineQueue()
        self.line = line
        self.bps = bps
        self.beside_bps = beside_bps
        self.now = 10.0
        self._coming: list[tuple[float, int, float]] = []
        self._number = 0

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            for _ in range(10):
                self.now += 0.01
                self._send(self.beside_bps, ours=False)
                self._send(self.bps, ours=True)
            told = [one for one in self._coming if one[0] <= self.now]
            self._coming = self._coming[len(told) :]
            if told:
                packets = [(number, sent, at + CLOCKS_S, self._size(self.bps)) for at, number, sent in told]
                self.queue.heard(packets)

    def _size(self, bps: float) -> int:
        return round(bps * 0.01 / 8)

    def _send(self, bps: float, ours: bool) -> None:
        arrives = self.line.send(self._size(bps) - 28, self.now) if bps else None
        if ours and arrives is not None:
            self._coming.append((arrives, self._number, self.now))
            self._number += 1


def test_an_empty_line_has_no_queue_and_no_limit() -> None:
    feed = Feed(Line(lambda _: 4e6), 500_000)
    feed.run(3)
    assert not feed.queue.stands
    assert feed.queue.full_bps(0) is None


def test_a_line_that_narrows_is_known_after_two_feedbacks() -> None:
    feed = Feed(Line(lambda now: 4e6 if now < 12 else 300_000, queue_s=0.3), 800_000)
    feed.run(2)
    feed.run(0.3)
    assert feed.queue.grows
    assert feed.queue.full_bps(0) == pytest.approx(300_000, rel=0.15)


def test_what_is_sent_beside_is_left_its_room() -> None:
    feed = Feed(Line(lambda now: 4e6 if now < 12 else 300_000, queue_s=2.0), 700_000, beside_bps=100_000)
    feed.run(2)
    feed.run(0.5)
    alone = feed.queue.full_bps(0)
    assert alone == pytest.approx(300_000 * 7 / 8, rel=0.1)
    assert feed.queue.full_bps(100_000) == pytest.approx(200_000, rel=0.1)


def test_a_longer_way_is_no_queue() -> None:
    line = Line(lambda _: 4e6)
    feed = Feed(line, 500_000)
    feed.run(2)
    line.one_way_s += 0.1
    feed.run(0.3)
    assert feed.queue.moved
    assert not feed.queue.grows


def test_a_queue_that_stands_is_no_longer_way() -> None:
    feed = Feed(Line(lambda now: 4e6 if now < 12 else 400_000, queue_s=0.2), 600_000)
    feed.run(5)
    assert feed.queue.stands
    assert not feed.queue.moved


def test_it_is_seen_to_drain() -> None:
    feed = Feed(Line(lambda now: 4e6 if now < 12 else 400_000, queue_s=0.4), 600_000)
    feed.run(3)
    feed.bps = 200_000
    feed.run(0.6)
    assert feed.queue.drains
    feed.run(2)
    assert not feed.queue.stands


class Steady:
    """A sender that has to send what it is given, as a room does: 5 packets each 20 ms."""

    def __init__(self, line: Line, bps: float) -> None:
        self.line = line
        self.log = SentLog()
        self.hearing = PlainHearing(self.log)
        self.estimator = BandwidthEstimator(self.hearing)
        self.receiver = Receiver(line)
        self.bps = bps
        self.now = 10.0
        self.number = 1

    def run(self, seconds: float) -> list[int]:
        targets = []
        for _ in range(round(seconds / 0.005)):
            self.now += 0.005
            size = round(self.bps * 0.005 / 8)
            self.log.note(self.number, size, self.now)
            self.receiver.sent(self.number, size, self.now)
            self.number += 1
            for feedback in self.receiver.feedback(self.now):
                tell(self.estimator, self.hearing, feedback, self.now)
            targets.append(self.estimator.target_bps(self.now))
        return targets


def test_a_step_down_is_answered_within_four_tenths_of_a_second() -> None:
    sender = Steady(Line(lambda now: 4e6 if now < 15 else 300_000, one_way_s=0.01), 800_000)
    sender.run(5)
    assert sender.estimator.target_bps(sender.now) > 800_000
    sender.run(0.4)
    assert sender.estimator.target_bps(sender.now) < 300_000
    assert sender.estimator.pace_bps(sender.now) < sender.estimator.target_bps(sender.now)


def test_a_longer_way_lowers_nothing() -> None:
    line = Line(lambda _: 10e6, one_way_s=0.01)
    sender = Steady(line, 800_000)
    sender.run(5)
    line.one_way_s = 0.1
    assert min(sender.run(5)) > 800_000
    line.one_way_s = 0.2
    assert min(sender.run(5)) > 800_000


def test_what_begins_like_a_queue_holds_back_and_is_let_go_again() -> None:
    """A radio line stands still for an instant twice a second: pictures wait for a feedback, and seldom."""
    line = Line(lambda _: 10e6, one_way_s=0.01)
    sender = Steady(line, 800_000)
    sender.run(5)
    held_s = []
    for _ in range(120):
        line.free_at = sender.now + 0.1
        ticks = 0
        for _ in range(97):  # at another moment between two feedbacks each time
            (target,) = sender.run(0.005)
            ticks += sender.estimator.pace_bps(sender.now) < target / 2
        held_s.append(0.005 * ticks)
    assert 0 < max(held_s) < 0.15
    assert sum(held > 0 for held in held_s) < 12
    assert sender.estimator.pace_bps(sender.now) == sender.estimator.target_bps(sender.now)


class Told:
    """Feedbacks whose packets left 10 ms apart, and the delay of each."""

    def __init__(self) -> None:
        self._log = SentLog()
        self.hearing = PlainHearing(self._log)
        self._next = 1

    def __call__(self, delays: list[float], now: float) -> bool:
        first, arrivals = self._next, []
        self._next += len(delays)
        for index, delay in enumerate(delays):
            self._log.note(first + index, 500, now + index * 0.01)
            arrivals.append((index, round((index * 0.01 + delay) / TICK_S)))
        reference = round(now / REFERENCE_S)
        told = TransportFeedback(1, 2, first, len(delays), reference, 0, tuple(arrivals))
        return self.hearing.hear(told, now)


def test_the_last_packet_of_a_feedback_says_that_a_queue_begins() -> None:
    """The first one came before it: what mixes both is news, however calm it was."""
    told = Told()
    told([0.0, 0.0, 0.0], 100 * REFERENCE_S)
    told.hearing.be_calm(100.0, 0.02)
    assert not told([0.0, 0.0, 0.0], 102 * REFERENCE_S)
    assert told([0.0, 0.0, 0.03], 104 * REFERENCE_S)


def test_what_ends_a_calm_time_is_looked_at_with_what_it_follows() -> None:
    """Once, and two packets of it: no list of all that came for a line that is as it was."""
    told = Told()
    told([0.0] * 3, 100 * REFERENCE_S)
    told.hearing.take()
    told.hearing.be_calm(105 * REFERENCE_S, 0.02)
    assert [told([0.001, 0.0, 0.002], at * REFERENCE_S) for at in (102, 104, 106)] == [False, False, True]
    (heard,) = told.hearing.take()
    assert (heard.expected, heard.arrived, len(heard.rates)) == (9, 9, 3)
    assert [one[0] for one in heard.packets] == [5, 12]  # the luckiest, and the last
    assert told([0.0] * 3, 108 * REFERENCE_S)  # still: nobody has said for how long from now on
    told.hearing.be_calm(-inf, 0.0)
    told.hearing.take()
    assert told([0.0] * 3, 110 * REFERENCE_S)
    (heard,) = told.hearing.take()
    assert len(heard.packets) == 3
