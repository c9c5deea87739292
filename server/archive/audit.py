"""The audit trail: who did what to which thing, when. Append-only, hash-chained (server/archive/chain.py).

The database itself refuses UPDATE and DELETE by triggers, which the migration makes; the chain shows what
someone with the file in hand changed all the same, the anchor (server/archive/anchor.py) what was cut off.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    Double,
    Integer,
    Text,
    bindparam,
    column,
    event,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from media.clock import Clock
from server.archive.anchor import Anchor, AnchorForgedError, Head
from server.archive.chain import GENESIS, Break, Link, find_break, link_hash, link_parts
from server.archive.database import at_the_end
from server.archive.models import AuditEntry
from server.archive.turns import NAMESPACE, Turn
from server.auth.actor import Actor

_MICROSECONDS = 1_000_000

PAGE = 5000
"""Entries that a walk along the chain holds at once: a year of a county has millions."""

_NOTED = "audit_noted"
"""In ``session.info``: what the running transaction will append, in its order."""

_TABLE = AuditEntry.__table__
_NEWEST = select(_TABLE.c.sequence, _TABLE.c.hash).order_by(_TABLE.c.sequence.desc()).limit(1)
_WRITTEN = literal_column("CAST(audit_entries.detail AS TEXT)", Text).label("written")
_WALK = select(*_TABLE.c, _WRITTEN).order_by(_TABLE.c.sequence)
_TEXTS = "actors", "actor_kinds", "actions", "subject_types", "subjects", "details", "heads", "tails"
_APPEND = select(
    func.audit_append(
        *(bindparam(name, type_=Integer) for name in ("namespace", "turn")),
        bindparam("times", type_=ARRAY(Double)),
        *(bindparam(name, type_=ARRAY(Text)) for name in _TEXTS),
    ).table_valued(column("last_sequence", Integer), column("last_hash", Text))
)
"""PostgreSQL: takes the turn, appends and says where the chain ends now."""
_INSERT = insert(AuditEntry.__table__)  # type: ignore[arg-type]

logger = logging.getLogger(__name__)


class AuditLog:
    """Writes entries in the caller's own transaction: the step and its trace stand or fall together.

    :param anchor: told of the newest entry once its transaction stands.
    """

    def __init__(self, clock: Clock, anchor: Anchor | None = None) -> None:
        self._clock = clock
        self._anchor = anchor

    async def begin(self, session: AsyncSession) -> None:
        """Hold the anchor against the trail at a start; anchor what a crash left without one.

        An anchor that does not fit is set aside, so that `huizhen verify audit` goes on telling of it.
        """
        if self._anchor is None:
            return
        broken = await check_anchor(session, self._anchor)
        if broken is not None and self._anchor.path.exists():
            logger.error("the audit trail does not fit its anchor: %s", broken)
            self._anchor.set_aside(str(int(self._clock.wall())))
        last = await self._last(session)
        if last is not None:
            self._anchor.write(Head(*last))

    async def record(
        self,
        session: AsyncSession,
        actor: Actor,
        action: str,
        subject_type: str,
        subject_id: str,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """As `note`; what the caller has added is written before."""
        await session.flush()
        self.note(session, actor, action, subject_type, subject_id, detail)

    def note(
        self,
        session: AsyncSession,
        actor: Actor,
        action: str,
        subject_type: str,
        subject_id: str,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one entry; it takes its place in the chain when the transaction ends.

        :param session: from `Database.write`. Whoever appends has the chain's turn from there to the commit,
            so it cannot fork, whichever node it is; all entries of a transaction are one visit.
        :param action: a short verb phrase, ``consultation.submit``.
        :param detail: JSON of identifiers and states; never a name, never clinical text.
        """
        if _NOTED not in session.info:
            at_the_end(session, self._append)
        link = Link(
            sequence=0,
            at_us=int(self._clock.wall() * _MICROSECONDS),
            actor_id=actor.id,
            actor_kind=str(actor.kind),
            action=action,
            subject_type=subject_type,
            subject_id=subject_id,
            detail=dict(detail or {}),
            previous_hash="",
        )
        session.info.setdefault(_NOTED, []).append(link)

    async def _append(self, session: AsyncSession) -> None:
        """Chain what was noted, all rows of the transaction written before: the turn is short."""
        await session.flush()
        noted: list[Link] = session.info.pop(_NOTED)
        postgresql = session.get_bind().dialect.name == "postgresql"
        head = await _append_there(session, noted) if postgresql else await _append_here(session, noted)
        for link in noted:
            logger.info(
                "audit %s %s %s by %s", link.action, link.subject_type, link.subject_id, link.actor_id
            )
        if self._anchor is not None:
            session.info["audit_head"] = head
            event.listen(session.sync_session, "after_commit", self._committed, once=True)

    def _committed(self, session: Session) -> None:
        head = session.info.pop("audit_head", None)
        if self._anchor is not None and isinstance(head, Head):
            self._anchor.write(head)

    async def verify(self, session: AsyncSession, page: int = PAGE) -> tuple[int, Break | None]:
        """Walk the whole chain: ``(entries, first break or None)``. Every stored byte counts.

        :param page: entries held at once.
        """
        count = await session.scalar(select(func.count()).select_from(AuditEntry)) or 0
        head, query = Head(0, GENESIS), _WALK.limit(page)
        while rows := (await session.execute(query)).all():
            spelled = next((row.sequence for row in rows if not _as_written(row)), None)
            links = ((link_of(row), row.hash) for row in rows)
            found = find_break(links, after=head.sequence, previous=head.hash)
            if spelled is not None and (found is None or spelled <= found.sequence):
                return count, Break(spelled, "was changed after it was written")
            if found is not None:
                return count, found
            head = Head(rows[-1].sequence, rows[-1].hash)
            query = _WALK.limit(page).where(_TABLE.c.sequence > head.sequence)
        return count, None

    async def _last(self, session: AsyncSession) -> tuple[int, str] | None:
        row = (await session.execute(_NEWEST)).first()
        return None if row is None else (row.sequence, row.hash)


