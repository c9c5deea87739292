"""The analysis of one ECG stream: blocks of samples in, findings out. Memory is bounded by seconds of signal.

Of all leads the three of the largest clean QRS are joined for finding beats (`beats`); others take over when
one falls off or drowns in noise. What is told rests on whether the beats found look alike (`quality`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from media.signals.analysis.alarms import AlarmLimits, AlarmRules, Condition, Measured
from media.signals.analysis.beats import BeatRules, Envelope, Peak, PeakFinder
from media.signals.analysis.filters import Decimator, QrsFilter, Signal, is_voltage
from media.signals.analysis.findings import Analysis, Quality, RrFigures
from media.signals.analysis.quality import (
    ALIKE_FAIR,
    ALIKE_GOOD,
    SHAPE_S,
    SMALL_UV,
    BeatShapes,
    LeadMonitor,
    alike,
    joined,
)
from media.signals.analysis.rate import Intervals
from media.signals.descriptor import StreamDescriptor
from media.signals.frames import Samples

ECG: Final = "ecg"
MIN_RATE_HZ: Final = 100.0
"""Below, a QRS of 80 ms has fewer than eight samples."""
CHOSEN: Final = 3
BLOCK_S: Final = 1.0
KEPT_S: Final = 6.0
"""Filtered signal at hand: beats of the first four seconds are found afterwards."""
REFINE_S: Final = 0.06
BETTER: Final = 2.0
"""So much larger a QRS makes other leads worth a change."""
RETRY_BLOCKS: Final = 6
"""Blocks of beats that do not look alike before other leads are tried."""
RHYTHM_BEATS: Final = 4
FIGURES_S: Final = 5.0
NO_RHYTHM_S: Final = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Samples without a hole.

    :param device_time: of the first sample, Unix seconds of the device.
    :param samples: int16, shape (samples, leads).
    :param follows: the first sample follows the last one of the block before.
    """

    device_time: float
    samples: Samples
    follows: bool = True


@dataclass(frozen=True, slots=True)
class Findings:
    """What the analyzer says of a round, and which conditions hold; `AlarmBook` makes alarms of them."""

    analysis: Analysis
    conditions: tuple[Condition, ...]


def can_analyse(descriptor: StreamDescriptor) -> bool:
    """Whether a stream is an ECG of a known unit and a sufficient rate."""
    ecg = descriptor.kind == ECG and descriptor.sampling_rate_hz >= MIN_RATE_HZ
    return ecg and is_voltage(descriptor.leads)


