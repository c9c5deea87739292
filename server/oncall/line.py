"""The line of people for one consult: the rotas' order, who could answer, who was tried already."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import Practitioner
from server.consults.models import IS_AT_WORK, Consultation, Offer
from server.consults.store import RINGING, parties_of
from server.consults.vocabulary import Kind, State
from server.oncall.book import COUNT, Book, Page, Rota
from server.oncall.dispatch import SHARED_S, Candidate, Standing, Way, in_order
from server.oncall.policy import Policy

Reachable = Callable[[AsyncSession, Collection[str]], Awaitable[Mapping[str, Way]]]
"""How each of some people can be rung now (`Reach.reachable`)."""


@dataclass(frozen=True, slots=True)
class Line:
    """Whom a request could ring.

    :param policy: the nearest rota's own for this class of request, if it has one.
    :param rotas: how many rotas cover the specialty for this requester.
    """

    candidates: list[Candidate]
    policy: Policy | None
    rotas: int


def why_nobody(lines: Collection[Line]) -> str:
    """What the desk reads when there is nobody to ring in any of the lines."""
    if not any(line.rotas for line in lines):
        return "没有覆盖该专科的值班表 / No rota covers this specialty"
    if not any(line.candidates for line in lines):
        return "目前无人值班 / Nobody is on call now"
    return "值班人员均已呼叫 / Everyone on call was rung"


async def line_for(
    session: AsyncSession,
    row: Consultation,
    now: float,
    reachable: Reachable,
    book: Book,
    specialty: str | None = None,
) -> Line:
    """Who is on call for the consult's specialty (or another), in order; nobody who left."""
    wanted = specialty or row.specialty
    near, posts, people = await _read(session, row, now, book, wanted)
    ways = await reachable(session, people)
    standings = [
        replace(people[person], tier=tier, line=level, way=ways[person])
        for tier, level, person in posts
        if person in people
    ]
    own = (rota.policies.get(Kind(row.kind)) for _, rota in near)
    policy = next((one for one in own if one is not None), None)
    return Line(in_order(standings, row.requester_id), policy, len(near))


Post = tuple[int, int, str]
"""How far up the level of the rota is, the line of defence, who has it."""


async def _read(
    session: AsyncSession, row: Consultation, now: float, book: Book, wanted: str
) -> tuple[list[tuple[int, Rota]], list[Post], dict[str, Standing]]:
    """The rotas near, who is on call in them, and what those have to do.

    The book as it was read last is believed until the same query says whether it still stands.
    """
    guess = book.guess(session, wanted, now)
    if guess is not None:
        near, posts = _posts(*guess, row.organization_id, now)
        people, count = await _people(session, row, now, {person for _, _, person in posts}, wanted)
        if book.confirm(session, guess[0], count):
            return near, posts, people
    near, posts = _posts(*await book.rotas(session, wanted, now), row.organization_id, now)
    people, _ = await _people(session, row, now, {person for _, _, person in posts}, wanted)
    return near, posts, people


def _posts(
    page: Page, rotas: Mapping[str, Rota], home: str, now: float
) -> tuple[list[tuple[int, Rota]], list[Post]]:
    near = page.near(rotas, home)
    return near, [
        (tier, level, person)
        for tier, rota in near
        for level, people in page.on_call(rota.schedule, now)
        for person in people
    ]


def tried(offers: Iterable[Offer], from_ring: int) -> set[str]:
    """Who was rung since the desk last asked to begin anew: declined, did not answer, or gave it back."""
    return {one.practitioner_id for one in offers if one.ring >= from_ring and one.seat_id is None}


def _work() -> Select[Any]:
    """What those who are asked for have to do besides one consult: ``people``, ``consult``, ``since``.

    Each part is a number, which PostgreSQL looks up person by person; for ``EXISTS`` it may read everybody's.
    """
    mine = and_(
        Consultation.expert_id == Practitioner.id, IS_AT_WORK, Consultation.id != bindparam("consult")
    )
    running = select(func.count()).where(mine)
    taken = select(func.count()).where(
        Consultation.expert_id == Practitioner.id, Consultation.accepted_at >= bindparam("since")
    )
    sessions = select(func.count()).where(mine, Consultation.state == State.IN_SESSION.value)
    of = Offer.practitioner_id == Practitioner.id
    rings = select(func.count()).where(
        of, Offer.state == RINGING, Offer.consultation_id != bindparam("consult")
    )
    last = select(func.max(Offer.offered_at)).where(of)
    return select(
        Practitioner.id,
        Practitioner.specialties,
        Practitioner.languages,
        running.correlate(Practitioner).scalar_subquery(),
        taken.correlate(Practitioner).scalar_subquery(),
        rings.correlate(Practitioner).scalar_subquery(),
        sessions.correlate(Practitioner).scalar_subquery(),
        last.correlate(Practitioner).scalar_subquery(),
        COUNT.scalar_subquery(),
    ).where(Practitioner.id.in_(bindparam("people", expanding=True)), Practitioner.active)


WORK = _work()


async def _people(
    session: AsyncSession, row: Consultation, now: float, ids: set[str], specialty: str
) -> tuple[dict[str, Standing], int | None]:
    """Those of ``ids`` whose account has not ended, with what they have to do now; and the book's count, in
    one query. None: nobody, so it is not known.
    """
    if not ids:
        return {}, None
    given = {"people": sorted(ids), "consult": row.id, "since": now - SHARED_S}
    found = (await session.execute(WORK, given)).all()
    _, _, requester = await parties_of(session, row)
    spoken = requester.languages
    people = {
        who: Standing(
            who,
            skilled=specialty in skills,
            speaks=not spoken or not languages or not set(spoken).isdisjoint(languages),
            engaged=sessions > 0,
            load=work + ringing,
            taken=taken + ringing,
            last_rung=last_rung or 0.0,
        )
        for who, skills, languages, work, taken, ringing, sessions, last_rung, _ in found
    }
    return people, found[0][-1] if found else None
