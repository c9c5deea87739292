"""Finds room above the estimate: short clusters of padding sent faster than the target.

What is sent at the rate of the media shows only that the media fits. A cluster at twice the target, a few
tens of milliseconds long, shows in its arrival times whether more would fit, and costs a queue of that length
at worst. It is never counted as media. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from media.limits import (
    ESTIMATE_MAX_BPS,
    PROBE_INTERVAL_S,
    PROBE_LEAST_S,
    PROBE_MAX_INTERVAL_S,
    PROBE_MOST_BYTES,
    TIMER_SLOT_S,
)
from media.relay.hearing import Acknowledged

_FACTOR = 2.0  # of the target
_WANTED_MARGIN = 1.5  # a probe need not find more than this over what is wanted
_WORTH = 1.4  # probing stops when the target is this much above what is wanted: an allocator wants headroom
_LEAST_BYTES = 3 * 1100  # as few packets as can be judged: on a thin line each delays voices by 30 ms
_SHARE_HEARD = 0.8  # of the cluster's bytes must be told of
_FULL_SHARE = 0.95  # of the rate at which a cluster arrived that filled the line
_PASSED = 0.9  # arriving at this share of the sent rate, the cluster met no limit
_ANSWER_S = 1.5  # after it a cluster that was not told of has found nothing


class Prober:
    """One transport's probes: `begin`, then `chunk` and `sent` while `sending`, then `heard` on feedback."""

    __slots__ = (
        "_bytes",
        "_ended_at",
        "_heard",
        "_interval",
        "_left",
        "_next_at",
        "_rate",
        "_sent_bytes",
        "_started_at",
        "first",
        "last",
        "probes",
    )

    def __init__(self) -> None:
        self._interval = PROBE_INTERVAL_S
        self._next_at = -inf
        self._rate = 0.0
        self._bytes = self._left = 0
        self._started_at = self._ended_at = 0.0
        self._sent_bytes = 0
        self._heard: list[tuple[float, int]] = []
        self.first = -1  # number of the cluster's first packet; -1 = there is none
        self.last = -1
        self.probes = 0

    @property
    def sending(self) -> bool:
        """A cluster is being sent."""
        return self._left > 0

    @property
    def pending(self) -> bool:
        """A cluster was begun and is not yet judged."""
        return self.first >= 0

    @staticmethod
    def is_content(target: float, wanted: float) -> bool:
        """Nothing is to be found that would be of use."""
        return wanted * _WORTH <= target or target >= ESTIMATE_MAX_BPS

    def begin(self, target: float, wanted: float, number: int, now: float) -> bool:
        """Begin a cluster if it is time and more is wanted; ``number`` is the next packet's."""
        if self.pending or now < self._next_at or self.is_content(target, wanted):
            return False
        self._rate = min(_FACTOR * target, max(_WANTED_MARGIN * wanted, 1.2 * target), ESTIMATE_MAX_BPS)
        size = max(_LEAST_BYTES, self._rate * PROBE_LEAST_S / 8)
        self._bytes = self._left = round(min(size, PROBE_MOST_BYTES))
        self._started_at = now
        self._sent_bytes = 0
        self._heard = []
        self.first = self.last = number
        self.probes += 1
        return True

    def chunk(self, now: float) -> int:
        """How many bytes of padding to send now."""
        due = self._rate * (now - self._started_at + TIMER_SLOT_S) / 8
        return min(self._left, round(max(0.0, due - (self._bytes - self._left))))

    def sent(self, size: int, number: int, now: float) -> None:
        """``size`` bytes of padding went out, up to before ``number``; media between them counts as well."""
        self._left -= size
        self.last = number - 1
        if self._left <= 0:
            self._left = 0
            self._ended_at = now

    def give_up(self, now: float) -> None:
        """There is nothing to probe with."""
        self._left = 0
        self._settle(now, found=False)

    def heard(self, acknowledged: Iterable[Acknowledged], target: float, now: float) -> float | None:
        """Take what arrived; the rate that was shown to go through, once that is known."""
        if not self.pending:
            return None
        newest = -1
        for number, _, arrived_at, size in acknowledged:
            if self.first <= number <= self.last:
                self._heard.append((arrived_at, size))
            newest = max(newest, number)
        if self.sending:
            return None
        if newest >= self.last or now - self._ended_at > _ANSWER_S:
            return self._judge(target, now)
        return None

    def _judge(self, target: float, now: float) -> float | None:
        self._heard.sort()
        size = sum(octets for _, octets in self._heard)
        if len(self._heard) < 3 or size < _SHARE_HEARD * self._bytes:
            self._settle(now, found=False)
            return None
        lasted = self._heard[-1][0] - self._heard[0][0]
        # what stands behind the first packet took this long to come through
        arrived = 8 * (size - self._heard[0][1]) / max(lasted, 1e-3)
        found = min(self._rate, arrived)
        if found < _PASSED * self._rate:
            found *= _FULL_SHARE
        self._settle(now, found=found > 1.1 * target)
        return found

    def _settle(self, now: float, found: bool) -> None:
        """After a find the next probe follows at once; after none each waits longer than the one before."""
        self.first = self.last = -1
        if found:
            self._interval = PROBE_INTERVAL_S
            self._next_at = now
        else:
            self._next_at = now + self._interval
            self._interval = min(2 * self._interval, PROBE_MAX_INTERVAL_S)
