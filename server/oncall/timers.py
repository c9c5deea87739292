"""Timers in the database: one a consult, exact after a restart."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.consults.vocabulary import Timer
from server.oncall.models import TimerRow

BATCH = 100
"""Timers fetched at once: a burst is worked off in slices, so that nothing else waits long."""


async def put_timer(session: AsyncSession, consultation_id: str, version: int, timer: Timer | None) -> None:
    """Replace the consult's timer; None ends it. Stands or falls with the caller's transaction."""
    row = await session.get(TimerRow, consultation_id)
    if timer is None:
        if row is not None:
            await session.delete(row)
    elif row is None:
        session.add(
            TimerRow(
                consultation_id=consultation_id, due=timer.due, action=timer.action.value, version=version
            )
        )
    else:
        row.due, row.action, row.version = timer.due, timer.action.value, version
    await session.flush()


async def due_consultations(session: AsyncSession, now: float, without: Collection[str] = ()) -> list[str]:
    """Ids of consults whose timer is due, the longest overdue first, at most `BATCH`.

    :param without: ids that are left out: those whose action has just failed.
    """
    due = select(TimerRow.consultation_id).where(
        TimerRow.due <= now, TimerRow.consultation_id.not_in(without)
    )
    return list(await session.scalars(due.order_by(TimerRow.due).limit(BATCH)))


async def next_due(session: AsyncSession) -> float | None:
    """When the next timer is due, Unix seconds."""
    return await session.scalar(select(func.min(TimerRow.due)))
