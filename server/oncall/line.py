"""The line of people for one consult: the rota's order, who is at a screen, who was tried already."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import Practitioner
from server.consults.models import Consultation, Offer
from server.oncall.dispatch import Candidate
from server.oncall.rota_line import on_call
from server.oncall.schedules import load_schedules


async def candidates(
    session: AsyncSession, row: Consultation, now: float, online: Callable[[str], bool]
) -> list[Candidate]:
    """Who is on call for the consult's specialty, in order; never its requester, nobody who left."""
    order: list[str] = []
    for schedule in await load_schedules(session, row.specialty, since=now):
        order += [one for one in on_call(schedule, now).practitioners if one not in order]
    query = select(Practitioner.id).where(Practitioner.id.in_(order), Practitioner.active)
    active = set(await session.scalars(query)) - {row.requester_id}
    return [Candidate(one, online(one)) for one in order if one in active]


async def tried(session: AsyncSession, row: Consultation) -> set[str]:
    """Who was rung since the desk last asked to begin anew: declined, did not answer, or gave it back."""
    query = select(Offer.practitioner_id).where(
        Offer.consultation_id == row.id, Offer.ring >= row.tried_from_ring
    )
    return set(await session.scalars(query))
