"""What the device has measured and the server has not yet confirmed: on disk, so that a reboot loses nothing.

A directory of segment files in the store's own record format (media/signals/records.py). A segment is
deleted once all of it is confirmed; the newest one always stays, because it knows the last sequence number.
"""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from media.clock import Clock
from media.errors import LocalProtocolError
from media.signals import records
from media.signals.commit import AppendFile, create_file, make_directory, store_fault
from media.signals.descriptor import StreamDescriptor
from media.signals.errors import STORE_FULL
from media.signals.frames import read_header

logger = logging.getLogger(__name__)

SEGMENT_FRAMES = 1000  # a minute of 60 ms frames: what is deleted at a time
MAX_BYTES = 2 * 1024**3  # two days of 12 leads at 1 kHz compressed; a clinic's card has room for that
CACHE_FRAMES = 128  # the live edge is sent from memory, a backlog from the disk
SUFFIX = ".seg"


@dataclass
class _Segment:
    path: Path
    first: int
    last: int
    file: AppendFile | None = None


class Outbox:
    """The unconfirmed frames of one stream. Blocks on the disk; one user at a time.

    :param max_bytes: when they are used up `append` refuses: the oldest data is worth most.
    """

    def __init__(
        self, directory: Path, descriptor: StreamDescriptor, clock: Clock, max_bytes: int = MAX_BYTES
    ) -> None:
        self.descriptor = descriptor
        self.first = 0
        self.last = -1
        self.directory = directory
        self._clock = clock
        self._max_bytes = max_bytes
        self._bytes = 0
        self._segments: list[_Segment] = []
        self._places: dict[int, tuple[Path, int]] = {}
        self._cache: OrderedDict[int, bytes] = OrderedDict()

    @classmethod
    def open(
        cls, directory: Path, descriptor: StreamDescriptor, clock: Clock, max_bytes: int = MAX_BYTES
    ) -> Outbox:
        """Go on with the stream that lies in ``directory``, or begin ``descriptor`` when none does.

        The result's ``descriptor`` tells which of the two it is.

        :raises LocalProtocolError: ``store_failed``, ``store_full`` or ``store_damaged``.
        :raises ValueError: what lies there measures something else; it must not be mixed.
        """
        found = cls.resume(directory, clock, max_bytes)
        if found is not None and found.descriptor.crc != descriptor.crc:
            raise ValueError(f"another measurement lies in {directory}")
        return found or cls(directory, descriptor, clock, max_bytes)

    @classmethod
    def resume(cls, directory: Path, clock: Clock, max_bytes: int = MAX_BYTES) -> Outbox | None:
        """The stream that lies in ``directory``, if one does.

        :raises LocalProtocolError: as `open`.
        """
        known = stream_in(directory)
        if known is None:
            return None
        try:
            outbox = cls(directory, known, clock, max_bytes)
            for path in _segments(directory):
                outbox._replay(path)
            return outbox
        except OSError as problem:
            raise store_fault(problem) from problem

    @property
    def waiting(self) -> int:
        """Frames not yet confirmed."""
        return self.last + 1 - self.first

    def append(self, data: bytes) -> None:
        """Keep an encoded frame, the next of its stream; return when it is on the disk.

        :raises LocalProtocolError: ``store_full`` or ``store_failed``; it is not kept.
        """
        if self._bytes + len(data) > self._max_bytes:
            raise LocalProtocolError(STORE_FULL, "outbox")
        sequence = read_header(data).sequence
        try:
            file = self._writable(sequence)
        except OSError as problem:
            raise store_fault(problem) from problem
        offset = file.size
        file.append(records.record(records.KIND_FRAME, round(self._clock.wall() * 1e9), data))
        self._bytes += file.size - offset
        self._note(sequence, file.path, offset)
        self._cache[sequence] = data
        if len(self._cache) > CACHE_FRAMES:
            self._cache.popitem(last=False)

    def read(self, sequence: int) -> bytes | None:
        """An unconfirmed frame's bytes; None when it is confirmed, or was damaged on the disk."""
        if sequence in self._cache:
            return self._cache[sequence]
        place = self._places.get(sequence)
        if place is None:
            return None
        with place[0].open("rb") as file:
            found = records.read_record(file, place[1])
        return None if found is None else found.body

    def confirm(self, sequence: int) -> None:
        """The server keeps ``sequence`` and all before it: forget them, delete whole segments."""
        for confirmed in range(self.first, min(sequence, self.last) + 1):
            self._places.pop(confirmed, None)
            self._cache.pop(confirmed, None)
        self.first = max(self.first, min(sequence, self.last) + 1)
        while len(self._segments) > 1 and self._segments[0].last <= sequence:
            self._delete(self._segments.pop(0))

    def remove(self) -> None:
        """Delete the outbox; for a stream that is over and wholly confirmed."""
        self.close()
        # The newest goes last: whoever is killed on the way still knows where the stream stands.
        for path in sorted(self.directory.iterdir()):
            path.unlink()
        self.directory.rmdir()

    def set_aside(self) -> None:
        """Keep what is here under another name, so that a new stream can begin in its place."""
        self.close()
        self.directory.rename(self.directory.with_name(f"{self.directory.name}-{self.descriptor.stream_id}"))

    def close(self) -> None:
        """Idempotent."""
        for segment in self._segments:
            if segment.file is not None:
                segment.file.close()
                segment.file = None

    def _note(self, sequence: int, path: Path, offset: int) -> None:
        self._places[sequence] = (path, offset)
        self.last = max(self.last, sequence)
        self._segments[-1].last = self.last

    def _writable(self, sequence: int) -> AppendFile:
        """The newest segment's file, or a new one after ``SEGMENT_FRAMES`` or a restart."""
        current = self._segments[-1] if self._segments else None
        if current is not None and current.file is not None:
            # One that is empty, because the disk was full, is used again.
            is_empty = sequence == current.first
            if is_empty or sequence % SEGMENT_FRAMES:
                return current.file
            current.file.close()
            current.file = None
        path = self.directory / f"{sequence:020d}{SUFFIX}"
        head = records.file_header(self.descriptor)
        create_file(path, head)
        file = AppendFile(path, len(head))
        self._segments.append(_Segment(path, sequence, sequence - 1, file))
        self._bytes += len(head)
        return file

    def _replay(self, path: Path) -> None:
        """Take up a segment. What is damaged in it has a number and no place, so `read` gives None."""
        size, begins = path.stat().st_size, int(path.stem)
        with path.open("rb") as file:
            try:
                records.read_file_header(file)
                start = file.tell()
            except LocalProtocolError:
                logger.warning("outbox segment %s: damaged header", path.name)
                start = 0
            whole = list(records.scan(file, start))
        if not self._segments:
            # Of the oldest segment some may be confirmed; damaged ones at its begin are not forgotten.
            self.first, self.last = begins, begins - 1
        if not whole and size == start:
            # Made and never written: all before it was measured, and may be confirmed and gone.
            path.unlink()
            self.last = max(self.last, begins - 1)
            return
        self._segments.append(_Segment(path, begins, self.last))
        for found in whole:
            self._note(read_header(found.body).sequence, path, found.offset)
        self.last += _damaged_behind(whole, size)
        self._segments[-1].last = self.last
        self._bytes += size

    def _delete(self, segment: _Segment) -> None:
        if segment.file is not None:
            segment.file.close()
        self._bytes -= segment.path.stat().st_size
        segment.path.unlink()


def stream_in(directory: Path) -> StreamDescriptor | None:
    """Which stream lies in ``directory``; the directory is made when there is none.

    :raises LocalProtocolError: ``store_failed``, ``store_full`` or ``store_damaged``.
    """
    try:
        make_directory(directory)
        paths = _segments(directory)
        if not paths:
            return None
        for path in reversed(paths[1:]):
            with contextlib.suppress(LocalProtocolError), path.open("rb") as file:
                return records.read_file_header(file)
        with paths[0].open("rb") as file:
            return records.read_file_header(file)
    except OSError as problem:
        raise store_fault(problem) from problem


def _damaged_behind(whole: list[records.Record], size: int) -> int:
    """How many records lay behind the last whole one of a segment.

    Each was synced before the next was begun, so a crash tears one at most; whole ones that are damaged may
    have been sent, and their numbers must not be used again.
    """
    if not whole:
        return SEGMENT_FRAMES
    smallest = min(found.end - found.offset for found in whole)
    return (size - whole[-1].end) // smallest


def _segments(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"*{SUFFIX}"))
