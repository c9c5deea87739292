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
        "_over_count",
        "_over_ms",
        "_points",
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
        self._group: list[float] | None = None  # first sent, last sent, first arrived, last arrived
        self._previous: tuple[float, float] | None = None  # last sent and last arrived of the group before
        self._points: deque[tuple[float, float]] = deque(maxlen=_WINDOW)
        self._accumulated = self._smoothed = self._slope = 0.0
        self._deltas = 0
        self._over_ms = -1.0
        self._over_count = 0
        self._threshold_at: float | None = None

    def packets(self, packets: Iterable[tuple[int, float, float, int]]) -> None:
        """Packets as (number, when sent, when arrived, size), times in seconds of each side's own clock."""
        group = self._group
        for _, sent_at, arrived_at, _ in packets:
            if group is None:
                group = [sent_at, sent_at, arrived_at, arrived_at]
                continue
            elapsed = sent_at - group[0]
            if elapsed < 0:
                continue  # came out of order, and its group has been closed
            if elapsed <= _GROUP_S or _squeezed(group, sent_at, arrived_at):
                if sent_at > group[1]:
                    group[1] = sent_at
                if arrived_at > group[3]:
                    group[3] = arrived_at
            else:
                self._close(group)
                group = [sent_at, sent_at, arrived_at, arrived_at]
        self._group = group

    def _close(self, group: list[float]) -> None:
        previous = self._previous
        self._previous = (group[1], group[3])
        if previous is None:
            return
        sent_ms, arrived_ms = (group[1] - previous[0]) * 1000, (group[3] - previous[1]) * 1000
        self._deltas += 1
        self._accumulated += arrived_ms - sent_ms
        self._smoothed += (1 - _SMOOTHING) * (self._accumulated - self._smoothed)
        self._points.append((group[3] * 1000, self._smoothed))
        slope = _slope(self._points) if len(self._points) == _WINDOW else 0.0
        self._judge(slope, sent_ms, group[3] * 1000)

    def _judge(self, slope: float, sent_ms: float, at_ms: float) -> None:
        trend = min(self._deltas, _MAX_DELTAS) * slope * _GAIN
        if trend > self._threshold:
            self._over_ms = sent_ms / 2 if self._over_ms < 0 else self._over_ms + sent_ms
            self._over_count += 1
            if self._over_ms > _OVERUSE_MS and self._over_count > 1 and slope >= self._slope:
                self._over_ms = 0.0
                self._over_count = 0
                self.signal = "overuse"
        else:
            self._over_ms = -1.0
            self._over_count = 0
            self.signal = "underuse" if trend < -self._threshold else "normal"
        self._slope = slope
        self._move_threshold(abs(trend), at_ms)

    def _move_threshold(self, trend: float, at_ms: float) -> None:
        """Follow the trend, so that a queue filled by others' loss-based flows does not starve this one."""
        before, self._threshold_at = self._threshold_at, at_ms
        if before is None or trend > self._threshold + _OUTLIER_MS:
            return
        gain = _K_DOWN if trend < self._threshold else _K_UP
        moved = self._threshold + gain * (trend - self._threshold) * min(max(at_ms - before, 0.0), 100.0)
        self._threshold = min(max(moved, _THRESHOLD_MS[0]), _THRESHOLD_MS[2])


def _squeezed(group: list[float], sent_at: float, arrived_at: float) -> bool:
    """Packets sent apart that arrive back to back waited somewhere together: one group."""
    gap = arrived_at - group[3]
    return gap - (sent_at - group[1]) < 0 and gap <= _GROUP_S and arrived_at - group[2] < _BURST_S


def _slope(points: deque[tuple[float, float]]) -> float:
    """Least squares, in milliseconds of delay for each millisecond."""
    first = points[0][0]
    sum_x = sum_y = sum_xx = sum_xy = 0.0
    for at, delay in points:
        x = at - first
        sum_x += x
        sum_y += delay
        sum_xx += x * x
        sum_xy += x * delay
    count = len(points)
    spread = sum_xx - sum_x * sum_x / count
    return (sum_xy - sum_x * sum_y / count) / spread if spread > 0 else 0.0
