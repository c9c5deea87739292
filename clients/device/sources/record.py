"""Records as live sources: blocks of a frame's length at their own pace, for ever if wanted."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from clients.device.sources.source import FrameLength, Pacer, Piece, Signal, Sleep
from media.clock import Clock
from media.signals.formats import Waveform
from media.signals.frames import Samples


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The next samples of one signal.

    :param begin_s: seconds since the source began, gaps and earlier rounds counted.
    :param end_s: likewise, behind the last sample.
    :param seam: the record starts anew with this block, or goes on behind a gap.
    """

    end_s: float
    begin_s: float
    signal: Signal
    samples: Samples
    seam: bool


class RecordSource:
    """A file's signals, side by side when their rates differ.

    :param loop: begin anew at the end, marking the seam.
    :param length: of the blocks, from the next one on.
    """

    def __init__(
        self, waveforms: Sequence[Waveform], loop: bool, clock: Clock, sleep: Sleep, length: FrameLength
    ) -> None:
        self._waveforms = waveforms
        self._signals = tuple(_signal(waveform) for waveform in waveforms)
        self._loop = loop
        self._clock = clock
        self._sleep = sleep
        self._length = length

    @property
    def signals(self) -> tuple[Signal, ...]:
        """See `Source`."""
        return self._signals

    async def pieces(self) -> AsyncIterator[Piece]:
        """See `Source`."""
        pacer = Pacer(self._clock, self._sleep)
        for block in self._blocks():
            time_ns, slept = await pacer.pass_by(block.begin_s, block.end_s)
            yield Piece(block.signal, block.samples, time_ns, block.seam or slept)

    def _blocks(self) -> Iterator[Block]:
        length_s = max(one.periods / one.sampling_rate_hz for one in self._waveforms)
        round_ = 0
        while True:
            pairs = zip(self._signals, self._waveforms, strict=True)
            rounds = [_cut(signal, waveform, round_ * length_s, self._length) for signal, waveform in pairs]
            yield from heapq.merge(*rounds, key=lambda block: block.end_s)
            if not self._loop:
                return
            round_ += 1


def _signal(waveform: Waveform) -> Signal:
    name = "ECG" if waveform.kind == "ecg" else waveform.kind
    return Signal(waveform.kind, name, waveform.sampling_rate_hz, waveform.leads)


def _cut(signal: Signal, waveform: Waveform, since_s: float, length: FrameLength) -> Iterator[Block]:
    """Cut a record; the last block before a gap or the end may be shorter."""
    rate = signal.sampling_rate_hz
    position = 0
    for run in waveform.pieces:
        start = 0
        while start < run.count:
            count = min(length.samples(rate, len(signal.leads)), run.count - start)
            begin_s = since_s + (run.offset + start) / rate
            samples = waveform.samples[position : position + count]
            yield Block(begin_s + count / rate, begin_s, signal, samples, seam=start == 0)
            position += count
            start += count
