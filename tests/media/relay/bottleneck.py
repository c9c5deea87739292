"""A line with a narrow place, on counted time: rate, queue, round trip, loss; and a receiver behind it."""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush

from media.relay.estimate import BandwidthEstimator
from media.relay.hearing import PlainHearing
from media.rtp.arrivals import Arrivals
from media.rtp.packet import find_extension, parse_header
from media.rtp.twcc import TransportFeedback


class Line:
    """Takes packets at a time, and hands out when each arrives, if it does.

    :param rate: bits per second, as a function of time.
    :param queue_s: what the narrow place keeps, in seconds at its rate; the rest is dropped.
    :param lose: told (time) whether a packet is lost on the way, whatever the queue.
    """

    def __init__(
        self,
        rate: Callable[[float], float],
        one_way_s: float = 0.02,
        queue_s: float = 0.3,
        lose: Callable[[float], bool] = lambda _: False,
    ) -> None:
        self.rate = rate
        self.one_way_s = one_way_s
        self.queue_s = queue_s
        self.lose = lose
        self.free_at = 0.0
        self.dropped = 0
        self.worst_queue_s = 0.0

    def send(self, size: int, now: float) -> float | None:
        """When the packet arrives; None when it is lost."""
        start = max(self.free_at, now)
        if start - now > self.queue_s:
            self.dropped += 1
            return None
        self.free_at = start + 8 * (size + 28) / self.rate(now)
        self.worst_queue_s = max(self.worst_queue_s, self.free_at - now)
        return None if self.lose(now) else self.free_at + self.one_way_s


class Receiver:
    """Arrivals in order of time, told every 100 ms; the feedback takes the way back."""

    def __init__(self, line: Line, number_id: int = 5) -> None:
        self.line = line
        self.number_id = number_id
        self.sizes: list[tuple[float, int, int]] = []  # arrival, bytes, ssrc
        self._arrivals = Arrivals()
        self._coming: list[tuple[float, int]] = []
        self._feedback: list[tuple[float, TransportFeedback]] = []
        self._told_at = 0.0

    def sent(self, number: int, size: int, now: float, ssrc: int = 0) -> None:
        arrives = self.line.send(size, now)
        if arrives is not None:
            heappush(self._coming, (arrives, number & 0xFFFF))
            self.sizes.append((arrives, size, ssrc))

    def packet(self, data: bytes, now: float) -> None:
        """A packet as it left the relay."""
        header = parse_header(data)
        at = find_extension(data, header, self.number_id, 2)
        assert at >= 0, "the packet carries no transport-wide number"
        self.sent(data[at] << 8 | data[at + 1], len(data), now, header.ssrc)

    def feedback(self, now: float) -> list[TransportFeedback]:
        """What reaches the sender by now."""
        while self._coming and self._coming[0][0] <= now:
            arrived_at, number = heappop(self._coming)
            self._arrivals.add(number, 5000 + arrived_at)  # its clock is another one
        if now - self._told_at >= 0.1:
            self._told_at = now
            back = now + self.line.one_way_s
            self._feedback += [(back, one) for one in self._arrivals.take(1, 2, 5000 + now)]
        due = [one for at, one in self._feedback if at <= now]
        self._feedback = [(at, one) for at, one in self._feedback if at > now]
        return due

    def bps(self, start: float, end: float) -> float:
        """What arrived, on average."""
        return 8 * sum(size for at, size, _ in self.sizes if start <= at < end) / (end - start)


def tell(
    estimator: BandwidthEstimator, hearing: PlainHearing, feedback: TransportFeedback, now: float
) -> None:
    """Let the estimator learn from one feedback."""
    hearing.hear(feedback, now)
    for heard in hearing.take():
        estimator.heard(heard)


def random_loss(share: float, seed: int = 1) -> Callable[[float], bool]:
    chance = random.Random(seed)
    return lambda _: chance.random() < share


def bursts(every_s: float, lasting_s: float) -> Callable[[float], bool]:
    return lambda now: now % every_s < lasting_s
