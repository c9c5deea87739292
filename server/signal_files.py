"""Recorded signals as files to hand out: written in a thread, into a file without a name on the data disk."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO, TypeVar

from media.errors import LocalProtocolError
from media.signals.commit import store_fault
from media.signals.formats import FORMATS, About
from media.signals.formats.stored import stored_source
from media.signals.replay import Spans, frames_of
from media.signals.review import Review, review
from media.signals.store import SignalStore
from server.archive.models import Patient
from server.errors import BUSY
from server.limits import SIGNAL_EXPORTS_AT_ONCE, SIGNAL_EXPORTS_WAITING

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    :param owner: the room.
    :param format_name: one of `FORMATS`.
    :param start: Unix seconds on this server's clock; None is the stream's own.
    :param spans: what was recorded with consent; nothing else is given out. None: no recording is asked for.
    """

    owner: str
    stream_id: str
    format_name: str
    start: float | None = None
    end: float | None = None
    spans: Spans | None = None


def about_stream(identifier: str, patient: Patient | None) -> About:
    """What a file may say of the patient."""
    if patient is None:
        return About(identifier)
    return About(
        identifier,
        patient_id=patient.identifier.reveal(),
        patient_name=patient.name.reveal(),
        patient_name_en=patient.name_en.reveal(),
        birth_date=date.fromisoformat(patient.birth_date.reveal()),
        sex=patient.sex,
        subject=f"Patient/{patient.id}",
    )


class SignalFiles:
    """Writes files of the streams in ``store``, a few at once.

    :param directory: for files under way; they have no name, so a crash leaves nothing behind.
    """

    def __init__(self, store: SignalStore, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._turn = asyncio.Semaphore(SIGNAL_EXPORTS_AT_ONCE)
        self._waiting = 0

    async def make(self, wanted: Wanted, about: About) -> BinaryIO:
        """A file that is read from its start; the caller closes it.

        :raises LocalProtocolError: ``busy``; ``not_found``, ``signal_export_*``, ``store_*``.
        """
        return await self._in_turn(lambda: self._write(wanted, about))

    async def review(self, wanted: Wanted) -> Review:
        """What the analysis sees in a stream afterwards.

        :raises LocalProtocolError: ``busy``, ``not_found``, ``store_*``.
        :raises RemoteProtocolError: ``signal_unsupported`` for what is no ECG.
        """
        return await self._in_turn(lambda: review_stream(self._store, wanted))

    async def _in_turn(self, work: Callable[[], T]) -> T:
        """In a thread, a few at once; who comes when the line is full is sent away."""
        if self._waiting >= SIGNAL_EXPORTS_WAITING:
            raise LocalProtocolError(BUSY, "signal exports")
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            return await asyncio.to_thread(work)
        finally:
            self._turn.release()

    def _write(self, wanted: Wanted, about: About) -> BinaryIO:
        try:
            file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115
        except OSError as problem:
            raise store_fault(problem) from problem
        try:
            write_stream(self._store, wanted, about, file)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file


def write_stream(store: SignalStore, wanted: Wanted, about: About, file: BinaryIO) -> None:
    """Write one stream into ``file``. Blocks.

    :raises LocalProtocolError: as `SignalFiles.make`.
    """
    try:
        source = stored_source(store, wanted.owner, wanted.stream_id, wanted.start, wanted.end, wanted.spans)
        FORMATS[wanted.format_name].write(source, about, file)
    except OSError as problem:
        raise store_fault(problem) from problem


def review_stream(store: SignalStore, wanted: Wanted) -> Review:
    """Look at one stream as the analysis does. Blocks; the whole file is read.

    :raises LocalProtocolError: as `SignalFiles.review`.
    """
    try:
        path, index = store.opened(wanted.owner, wanted.stream_id)
        return review(index, frames_of(path, index, wanted.start, wanted.end, wanted.spans))
    except OSError as problem:
        raise store_fault(problem) from problem


def size_of(file: BinaryIO) -> int:
    """Bytes in an open file."""
    return os.fstat(file.fileno()).st_size