class StreamAnalyzer:
    """One ECG.

    :param descriptor: of a stream that `can_analyse` accepts.
    """

    def __init__(self, descriptor: StreamDescriptor, limits: AlarmLimits) -> None:
        self._descriptor = descriptor
        self._codes = [lead.code for lead in descriptor.leads]
        self._rules = AlarmRules(limits)
        self._intervals = Intervals()
        self._device_time = 0.0
        self._figures: RrFigures | None = None
        self._figures_at = -FIGURES_S
        self._begin()

    def _begin(self) -> None:
        """The signal begins, or begins again after a hole."""
        leads = len(self._codes)
        self._decimator = Decimator(self._descriptor.leads, self._descriptor.sampling_rate_hz)
        self._rate = self._decimator.rate_hz
        self._filter = QrsFilter(leads, self._rate)
        self._peaks = PeakFinder(self._rate)
        self._beats = BeatRules(self._rate)
        self._monitor = LeadMonitor(leads)
        self._shapes = BeatShapes()
        self._chosen: list[int] = []
        self._kept: Signal = np.empty((leads, 0), np.float32)
        self._kept_first = 0
        self._time_of_zero = 0.0
        self._began_at = 0.0
        self._unlike_blocks = 0
        self._alike: float | None = None
        self._lead_alike: list[float] | None = None
        self._ended_gaps: list[float] = []

    @property
    def limits(self) -> AlarmLimits:
        """Of the alarms; may be changed between two calls."""
        return self._rules.limits

    @limits.setter
    def limits(self, limits: AlarmLimits) -> None:
        self._rules.limits = limits

    def push(self, blocks: Sequence[Block], at: float, skipped_s: float = 0.0) -> Findings:
        """Take what came since the last time, about a second.

        :param at: Unix seconds, this server's clock.
        :param skipped_s: passed on to `Analysis`.
        """
        found: list[float] = []
        self._ended_gaps.clear()
        for block in blocks:
            if not block.follows or self._time_of_zero == 0.0:
                self._hole(block.device_time)
            for part in self._parts(block):
                found += self._part(part)
        return self._findings(tuple(found), at, skipped_s)

    def _hole(self, device_time: float) -> None:
        self._intervals.hole()
        self._begin()
        self._began_at = device_time

    def _parts(self, block: Block) -> Iterator[Block]:
        """A long block in parts of a second or two: quality is judged for each."""
        rate = self._descriptor.sampling_rate_hz
        count = max(1, int(len(block.samples) / rate / BLOCK_S))
        offset = 0
        for samples in np.array_split(block.samples, count):
            yield Block(block.device_time + offset / rate, samples)
            offset += len(samples)

    def _part(self, block: Block) -> list[float]:
        signal = self._decimator.push(block.samples)
        if signal.shape[1] < 3:
            return []
        filtered = self._filter.push(signal)
        self._monitor.push(block.samples, signal, filtered)
        self._keep(filtered)
        duration = len(block.samples) / self._descriptor.sampling_rate_hz
        self._device_time = block.device_time + duration
        end = self._kept_first + self._kept.shape[1]
        waiting = self._decimator.waiting / self._descriptor.sampling_rate_hz
        self._time_of_zero = self._device_time - waiting - end / self._rate
        self._choose()
        envelope = self._envelope(filtered)
        beats = self._beats.push(self._peaks.push(envelope), self._peaks.decided)
        return [self._take(beat) for beat in beats]

    def _keep(self, filtered: Signal) -> None:
        kept = np.concatenate((self._kept, filtered), axis=1)
        extra = max(0, kept.shape[1] - round(KEPT_S * self._rate))
        self._kept = kept[:, extra:]
        self._kept_first += extra

    # -- leads ---------------------------------------------------------------------------------------------

    def _choose(self) -> None:
        """Stay with the chosen leads while they serve."""
        grades = self._monitor.grades
        usable = [
            lead
            for lead, grade in enumerate(grades)
            if grade in ("good", "fair") and not self._monitor.broken[lead]
        ]
        height = self._monitor.peaks
        if self._unlike_blocks >= RETRY_BLOCKS:
            self._unlike_blocks = 0
            others = [lead for lead in usable if lead not in self._chosen]
            usable = others or usable
        best = sorted(usable, key=lambda lead: -height[lead])[:CHOSEN]
        wanted = min(CHOSEN, len(usable))
        stay = len(self._chosen) == wanted and set(self._chosen) <= set(usable)
        if not best or (stay and height[best].sum() < BETTER * height[self._chosen].sum()):
            return
        if self._chosen != best:
            self._change(best)

    def _change(self, best: list[int]) -> None:
        tallest = self._monitor.tallest
        if self._chosen:
            before, after = (float(np.sqrt((tallest[leads] ** 2).mean())) for leads in (self._chosen, best))
            if before > 0:
                self._beats.rescale(after / before)
        self._chosen = best
        self._shapes_of_chosen()

    def _envelope(self, filtered: Signal) -> Envelope:
        if not self._chosen:
            return np.zeros(filtered.shape[1], np.float32)
        chosen = filtered[self._chosen]
        envelope: Envelope = np.sqrt((chosen * chosen).mean(axis=0))
        return envelope

    # -- beats ---------------------------------------------------------------------------------------------

    def _take(self, beat: Peak) -> float:
        """Keep a beat's shape and interval; its time."""
        at = beat.index - self._kept_first
        reach = round(REFINE_S * self._rate)
        first = max(0, at - reach)
        near = self._envelope(self._kept[:, first : at + reach + 1])
        top = int(np.argmax(near))
        middle = first + top
        self._keep_shape(middle)
        exact = middle + _vertex(near, top)
        time = (
            self._time_of_zero
            + (self._kept_first + exact - self._filter.delay + self._half_sample) / self._rate
        )
        interval = self._intervals.push(time)
        if interval is not None:
            self._ended_gaps.append(interval)
        return time

    @property
    def _half_sample(self) -> float:
        """A mean of `factor` samples stands in their middle, counted from the first in decimated samples."""
        return (self._decimator.factor - 1) / (2 * self._decimator.factor)

    def _keep_shape(self, middle: int) -> None:
        reach = round(SHAPE_S * self._rate)
        if middle < reach or middle + reach >= self._kept.shape[1]:
            return
        self._shapes.push(self._kept[:, middle - reach : middle + reach + 1].copy())
        self._shapes_of_chosen()

    def _shapes_of_chosen(self) -> None:
        if len(self._shapes) < RHYTHM_BEATS:
            self._alike, self._lead_alike = None, None
            return
        products = self._shapes.products()
        self._alike, *self._lead_alike = alike(np.concatenate((joined(products[self._chosen]), products)))

    # -- what is told --------------------------------------------------------------------------------------

    def _grades(self) -> list[Quality]:
        """Of every lead: its noise, and how much its beats look alike where they are found and not small."""
        grades = list(self._monitor.grades)
        if self._lead_alike is None or self._alike is None or self._alike < ALIKE_FAIR:
            return grades
        height = self._monitor.peaks
        for lead, share in enumerate(self._lead_alike):
            if height[lead] > SMALL_UV and grades[lead] in ("good", "fair"):
                grades[lead] = _worse(grades[lead], _by_shape(share))
        return grades

    def _usable(self) -> list[Quality]:
        """The grades of the chosen leads that serve."""
        grades = self._monitor.grades
        return [grades[lead] for lead in self._chosen if grades[lead] in ("good", "fair")]

    def _overall(self, grades: Sequence[Quality]) -> Quality:
        if all(grade == "off" for grade in grades):
            return "off"
        usable = self._usable()
        if not usable:
            return "poor"
        if self._alike is None:
            return "poor" if self._device_time - self._began_at > NO_RHYTHM_S else usable[0]
        best: Quality = "good" if "good" in usable else "fair"
        return _worse(best, _by_shape(self._alike))

    def _findings(self, beats: tuple[float, ...], at: float, skipped_s: float) -> Findings:
        grades = self._grades()
        quality = self._overall(grades)
        unlike = self._alike is not None and self._alike < ALIKE_FAIR
        self._unlike_blocks = self._unlike_blocks + 1 if unlike else 0
        if not self._usable():
            # What happens unseen is no pause: the next interval begins with the next beat that is seen.
            self._intervals.hole()
            self._shapes.clear()
            self._shapes_of_chosen()
            self._beats.restart(self._kept_first + self._kept.shape[1])
        trusted = quality in ("good", "fair") and self._alike is not None
        last = self._intervals.last_beat
        gap = None if last is None else self._decided_time() - last
        rate = self._intervals.rate()
        off = [code for code, grade in zip(self._codes, grades, strict=True) if grade == "off"]
        measured = Measured(
            self._device_time,
            quality,
            trusted,
            self._monitor.quiet(self._chosen),
            rate,
            gap,
            self._intervals.typical(),
            tuple(self._ended_gaps),
            tuple(off),
        )
        conditions = tuple(self._rules.push(measured))
        standstill = any(condition.kind == "asystole" for condition in conditions)
        limits = self._rules.limits
        return Findings(
            Analysis(
                self._descriptor.stream_id,
                at,
                self._device_time,
                0 if standstill else round(rate) if trusted and rate is not None else None,
                quality,
                dict(zip(self._codes, grades, strict=True)),
                self._variability(),
                beats,
                limits.low,
                limits.high,
                skipped_s,
            ),
            conditions,
        )

    def _decided_time(self) -> float:
        """Up to where every beat has been found."""
        return self._time_of_zero + (self._peaks.decided - self._filter.delay) / self._rate

    def _variability(self) -> RrFigures | None:
        if self._device_time - self._figures_at >= FIGURES_S:
            self._figures, self._figures_at = self._intervals.figures(), self._device_time
        return self._figures


_ORDER: Final[tuple[Quality, ...]] = ("good", "fair", "poor", "off")


def _worse(one: Quality, other: Quality) -> Quality:
    return max(one, other, key=_ORDER.index)


def _by_shape(share: float) -> Quality:
    return "good" if share >= ALIKE_GOOD else "fair" if share >= ALIKE_FAIR else "poor"


def _vertex(values: NDArray[np.float32], top: int) -> float:
    """Where the parabola through the top and its neighbours is highest, in samples from ``top``."""
    if not 0 < top < len(values) - 1:
        return 0.0
    left, middle, right = (float(value) for value in values[top - 1 : top + 2])
    bend = left - 2 * middle + right
    return 0.5 * (left - right) / bend if bend < 0 else 0.0
