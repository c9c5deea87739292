"""The audit trail: who did what to which thing, when. Append-only, hash-chained (server/archive/chain.py).

The database itself refuses UPDATE and DELETE by triggers, which the migration makes; the chain shows what
someone with the file in hand changed all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.clock import Clock
from server.archive.chain import GENESIS, Break, Link, find_break, link_hash
from server.archive.models import AuditEntry
from server.archive.turns import Turn, take_turn
from server.auth.actor import Actor

_MICROSECONDS = 1_000_000

logger = logging.getLogger(__name__)


class AuditLog:
    """Writes entries in the caller's own transaction: the step and its trace stand or fall together."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def record(
        self,
        session: AsyncSession,
        actor: Actor,
        action: str,
        subject_type: str,
        subject_id: str,
        detail: Mapping[str, Any] | None = None,
    ) -> AuditEntry:
        """Append one entry.

        :param session: from `Database.write`. Whoever appends has the chain's turn until the transaction
            ends, so it cannot fork, whichever node it is.
        :param action: a short verb phrase, ``consultation.submit``.
        :param detail: JSON of identifiers and states; never a name, never clinical text.
        """
        await session.flush()
        await take_turn(session, Turn.AUDIT)
        last = await self._last(session)
        at_us = int(self._clock.wall() * _MICROSECONDS)
        link = Link(
            sequence=1 if last is None else last[0] + 1,
            at_us=at_us,
            actor_id=actor.id,
            actor_kind=str(actor.kind),
            action=action,
            subject_type=subject_type,
            subject_id=subject_id,
            detail=dict(detail or {}),
            previous_hash=GENESIS if last is None else last[1],
        )
        entry = _row(link)
        session.add(entry)
        await session.flush()
        logger.info("audit %s %s %s by %s", action, subject_type, subject_id, actor.id)
        return entry

    async def verify(self, session: AsyncSession) -> tuple[int, Break | None]:
        """Walk the whole chain: ``(entries, first break or None)``."""
        count = await session.scalar(select(func.count()).select_from(AuditEntry)) or 0
        rows = (await session.scalars(select(AuditEntry).order_by(AuditEntry.sequence))).all()
        return count, find_break(((link_of(row), row.hash) for row in rows), count)

    async def _last(self, session: AsyncSession) -> tuple[int, str] | None:
        newest = select(AuditEntry.sequence, AuditEntry.hash).order_by(AuditEntry.sequence.desc()).limit(1)
        row = (await session.execute(newest)).first()
        return None if row is None else (row.sequence, row.hash)


def link_of(row: AuditEntry) -> Link:
    """A stored row as the link whose hash it carries."""
    return Link(
        sequence=row.sequence,
        at_us=round(row.at * _MICROSECONDS),
        actor_id=row.actor_id,
        actor_kind=row.actor_kind,
        action=row.action,
        subject_type=row.subject_type,
        subject_id=row.subject_id,
        detail=row.detail,
        previous_hash=row.previous_hash,
    )


def _row(link: Link) -> AuditEntry:
    return AuditEntry(
        sequence=link.sequence,
        at=link.at_us / _MICROSECONDS,
        actor_id=link.actor_id,
        actor_kind=link.actor_kind,
        action=link.action,
        subject_type=link.subject_type,
        subject_id=link.subject_id,
        detail=dict(link.detail),
        previous_hash=link.previous_hash,
        hash=link_hash(link),
    )
