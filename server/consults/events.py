"""The events of a consult: who did what, when and why. Appended, and never read back by a step."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.ids import new_id
from server.auth.actor import Actor, ActorKind
from server.consults.machine import Transition
from server.consults.models import ConsultEvent
from server.consults.vocabulary import Data
from signaling.personal import Personal

Columns = dict[str, Any]

_INSERT = insert(ConsultEvent.__table__)  # type: ignore[arg-type]


def event_of(step: Transition, actor: Actor, data: Data, now: float) -> Columns:
    """The columns of the step's event."""
    return {
        "id": new_id("ev"),
        "consultation_id": step.after.id,
        "version": step.after.version,
        "at": now,
        "actor_id": actor.id if actor.kind is ActorKind.PRACTITIONER else None,
        "action": step.action.value,
        "from_state": step.before.state.value,
        "to_state": step.after.state.value,
        "reason": Personal(data.reason) if data.reason else None,
    }


async def write_events(session: AsyncSession, events: list[Columns]) -> None:
    """Write them all in one statement, after the rows that they belong to; ``events`` is empty then."""
    await session.flush()
    if events:
        await session.execute(_INSERT, events)
        events.clear()
