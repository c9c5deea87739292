"""Between samples with known gaps and places on an unbroken grid of sampling periods."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from media.signals.formats.waveform import Gap

Places = NDArray[np.int64]


def gaps_of(places: Places) -> tuple[Gap, ...]:
    """The gaps between samples that lie at ``places``, ascending; one before the first is not counted."""
    steps = np.diff(places)
    behind = np.flatnonzero(steps > 1)
    return tuple(Gap(int(index) + 1, int(steps[index]) - 1) for index in behind)


def outside(places: Places, intervals: Iterable[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which of the ascending ``places`` lie in none of ``intervals``, each (first, behind the last)."""
    kept = np.ones(len(places), dtype=bool)
    for first, behind in intervals:
        kept[np.searchsorted(places, first) : np.searchsorted(places, behind)] = False
    return kept
