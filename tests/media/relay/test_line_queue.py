"""Whether a line is full, from one-way delays on two clocks."""

from __future__ import annotations

import pytest

from media.relay.estimate import BandwidthEstimator
from media.relay.hearing import PlainHearing, SentLog
from media.relay.line_queue import LineQueue
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