async def _append_here(session: AsyncSession, noted: Iterable[Link]) -> Head:
    """Append to where the chain ends, nobody else writing; its new end."""
    found = (await session.execute(_NEWEST)).first()
    head = Head(0, GENESIS) if found is None else Head(found.sequence, found.hash)
    rows = []
    for one in noted:
        link = replace(one, sequence=head.sequence + 1, previous_hash=head.hash)
        head = Head(link.sequence, link_hash(link))
        rows.append(_row(link, head.hash))
    await session.execute(_INSERT, rows)
    return head


async def _append_there(session: AsyncSession, noted: Sequence[Link]) -> Head:
    """The same in PostgreSQL, in one visit: until the commit every other node waits."""
    parts = [link_parts(one) for one in noted]
    given = {
        "namespace": NAMESPACE,
        "turn": int(Turn.AUDIT),
        "times": [one.at_us / _MICROSECONDS for one in noted],
        "actors": [one.actor_id for one in noted],
        "actor_kinds": [one.actor_kind for one in noted],
        "actions": [one.action for one in noted],
        "subject_types": [one.subject_type for one in noted],
        "subjects": [one.subject_id for one in noted],
        "details": [json.dumps(one.detail) for one in noted],
        "heads": [head for head, _ in parts],
        "tails": [tail for _, tail in parts],
    }
    found = (await session.execute(_APPEND, given)).one()
    return Head(found.last_sequence, found.last_hash)


async def check_anchor(session: AsyncSession, anchor: Anchor) -> str | None:
    """Why the trail does not fit its anchor; None when it does.

    Entries after the anchored one are for the caller to judge: a running server writes on.
    """
    try:
        head = anchor.read()
    except AnchorForgedError:
        return "the anchor was not written by this server"
    count = await session.scalar(select(func.count()).select_from(AuditEntry)) or 0
    if head is None:
        return "the anchor is missing" if count else None
    entry = await session.get(AuditEntry, head.sequence)
    if entry is None:
        return f"the trail ends before entry {head.sequence}, which was anchored"
    return None if entry.hash == head.hash else f"entry {head.sequence} is not the one that was anchored"


def _as_written(row: Any) -> bool:
    """The hash is over values; two spellings of one value (a space, a last bit) are still a changed byte."""
    spelled = row.at == round(row.at * _MICROSECONDS) / _MICROSECONDS, row.written == json.dumps(row.detail)
    return all(spelled)


def link_of(row: Any) -> Link:
    """A stored row of ``audit_entries`` as the link whose hash it carries."""
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


def _row(link: Link, own_hash: str) -> dict[str, Any]:
    return {
        "sequence": link.sequence,
        "at": link.at_us / _MICROSECONDS,
        "actor_id": link.actor_id,
        "actor_kind": link.actor_kind,
        "action": link.action,
        "subject_type": link.subject_type,
        "subject_id": link.subject_id,
        "detail": dict(link.detail),
        "previous_hash": link.previous_hash,
        "hash": own_hash,
    }
