"""Heart rate and variability from the times of beats."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

import numpy as np

from media.signals.analysis.findings import RrFigures

RATE_INTERVALS: Final = 6
RATE_SPAN_S: Final = 3.0
RATE_MIN_INTERVALS: Final = 3
REJECT_LOW: Final = 0.6
REJECT_HIGH: Final = 1.6
"""Of the median: an interval outside is a missed or an extra beat. Bigeminy (0.7 and 1.3) stays inside."""
VARIABILITY_S: Final = 300.0
"""The five minutes of the Task Force's short-term recordings."""
VARIABILITY_MIN: Final = 10
ECTOPIC: Final = 0.2
"""An interval that differs by more from the median of its neighbours is not from a normal to a normal beat.
"""
KEPT_MAX: Final = 2000  # five minutes at 400 per minute


@dataclass(frozen=True, slots=True)
class _Interval:
    end: float
    length: float


class Intervals:
    """RR intervals of the last minutes. Across a hole in the signal there is none."""

    def __init__(self) -> None:
        self._kept: deque[_Interval] = deque(maxlen=KEPT_MAX)
        self._last: float | None = None

    @property
    def last_beat(self) -> float | None:
        """Time of the last beat since the last hole, seconds."""
        return self._last

    def push(self, time: float) -> float | None:
        """A beat: the interval that it ends, seconds."""
        length = None if self._last is None else time - self._last
        self._last = time
        if length is None or length <= 0:
            return None
        self._kept.append(_Interval(time, length))
        while self._kept[0].end < time - VARIABILITY_S:
            self._kept.popleft()
        return length

    def hole(self) -> None:
        """What comes next does not follow what came before."""
        self._last = None

    def typical(self) -> float | None:
        """Median of the last intervals, seconds."""
        recent = [interval.length for interval in list(self._kept)[-RATE_INTERVALS:]]
        return median(recent) if len(recent) >= RATE_MIN_INTERVALS else None

    def rate(self) -> float | None:
        """Beats per minute over the last six intervals, or three seconds where those hold more."""
        if self._last is None:
            return None
        recent: list[float] = []
        for interval in reversed(self._kept):
            if len(recent) >= RATE_INTERVALS and interval.end < self._last - RATE_SPAN_S:
                break
            recent.append(interval.length)
        if len(recent) < RATE_MIN_INTERVALS:
            return None
        middle = median(recent)
        return 60 / fmean(
            length for length in recent if REJECT_LOW * middle <= length <= REJECT_HIGH * middle
        )

    def figures(self) -> RrFigures | None:
        """SDNN, RMSSD and pNN50; None before there are ten normal intervals."""
        if len(self._kept) < VARIABILITY_MIN:
            return None
        ends = np.array([interval.end for interval in self._kept])
        lengths = np.array([interval.length for interval in self._kept]) * 1000
        padded = np.pad(lengths, 2, mode="edge")
        near = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
        normal = np.abs(lengths - near) <= ECTOPIC * near
        kept = lengths[normal]
        if len(kept) < VARIABILITY_MIN:
            return None
        steps = np.diff(lengths)[normal[1:] & normal[:-1]]
        some = len(steps) > 0
        return RrFigures(
            seconds=float(ends[-1] - ends[0] + lengths[0] / 1000),
            beats=len(kept) + 1,
            mean_ms=float(kept.mean()),
            sdnn_ms=float(kept.std(ddof=1)),
            rmssd_ms=float(np.sqrt((steps**2).mean())) if some else 0.0,
            pnn50_percent=float((np.abs(steps) > 50).mean() * 100) if some else 0.0,
        )
