"""The line of people for one consult: the rotas' order, who could answer, who was tried already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import and_, exists, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.archive.models import Organization, Practitioner
from server.consults.models import Consultation, Offer
from server.consults.store import RINGING
from server.consults.vocabulary import Kind, State
from server.oncall.dispatch import Candidate, Standing, in_order
from server.oncall.limits import SCHEDULES_RUNG
from server.oncall.models import ScheduleRow
from server.oncall.nearness import Place, tiers
from server.oncall.policy import Policy, policies_of
from server.oncall.rota_line import lines_at
from server.oncall.schedules import load_these

_DEPTH = 8
"""Levels of organizations above one another: seven are named, so more is a circle."""

_RUNNING = (State.ACCEPTED, State.READY, State.IN_SESSION, State.SUSPENDED, State.OPINION_PENDING)
"""A consult in one of these is work that its expert has now."""


@dataclass(frozen=True, slots=True)
class Line:
    """Whom a request could ring.

    :param policy: the nearest rota's own for this class of request, if it has one.
    :param rotas: how many rotas cover the specialty for this requester.
    """

    candidates: list[Candidate]
    policy: Policy | None
    rotas: int


def why_nobody(line: Line) -> str:
    """What the desk reads when there is nobody to ring."""
    if not line.rotas:
        return "没有覆盖该专科的值班表 / No rota covers this specialty"
    if not line.candidates:
        return "目前无人值班 / Nobody is on call now"
    return "值班人员均已呼叫 / Everyone on call was rung"


async def line_for(
    session: AsyncSession,
    row: Consultation,
    now: float,
    online: Callable[[str], bool],
    specialty: str | None = None,
) -> Line:
    """Who is on call for the consult's specialty (or another), in order; nobody who left."""
    near = await _near(session, specialty or row.specialty, row.organization_id)
    schedules = await load_these(session, [one for _, one in near], since=now)
    tier_of = {schedule_id: tier for tier, schedule_id in near}
    posts = [
        (tier_of[schedule.id], level, person)
        for schedule in schedules
        for level, people in lines_at(schedule, now)
        for person in people
    ]
    people = await _people(session, row, {person for _, _, person in posts}, specialty or row.specialty)
    standings = [
        _placed(people[person], tier, level, online) for tier, level, person in posts if person in people
    ]
    policy = await _policy(session, [one for _, one in near], Kind(row.kind))
    return Line(in_order(standings, row.requester_id), policy, len(schedules))


def tried(offers: Iterable[Offer], from_ring: int) -> set[str]:
    """Who was rung since the desk last asked to begin anew: declined, did not answer, or gave it back."""
    return {one.practitioner_id for one in offers if one.ring >= from_ring and one.seat_id is None}


async def _near(session: AsyncSession, specialty: str, home: str) -> list[tuple[int, str]]:
    """The rotas of a specialty that somebody at ``home`` may use: (tier, id), the nearest first."""
    query = (
        select(ScheduleRow.id, Organization.level, ScheduleRow.organization_id)
        .join(Organization, Organization.id == ScheduleRow.organization_id)
        .where(ScheduleRow.specialty == specialty)
    )
    found = (await session.execute(query)).all()
    above, levels = await _above(session, {home, *(organization for _, _, organization in found)})
    places = [Place(schedule, level, above[organization]) for schedule, level, organization in found]
    return tiers(places, above.get(home, []), levels, SCHEDULES_RUNG)


async def _above(
    session: AsyncSession, organizations: set[str]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Each organization and those above it, and the level of all of them; one query."""
    columns = (Organization.id, Organization.parent_id, Organization.level)
    start = select(Organization.id.label("of"), *columns, literal(0).label("depth"))
    up = start.where(Organization.id.in_(organizations)).cte("up", recursive=True)
    higher = aliased(Organization)
    climb = select(up.c.of, higher.id, higher.parent_id, higher.level, up.c.depth + 1)
    up = up.union_all(climb.join(higher, higher.id == up.c.parent_id).where(up.c.depth < _DEPTH))
    above: dict[str, list[str]] = {}
    levels: dict[str, str] = {}
    for of, one, level in await session.execute(select(up.c.of, up.c.id, up.c.level).order_by(up.c.depth)):
        above.setdefault(of, []).append(one)
        levels[one] = level
    return above, levels


async def _people(
    session: AsyncSession, row: Consultation, ids: set[str], specialty: str
) -> dict[str, Standing]:
    """Those of ``ids`` whose account has not ended, with what they have to do now; one query."""
    mine = and_(Consultation.expert_id == Practitioner.id, Consultation.id != row.id)
    running = select(func.count()).where(mine, Consultation.state.in_([one.value for one in _RUNNING]))
    in_session = exists().where(mine, Consultation.state == State.IN_SESSION.value)
    rings = select(func.count()).where(
        Offer.practitioner_id == Practitioner.id, Offer.state == RINGING, Offer.consultation_id != row.id
    )
    last = select(func.max(Offer.offered_at)).where(Offer.practitioner_id == Practitioner.id)
    query = select(
        Practitioner.id,
        Practitioner.specialties,
        Practitioner.languages,
        running.correlate(Practitioner).scalar_subquery(),
        rings.correlate(Practitioner).scalar_subquery(),
        in_session.correlate(Practitioner),
        last.correlate(Practitioner).scalar_subquery(),
    ).where(Practitioner.id.in_(ids), Practitioner.active)
    spoken = (await session.get_one(Practitioner, row.requester_id)).languages
    return {
        who: Standing(
            who,
            skilled=specialty in skills,
            speaks=not spoken or not languages or not set(spoken).isdisjoint(languages),
            engaged=busy,
            load=work + ringing,
            last_rung=last_rung or 0.0,
        )
        for who, skills, languages, work, ringing, busy, last_rung in (await session.execute(query)).all()
    }


def _placed(one: Standing, tier: int, line: int, online: Callable[[str], bool]) -> Standing:
    return replace(one, tier=tier, line=line, online=online(one.practitioner_id))


async def _policy(session: AsyncSession, ids: Sequence[str], kind: Kind) -> Policy | None:
    """The policy of the nearest rota that has one of its own for this class."""
    for one in ids:
        rota = await session.get(ScheduleRow, one)  # loaded with its layers just now
        found = policies_of(rota.policy if rota is not None else None).get(kind)
        if found is not None:
            return found
    return None
