"""What a change would do, out of the database: before an override is saved, a swap or a leave decided."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import RemoteProtocolError
from server.oncall import rota_errors as errors
from server.oncall.limits import CALENDAR_DAYS
from server.oncall.models import AskRow
from server.oncall.rota import Leave, Schedule
from server.oncall.rota_ask import Ask, Swap, check_swap, overrides_of
from server.oncall.rota_check import with_override
from server.oncall.rota_whatif import LOOK_S, Span, WhatIf, beside, comers, joined, unseen, what_if
from server.oncall.schedules import load_schedule, load_schedules

_WHOLE_S = CALENDAR_DAYS * 86_400.0


@dataclass(frozen=True, slots=True)
class SeenGap:
    """A gap that whoever decides was shown."""

    schedule_id: str
    level: int
    starts: float
    ends: float


@dataclass(frozen=True, slots=True)
class Weighed:
    """What one rota becomes."""

    schedule: Schedule
    found: WhatIf


async def weigh(session: AsyncSession, old: Schedule, new: Schedule, spans: Sequence[Span]) -> WhatIf:
    """`what_if`, with the other rotas of those who would come; reckoned in a thread, as coverage is.

    :param old: loaded since `LOOK_S` before the first span.
    """
    spans = joined(spans)
    found = await asyncio.to_thread(what_if, old, new, spans)
    coming = comers(found.differences)
    if not coming:
        return found
    rotas = await load_schedules(session, since=spans[0][0])
    others = [one for one in rotas if one.id != old.id and not coming.isdisjoint(one.people)]
    return await asyncio.to_thread(beside, found, old, new, spans, others) if others else found


async def weigh_swap(session: AsyncSession, schedule_id: str, swap: Swap, now: float) -> list[Weighed]:
    """Raises RemoteProtocolError as the swap would be refused."""
    pieces = [piece for _, _, piece in swap.pieces]
    since = min(piece.starts for piece in pieces) - LOOK_S
    schedule = await load_schedule(session, schedule_id, since=min(now, since))
    check_swap(schedule, swap, now)
    changed = with_override(schedule, *overrides_of(swap))
    spans = [(piece.starts, min(piece.ends, piece.starts + _WHOLE_S)) for piece in pieces]
    return [Weighed(schedule, await weigh(session, schedule, changed, spans))]


async def weigh_leave(session: AsyncSession, row: AskRow, now: float) -> list[Weighed]:
    """Of every rota that names who would be away; of a long leave its first hundred days."""
    begins = max(row.starts, row.asked_at)
    span = max(begins, now), min(row.ends, begins + _WHOLE_S)
    away = Leave(row.asker_id, row.starts, row.ends)
    found = []
    for schedule in await load_schedules(session, since=span[0] - LOOK_S):
        if row.asker_id in schedule.people:
            changed = replace(schedule, leave=(*schedule.leave, away))
            found.append(Weighed(schedule, await weigh(session, schedule, changed, [span])))
    return found


async def weigh_ask(session: AsyncSession, row: AskRow, swap: Swap, now: float) -> list[Weighed]:
    """What a swap or a leave would do if it were approved now."""
    if Ask(row.ask) is Ask.LEAVE:
        return await weigh_leave(session, row, now)
    return await weigh_swap(session, row.schedule_id or "", swap, now)


def check_seen(weighed: Sequence[Weighed], seen: Sequence[SeenGap]) -> int:
    """How many gaps it makes. Raises RemoteProtocolError(gap_not_seen) for one that was not shown."""
    for one in weighed:
        shown = [(gap.level, gap.starts, gap.ends) for gap in seen if gap.schedule_id == one.schedule.id]
        if unseen(((gap.level, gap.starts, gap.ends) for gap in one.found.new_gaps), shown):
            raise RemoteProtocolError(errors.GAP_NOT_SEEN)
    return sum(len(one.found.new_gaps) for one in weighed)
