"""The seal of an archived consult: one hash over everything that was decided, said and done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.database import Base
from server.archive.models import AuditEntry, RecordingRow
from server.consults.models import (
    Addendum,
    Consultation,
    ConsultEvent,
    Decision,
    Material,
    Opinion,
    Rating,
    Seat,
    Stage,
    ThreadMessage,
)
from server.consults.vocabulary import Action
from signaling.personal import Personal

SEALED: Mapping[type[Base], tuple[str, ...]] = {
    Consultation: (
        "id", "number", "kind", "state", "version", "specialty", "purpose", "summary", "patient_id",
        "organization_id", "requester_id", "expert_id", "chair_id", "device_ids", "consent_consult",
        "consent_recording", "consent_by", "consent_at", "recording_withdrawn_at", "ring", "ring_s",
        "tried_from_ring", "since", "scheduled_for", "absent_since", "created_at", "submitted_at",
        "accepted_at", "started_at", "ended_at", "channel",
    ),
    Opinion: (
        "consultation_id", "author_id", "findings", "conclusion", "advice", "follow_up", "contributions",
        "critical", "critical_acknowledged_at", "critical_acknowledged_by", "form", "code", "written_at",
        "signed_at", "key_id", "signature",
    ),
    Addendum: ("id", "consultation_id", "author_id", "text", "signed_at", "key_id", "signature"),
    Decision: ("id", "consultation_id", "by_id", "outcome", "text", "at"),
    Rating: ("consultation_id", "by_id", "stars", "text", "at"),
    Seat: (
        "id", "consultation_id", "position", "specialty", "state", "practitioner_id", "round",
        "contribution", "contributed_at",
    ),
    Stage: ("consultation_id", "stage", "at", "noted_by", "noted_at"),
    Material: ("id", "consultation_id", "name", "media_type", "size", "sha256", "added_by", "added_at"),
    ThreadMessage: ("id", "consultation_id", "author_id", "text", "at"),
    ConsultEvent: (
        "id", "consultation_id", "version", "at", "actor_id", "action", "from_state", "to_state", "reason",
    ),
    RecordingRow: (
        "id", "room_id", "consultation_id", "started_at", "ended_at", "duration_ms", "manifest_path",
    ),
}  # fmt: skip
"""What is sealed, by name: a column that a later version adds must not break the seals of years."""

UNSEALED: Mapping[type[Base], frozenset[str]] = {
    # Presence, reminders and the seal are no part of the record; a message may be read in the archive.
    Consultation: frozenset({"seal", "reminders", "requester_in", "expert_in"}),
    ThreadMessage: frozenset({"read_at"}),
}


async def record_hash(session: AsyncSession, row: Consultation) -> str:
    """SHA-256 (hex) over the consult's fields and the rows that belong to it, in a fixed order."""
    record: dict[str, Any] = {"consultation": _plain(row)}
    for table in SEALED:
        if table is Consultation:
            continue
        rows = await session.scalars(select(table).where(table.__table__.c.consultation_id == row.id))
        plain = [_plain(one) for one in rows]
        record[table.__tablename__] = sorted(plain, key=lambda one: json.dumps(one, sort_keys=True))
    text = json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


async def seal_broken(session: AsyncSession, row: Consultation) -> str | None:
    """Why an archived record is not the one that was sealed; None when it is."""
    if row.seal is None:
        return "it is not sealed"
    if await record_hash(session, row) != row.seal:
        return "the record was changed after it was sealed"
    archived = select(AuditEntry.detail).where(
        AuditEntry.subject_type == "consultation",
        AuditEntry.subject_id == row.id,
        AuditEntry.action == f"consultation.{Action.ARCHIVE.value}",
    )
    details = (await session.scalars(archived)).all()
    # Entries of before the trail named seals say nothing of them.
    if not details or any(one.get("seal", row.seal) != row.seal for one in details):
        return "the audit trail names another seal"
    return None


def _plain(row: Any) -> dict[str, Any]:
    return {name: _reveal(getattr(row, name)) for name in SEALED[type(row)]}


def _reveal(value: Any) -> Any:
    return value.reveal() if isinstance(value, Personal) else value
