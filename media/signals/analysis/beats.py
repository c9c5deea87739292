"""Heart beats in the envelope of the filtered leads.

The rules are those of P. Hamilton, "Open source ECG analysis", Computers in Cardiology, 2002, which go back
to Pan and Tompkins (IEEE Trans. Biomed. Eng. 32(3):230-236, 1985) as modified in Hamilton and Tompkins (same
journal 33(12):1157-1165, 1986); what they find is measured here (`loadtest qrs`), not taken over: of peaks
within 200 ms the largest counts; one within 360 ms of a beat and of less than half its slope is a T wave; the
threshold lies between the medians of the last beats and of the last other peaks; when one and a half mean
intervals pass without a beat, the largest peak over half the threshold was one.

Ours: leads are joined before (root of the mean square), an absolute floor keeps baseline noise from being
taken for beats in a standstill, and the first seconds are looked at again once the levels are known, so that
no beat is lost.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

Envelope = NDArray[np.float32]

REFRACTORY_S: Final = 0.2
T_WAVE_S: Final = 0.36
SMOOTH_S: Final = 0.08
THRESHOLD: Final = 0.3125
SEARCH_BACK_RR: Final = 1.5
LEARN_S: Final = 4.0
LOST_S: Final = 8.0
REMEMBERED: Final = 8
FLOOR_UV: Final = 50.0
"""Of a peak of the smoothed envelope: a QRS of 0.2 to 0.3 mV, as its width may be. Monitors tested
by IEC 60601-2-27 state a detection range that begins at 0.5 mV; 0.15 mV, the lower test commonly quoted for
it, is not counted either. We had no text of the standard."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A largest value of the envelope within the refractory time on both sides.

    :param index: sample number since the detector began.
    """

    index: int
    height: float
    slope: float


@dataclass
class _Levels:
    beats: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    others: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    intervals: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @property
    def threshold(self) -> float:
        other = median(self.others) if self.others else 0.0
        beat = median(self.beats) if self.beats else 0.0
        return max(FLOOR_UV, other + THRESHOLD * (beat - other))


class PeakFinder:
    """Peaks of a smoothed envelope, block by block.

    :param rate_hz: samples per second of the envelope.
    """

    def __init__(self, rate_hz: float) -> None:
        self._smooth = max(1, round(SMOOTH_S * rate_hz)) | 1
        self._reach = max(1, round(REFRACTORY_S * rate_hz) - 1)
        self._kernel = np.full(self._smooth, 1 / self._smooth, np.float32)
        self._raw: Envelope = np.zeros(self._smooth - 1, np.float32)
        self._past: Envelope = np.zeros(2 * self._reach, np.float32)
        self._first = -2 * self._reach - self._smooth // 2
        """Sample number of the first value of `_past`."""

    @property
    def decided(self) -> int:
        """All peaks before this sample number have been told."""
        return self._first + self._reach

    def push(self, envelope: Envelope) -> list[Peak]:
        """Peaks that are certain now, ascending."""
        raw = np.concatenate((self._raw, envelope))
        self._raw = raw[len(raw) - self._smooth + 1 :]
        joined = np.concatenate((self._past, np.convolve(raw, self._kernel, "valid")))
        width = 2 * self._reach + 1
        if len(joined) < width:
            self._past = joined
            return []
        highest = np.lib.stride_tricks.sliding_window_view(joined, width).max(axis=1)
        middle = joined[self._reach : len(joined) - self._reach]
        steps = np.abs(np.diff(joined))
        found = []
        for at in np.flatnonzero((middle == highest) & (middle > 0)):
            centre = int(at) + self._reach
            if middle[at] == joined[centre - 1]:
                continue  # a plateau counts once
            slope = float(steps[max(0, centre - self._smooth) : centre + self._smooth].max())
            found.append(Peak(self._first + centre, float(middle[at]), slope))
        done = len(joined) - 2 * self._reach
        self._first += done
        self._past = joined[done:]
        return found


class BeatRules:
    """Which peaks are beats."""

    def __init__(self, rate_hz: float) -> None:
        self._rate = rate_hz
        self._levels = _Levels()
        self._learning: list[Peak] | None = []
        self._last: Peak | None = None
        self._since: list[Peak] = []
        """Peaks after the last beat that were not taken for one."""
        self._begun = 0

    @property
    def learning(self) -> bool:
        """No beat was told yet."""
        return self._learning is not None

    @property
    def contrast(self) -> float:
        """Median height of other peaks over that of beats: near 0 in a clear ECG, towards 1 in noise."""
        beats, others = self._levels.beats, self._levels.others
        return median(others) / median(beats) if beats and others else 0.0

    def push(self, peaks: list[Peak], decided: int) -> list[Peak]:
        """Beats among ``peaks``, and those found by looking back.

        :param decided: no peak before this sample number will follow.
        """
        if self._learning is not None:
            self._learning += [peak for peak in peaks if peak.index >= self._begun]
            if decided - self._begun < LEARN_S * self._rate:
                return []
            peaks, self._learning = self._learning, None
            self._learn(peaks)
        beats: list[Peak] = []
        for peak in peaks:
            beats += self._look_back(peak.index)
            beats += self._judge(peak)
        beats += self._look_back(decided)
        self._forget(decided)
        return beats

    def rescale(self, factor: float) -> None:
        """Other leads are joined from now on, whose QRS are ``factor`` times as high."""
        levels = self._levels
        for heights in (levels.beats, levels.others):
            scaled = [height * factor for height in heights]
            heights.clear()
            heights.extend(scaled)
        if self._last is not None:
            self._last = Peak(self._last.index, self._last.height, self._last.slope * factor)

    def _learn(self, peaks: list[Peak]) -> None:
        """The two largest of four seconds: at the slowest rate, 30 per minute, both are beats."""
        self._levels = _Levels()
        largest = sorted((peak.height for peak in peaks), reverse=True)[:2]
        self._levels.beats.extend(largest)

    def _judge(self, peak: Peak) -> list[Peak]:
        if peak.height <= self._levels.threshold or self._is_t_wave(peak):
            self._since.append(peak)
            self._levels.others.append(peak.height)
            return []
        self._accept(peak)
        return [peak]

    def _is_t_wave(self, peak: Peak) -> bool:
        last = self._last
        near = last is not None and peak.index - last.index < T_WAVE_S * self._rate
        return near and last is not None and peak.slope < last.slope / 2

    def _accept(self, peak: Peak) -> None:
        if self._last is not None:
            self._levels.intervals.append(peak.index - self._last.index)
        self._levels.beats.append(peak.height)
        self._last = peak
        self._since = [other for other in self._since if other.index > peak.index]

    def _look_back(self, until: int) -> list[Peak]:
        """The largest peak over half the threshold, when a beat is overdue."""
        found = []
        while self._last is not None and self._since:
            intervals = self._levels.intervals
            usual = sum(intervals) / len(intervals) if intervals else self._rate
            if until - self._last.index < SEARCH_BACK_RR * usual:
                break
            floor = max(FLOOR_UV, self._levels.threshold / 2)
            earliest = self._last.index + T_WAVE_S * self._rate
            overdue = [peak for peak in self._since if peak.index >= earliest and peak.height > floor]
            if not overdue:
                break
            best = max(overdue, key=lambda peak: peak.height)
            self._accept(best)
            found.append(best)
        return found

    def _forget(self, decided: int) -> None:
        """Learn anew when there has been no beat for long: the levels may be those of an artefact."""
        last = self._last.index if self._last is not None else self._begun
        horizon = decided - LOST_S * self._rate
        self._since = [peak for peak in self._since if peak.index > horizon]
        if last < horizon:
            self.restart(decided)

    def restart(self, index: int) -> None:
        """Learn anew from this sample number on: what was before says nothing of what comes."""
        self._begun, self._last, self._learning = index, None, []
        self._since.clear()
