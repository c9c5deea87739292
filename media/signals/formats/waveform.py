"""A recorded signal as every file format here gives and takes it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.frames import Samples

COMMENT = '"'
_WITH_SYMBOL = re.compile(r"(.) \|(?: (.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples that were never kept.

    :param position: index into ``samples`` of the first sample behind the gap.
    :param missing: sampling periods that it lasts, at least 1.
    """

    position: int
    missing: int


@dataclass(frozen=True, slots=True)
class Note:
    """Something said of a moment: a beat, a seam, a mark.

    :param position: sampling periods since the start, gaps counted.
    :param symbol: as WFDB writes annotations: ``N`` a normal beat, ``"`` a comment, ``~`` signal quality.
    :param text: what a person reads.
    """

    position: int
    symbol: str
    text: str = ""

    @classmethod
    def of_text(cls, position: int, text: str) -> Note:
        """Where annotations are text alone: ``N | text`` has a symbol, the rest are comments."""
        match = _WITH_SYMBOL.fullmatch(text)
        return cls(position, match[1], match[2] or "") if match else cls(position, COMMENT, text)

    def as_text(self) -> str:
        """What `of_text` reads."""
        if self.symbol == COMMENT and self.text and not _WITH_SYMBOL.fullmatch(self.text):
            return self.text
        return f"{self.symbol} | {self.text}".rstrip()


@dataclass(frozen=True, slots=True)
class Piece:
    """A run without a gap.

    :param offset: sampling periods from the start of the record to its first sample.
    :param count: samples of each lead.
    """

    offset: int
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """A record: all leads at one rate, on one grid of sampling periods, holes known.

    :param sampling_rate_hz: of every lead.
    :param samples: int16 as stored, gaps left out, shape (samples, leads).
    :param start_ns: Unix time of the first sample, whole microseconds in ns; None when the file does not say.
        A file without a time zone is taken as UTC.
    :param gaps: ascending by position.
    :param notes: ascending by position.
    :param label: what the file calls itself; never a person's name.
    :param kind: ``ecg``, or ``signal`` when no lead looks like one of an ECG.
    """

    sampling_rate_hz: float
    leads: tuple[Lead, ...]
    samples: Samples
    start_ns: int | None = None
    gaps: tuple[Gap, ...] = ()
    notes: tuple[Note, ...] = ()
    label: str = ""
    kind: str = "ecg"

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The runs between the gaps."""
        return tuple(_pieces(len(self.samples), self.gaps))

    @property
    def periods(self) -> int:
        """Sampling periods from the first to behind the last sample, gaps counted."""
        return len(self.samples) + sum(gap.missing for gap in self.gaps)

    def descriptor(self, stream_id: str, label: str = "") -> StreamDescriptor:
        """The stream that would carry this waveform."""
        return StreamDescriptor(stream_id, self.kind, label, self.sampling_rate_hz, self.leads)


def gaps_between(pieces: tuple[Piece, ...]) -> tuple[Gap, ...]:
    """The gaps that lie between ``pieces``, ascending by offset; pieces that touch have none."""
    gaps: list[Gap] = []
    position = 0
    for before, after in itertools.pairwise(pieces):
        position += before.count
        missing = after.offset - before.offset - before.count
        if missing > 0:
            gaps.append(Gap(position, missing))
    return tuple(gaps)


def _pieces(samples: int, gaps: tuple[Gap, ...]) -> Iterator[Piece]:
    begin = shift = 0
    for gap in gaps:
        if gap.position > begin:
            yield Piece(begin + shift, gap.position - begin)
        begin = gap.position
        shift += gap.missing
    if samples > begin:
        yield Piece(begin + shift, samples - begin)
