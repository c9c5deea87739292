"""One consult's whole record in one ZIP file: what a hospital hands over, or keeps beside its own archive.

``consultation.json`` as the API shows it, ``audit.json`` with the chain's hashes, ``recordings/ID/`` with
manifest and tracks, ``signals/`` with the stored streams (format: media/signals/DESIGN.md), and, where
asked for, the same streams as DICOM, EDF+, WFDB, CSV or FHIR.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.clock import Clock
from media.errors import NOT_FOUND, LocalProtocolError
from media.signals.formats import FORMATS
from media.signals.store import SignalStore
from server.archive.models import AuditEntry, Patient, RecordingRow
from server.config import Config
from server.consults.models import Consultation
from server.consults.states import DURATIONS
from server.consults.views import consultation_pages, room_of
from server.signal_files import Wanted, about_stream, write_stream
from server.times import iso_from_unix

_READER = "system"  # nobody's own view: no drafts, no allowed actions


async def export_consultation(
    session: AsyncSession,
    config: Config,
    consultation_id: str,
    target: Path,
    clock: Clock,
    formats: Sequence[str] = (),
) -> list[str]:
    """Write ``target``; the names inside.

    :param formats: names of `FORMATS` in which to add the signals.
    :raises LocalProtocolError: ``not_found`` for an unknown consult; a signal that a format cannot hold.
    """
    now = clock.wall()
    row = await session.get(Consultation, consultation_id)
    if row is None:
        raise LocalProtocolError(NOT_FOUND, consultation_id)
    pages = await consultation_pages(session, [row], _READER, desk=False, now=now, durations=DURATIONS)
    query = select(RecordingRow).where(
        RecordingRow.consultation_id == row.id, RecordingRow.manifest_path != ""
    )
    files = {"consultation.json": pages[0].model_dump_json(by_alias=True, indent=2).encode()}
    files["audit.json"] = _json(await _audit(session, row.id))
    paths = _signal_files(config, row.id)
    for recording in await session.scalars(query):
        paths |= _recording_files(config, recording)
    names = _write(target, files, paths)
    patient = await session.get(Patient, row.patient_id)
    return names + _add_signals(config, room_of(row.id), target, clock, formats, patient)


def _add_signals(
    config: Config, room_id: str, target: Path, clock: Clock, formats: Sequence[str], patient: Patient | None
) -> list[str]:
    store, names = SignalStore(config.signals_directory, clock), []
    streams = [stored.descriptor.stream_id for stored in store.streams(room_id) if stored.frames]
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        for stream_id, name in itertools.product(streams, formats):
            inside = f"signals/{stream_id}{FORMATS[name].suffix}"
            with tempfile.TemporaryFile(dir=target.parent) as file:
                write_stream(store, Wanted(room_id, stream_id, name), about_stream(stream_id, patient), file)
                file.seek(0)
                with archive.open(inside, "w", force_zip64=True) as entry:
                    shutil.copyfileobj(file, entry)
            names.append(inside)
    return names


async def _audit(session: AsyncSession, consultation_id: str) -> list[dict[str, Any]]:
    about = or_(
        AuditEntry.subject_id == consultation_id,
        AuditEntry.detail["consultationId"].as_string() == consultation_id,
    )
    rows = await session.scalars(select(AuditEntry).where(about).order_by(AuditEntry.sequence))
    return [
        {
            "sequence": row.sequence,
            "at": iso_from_unix(row.at),
            "actor": row.actor_id,
            "action": row.action,
            "subject": [row.subject_type, row.subject_id],
            "detail": row.detail,
            "previousHash": row.previous_hash,
            "hash": row.hash,
        }
        for row in rows
    ]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


def _recording_files(config: Config, row: RecordingRow) -> dict[str, Path]:
    folder = (config.recordings_directory / row.manifest_path).parent
    return {f"recordings/{row.id}/{path.name}": path for path in sorted(folder.iterdir()) if path.is_file()}


def _signal_files(config: Config, consultation_id: str) -> dict[str, Path]:
    folder = config.signals_directory / room_of(consultation_id)
    return {f"signals/{path.name}": path for path in sorted(folder.glob("*"))}


def _write(target: Path, files: dict[str, bytes], paths: dict[str, Path]) -> list[str]:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name, path in paths.items():
            # Media is compressed already.
            archive.write(path, name, zipfile.ZIP_STORED)
        return archive.namelist()
