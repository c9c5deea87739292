"""Whether the line's queue grows: the trend of the one-way delay over groups of packets.

The delay-based half of Google Congestion Control (draft-ietf-rmcat-gcc-02 sections 5.2-5.4; Carlucci et al.,
"Analysis and Design of the Google Congestion Control for WebRTC", MMSys 2016), with the trend line that took
the place of the Kalman filter in libwebrtc. No clock is compared: only differences on each side count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Literal

Signal = Literal["normal", "overuse", "underuse"]

_GROUP_S = 0.005  # packets sent within this are one group
_BURST_S = 0.1  # a group that the network squeezed together is no longer than this
_WINDOW = 20  # groups in the trend line
_LEAST_SPREAD = 1.0  # ms^2: twenty groups are 100 ms apart at least; below it there is only rounding
_SMOOTHING = 0.9
_GAIN = 4.0
_MAX_DELTAS = 60  # the more groups were seen, the more a slope counts, up to here
_OVERUSE_MS = 10.0  # the slope must stay beyond the threshold for so long
_K_UP, _K_DOWN = 0.0087, 0.039  # the threshold follows the slope slowly, and comes back faster
_THRESHOLD_MS = (6.0, 12.5, 600.0)  # lowest, first, highest
_OUTLIER_MS = 15.0  # a slope so far beyond the threshold does not move it


class DelayGradient:
    """Shown packets in the order of sending, tells in `signal` what the delay does."""

    __slots__ = (
        "_accumulated",
        "_counted",
        "_deltas",
        "_group",
        "_line",
        "_over_count",
        "_over_ms",
        "_previous",
        "_slope",
        "_smoothed",
        "_threshold",
        "_threshold_at",
        "signal",
    )

    def __init__(self) -> None:
        self._threshold = _THRESHOLD_MS[1]
        self.reset()

    def reset(self) -> None:
        """The path may be another one: forget all delays."""
        self.signal: Signal = "normal"
        self._group: tuple[float, float, float, float] | None = None  # first and last sent, and arrived
        self._previous: tuple[float, float] | None = None  # last sent and last arrived of the group before
        self._line = TrendLine()
        self._accumulated = self._smoothed = self._slope = 0.0
        self._deltas = 0
        self._over_ms = -1.0
        self._over_count = 0
        self._threshold_at: float | None = None

    def packets(self, packets: Iterable[tuple[int, float, float, int]]) -> None:
        """Packets as (number, when sent, when arrived, size), times in seconds of each side's own clock."""
        packets = iter(packets)
        if self._group is None:
            for _, sent_at, arrived_at, _ in packets:
                self._group = (sent_at, sent_at, arrived_at, arrived_at)
                break
            else:
                return
        first_sent, last_sent, first_arrived, last_arrived = self._group
        for _, sent_at, arrived_at, _ in packets:
            elapsed = sent_at - first_sent
            if elapsed < 0:
                continue  # came out of order, and its group has been closed
            gap = arrived_at - last_arrived
            # sent apart and arrived back to back: they waited somewhere together, and are one group
            if elapsed <= _GROUP_S or (
                gap <= _GROUP_S and gap < sent_at - last_sent and arrived_at - first_arrived < _BURST_S
            ):
                if sent_at > last_sent:
                    last_sent = sent_at
                if gap > 0:
                    last_arrived = arrived_at
            else:
                self._close(last_sent, last_arrived)
                first_sent = last_sent = sent_at
                first_arrived = last_arrived = arrived_at
        self._group = (first_sent, last_sent, first_arrived, last_arrived)

    def _close(self, sent_at: float, arrived_at: float) -> None:
        previous = self._previous
        self._previous = (sent_at, arrived_at)
        if previous is None:
            return
        sent_ms = (sent_at - previous[0]) * 1000
        self._deltas += 1
        self._accumulated += (arrived_at - previous[1]) * 1000 - sent_ms
        self._smoothed += (1 - _SMOOTHING) * (self._accumulated - self._smoothed)
        slope = self._line.add(arrived_at * 1000, self._smoothed)
        self._judge(slope, sent_ms, arrived_at * 1000)

    def _judge(self, slope: float, sent_ms: float, at_ms: float) -> None:
        deltas, threshold = self._deltas, self._threshold
        trend = (deltas if deltas < _MAX_DELTAS else _MAX_DELTAS) * slope * _GAIN
        if trend > threshold:
            self._over_ms = sent_ms / 2 if self._over_ms < 0 else self._over_ms + sent_ms
            self._over_count += 1
            if self._over_ms > _OVERUSE_MS and self._over_count > 1 and slope >= self._slope:
                self._over_ms = 0.0
                self._over_count = 0
                self.signal = "overuse"
        else:
            self._over_ms = -1.0
            self._over_count = 0
            self.signal = "underuse" if trend < -threshold else "normal"
        self._slope = slope
        self._move_threshold(abs(trend), at_ms)

    def _move_threshold(self, trend: float, at_ms: float) -> None:
        """Follow the trend, so that a queue filled by others' loss-based flows does not starve this one."""
        before, self._threshold_at = self._threshold_at, at_ms
        threshold = self._threshold
        if before is None or trend > threshold + _OUTLIER_MS:
            return
        elapsed = at_ms - before
        elapsed = 0.0 if elapsed < 0 else 100.0 if elapsed > 100 else elapsed
        moved = threshold + (_K_DOWN if trend < threshold else _K_UP) * (trend - threshold) * elapsed
        lowest, _, highest = _THRESHOLD_MS
        self._threshold = lowest if moved < lowest else highest if moved > highest else moved


class TrendLine:
    """Least squares over the newest `_WINDOW` points.

    There is one for each group of packets and receiver, so sums are kept from point to point, and made anew
    once a window, before rounding shows.
    """

    __slots__ = ("_first", "_points", "_sum_x", "_sum_xx", "_sum_xy", "_sum_y", "_until_anew")

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()
        self._until_anew = 0
        self._first = self._sum_x = self._sum_y = self._sum_xx = self._sum_xy = 0.0

    def add(self, at_ms: float, delay_ms: float) -> float:
        """The slope with this point, milliseconds of delay for each; 0 until there are enough."""
        points = self._points
        points.append((at_ms, delay_ms))
        if len(points) <= _WINDOW:
            if len(points) < _WINDOW:
                return 0.0
            self._begin_anew()
            return self._slope()
        gone_at, gone = points.popleft()
        if self._until_anew:
            self._until_anew -= 1
            x, was = at_ms - self._first, gone_at - self._first
            self._sum_x += x - was
            self._sum_y += delay_ms - gone
            self._sum_xx += x * x - was * was
            self._sum_xy += x * delay_ms - was * gone
        else:
            self._begin_anew()
        return self._slope()

    def _begin_anew(self) -> None:
        first = self._first = self._points[0][0]
        sum_x = sum_y = sum_xx = sum_xy = 0.0  # not by sum(), whose rounding depends on Python's version
        for at, delay in self._points:
            x = at - first
            sum_x += x
            sum_y += delay
            sum_xx += x * x
            sum_xy += x * delay
        self._sum_x, self._sum_y, self._sum_xx, self._sum_xy = sum_x, sum_y, sum_xx, sum_xy
        self._until_anew = _WINDOW

    def _slope(self) -> float:
        sum_x = self._sum_x
        spread = self._sum_xx - sum_x * sum_x / _WINDOW
        return (self._sum_xy - sum_x * self._sum_y / _WINDOW) / spread if spread > _LEAST_SPREAD else 0.0
