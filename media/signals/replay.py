"""What a stream's file holds: after a crash, for a listing, to find frames again. Blocks on the disk."""

from __future__ import annotations

import logging
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from media.signals import records
from media.signals.analysis.findings import Alarm
from media.signals.clock import ClockLine, DeviceClock, FollowedClock
from media.signals.commit import create_file
from media.signals.descriptor import StreamDescriptor
from media.signals.frames import FrameHeader, read_header
from media.signals.ledger import StreamLedger
from media.signals.table import FrameTable

logger = logging.getLogger(__name__)

NEAR_NS = 4_000_000_000
"""Between two settings of a clock a frame's time strays no further than a second from its line, and a frame
lasts two at most: looked for so far around, each is found."""

Spans = Sequence[tuple[float, float | None]]
"""Stretches of time, Unix seconds on this server's clock; None: it goes on."""


@dataclass(frozen=True, slots=True)
class StoredStream:
    """What the store holds of one stream.

    :param frames: durable frames.
    :param samples: durable samples of each lead.
    :param start: time of the first sample on this server's clock, Unix seconds; 0 when empty.
    :param end: time behind the last sample, likewise.
    :param missing: sequence numbers that never came, (first, last), lost ones among them.
    :param losses: frames that the device said it can never send, and why.
    :param marks: fault codes by which the stream broke off, or its clock was set.
    :param alarms: of the analysis, each as it stood last, in the order in which they were raised.
    :param drift_ppm: how much faster this server's clock runs than the device's, as last seen.
    """

    descriptor: StreamDescriptor
    frames: int
    samples: int
    start: float
    end: float
    missing: tuple[tuple[int, int], ...]
    losses: tuple[records.Loss, ...]
    marks: tuple[str, ...]
    drift_ppm: float = 0.0
    alarms: tuple[Alarm, ...] = ()


@dataclass(slots=True)
class Era:
    """Frames between two settings of the device's clock.

    :param first: their lowest sequence number.
    :param line: from the device's clock to ours.
    :param first_ns: earliest begin, device time.
    :param last_ns: latest end, likewise.
    """

    first: int
    line: ClockLine
    first_ns: int
    last_ns: int


