"""Times for planned consults out of the database: who is free when, and a plan for all that wait for one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.among import among
from server.archive.models import Practitioner
from server.consults.access import group_of
from server.consults.models import Consultation, Seat
from server.consults.states import PLANNED, ROOMED
from server.consults.vocabulary import State
from server.oncall.limits import ALL_OF_A_PLAN, PLAN_DAYS, PLANNED_AT_ONCE, TIMES_PROPOSED
from server.oncall.models import AskRow
from server.oncall.planner import Assigned, Slot, Span, Wish, assign, free_starts
from server.oncall.rota_ask import Ask, Stage
from server.oncall.rota_days import DayKind, DayRule, windows
from server.oncall.rota_time import wall_at
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


async def times_for(session: AsyncSession, row: Consultation, now: float, zone: ZoneInfo) -> list[float]:
    """Starts at which all who take part in a consult are free, in the clinics' hours of workdays there."""
    start, end = _span(now)
    people = (await _people(session, [row]))[row.id]
    busy = await _busy(session, people, start, end, without=row.id)
    return free_starts(busy, await _hours(session, (start, end), zone), CONSULT_S, EVERY_S, TIMES_PROPOSED)


async def plan_for(session: AsyncSession, organization_id: str, now: float, zone: ZoneInfo) -> list[Assigned]:
    """A time for every accepted consult of a county that has none yet, at the least waiting.

    Nothing is changed: each becomes real by the action ``schedule``.
    """
    kinds = [one.value for one in PLANNED & ROOMED]
    query = select(Consultation).where(
        Consultation.state == State.ACCEPTED.value,
        Consultation.kind.in_(kinds),
        among(Consultation.organization_id, await group_of(session, organization_id)),
    )
    waiting = await session.scalars(query.order_by(Consultation.created_at).limit(PLANNED_AT_ONCE))
    rows = list(waiting)
    if not rows:
        return []
    start, end = _span(now)
    people = await _people(session, rows)
    busy = await _busy(session, set().union(*people.values()), start, end)
    hours = await _hours(session, (start, end), zone)
    load = await _load(session, {row.expert_id for row in rows if row.expert_id is not None}, now, zone)
    waits = [_Waiting.of(row, people[row.id]) for row in rows]
    return await asyncio.to_thread(_plan, waits, busy, hours, load, (now, zone))


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What a plan looks at of a consult that waits for a time."""

    consultation_id: str
    specialty: str
    expert_id: str
    created_at: float
    people: frozenset[str]

    @classmethod
    def of(cls, row: Consultation, people: frozenset[str]) -> _Waiting:
        assert row.expert_id is not None  # ACCEPTED
        return cls(row.id, row.specialty, row.expert_id, row.created_at, people)


def _plan(
    waiting: Sequence[_Waiting],
    busy: Mapping[str, Sequence[Span]],
    hours: Sequence[Span],
    load: Mapping[tuple[str, date], int],
    at: tuple[float, ZoneInfo],
) -> list[Assigned]:
    """Tenths of a second for a large county: it belongs into a thread."""
    (now, zone), wishes, slots = at, [], {}
    for one in waiting:
        # One grid for all, as wide as a consult: two slots of it never overlap.
        mine = {person: busy[person] for person in one.people}
        starts = free_starts(mine, hours, CONSULT_S, CONSULT_S, ALL_OF_A_PLAN)
        # The longer a request has waited already, the less it waits on.
        weight = 1.0 + (now - one.created_at) / _DAY_S
        others = one.people - {one.expert_id}
        wish = Wish(one.consultation_id, one.specialty, one.expert_id, now, weight, others, frozenset(starts))
        wishes.append(wish)
        for start in starts:
            of_day = load.get((one.expert_id, wall_at(start, zone).date()), 0)
            slots[one.expert_id, start] = Slot(one.expert_id, frozenset({one.specialty}), start, of_day)
    return assign(wishes, list(slots.values()))


def _span(now: float) -> Span:
    return now + NOTICE_S, now + NOTICE_S + PLAN_DAYS * _DAY_S


async def _people(session: AsyncSession, rows: Collection[Consultation]) -> dict[str, frozenset[str]]:
    """Consult -> who has to be there."""
    seats = select(Seat.consultation_id, Seat.practitioner_id).where(
        Seat.consultation_id.in_([row.id for row in rows]), Seat.practitioner_id.is_not(None)
    )
    found = {row.id: {row.requester_id, row.expert_id} for row in rows}
    for consult, one in await session.execute(seats):
        found[consult].add(one)
    return {consult: frozenset(one for one in people if one is not None) for consult, people in found.items()}


async def _busy(
    session: AsyncSession, people: Collection[str], start: float, end: float, without: str = ""
) -> dict[str, list[Span]]:
    """What each has to do: planned consults, as expert, requester or on a seat, and leave."""
    busy: dict[str, list[Span]] = {one: [] for one in people}
    seats = select(Seat.consultation_id).where(Seat.practitioner_id.in_(people))
    theirs = or_(
        Consultation.expert_id.in_(people), Consultation.requester_id.in_(people), Consultation.id.in_(seats)
    )
    planned = select(Consultation).where(
        Consultation.state.in_([one.value for one in _BUSY]),
        Consultation.scheduled_for.between(start - CONSULT_S, end),
        Consultation.id != without,
        theirs,
    )
    rows = (await session.scalars(planned)).all()
    of_each = await _people(session, rows)
    for row in rows:
        assert row.scheduled_for is not None
        for one in of_each[row.id] & busy.keys():
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


async def _hours(session: AsyncSession, span: Span, zone: ZoneInfo) -> list[Span]:
    """The clinic's hours, from the next half hour on; none after the span, where nobody's plans are read."""
    start, end = span
    rule = DayRule(kind=DayKind.WORKDAY, starts=OPENS, ends=CLOSES)
    calendar = await load_calendar(session, start)
    first = -(-start // EVERY_S) * EVERY_S
    return [
        (max(opens, first), min(closes, end))
        for opens, closes in windows(rule, OPENS, calendar, zone, start, end)
    ]


async def _load(
    session: AsyncSession, experts: Collection[str], now: float, zone: ZoneInfo
) -> Mapping[tuple[str, date], int]:
    """How many planned consults each expert has, by day on the clinics' wall."""
    planned = select(Consultation.expert_id, Consultation.scheduled_for).where(
        Consultation.expert_id.in_(experts),
        Consultation.state.in_([one.value for one in _BUSY]),
        Consultation.scheduled_for > now,
    )
    found = await session.execute(planned)
    return Counter((expert, wall_at(at, zone).date()) for expert, at in found if expert and at is not None)
