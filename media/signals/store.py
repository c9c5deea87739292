"""The durable store: one append-only file per stream, ``directory/owner/stream-id.hzs``.

`StreamLog.append` returns when the frame is on the disk. After a crash the file is replayed: whole
records stay, a torn tail is cut. The owner is a room id; the store knows nothing else of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from media.clock import Clock
from media.errors import MALFORMED, NOT_FOUND, LocalProtocolError, RemoteProtocolError
from media.limits import SIGNAL_MAX_MARK_BYTES
from media.signals import records
from media.signals.commit import AppendFile, CommitThread, Sync, Write, create_file, store_fault
from media.signals.descriptor import StreamDescriptor, stream_uuid
from media.signals.errors import SIGNAL_LEAD_SET_CHANGED
from media.signals.frames import Frame, FrameHeader, decode, encode, read_header
from media.signals.ledger import StreamLedger

logger = logging.getLogger(__name__)

SUFFIX = ".hzs"
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
class _Index:
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


class StreamLog:
    """One open stream. Made by `SignalStore.open`; closed as often as it was opened."""

    def __init__(
        self, store: SignalStore, owner: str, descriptor: StreamDescriptor, file: AppendFile
    ) -> None:
        self.owner = owner
        self.descriptor = descriptor
        self.ledger = StreamLedger()
        self.users = 0
        self._store = store
        self._file = file
        self._pending: dict[int, asyncio.Future[None]] = {}

    @property
    def durable_sequence(self) -> int:
        """It and all before it are on the disk; -1 when none is."""
        return self.ledger.contiguous

    async def append(self, frame: Frame, data: bytes | None = None) -> None:
        """Return when ``frame`` is durable. A duplicate returns as soon as the first copy is.

        :param data: the frame's bytes as they came, when they are at hand.
        :raises LocalProtocolError: ``store_full``, ``store_failed`` or ``store_busy``; not stored.
        """
        await asyncio.shield(self.submit(frame, data))

    def submit(self, frame: Frame, data: bytes | None = None) -> asyncio.Future[None]:
        """As `append`, but the future itself: for a host that does not wait frame by frame."""
        sequence = frame.sequence
        waiting = self._pending.get(sequence)
        if waiting is not None:
            return waiting
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if sequence in self.ledger:
            future.set_result(None)
            return future
        body = data if data is not None else encode(frame)

        def done(fault: LocalProtocolError | None) -> None:
            self._pending.pop(sequence, None)
            if fault is None:
                self.ledger.add(sequence)
            _resolve(future, fault)

        try:
            self._store.commit(self._file, records.KIND_FRAME, body, done)
        except LocalProtocolError as fault:
            future.set_exception(fault)
        else:
            self._pending[sequence] = future
        return future

    async def mark(self, code: str) -> None:
        """Write into the record that the stream broke off by fault ``code``.

        :raises LocalProtocolError: as `append`.
        """
        body = records.mark_body(code)
        if len(body) > SIGNAL_MAX_MARK_BYTES:
            raise LocalProtocolError(MALFORMED, "mark")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._store.commit(self._file, records.KIND_MARK, body, lambda fault: _resolve(future, fault))
        await asyncio.shield(future)

    async def close(self) -> None:
        """Wait for what is under way; close the file when nobody else has the stream open."""
        while self._pending:
            await asyncio.wait(list(self._pending.values()))
        await self._store.release(self)

    def close_file(self) -> None:
        """For the store alone."""
        self._file.close()


def _resolve(future: asyncio.Future[None], fault: LocalProtocolError | None) -> None:
    if future.done():
        return
    if fault is None:
        future.set_result(None)
    else:
        future.set_exception(fault)


class SignalStore:
    """All streams below ``directory``.

    :param sync: how a file is made durable; tests count it.
    :param write: ``os.pwrite``; tests fill the disk with it.
    """

    def __init__(
        self, directory: Path, clock: Clock, sync: Sync = os.fdatasync, write: Write = os.pwrite
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._sync = sync
        self._write = write
        self._logs: dict[tuple[str, str], StreamLog] = {}
        self._opening = asyncio.Lock()
        self._thread: CommitThread | None = None

    async def open(self, owner: str, descriptor: StreamDescriptor) -> StreamLog:
        """Open a stream, new or known; the same log when it is open already.

        :raises RemoteProtocolError: ``signal_lead_set_changed`` when the stream is known with other
            measuring fields; the stored stream is marked.
        :raises LocalProtocolError: ``malformed`` owner, ``store_full``, ``store_failed``, ``store_damaged``.
        """
        path = self._path(owner, descriptor.stream_id)
        async with self._opening:
            log = self._logs.get((owner, descriptor.stream_id))
            if log is None:
                log = await self._load(owner, path, descriptor)
                self._logs[owner, descriptor.stream_id] = log
            log.users += 1
        if log.descriptor.crc != descriptor.crc:
            await log.mark(SIGNAL_LEAD_SET_CHANGED.code)
            await log.close()
            raise RemoteProtocolError(
                SIGNAL_LEAD_SET_CHANGED, "stream is known with another lead set or rate"
            )
        return log

    def read(
        self, owner: str, stream_id: str, start: float | None = None, end: float | None = None
    ) -> Iterator[Frame]:
        """Stored frames by sequence number; with bounds, those that overlap [start, end).

        Blocks on the disk. Times are Unix seconds on this server's clock: device time is shifted by
        the smallest difference seen between arrival and measurement.

        :raises LocalProtocolError: ``not_found``, ``store_damaged``.
        """
        index = self._index(owner, stream_id)
        for data in self._frames(self._path(owner, stream_id), index, start, end):
            yield decode(data, index.descriptor)

    def read_encoded(
        self, owner: str, stream_id: str, start: float | None = None, end: float | None = None
    ) -> Iterator[bytes]:
        """As `read`, but the frames' bytes as the device sent them."""
        index = self._index(owner, stream_id)
        yield from self._frames(self._path(owner, stream_id), index, start, end)

    def _frames(self, path: Path, index: _Index, start: float | None, end: float | None) -> Iterator[bytes]:
        shift = index.clock_offset_ns or 0
        low = None if start is None else start * 1e9 - shift
        high = None if end is None else end * 1e9 - shift
        with path.open("rb") as file:
            for sequence in sorted(index.offsets):
                found = records.read_record(file, index.offsets[sequence])
                if found is not None and _overlaps(read_header(found.body), low, high):
                    yield found.body

    def streams(self, owner: str) -> list[StoredStream]:
        """What is stored of each stream of ``owner``, by time of the first sample. Blocks on the disk."""
        directory = self._owner_directory(owner)
        found = [self._index(owner, path.stem).stored() for path in sorted(directory.glob(f"*{SUFFIX}"))]
        return sorted(found, key=lambda stored: stored.start)

    async def close(self) -> None:
        """Make everything durable that was handed over, and close all files. Idempotent."""
        if self._thread is not None:
            await self._thread.close()
        for log in self._logs.values():
            log.close_file()
        self._logs.clear()

    def commit(
        self, file: AppendFile, kind: int, body: bytes, done: Callable[[LocalProtocolError | None], None]
    ) -> None:
        """For `StreamLog`: hand one record to the commit thread."""
        if self._thread is None:
            self._thread = CommitThread(asyncio.get_running_loop())
        self._thread.submit(file, records.record(kind, round(self._clock.wall() * 1e9), body), done)

    async def release(self, log: StreamLog) -> None:
        """For `StreamLog.close`."""
        log.users -= 1
        key = (log.owner, log.descriptor.stream_id)
        if log.users <= 0 and self._logs.get(key) is log:
            del self._logs[key]
            log.close_file()

    async def _load(self, owner: str, path: Path, descriptor: StreamDescriptor) -> StreamLog:
        try:
            index = await asyncio.to_thread(_replay, path, descriptor)
            file = AppendFile(path, index.end, self._sync, self._write)
        except OSError as problem:
            raise store_fault(problem) from problem
        log = StreamLog(self, owner, index.descriptor, file)
        log.ledger = index.ledger
        logger.info("stream %s open: %d frames durable", descriptor.stream_id, len(index.ledger))
        return log

    def _index(self, owner: str, stream_id: str) -> _Index:
        path = self._path(owner, stream_id)
        if not path.is_file():
            raise LocalProtocolError(NOT_FOUND, stream_id)
        return _scan(path)

    def _path(self, owner: str, stream_id: str) -> Path:
        return self._owner_directory(owner) / f"{stream_uuid(stream_id)}{SUFFIX}"

    def _owner_directory(self, owner: str) -> Path:
        if not _OWNER.fullmatch(owner):
            raise LocalProtocolError(MALFORMED, "owner")
        return self._directory / owner


def _overlaps(header: FrameHeader, low: float | None, high: float | None) -> bool:
    early = low is not None and frame_end_ns(header) <= low
    late = high is not None and header.device_time_ns >= high
    return not early and not late


def _scan(path: Path) -> _Index:
    with path.open("rb") as file:
        return _read_index(file)


def _read_index(file: BinaryIO) -> _Index:
    descriptor = records.read_file_header(file)
    index = _Index(descriptor, file.tell())
    for found in records.scan(file, index.end):
        index.add(found)
    return index


def _replay(path: Path, descriptor: StreamDescriptor) -> _Index:
    """Read a stream's file and cut its torn tail; make the file when there is none."""
    if not path.exists():
        create_file(path, records.file_header(descriptor))
    index = _scan(path)
    torn = path.stat().st_size - index.end
    if torn > 0:
        logger.warning("stream %s: torn tail of %d bytes cut", descriptor.stream_id, torn)
        with path.open("r+b") as file:
            file.truncate(index.end)
            os.fsync(file.fileno())
    return index
