"""The durable store: one append-only file per stream, ``directory/owner/stream-id.hzs``.

`StreamLog.append` returns when the frame is on the disk. After a crash the file is replayed: whole
records stay, a torn tail is cut. The owner is a room id; the store knows nothing else of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from media.clock import Clock
from media.errors import MALFORMED, NOT_FOUND, ErrorCode, LocalProtocolError, RemoteProtocolError
from media.limits import SIGNAL_MAX_MARK_BYTES
from media.signals import records
from media.signals.analysis.findings import Alarm
from media.signals.commit import AppendFile, CommitThread, Sync, Told, Write, store_fault
from media.signals.descriptor import StreamDescriptor, stream_uuid
from media.signals.errors import SIGNAL_LEAD_SET_CHANGED
from media.signals.formats.waveform import Waveform
from media.signals.frames import Frame, decode, encode, read_header
from media.signals.imported import write_stream
from media.signals.ledger import Fingerprints, StreamLedger
from media.signals.past import Past
from media.signals.replay import Spans, StoredStream, StreamIndex, frames_of, replay, scan

logger = logging.getLogger(__name__)

SUFFIX = ".hzs"
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class StreamLog:
    """One open stream. Made by `SignalStore.open`; closed as often as it was opened."""

    def __init__(
        self, store: SignalStore, owner: str, descriptor: StreamDescriptor, file: AppendFile
    ) -> None:
        self.owner = owner
        self.descriptor = descriptor
        self.ledger = StreamLedger()
        self.fingerprints = Fingerprints()
        self.users = 0
        self._store = store
        self._file = file
        self._pending: dict[int, list[Told]] = {}
        self._telling: list[tuple[list[Told], LocalProtocolError | None]] = []
        self._handed_over = 0
        self._told = 0
        self._settling: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def durable_sequence(self) -> int:
        """It and all before it are on the disk; -1 when none is."""
        return self.ledger.contiguous

    async def append(self, frame: Frame) -> None:
        """Return when ``frame`` is durable. A duplicate returns as soon as the first copy is.

        :raises LocalProtocolError: ``store_full``, ``store_failed`` or ``store_busy``; not stored.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.submit(frame.sequence, encode(frame), lambda fault: _resolve(future, fault))
        await future

    def submit(self, sequence: int, body: bytes, told: Told) -> None:
        """As `append`, for a host that does not wait frame by frame.

        :param body: the frame's bytes.
        :param told: called when it is durable, or with the fault that kept it from it. When several frames of
            a stream become durable together, all of them are in the `ledger` before the first is told.
        """
        waiting = self._pending.get(sequence)
        if waiting is not None:
            waiting.append(told)
        elif sequence in self.ledger:
            told(None)
        else:
            self._pending[sequence] = [told]
            try:
                self._store.commit(self._file, records.KIND_FRAME, body, partial(self._written, sequence))
                self._handed_over += 1
            except LocalProtocolError as fault:
                del self._pending[sequence]
                told(fault)

    def _written(self, sequence: int, fault: LocalProtocolError | None) -> None:
        if fault is None:
            self.ledger.add(sequence)
        self._tell_soon(self._pending.pop(sequence), fault)

    def lose(self, loss: records.Loss, told: Told) -> None:
        """Write into the record that frames never come.

        :param told: as in `submit`.
        """

        def done(fault: LocalProtocolError | None) -> None:
            if fault is None:
                self.ledger.add_range(loss.first, loss.last)
            self._tell_soon([told], fault)

        try:
            self._store.commit(self._file, records.KIND_LOST, loss.body(), done)
            self._handed_over += 1
        except LocalProtocolError as fault:
            told(fault)

    def _tell_soon(self, waiting: list[Told], fault: LocalProtocolError | None) -> None:
        """Behind all that became durable in the same round."""
        if not self._telling:
            asyncio.get_running_loop().call_soon(self._tell)
        self._telling.append((waiting, fault))

    def _tell(self) -> None:
        telling, self._telling = self._telling, []
        for waiting, fault in telling:
            for told in waiting:
                told(fault)
        self._told += len(telling)
        for number, future in self._settling:
            if number <= self._told:
                _resolve(future, None)
        self._settling = [one for one in self._settling if one[0] > self._told]

    async def settled(self) -> None:
        """Until everything that was handed over before was told of."""
        if self._told < self._handed_over:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._settling.append((self._handed_over, future))
            await future

    async def mark(self, code: str) -> None:
        """Write into the record that the stream broke off by fault ``code``.

        :raises LocalProtocolError: as `append`.
        """
        await self._note(records.KIND_MARK, records.mark_body(code))

    async def alarm(self, alarm: Alarm) -> None:
        """Write into the record how an alarm of the analysis stands.

        :raises LocalProtocolError: as `append`.
        """
        await self._note(records.KIND_ALARM, records.alarm_body(alarm))

    async def _note(self, kind: int, body: bytes) -> None:
        if len(body) > SIGNAL_MAX_MARK_BYTES:
            raise LocalProtocolError(MALFORMED, "mark")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._store.commit(self._file, kind, body, lambda fault: _resolve(future, fault))
        await asyncio.shield(future)

    async def close(self) -> None:
        """Wait for what is under way; close the file when nobody else has the stream open."""
        await self.settled()
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
        self.past = Past(self._existing)
        """Reads any part of what is stored, for those who look back."""
        self.trouble: ErrorCode | None = None
        """Why the last attempt to store failed; None when it did not."""
        self.failures = 0
        """Attempts that failed, since the start."""

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
                try:
                    log = await self._load(owner, path, descriptor)
                except LocalProtocolError as fault:
                    self._note(fault)
                    raise
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

        Blocks on the disk. Times are Unix seconds on this server's clock (`media.signals.clock`).

        :raises LocalProtocolError: ``not_found``, ``store_damaged``.
        """
        path, index = self.opened(owner, stream_id)
        for data in frames_of(path, index, start, end):
            yield decode(data, index.descriptor)

    def read_encoded(
        self,
        owner: str,
        stream_id: str,
        start: float | None = None,
        end: float | None = None,
        spans: Spans | None = None,
    ) -> Iterator[bytes]:
        """As `read`, but the frames' bytes as the device sent them.

        :param spans: only frames that lie in one of them as a whole.
        """
        yield from frames_of(*self.opened(owner, stream_id), start, end, spans)

    def first_in(self, owner: str, stream_id: str, spans: Spans) -> float | None:
        """Where the first frame inside ``spans`` begins, Unix seconds on this server's clock. Blocks."""
        path, index = self.opened(owner, stream_id)
        body = next(frames_of(path, index, None, None, spans), None)
        if body is None:
            return None
        header = read_header(body)
        return index.to_ours(header, header.device_time_ns) / 1e9

    def owner_of(self, stream_id: str) -> str | None:
        """Who owns a stream, looked for among all; None when it is nobody's. Blocks on the disk.

        :raises RemoteProtocolError: ``signal_malformed`` for what is no UUID.
        """
        found = next(self._directory.glob(f"*/{stream_uuid(stream_id)}{SUFFIX}"), None)
        return None if found is None else found.parent.name

    def opened(self, owner: str, stream_id: str) -> tuple[Path, StreamIndex]:
        """A stream's file and what it holds now; what is appended later is not in the index. Blocks.

        :raises LocalProtocolError: ``not_found``, ``store_damaged``.
        """
        return self._path(owner, stream_id), self._index(owner, stream_id)

    def keep(self, owner: str, descriptor: StreamDescriptor, waveform: Waveform, start_ns: int) -> None:
        """Store a whole stream from a file, all or nothing. Blocks.

        :param start_ns: when its first sample was measured, ns Unix.
        :raises LocalProtocolError: ``store_full``, ``store_failed``.
        """
        try:
            write_stream(self._path(owner, descriptor.stream_id), waveform, descriptor, start_ns)
        except OSError as problem:
            raise store_fault(problem) from problem

    def discard(self, owner: str) -> None:
        """Take back what `keep` stored for ``owner``. Idempotent. Blocks."""
        shutil.rmtree(self._owner_directory(owner), ignore_errors=True)

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

    def commit(self, file: AppendFile, kind: int, body: bytes, done: Told) -> None:
        """For `StreamLog`: hand one record to the commit thread."""
        if self._thread is None:
            self._thread = CommitThread(asyncio.get_running_loop(), note=self._note)
        self._thread.submit(file, records.record(kind, round(self._clock.wall() * 1e9), body), done)

    def free_bytes(self) -> int:
        """What the disk still holds for anybody; 0 when it cannot be asked."""
        try:
            return shutil.disk_usage(self._directory).free
        except OSError:
            return 0

    def _note(self, fault: LocalProtocolError | None) -> None:
        """Keep and log whether the disk takes what it is given: once when it stops, once when it goes on."""
        if fault is not None:
            self.failures += 1
            if self.trouble is not fault.code:
                logger.error("signals are not stored: %s; devices keep them", fault)
        elif self.trouble is not None:
            logger.warning("signals are stored again")
        self.trouble = None if fault is None else fault.code

    async def release(self, log: StreamLog) -> None:
        """For `StreamLog.close`."""
        log.users -= 1
        key = (log.owner, log.descriptor.stream_id)
        if log.users <= 0 and self._logs.get(key) is log:
            del self._logs[key]
            log.close_file()

    async def _load(self, owner: str, path: Path, descriptor: StreamDescriptor) -> StreamLog:
        try:
            index = await asyncio.to_thread(replay, path, descriptor)
            file = AppendFile(path, index.end, self._sync, self._write)
        except OSError as problem:
            raise store_fault(problem) from problem
        log = StreamLog(self, owner, index.descriptor, file)
        log.ledger = index.ledger
        logger.info("stream %s open: %d frames durable", descriptor.stream_id, len(index.ledger))
        return log

    def _index(self, owner: str, stream_id: str) -> StreamIndex:
        return scan(self._existing(owner, stream_id))

    def _existing(self, owner: str, stream_id: str) -> Path:
        path = self._path(owner, stream_id)
        if not path.is_file():
            raise LocalProtocolError(NOT_FOUND, stream_id)
        return path

    def _path(self, owner: str, stream_id: str) -> Path:
        return self._owner_directory(owner) / f"{stream_uuid(stream_id)}{SUFFIX}"

    def _owner_directory(self, owner: str) -> Path:
        if not _OWNER.fullmatch(owner):
            raise LocalProtocolError(MALFORMED, "owner")
        return self._directory / owner
