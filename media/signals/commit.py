"""One thread that makes appended bytes durable: many writers, one fsync per file and round (group commit)."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from media.errors import LocalProtocolError
from media.limits import (
    SIGNAL_COMMIT_BUSY_FILES,
    SIGNAL_COMMIT_FILE_S,
    SIGNAL_COMMIT_ROUND_FILES,
    SIGNAL_STORE_QUEUE_BYTES,
)
from media.signals.errors import STORE_BUSY, STORE_FAILED, STORE_FULL

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

Sync = Callable[[int], None]
Write = Callable[[int, bytes, int], int]
Told = Callable[[LocalProtocolError | None], None]


def store_fault(problem: OSError) -> LocalProtocolError:
    """The fault that a failed system call becomes: ``store_full`` or ``store_failed``."""
    code = STORE_FULL if problem.errno in DISK_FULL else STORE_FAILED
    return LocalProtocolError(code, os.strerror(problem.errno or 0))


def create_file(path: Path, head: bytes) -> None:
    """Make a file that begins with ``head``: after a crash it is there whole, or not at all.

    :raises OSError: whatever the disk says.
    """
    make_directory(path.parent)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(head)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, so that a power cut does not take it away again."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make a file's name durable, as `fsync` does its content."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AppendFile:
    """A file that only grows. Its first ``size`` bytes are durable; what lies behind is cut off again.

    Used by one thread at a time: first by its opener, then by the commit thread.
    """

    def __init__(self, path: Path, size: int, sync: Sync = os.fdatasync, write: Write = os.pwrite) -> None:
        self.path = path
        self.size = size
        self._sync = sync
        self._write = write
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def append(self, data: bytes) -> None:
        """Write and sync ``data``, whole or not at all.

        :raises LocalProtocolError: ``store_full`` or ``store_failed``; the file is as before.
        """
        try:
            self._write_all(data)
            self._sync(self._fd)
        except OSError as problem:
            # After a failed fsync Linux forgets which pages were dirty: nothing behind `size` may be trusted.
            self._cut()
            raise store_fault(problem) from problem
        self.size += len(data)

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write_all(self, data: bytes) -> None:
        offset = self.size
        rest = data
        while rest:
            written = self._write(self._fd, rest, offset)
            offset += written
            rest = rest[written:]

    def _cut(self) -> None:
        try:
            os.ftruncate(self._fd, self.size)
        except OSError as problem:
            raise store_fault(problem) from problem


class _Job(NamedTuple):
    file: AppendFile
    data: bytes
    done: Told


_Result = tuple[_Job, LocalProtocolError | None]


class CommitThread:
    """Takes what waits, writes it file by file with one sync each, and tells; then again.

    While one round syncs, the next one gathers. A round takes at most `SIGNAL_COMMIT_ROUND_FILES`, those that
    wait longest: what is told of many comes to the event loop in portions. After a round of many files
    it rests, the longer the more they were, so that of each stream several frames share a sync and an
    acknowledgement, and the syncs of a second have a bound: each takes the interpreter away from who moves
    frames, and gives it back.

    :param rest: waits so many seconds, or less when the thread is to end; tests count it.
    :param note: hears on the event loop how each append went, before its own ``done``.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        rest: Callable[[float], object] | None = None,
        note: Told | None = None,
    ) -> None:
        self._loop = loop
        self._note = note
        self._waiting: dict[AppendFile, list[_Job]] = {}
        self._waiting_bytes = 0
        self._closed = False
        self._closing = threading.Event()
        self._rest = rest or self._closing.wait
        self._lock = threading.Lock()
        self._asleep = False
        self._bell = threading.Lock()
        self._bell.acquire()
        self._thread = threading.Thread(target=self._run, name="signal-commit", daemon=True)
        self._thread.start()

    def submit(self, file: AppendFile, data: bytes, done: Told) -> None:
        """Append ``data`` to ``file``; ``done`` is called on the event loop, with a fault or None.

        :raises LocalProtocolError: ``store_busy`` when too much waits, ``store_failed`` after `close`.
        """
        with self._lock:
            if self._closed:
                raise LocalProtocolError(STORE_FAILED, "closed")
            if self._waiting_bytes + len(data) > SIGNAL_STORE_QUEUE_BYTES:
                raise LocalProtocolError(STORE_BUSY)
            batch = self._waiting.get(file)
            if batch is None:
                self._waiting[file] = batch = []
            batch.append(_Job(file, data, done))
            self._waiting_bytes += len(data)
            self._wake()

    async def close(self) -> None:
        """Write what waits, then end the thread. Idempotent."""
        with self._lock:
            self._closed = True
            self._closing.set()
            self._wake()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while batches := self._take():
            results = [result for batch in batches for result in _commit(batch)]
            self._loop.call_soon_threadsafe(self._tell, results)
            if len(batches) >= SIGNAL_COMMIT_BUSY_FILES:
                self._rest(SIGNAL_COMMIT_FILE_S * len(batches))

    def _take(self) -> list[list[_Job]]:
        """What waits, file by file; empty when there will be nothing more."""
        while True:
            with self._lock:
                if self._waiting or self._closed:
                    files = list(islice(self._waiting, SIGNAL_COMMIT_ROUND_FILES))
                    batches = [self._waiting.pop(file) for file in files]
                    self._waiting_bytes -= sum(len(job.data) for batch in batches for job in batch)
                    return batches
                self._asleep = True
            self._bell.acquire()

    def _tell(self, results: list[_Result]) -> None:
        note = self._note
        for job, fault in results:
            if note is not None:
                note(fault)
            job.done(fault)

    def _wake(self) -> None:
        """Once for each time that the thread lay down; one that works or rests looks by itself.

        The lock is held. A condition would do, but its methods are Python code, run for every frame.
        """
        if self._asleep:
            self._asleep = False
            self._bell.release()


def _commit(batch: list[_Job]) -> list[_Result]:
    try:
        batch[0].file.append(b"".join(job.data for job in batch))
    except LocalProtocolError as fault:
        return [(job, fault) for job in batch]
    return [(job, None) for job in batch]
