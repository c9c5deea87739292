"""What happened at other nodes, found in the database: while the bus is away, and once when it is back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import Practitioner
from server.consults.access import desks_of
from server.consults.messages import (
    CONSULTATION,
    RING,
    RING_ENDED,
    consultation_push,
    person,
    ring_ended_push,
    ring_push,
)
from server.consults.models import Consultation, ConsultEvent, Offer
from server.consults.outbox import Push
from server.consults.store import RINGING, load
from server.nodes.limits import LOOK_MAX, TOLD_MAX

_REASONS = {"accepted": "taken", "timed_out": "timed_out", "declined": "declined"}


class CatchUp:
    """Remembers what it told, so that overlapping looks tell everything once."""

    def __init__(self) -> None:
        self._told: OrderedDict[Hashable, None] = OrderedDict()

    async def look(
        self, session: AsyncSession, users: Collection[str], since: float, now: float
    ) -> list[Push]:
        """Pushes for ``users`` about what happened after ``since`` (Unix seconds)."""
        if not users:
            return []
        return [*await self._rings(session, users, since, now), *await self._changes(session, users, since)]

    async def _rings(
        self, session: AsyncSession, users: Collection[str], since: float, now: float
    ) -> list[Push]:
        mine = Offer.practitioner_id.in_(users)
        lately = or_(Offer.offered_at >= since, Offer.answered_at >= since)
        query = select(Offer).where(mine, lately).order_by(Offer.offered_at).limit(LOOK_MAX)
        pushes = []
        for offer in await session.scalars(query):
            if not self._news((offer.id, offer.state)):
                continue
            row = await load(session, offer.consultation_id)
            if offer.state == RINGING:
                push = Push(offer.practitioner_id, RING, await ring_push(session, row, offer, now))
            else:
                push = Push(offer.practitioner_id, RING_ENDED, await _ended(session, row, offer))
            pushes.append(push)
        return pushes

    async def _changes(self, session: AsyncSession, users: Collection[str], since: float) -> list[Push]:
        changed = (
            select(ConsultEvent.consultation_id).where(ConsultEvent.at >= since).distinct().limit(LOOK_MAX)
        )
        pushes = []
        for row in await session.scalars(select(Consultation).where(Consultation.id.in_(changed))):
            if not self._news((row.id, row.version)):
                continue
            offered = select(Offer.practitioner_id).where(Offer.consultation_id == row.id)
            audience = {row.requester_id, row.expert_id, *await session.scalars(offered)}
            audience.update(await desks_of(session, row.organization_id))
            pushes += [
                Push(one, CONSULTATION, consultation_push(row))
                for one in sorted(audience & set(users), key=str)
                if one is not None
            ]
        return pushes

    def _news(self, fact: Hashable) -> bool:
        if fact in self._told:
            return False
        self._told[fact] = None
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        return True


async def _ended(session: AsyncSession, row: Consultation, offer: Offer) -> dict[str, object]:
    """A ring that stopped because somebody else accepted says who."""
    if offer.state == "cancelled" and offer.seat_id is None and row.expert_id is not None:
        return ring_ended_push(offer, "taken", person(await session.get_one(Practitioner, row.expert_id)))
    return ring_ended_push(offer, _REASONS.get(offer.state, "cancelled"), None)
