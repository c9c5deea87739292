"""A recorded waveform as a live one: blocks of about 100 ms, for ever if wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from media.signals.formats import Waveform
from media.signals.frames import Samples

FRAME_S = 0.1  # what the wire's frames hold: short enough for a live view, long enough to compress


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The next samples.

    :param position: samples of each lead before it, since the source began.
    :param seam: the record starts anew with this block.
    """

    position: int
    samples: Samples
    seam: bool


def blocks(waveform: Waveform, loop: bool) -> Iterator[Block]:
    """Cut the record; the last block of a round may be shorter. The first block of each round is a seam."""
    size = max(1, round(waveform.sampling_rate_hz * FRAME_S))
    position = 0
    while True:
        for start in range(0, len(waveform.samples), size):
            samples = waveform.samples[start : start + size]
            yield Block(position, samples, seam=start == 0)
            position += len(samples)
        if not loop:
            return
