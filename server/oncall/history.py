"""Every change of a rota as an event with who, when and why, and its link in the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.audit import AuditLog
from server.archive.ids import new_id
from server.auth.actor import Actor
from server.oncall.limits import NOTICES_KEPT
from server.oncall.models import RotaEvent
from signaling.personal import Personal


@dataclass(frozen=True, slots=True)
class Deed:
    """Who acts, when (Unix seconds) and why. ``reason``: words of a person, kept out of the audit trail."""

    actor: Actor
    now: float
    reason: str = ""


async def note(
    session: AsyncSession,
    audit: AuditLog,
    deed: Deed,
    action: str,
    subject_id: str,
    schedule_id: str | None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write the event and its audit entry, in the caller's transaction.

    :param action: ``rota.override``, ``swap.approve``.
    :param detail: identifiers, instants and states.
    """
    event = RotaEvent(
        id=new_id("rev"),
        schedule_id=schedule_id,
        subject_id=subject_id,
        at=deed.now,
        actor_id=deed.actor.id,
        action=action,
        reason=Personal(deed.reason),
        detail=dict(detail or {}),
    )
    session.add(event)
    told = {**(detail or {}), "event": event.id, "reason_given": bool(deed.reason)}
    subject_type = action.partition(".")[0]
    await audit.record(session, deed.actor, action, subject_type, subject_id, told)


async def events_of(session: AsyncSession, schedule_id: str) -> list[RotaEvent]:
    """The newest first, at most `NOTICES_KEPT`."""
    query = select(RotaEvent).where(RotaEvent.schedule_id == schedule_id)
    newest = query.order_by(RotaEvent.at.desc(), RotaEvent.id).limit(NOTICES_KEPT)
    return list(await session.scalars(newest))
