"""The seal of an archived consult: one hash over everything that was decided, said and done."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import RecordingRow
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
from signaling.personal import Personal

_TABLES = (
    Opinion,
    Addendum,
    Decision,
    Rating,
    Seat,
    Stage,
    Material,
    ThreadMessage,
    ConsultEvent,
    RecordingRow,
)


async def record_hash(session: AsyncSession, row: Consultation) -> str:
    """SHA-256 (hex) over the consult's fields and the rows that belong to it, in a fixed order.

    Presence, reminders and the seal itself are left out: they are not part of the record.
    """
    record: dict[str, Any] = {
        "consultation": _plain(row, skip={"seal", "reminders", "requester_in", "expert_in"})
    }
    for table in _TABLES:
        rows = await session.scalars(select(table).where(table.consultation_id == row.id))
        plain = [_plain(one, skip=set()) for one in rows]
        record[table.__tablename__] = sorted(plain, key=lambda one: json.dumps(one, sort_keys=True))
    text = json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(row: Any, skip: set[str]) -> dict[str, Any]:
    names = [column.key for column in row.__table__.columns if column.key not in skip]
    return {name: _reveal(getattr(row, name)) for name in names}


def _reveal(value: Any) -> Any:
    return value.reveal() if isinstance(value, Personal) else value
