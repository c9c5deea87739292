"""Times for planned consults out of the database: who is free when, and a plan for all that wait for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import time
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import Practitioner
from server.consults.access import group_of
from server.consults.models import Consultation, Seat
from server.consults.requests import NUMBER_ZONE
from server.consults.states import PLANNED, ROOMED
from server.consults.vocabulary import State
from server.oncall.limits import PLAN_DAYS, PLANNED_AT_ONCE, TIMES_PROPOSED
from server.oncall.models import AskRow
from server.oncall.planner import Assigned, Slot, Span, Wish, assign, free_starts
from server.oncall.rota_ask import Ask, Stage
from server.oncall.rota_days import DayKind, DayRule, windows
from server.oncall.schedules import load_calendar

CONSULT_S = 3600.0
"""How long a planned consult is taken to last."""

EVERY_S = 1800.0
"""Planned consults begin at the full and the half hour."""

NOTICE_S = 3600.0
"""Nobody is planned for the coming hour: whoever has to come has to know."""

OPENS, CLOSES = time(8), time(18)
_DAY_S = 86_400.0
_BUSY = (State.SCHEDULED, State.READY, State.IN_SESSION)


async def times_for(
    session: AsyncSession, row: Consultation, now: float, every_s: float = EVERY_S
) -> list[float]:
    """Starts at which all who take part in a consult are free, in the clinic's hours of workdays."""
    people = await _people(session, row)
    start = now + NOTICE_S
    end = start + PLAN_DAYS * _DAY_S
    busy = await _busy(session, people, start, end, without=row.id)
    hours = await _hours(session, start, end)
    return free_starts(busy, hours, CONSULT_S, every_s, TIMES_PROPOSED)


async def plan_for(session: AsyncSession, organization_id: str, now: float) -> list[Assigned]:
    """A time for every accepted consult of a county that has none yet, at the least waiting.

    Nothing is changed: each becomes real by the action ``schedule``.
    """
    kinds = [one.value for one in PLANNED & ROOMED]
    query = select(Consultation).where(
        Consultation.state == State.ACCEPTED.value,
        Consultation.kind.in_(kinds),
        Consultation.organization_id.in_(await group_of(session, organization_id)),
    )
    waiting = await session.scalars(query.order_by(Consultation.created_at).limit(PLANNED_AT_ONCE))
    wishes, slots = [], {}
    for row in waiting.all():
        # One grid for all, as wide as a consult: two slots of it never overlap.
        times = await times_for(session, row, now, every_s=CONSULT_S)
        assert row.expert_id is not None
        taken = await _taken(session, row.expert_id, now)
        # The longer a request has waited already, the less it waits on.
        weight = 1.0 + (now - row.created_at) / _DAY_S
        wishes.append(Wish(row.id, row.specialty, row.expert_id, now, weight))
        for at in times:
            load = taken[int(at // _DAY_S)]
            slots[row.expert_id, at] = Slot(row.expert_id, frozenset({row.specialty}), at, load)
    return assign(wishes, list(slots.values()))


async def _people(session: AsyncSession, row: Consultation) -> set[str]:
    seats = select(Seat.practitioner_id).where(
        Seat.consultation_id == row.id, Seat.practitioner_id.is_not(None)
    )
    named = {row.requester_id, row.expert_id, *await session.scalars(seats)}
    return {one for one in named if one is not None}


async def _busy(
    session: AsyncSession, people: Collection[str], start: float, end: float, without: str
) -> dict[str, list[Span]]:
    """What each has to do: planned consults, as expert, requester or on a seat, and leave."""
    busy: dict[str, list[Span]] = {one: [] for one in people}
    planned = select(Consultation).where(
        Consultation.state.in_([one.value for one in _BUSY]),
        Consultation.scheduled_for.between(start - CONSULT_S, end),
        Consultation.id != without,
    )
    for row in await session.scalars(planned):
        assert row.scheduled_for is not None
        for one in await _people(session, row) & busy.keys():
            busy[one].append((row.scheduled_for, row.scheduled_for + CONSULT_S))
    away = select(AskRow.asker_id, AskRow.starts, AskRow.ends).where(
        AskRow.ask == Ask.LEAVE.value,
        AskRow.stage == Stage.APPROVED.value,
        AskRow.asker_id.in_(people),
        AskRow.ends > start,
    )
    for one, starts, ends in await session.execute(away):
        busy[one].append((starts, ends))
    ended = select(Practitioner.id).where(Practitioner.id.in_(people), Practitioner.active.is_(False))
    for one in await session.scalars(ended):
        busy[one].append((start, end))
    return busy


async def _hours(session: AsyncSession, start: float, end: float) -> list[Span]:
    """The clinic's hours, from the next half hour on."""
    rule = DayRule(kind=DayKind.WORKDAY, starts=OPENS, ends=CLOSES)
    calendar = await load_calendar(session, start)
    zone = ZoneInfo(NUMBER_ZONE.key)
    first = -(-start // EVERY_S) * EVERY_S
    return [(max(opens, first), closes) for opens, closes in windows(rule, OPENS, calendar, zone, start, end)]


async def _taken(session: AsyncSession, expert_id: str, now: float) -> Counter[int]:
    """How many planned consults an expert has, by day."""
    planned = select(Consultation.scheduled_for).where(
        Consultation.expert_id == expert_id, Consultation.scheduled_for > now
    )
    return Counter(int(at // _DAY_S) for at in await session.scalars(planned) if at is not None)
