"""How far a lead can be relied on: connected, clipped, noisy, and whether its beats look alike.

Two questions are asked. Of each block of about a second: is there anything but noise of the muscles, the
mains or a loose electrode (flatness, clipping, high frequencies against the QRS band; G. Clifford et al.,
Physiol. Meas. 33:1419-33, 2012: bSQI, basSQI, pSQI, flat line). Of the last beats: do they look alike (the
template matching of C. Orphanidou et al., IEEE JBHI, doi 10.1109/JBHI.2014.2338351, but pair by pair, so
that two shapes in turn, as in bigeminy, still count as beats). Peaks of noise do not look alike: of filtered
white noise and of electrode motion, on one lead or three, at most 13 % of the pairs correlate above 0.8; of
an ECG with noise of 0.1 mV all do.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from media.signals.analysis.filters import Signal
from media.signals.analysis.findings import Quality
from media.signals.frames import Samples

FLAT_LSB: Final = 2
"""A connected electrode never stands this still for half a second; a disconnected input or a rail does."""
CLIPPED_SHARE: Final = 0.25
HISTORY: Final = 4  # blocks of about a second
NOISE_POOR: Final = 0.9
NOISE_FAIR: Final = 0.35
QUIET_UV: Final = 150.0
"""Noise is measured against the QRS, and against this where there is none: a standstill is not noise."""
WANDER_FAIR_UV: Final = 1500.0
WANDER_POOR_UV: Final = 5000.0
SMALL_UV: Final = 60.0
"""Beats of a lead that is nearly isoelectric need not look alike."""

ALIKE: Final = 0.8
SHAPES: Final = 8
ALIKE_FAIR: Final = 0.3
ALIKE_GOOD: Final = 0.6
SHAPE_S: Final = 0.12

Shape = NDArray[np.float32]
"""One beat in all filtered leads, float32, shape (leads, samples)."""


class LeadMonitor:
    """Noise, clipping and connection of every lead, block by block."""

    def __init__(self, leads: int) -> None:
        self._peaks: deque[NDArray[np.float32]] = deque(maxlen=HISTORY)
        self._noise: deque[NDArray[np.float32]] = deque(maxlen=HISTORY)
        self._levels: deque[NDArray[np.float32]] = deque(maxlen=HISTORY)
        self.off = np.zeros(leads, bool)
        self.broken = np.zeros(leads, bool)
        """Not connected during part of the last block at least."""
        self.clipped = np.zeros(leads, bool)
        self.grades: list[Quality] = ["off"] * leads
        """Quality of each lead by its noise alone."""
        self.peaks = np.zeros(leads, np.float32)
        """Height of the filtered QRS of each lead: the median of the blocks, microvolt."""
        self.tallest = self.peaks
        """Largest filtered value of each lead in the blocks that are remembered, microvolt."""

    def push(self, raw: Samples, signal: Signal, filtered: Signal) -> None:
        """One block: as it came, in microvolt, and filtered."""
        halves = (0, len(raw) // 2)
        tops = np.maximum.reduceat(raw, halves, axis=0).astype(np.int32)
        bottoms = np.minimum.reduceat(raw, halves, axis=0).astype(np.int32)
        first, second = tops - bottoms <= FLAT_LSB
        self.off, self.broken = second, first | second
        top, bottom = tops.max(axis=0), bottoms.min(axis=0)
        every_other = raw[::2]
        at_rail = np.count_nonzero((every_other == top) | (every_other == bottom), axis=0)
        self.clipped = (at_rail > CLIPPED_SHARE * len(every_other)) & (top - bottom > 10 * FLAT_LSB)
        self._peaks.append(np.abs(filtered).max(axis=1))
        bends = np.abs(signal[:, 2:] - 2 * signal[:, 1:-1] + signal[:, :-2])
        self._noise.append(bends.sum(axis=1) / np.float32(bends.shape[1]))
        self._levels.append(signal.sum(axis=1) / np.float32(signal.shape[1]))
        ordered = np.sort(np.array(self._peaks), axis=0)
        self.peaks, self.tallest = ordered[(len(ordered) - 1) // 2], ordered[-1]
        self.grades = self._graded()

    def quiet(self, leads: list[int]) -> bool:
        """No noise of the last two blocks could hide a beat, also where there was none."""
        recent = zip(list(self._noise)[-2:], list(self._peaks)[-2:], strict=True)
        return all(
            bool((noise[leads] <= NOISE_POOR * np.maximum(peak[leads], QUIET_UV)).all())
            for noise, peak in recent
        )

    def _graded(self) -> list[Quality]:
        noise = self._noise[-1] / np.maximum(self.tallest, QUIET_UV)
        wander = np.ptp(np.array(self._levels), axis=0)
        poor = self.clipped | (noise > NOISE_POOR) | (wander > WANDER_POOR_UV)
        fair = (noise > NOISE_FAIR) | (wander > WANDER_FAIR_UV)
        return [
            "off" if off else "poor" if bad else "fair" if worse else "good"
            for off, bad, worse in zip(self.off, poor, fair, strict=True)
        ]


class BeatShapes:
    """How much the last beats look alike, on each lead and on several together."""

    def __init__(self) -> None:
        self._shapes: deque[Shape] = deque(maxlen=SHAPES)

    def __len__(self) -> int:
        return len(self._shapes)

    def push(self, shape: Shape) -> None:
        self._shapes.append(shape)

    def clear(self) -> None:
        self._shapes.clear()

    def products(self) -> NDArray[np.float32]:
        """Inner products of every two beats on every lead, shape (leads, beats, beats)."""
        beats = np.stack(self._shapes, axis=1)
        products: NDArray[np.float32] = np.matmul(beats, beats.transpose(0, 2, 1))
        return products


def joined(products: NDArray[np.float32]) -> NDArray[np.float32]:
    """Several leads as one: shape (leads, beats, beats) -> (1, beats, beats)."""
    one: NDArray[np.float32] = products.sum(axis=0, keepdims=True)
    return one


def alike(products: NDArray[np.float32]) -> list[float]:
    """Of each lead the share of the pairs of beats that correlate above `ALIKE`.

    :param products: inner products of every two, shape (leads, beats, beats), at least two beats.
    """
    count = products.shape[-1]
    size = np.sqrt(np.maximum(np.diagonal(products, axis1=1, axis2=2), 1e-6))
    similar = products > ALIKE * size[:, :, None] * size[:, None, :]
    shares = (np.count_nonzero(similar, axis=(1, 2)) - count) / (count * (count - 1))
    return [float(share) for share in shares]
