"""What a stream's file holds: after a crash, for a listing, to find frames again. Blocks on the disk."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from media.signals import records
from media.signals.commit import create_file
from media.signals.descriptor import StreamDescriptor
from media.signals.frames import FrameHeader, read_header
from media.signals.ledger import StreamLedger

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredStream:
    """What the store holds of one stream.

    :param frames: durable frames.
    :param samples: durable samples of each lead.
    :param start: time of the first sample on this server's clock, Unix seconds; 0 when empty.
    :param end: time behind the last sample, likewise.
    :param missing: sequence numbers that never came, (first, last).
    :param marks: fault codes by which the stream broke off.
    """

    descriptor: StreamDescriptor
    frames: int
    samples: int
    start: float
    end: float
    missing: tuple[tuple[int, int], ...]
    marks: tuple[str, ...]


@dataclass
class StreamIndex:
    """What a replay of the file finds out."""

    descriptor: StreamDescriptor
    end: int
    ledger: StreamLedger = field(default_factory=StreamLedger)
    offsets: dict[int, int] = field(default_factory=dict)
    samples: int = 0
    first_ns: int | None = None
    last_ns: int = 0
    clock_offset_ns: int | None = None
    marks: list[str] = field(default_factory=list)

    def add(self, found: records.Record) -> None:
        self.end = found.end
        if found.kind == records.KIND_MARK:
            self.marks.append(records.mark_code(found.body))
            return
        header = read_header(found.body)
        if not self.ledger.add(header.sequence):
            return
        self.offsets[header.sequence] = found.offset
        self.samples += header.samples_per_lead
        self._time(header, found.received_ns)

    def _time(self, header: FrameHeader, received_ns: int) -> None:
        end_ns = frame_end_ns(header)
        first = header.device_time_ns
        self.first_ns = first if self.first_ns is None else min(first, self.first_ns)
        self.last_ns = max(self.last_ns, end_ns)
        offset = received_ns - end_ns
        if self.clock_offset_ns is None or offset < self.clock_offset_ns:
            self.clock_offset_ns = offset

    def stored(self) -> StoredStream:
        offset = self.clock_offset_ns or 0
        return StoredStream(
            self.descriptor,
            frames=len(self.ledger),
            samples=self.samples,
            start=0.0 if self.first_ns is None else (self.first_ns + offset) / 1e9,
            end=0.0 if self.first_ns is None else (self.last_ns + offset) / 1e9,
            missing=tuple(self.ledger.missing()),
            marks=tuple(self.marks),
        )


def frame_end_ns(header: FrameHeader) -> int:
    """Device time behind the frame's last sample, ns."""
    return header.device_time_ns + header.samples_per_lead * 10**12 // header.sampling_rate_mhz


def overlaps(header: FrameHeader, low: float | None, high: float | None) -> bool:
    """Whether a frame has samples in [low, high), ns of the device's clock; None is no bound."""
    early = low is not None and frame_end_ns(header) <= low
    late = high is not None and header.device_time_ns >= high
    return not early and not late


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
