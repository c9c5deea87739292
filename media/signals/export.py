"""A stored stream as plain numbers again, sample for sample."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from media.signals.frames import FLAG_SEAM, Frame, Samples


@dataclass(frozen=True, slots=True, eq=False)
class SampleRun:
    """Samples without a hole.

    :param sequence: number of the first frame.
    :param device_time_ns: the device's clock at the first sample.
    :param samples: int16, shape (samples, leads).
    """

    sequence: int
    device_time_ns: int
    samples: Samples


def runs(frames: Iterable[Frame]) -> list[SampleRun]:
    """Join frames, ascending by sequence, into runs; a missing frame or a seam begins a new one."""
    found: list[list[Frame]] = []
    for frame in frames:
        follows = found and found[-1][-1].sequence + 1 == frame.sequence
        if follows and not frame.flags & FLAG_SEAM:
            found[-1].append(frame)
        else:
            found.append([frame])
    return [_joined(run) for run in found]


def to_array(frames: Iterable[Frame]) -> Samples:
    """All samples in order of sequence, holes closed: int16, shape (samples, leads).

    :raises ValueError: there is no frame.
    """
    return np.concatenate([frame.samples for frame in frames])


def _joined(run: list[Frame]) -> SampleRun:
    return SampleRun(run[0].sequence, run[0].device_time_ns, np.concatenate([frame.samples for frame in run]))
