"""One consult's whole record in one ZIP file: what a hospital hands over, or keeps beside its own archive.

``consultation.json`` as the API shows it, ``audit.json`` with the chain's hashes, ``recordings/ID/`` with
manifest and tracks, ``signals/`` with the stored streams (format: media/signals/DESIGN.md), and, where
asked for, the same streams as DICOM, EDF+, WFDB, CSV or FHIR. ``signals.json`` says of each stream when it
was measured, and when there was a recording, to which somebody consented. ``materials.json`` names what was
laid beside the consult, ``materials/`` has it byte for byte.
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
from media.signals.replay import Spans, StoredStream
from media.signals.store import SignalStore
from server.archive.models import AuditEntry, Patient, RecordingRow
from server.archive.recordings import recorded_spans
from server.config import Config
from server.consults.materials import materials_directory, suffix_of
from server.consults.models import Consultation, Material
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
    recorded_only: bool = False,
) -> list[str]:
    """Write ``target``; the names inside.

    :param formats: names of `FORMATS` in which to add the signals.
    :param recorded_only: leave out what was measured while nothing was recorded: then signals are given in
        ``formats`` alone, for a stored stream is one file.
    :raises LocalProtocolError: ``not_found`` for an unknown consult; a signal that a format cannot hold.
    """
    now = clock.wall()
    row = await session.get(Consultation, consultation_id)
    if row is None:
        raise LocalProtocolError(NOT_FOUND, consultation_id)
    pages = await consultation_pages(session, [row], _READER, desk=False, now=now, durations=DURATIONS)
    query = select(RecordingRow).where(RecordingRow.consultation_id == row.id)
    recordings = list(await session.scalars(query))
    store, room_id = SignalStore(config.signals_directory, clock), room_of(row.id)
    spans = recorded_spans(recordings)
    files = {"consultation.json": pages[0].model_dump_json(by_alias=True, indent=2).encode()}
    files["audit.json"] = _json(await _audit(session, row.id))
    files["signals.json"] = _json([_signal(stored, spans) for stored in store.streams(room_id)])
    materials = list(await session.scalars(select(Material).where(Material.consultation_id == row.id)))
    files["materials.json"] = _json([_material(material) for material in materials])
    paths = {} if recorded_only else _signal_files(config, row.id)
    for recording in (one for one in recordings if one.manifest_path):
        paths |= _recording_files(config, recording)
    for material in materials:
        paths[_material_name(material)] = materials_directory(config) / material.id
    names = _write(target, files, paths)
    patient = await session.get(Patient, row.patient_id)
    wanted = _wanted(store, room_id, formats, spans if recorded_only else None)
    return names + _add_signals(store, wanted, target, patient)


def _wanted(store: SignalStore, room_id: str, formats: Sequence[str], spans: Spans | None) -> list[Wanted]:
    """Each stream in each format, but for those of which nothing lies in ``spans``."""
    streams = [stored.descriptor.stream_id for stored in store.streams(room_id) if stored.frames]
    if spans is not None:
        streams = [stream for stream in streams if store.first_in(room_id, stream, spans) is not None]
    pairs = itertools.product(streams, formats)
    return [Wanted(room_id, stream, name, spans=spans) for stream, name in pairs]


def _add_signals(
    store: SignalStore, every: Sequence[Wanted], target: Path, patient: Patient | None
) -> list[str]:
    names = []
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        for wanted in every:
            inside = f"signals/{wanted.stream_id}{FORMATS[wanted.format_name].suffix}"
            with tempfile.TemporaryFile(dir=target.parent) as file:
                write_stream(store, wanted, about_stream(wanted.stream_id, patient), file)
                file.seek(0)
                with archive.open(inside, "w", force_zip64=True) as entry:
                    shutil.copyfileobj(file, entry)
            names.append(inside)
    return names


def _signal(stored: StoredStream, spans: Spans) -> dict[str, Any]:
    """What was measured when, and what of it was recorded."""
    recorded = [
        [iso_from_unix(max(begin, stored.start)), iso_from_unix(min(end or stored.end, stored.end))]
        for begin, end in spans
        if begin < stored.end and (end is None or end > stored.start)
    ]
    return {
        **stored.descriptor.as_json(),
        "from": iso_from_unix(stored.start),
        "to": iso_from_unix(stored.end),
        "recorded": recorded,
        "missingFrames": stored.missing,
        "marks": stored.marks,
    }


def _material(material: Material) -> dict[str, Any]:
    return {
        "id": material.id,
        "file": _material_name(material),
        "name": material.name.reveal(),
        "mediaType": material.media_type,
        "size": material.size,
        "sha256": material.sha256,
        "at": iso_from_unix(material.added_at),
        "by": material.added_by,
    }


def _material_name(material: Material) -> str:
    return f"materials/{material.id}.{suffix_of(material.media_type)}"


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
