"""A stream of the store as a record that can be written: frames laid on one grid of sampling periods."""

from __future__ import annotations

from collections.abc import Iterator

from media.errors import LocalProtocolError
from media.signals.errors import SIGNAL_EXPORT_EMPTY
from media.signals.formats.source import Source
from media.signals.formats.waveform import COMMENT, Note, Piece
from media.signals.frames import FLAG_SEAM, FrameHeader, Samples, decode, read_header
from media.signals.replay import Spans, StreamIndex, frames_of
from media.signals.store import SignalStore

_MICROSECOND = 1000  # ns
_MARK_LATE_S = 10  # a device that breaks its word is cut off at its next frame


def stored_source(
    store: SignalStore,
    owner: str,
    stream_id: str,
    start: float | None = None,
    end: float | None = None,
    spans: Spans | None = None,
) -> Source:
    """Whole frames that overlap [start, end), Unix seconds on this server's clock; where ``spans`` are given
    those that lie in one of them, and what is left out in between is a gap. Blocks on the disk.

    Frames that follow each other without a seam are one run, whatever the device's clock says of them:
    samples are counted, not timed. Where a frame is missing, or the source began anew, the clock says how
    many sampling periods went by; a missing frame is at least one.

    :raises LocalProtocolError: ``not_found``, ``store_damaged``; ``signal_export_empty`` when nothing was
        recorded in that time.
    """
    path, index = store.opened(owner, stream_id)
    grid = _Grid(index)
    for body in frames_of(path, index, start, end, spans):
        grid.add(read_header(body))
    if not grid.pieces:
        raise LocalProtocolError(SIGNAL_EXPORT_EMPTY)

    def blocks() -> Iterator[Samples]:
        return (decode(body, index.descriptor).samples for body in frames_of(path, index, start, end, spans))

    descriptor = index.descriptor
    return Source(
        descriptor.kind,
        descriptor.label,
        descriptor.sampling_rate_mhz / 1000,
        descriptor.leads,
        round(grid.start_ns / _MICROSECOND) * _MICROSECOND,
        tuple(grid.pieces),
        grid.notes(),
        blocks,
    )


class _Grid:
    """Where each frame lies, counted from the first sample."""

    def __init__(self, index: StreamIndex) -> None:
        self.start_ns = 0
        self.pieces: list[Piece] = []
        self._index = index
        self._seams: list[Note] = []
        self._sequence = -1
        self._end_ns = 0

    def add(self, header: FrameHeader) -> None:
        """The next frame by sequence number."""
        begin_ns = self._index.to_ours(header, header.device_time_ns)
        if not self.pieces:
            self.start_ns = begin_ns
            self.pieces.append(Piece(0, header.samples_per_lead))
        else:
            self._follow(header, begin_ns)
        self._sequence = header.sequence
        self._end_ns = self._index.to_ours(header, header.end_ns)

    def _follow(self, header: FrameHeader, begin_ns: int) -> None:
        lost = header.sequence != self._sequence + 1
        seam = bool(header.flags & FLAG_SEAM)
        missing = 0
        if lost or seam:
            periods = round((begin_ns - self._end_ns) * header.sampling_rate_mhz / 1e12)
            missing = max(periods, 1 if lost else 0)
        last = self.pieces[-1]
        end = last.offset + last.count
        if missing:
            self.pieces.append(Piece(end + missing, header.samples_per_lead))
        else:
            self.pieces[-1] = Piece(last.offset, last.count + header.samples_per_lead)
        if seam:
            self._seams.append(Note(end + missing, COMMENT, "seam"))

    def notes(self) -> tuple[Note, ...]:
        """Seams, and the marks that were made in this time."""
        rate = self._index.descriptor.sampling_rate_mhz
        end = self.pieces[-1].offset + self.pieces[-1].count
        marks = [
            Note(round((at - self.start_ns) * rate / 1e12), COMMENT, f"mark {code}")
            for at, code in zip(self._index.marked_ns, self._index.marks, strict=True)
        ]
        # A mark is made when a frame was refused or the clock was set: the last may lie behind the samples.
        late = end + _MARK_LATE_S * rate // 1000
        inside = [Note(min(n.position, end - 1), n.symbol, n.text) for n in marks if 0 <= n.position < late]
        return tuple(sorted([*self._seams, *inside], key=lambda note: note.position))
