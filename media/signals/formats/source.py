"""A record on its way into a file: what it measures, where its gaps are, and its samples piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from media.errors import LocalProtocolError
from media.limits import SIGNAL_EXPORT_CHUNK_VALUES
from media.signals.descriptor import Lead
from media.signals.errors import SIGNAL_EXPORT_TOO_LONG
from media.signals.formats.waveform import Gap, Note, Piece, Waveform, gaps_between
from media.signals.frames import Samples

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class About:
    """What a file may say of the circumstances; empty is unknown.

    :param identifier: UUID of the record, from which a format's own identifiers are derived.
    :param patient_id: as the hospital numbers its patients.
    :param patient_name_en: in letters; what a format that holds ASCII alone is given.
    :param sex: ``male``, ``female`` or empty.
    :param device: what measured.
    :param subject: a FHIR reference to the patient, ``Patient/ID``.
    """

    identifier: str
    patient_id: str = ""
    patient_name: str = ""
    patient_name_en: str = ""
    birth_date: date | None = None
    sex: str = ""
    device: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A record to be written.

    :param start_ns: Unix time of the first sample, whole microseconds in ns.
    :param pieces: runs without a gap, ascending, the first at offset 0.
    :param notes: ascending by position.
    :param blocks: begins anew each time; all samples in order, gaps left out, in blocks of any length.
    """

    kind: str
    label: str
    sampling_rate_hz: float
    leads: tuple[Lead, ...]
    start_ns: int
    pieces: tuple[Piece, ...]
    notes: tuple[Note, ...]
    blocks: Callable[[], Iterator[Samples]]

    @classmethod
    def of(cls, waveform: Waveform) -> Source:
        """A record that is in memory; one without a date begins in 1970."""
        return cls(
            waveform.kind,
            waveform.label,
            waveform.sampling_rate_hz,
            waveform.leads,
            waveform.start_ns or 0,
            waveform.pieces,
            waveform.notes,
            lambda: iter((waveform.samples,)),
        )

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return gaps_between(self.pieces)

    @property
    def periods(self) -> int:
        """Sampling periods from the first to behind the last sample, gaps counted."""
        return self.pieces[-1].offset + self.pieces[-1].count if self.pieces else 0

    @property
    def start(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.start_ns // 1000)

    def at(self, position: int) -> datetime:
        """The time of a place on the grid, to the microsecond."""
        return self.start + timedelta(microseconds=round(position / self.sampling_rate_hz * 1e6))

    def check_length(self, values: int) -> None:
        """:raises LocalProtocolError: ``signal_export_too_long`` when the grid has more than ``values``."""
        if self.periods * len(self.leads) > values:
            seconds = values / len(self.leads) / self.sampling_rate_hz
            raise LocalProtocolError(SIGNAL_EXPORT_TOO_LONG, f"at most {seconds:.0f} s")


def placed_blocks(source: Source) -> Iterator[tuple[int, Samples]]:
    """Blocks of bounded size that lie in one piece each, with the place of their first sample."""
    size = max(1, SIGNAL_EXPORT_CHUNK_VALUES // len(source.leads))
    pieces = iter(source.pieces)
    piece, done = next(pieces), 0
    for block in source.blocks():
        begin = 0
        while begin < len(block):
            if done == piece.count:
                piece, done = next(pieces), 0
            part = block[begin : begin + min(size, piece.count - done)]
            yield piece.offset + done, part
            begin += len(part)
            done += len(part)


def filled_blocks(source: Source, filling: int) -> Iterator[Samples]:
    """All periods of the grid in blocks of bounded size; ``filling`` stands where samples are missing."""
    size = max(1, SIGNAL_EXPORT_CHUNK_VALUES // len(source.leads))
    at = 0
    for place, block in placed_blocks(source):
        while at < place:
            count = min(size, place - at)
            yield np.full((count, len(source.leads)), filling, np.int16)
            at += count
        yield block
        at += len(block)