@dataclass
class StreamIndex:
    """What a replay of the file finds out.

    :param marked_ns: when each of ``marks`` was made, this server's clock.
    """

    descriptor: StreamDescriptor
    end: int
    ledger: StreamLedger = field(default_factory=StreamLedger)
    frames: FrameTable = field(default_factory=FrameTable)
    samples: int = 0
    marks: list[str] = field(default_factory=list)
    marked_ns: list[int] = field(default_factory=list)
    losses: list[records.Loss] = field(default_factory=list)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    eras: list[Era] = field(default_factory=list)
    _clock: FollowedClock = field(default_factory=lambda: FollowedClock(DeviceClock()))

    def add(self, found: records.Record) -> None:
        self.end = found.end
        if found.kind == records.KIND_MARK:
            self.marks.append(records.mark_code(found.body))
            self.marked_ns.append(found.received_ns)
            return
        if found.kind == records.KIND_LOST:
            self.losses.append(loss := records.Loss.read(found.body))
            self.ledger.add_range(loss.first, loss.last)
            return
        if found.kind == records.KIND_ALARM:
            alarm = records.alarm_of(found.body)
            self.alarms[alarm.id] = alarm
            return
        header = read_header(found.body)
        if not self.ledger.add(header.sequence):
            return
        self.frames.add(header.sequence, found.offset, header.device_time_ns)
        self.samples += header.samples_per_lead
        self._time(header, found.received_ns)

    def to_ours(self, header: FrameHeader, device_ns: int) -> int:
        """A frame's device time on this server's clock, ns."""
        return self._era(header.sequence).line.to_ours(device_ns)

    def _time(self, header: FrameHeader, received_ns: int) -> None:
        jumped = self._clock.observe(header, received_ns)
        begin, end = header.device_time_ns, header.end_ns
        if jumped or not self.eras:
            self.eras.append(Era(header.sequence, ClockLine(end, received_ns - end), begin, end))
        # Before the first live frame, the backlog tells the offset, too late by what it waited.
        newest = self.eras[-1]
        newest.line = self._clock.line or min(
            newest.line, ClockLine(end, received_ns - end), key=lambda line: line.offset_ns
        )
        era = self._era(header.sequence)
        era.first_ns, era.last_ns = min(era.first_ns, begin), max(era.last_ns, end)

    def _era(self, sequence: int) -> Era:
        later = bisect_right(self.eras, sequence, key=lambda era: era.first)
        return self.eras[max(0, later - 1)]

    def _missing(self) -> list[tuple[int, int]]:
        if not self.losses:
            return self.ledger.missing()
        came = StreamLedger()
        for sequence in self.frames:
            came.add(sequence)
        # Behind the last frame, too: numbers that are settled and have no frame.
        came.add(self.ledger.highest + 1)
        return came.missing()

    def stored(self) -> StoredStream:
        return StoredStream(
            self.descriptor,
            frames=len(self.frames),
            samples=self.samples,
            start=min((era.line.to_ours(era.first_ns) for era in self.eras), default=0) / 1e9,
            end=max((era.line.to_ours(era.last_ns) for era in self.eras), default=0) / 1e9,
            missing=tuple(self._missing()),
            losses=tuple(self.losses),
            marks=tuple(self.marks),
            alarms=tuple(self.alarms.values()),
            drift_ppm=self.eras[-1].line.drift * 1e6 if self.eras else 0.0,
        )

    def places(self, start: float | None, end: float | None) -> Iterator[int]:
        """Where in `frames` those stand that may overlap [start, end), and some around them."""
        for number, era in enumerate(self.eras):
            behind = self.eras[number + 1].first if number + 1 < len(self.eras) else None
            low = 0 if number == 0 else self.frames.place_of(era.first)
            high = len(self.frames) if behind is None else self.frames.place_of(behind)
            first = None if start is None else era.line.to_device(round(start * 1e9)) - NEAR_NS
            last = None if end is None else era.line.to_device(round(end * 1e9)) + NEAR_NS
            yield from self.frames.near(range(low, high), first, last)

    def overlaps(self, header: FrameHeader, start: float | None, end: float | None) -> bool:
        """Whether a frame has samples in [start, end), Unix seconds on this server's clock; None is no
        bound.
        """
        early = start is not None and self.to_ours(header, header.end_ns) <= start * 1e9
        late = end is not None and self.to_ours(header, header.device_time_ns) >= end * 1e9
        return not early and not late

    def lies_in(self, header: FrameHeader, spans: Spans) -> bool:
        """Whether all of a frame is inside one of ``spans``."""
        begin = self.to_ours(header, header.device_time_ns) / 1e9
        behind = self.to_ours(header, header.end_ns) / 1e9
        return any(start <= begin and (end is None or behind <= end) for start, end in spans)


def frames_of(
    path: Path, index: StreamIndex, start: float | None, end: float | None, spans: Spans | None = None
) -> Iterator[bytes]:
    """The bytes of the frames in ``index`` that overlap [start, end), by sequence number.

    :param spans: only frames that lie in one of them as a whole.
    """
    for _, body in headed_frames(path, index, start, end, spans):
        yield body


def headed_frames(
    path: Path, index: StreamIndex, start: float | None, end: float | None, spans: Spans | None = None
) -> Iterator[tuple[FrameHeader, bytes]]:
    """As `frames_of`, each with its header."""
    with path.open("rb") as file:
        for place in index.places(start, end):
            sequence, offset = index.frames.at(place)
            found = records.read_record(file, offset)
            if found is None or found.kind != records.KIND_FRAME:
                continue
            header = read_header(found.body)
            # What was cut off after a failed sync may have been written over.
            if header.sequence != sequence or not index.overlaps(header, start, end):
                continue
            if spans is None or index.lies_in(header, spans):
                yield header, found.body


def scan(path: Path) -> StreamIndex:
    """Read a stream's file to its last whole record.

    :raises LocalProtocolError: ``store_damaged``.
    """
    with path.open("rb") as file:
        descriptor = records.read_file_header(file)
        index = StreamIndex(descriptor, file.tell())
        for found in records.scan(file, index.end):
            index.add(found)
    return index


def replay(path: Path, descriptor: StreamDescriptor) -> StreamIndex:
    """Read a stream's file and cut its torn tail; make the file when there is none."""
    if not path.exists():
        create_file(path, records.file_header(descriptor))
    index = scan(path)
    torn = path.stat().st_size - index.end
    if torn > 0:
        logger.warning("stream %s: torn tail of %d bytes cut", descriptor.stream_id, torn)
        with path.open("r+b") as file:
            file.truncate(index.end)
            os.fsync(file.fileno())
    return index
