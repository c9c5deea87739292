"""Files that were looked at and may be kept next, so that nobody sends them twice.

A held file has no name on the disk: a crash leaves nothing behind, and nobody finds it without its token.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from media.signals.commit import store_fault
from server.consults.errors import UPLOAD_GONE, ActionRefused
from server.consults.limits import HELD_UPLOAD_S, HELD_UPLOADS, HELD_UPLOADS_PER_PERSON, MATERIAL_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """``of``: person and consult. ``until``: Unix seconds; the timer gives the disk back when nobody asks."""

    of: tuple[str, str]
    until: float
    file: BinaryIO
    timer: asyncio.TimerHandle


class HeldUploads:
    """A few files, each for the person and the consult that it was sent for, for `HELD_UPLOAD_S`.

    When there are too many, the person's oldest goes first, then the oldest of all.

    :param directory: on whose disk they lie.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: dict[str, _Held] = {}

    async def hold(self, actor_id: str, consultation_id: str, data: bytes, now: float) -> str:
        """The token by which `read` gives the bytes again.

        :raises LocalProtocolError: ``store_full``, ``store_failed``.
        """
        file = await asyncio.to_thread(_written, self._directory, data)
        own = [token for token, held in self._held.items() if held.of[0] == actor_id]
        if len(own) >= HELD_UPLOADS_PER_PERSON:
            self.drop(own[0])
        elif len(self._held) >= HELD_UPLOADS:
            self.drop(next(iter(self._held)))
        token = secrets.token_urlsafe(16)
        timer = asyncio.get_running_loop().call_later(HELD_UPLOAD_S, self.drop, token)
        self._held[token] = _Held((actor_id, consultation_id), now + HELD_UPLOAD_S, file, timer)
        return token

    async def read(self, token: str, actor_id: str, consultation_id: str, now: float) -> bytes:
        """The bytes; they stay until `drop`.

        :raises ActionRefused: upload_gone, also for a token that is somebody else's.
        """
        held = self._held.get(token)
        if held is None or now >= held.until or held.of != (actor_id, consultation_id):
            raise ActionRefused(UPLOAD_GONE)
        # A descriptor of its own: `drop` may close the file while a thread reads.
        return await asyncio.to_thread(_read, os.dup(held.file.fileno()))

    def drop(self, token: str) -> None:
        """Forget one. Twice is harmless."""
        held = self._held.pop(token, None)
        if held is not None:
            held.timer.cancel()
            held.file.close()

    def close(self) -> None:
        """Forget all. Twice is harmless."""
        for token in list(self._held):
            self.drop(token)


def _written(directory: Path, data: bytes) -> BinaryIO:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115
    except OSError as problem:
        raise store_fault(problem) from problem
    try:
        file.write(data)
        file.flush()
    except OSError as problem:
        file.close()
        raise store_fault(problem) from problem
    return file


def _read(descriptor: int) -> bytes:
    try:
        with os.fdopen(descriptor, "rb") as file:
            return os.pread(file.fileno(), MATERIAL_BYTES, 0)
    except OSError as problem:
        raise store_fault(problem) from problem
