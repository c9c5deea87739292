"""Timers in the database: one a consult, exact after a restart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.database import Looking
from server.consults.vocabulary import Timer
from server.oncall.models import TimerRow

BATCH = 100
"""Timers fetched at once: a burst is worked off in slices, so that nothing else waits long."""


async def put_timers(session: AsyncSession, timers: Mapping[str, tuple[int, Timer | None]]) -> None:
    """Put timers in place of those that stand: consult -> (its version, timer), None ends it.

    Stands or falls with the caller's transaction, whose rows are written before.
    """
    running = [
        {"consultation_id": one, "due": timer.due, "action": timer.action.value, "version": version}
        for one, (version, timer) in timers.items()
        if timer is not None
    ]
    ended = [one for one, (_, timer) in timers.items() if timer is None]
    if running:
        await session.execute(_PUT[session.get_bind().dialect.name], running)
    if ended:
        await session.execute(_END, {"ended": ended})


def _put(insert: Callable[[Any], Any]) -> Any:
    statement = insert(_TABLE)
    new = {name: statement.excluded[name] for name in ("due", "action", "version")}
    return statement.on_conflict_do_update(index_elements=["consultation_id"], set_=new)


_TABLE = TimerRow.__table__
_PUT = {"sqlite": _put(sqlite.insert), "postgresql": _put(postgresql.insert)}
_END = delete(_TABLE).where(  # type: ignore[arg-type]
    _TABLE.c.consultation_id.in_(bindparam("ended", expanding=True))
)
NEXT = select(func.min(_TABLE.c.due))
_DUE = (
    select(_TABLE.c.consultation_id)
    .where(_TABLE.c.due <= bindparam("now"))
    .order_by(_TABLE.c.due)
    .limit(bindparam("most"))
)


async def due_consultations(looking: Looking, now: float, without: Collection[str] = ()) -> list[str]:
    """Ids of consults whose timer is due, the longest overdue first, at most `BATCH`.

    :param without: ids that are left out: those whose action has just failed.
    """
    found = await looking.rows(_DUE, {"now": now, "most": BATCH + len(without)})
    return [one for (one,) in found if one not in without][:BATCH]


async def next_due(looking: Looking) -> float | None:
    """When the next timer is due, Unix seconds."""
    due: float | None = await looking.value(NEXT)
    return due
