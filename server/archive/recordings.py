"""The catalogue of recordings: which there are, where their files stand, what their manifests say."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import NOT_FOUND, RemoteProtocolError
from media.recording import recover_all
from media.signals.replay import Spans
from server.archive.models import RecordingRow
from server.times import unix_from_iso
from signaling.events import RecordingStarted, RecordingStopped

MANIFEST = "manifest.json"
ROOM_PREFIX = "c-"
"""A consult's room is called ``c-`` and its id."""

logger = logging.getLogger(__name__)


def consultation_of(room_id: str) -> str | None:
    """The consult a room belongs to; None for a room of its own."""
    return room_id.removeprefix(ROOM_PREFIX) if room_id.startswith(ROOM_PREFIX) else None


def recorded_spans(rows: Iterable[RecordingRow]) -> Spans:
    """When there was a recording, and with it the consent to it: what runs has no end yet."""
    return [(row.started_at, row.ended_at) for row in rows]


class RecordingCatalogue:
    """Rows in the database, files below ``directory``. Paths in rows are relative to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def started(self, session: AsyncSession, event: RecordingStarted) -> None:
        """Note a recording that runs. Twice is harmless."""
        if await session.get(RecordingRow, event.recording_id) is None:
            session.add(
                RecordingRow(
                    id=event.recording_id,
                    room_id=event.room_id,
                    consultation_id=consultation_of(event.room_id),
                    started_at=event.at,
                    ended_at=None,
                    duration_ms=None,
                    manifest_path="",
                )
            )

    async def stopped(self, session: AsyncSession, event: RecordingStopped) -> None:
        """Complete the row from the manifest that the recorder wrote."""
        manifest = await asyncio.to_thread(_read_manifest, event.manifest_path)
        await self._complete(session, event.manifest_path, manifest)

    async def adopt(self, session: AsyncSession) -> int:
        """Finish recordings that a crash left open and complete their rows; how many there were."""
        await asyncio.to_thread(_recover_all, self.directory)
        running = select(RecordingRow).where(RecordingRow.ended_at.is_(None))
        known = {row.id for row in (await session.scalars(running)).all()}
        if not known:
            return 0
        found = 0
        for path, manifest in await asyncio.to_thread(_manifests_below, self.directory):
            if manifest.get("recordingId") in known:
                await self._complete(session, path, manifest)
                found += 1
        return found

    async def get(self, session: AsyncSession, recording_id: str) -> RecordingRow:
        """One row; RemoteProtocolError(not_found)."""
        row = await session.get(RecordingRow, recording_id)
        if row is None:
            raise RemoteProtocolError(NOT_FOUND, "recording")
        return row

    async def of_consultation(self, session: AsyncSession, consultation_id: str) -> list[RecordingRow]:
        """A consult's recordings, oldest first."""
        query = select(RecordingRow).where(RecordingRow.consultation_id == consultation_id)
        return list(await session.scalars(query.order_by(RecordingRow.started_at)))

    async def manifest(self, row: RecordingRow) -> dict[str, Any]:
        """The manifest of a finished recording; RemoteProtocolError(not_found) while it runs."""
        if not row.manifest_path:
            raise RemoteProtocolError(NOT_FOUND, "the recording is not finished")
        return await asyncio.to_thread(_read_manifest, self.directory / row.manifest_path)

    def file(self, row: RecordingRow, manifest: dict[str, Any], name: str) -> Path:
        """Where track file ``name`` stands. Only names in the manifest are files of the recording."""
        if name not in {track["file"] for track in manifest["tracks"]}:
            raise RemoteProtocolError(NOT_FOUND, "file")
        return (self.directory / row.manifest_path).parent / name

    async def _complete(self, session: AsyncSession, path: Path, manifest: dict[str, Any]) -> None:
        row = await session.get(RecordingRow, manifest["recordingId"])
        if row is None:
            row = RecordingRow(
                id=manifest["recordingId"],
                room_id=manifest["roomId"],
                consultation_id=consultation_of(manifest["roomId"]),
            )
            session.add(row)
        row.started_at = _unix(manifest["startedAt"])
        row.ended_at = _unix(manifest["endedAt"])
        row.duration_ms = int(manifest["durationMs"])
        row.manifest_path = _relative(path, self.directory)
        logger.info("recording %s kept: %d ms", row.id, row.duration_ms)


def _unix(value: Any) -> float:
    return float(unix_from_iso(value))


def _recover_all(directory: Path) -> None:
    for manifest in recover_all(directory):
        logger.info("recording %s recovered", manifest.recording_id)


def _relative(path: Path, directory: Path) -> str:
    return str(path.resolve().relative_to(directory.resolve()))


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def _manifests_below(directory: Path) -> list[tuple[Path, dict[str, Any]]]:
    if not directory.is_dir():
        return []
    return [(path, _read_manifest(path)) for path in sorted(directory.rglob(MANIFEST))]
