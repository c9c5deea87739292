"""The first decisions after a start are as quick as the others: a request is made, rung, answered and given
back by nobody, and undone.

What makes first ones slow is that statements are put together at their first use, on PostgreSQL prepared once
more on each connection, and that the rotas are read: some ten times what a decision takes. A server that was
killed has rings to follow at once. So all of it is done before a server says that it is ready.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import Fault
from server.archive.database import end_of
from server.archive.models import Patient, Practitioner
from server.auth.actor import Actor, ActorKind
from server.auth.actor import Role as Post
from server.consults.models import Consultation
from server.consults.requests import Requests, next_number
from server.consults.schema import ConsentIn, ConsultationIn
from server.consults.steps import Tx
from server.consults.store import RINGING, claim, offers_of
from server.consults.vocabulary import Action, Data, Kind, State
from server.consults.work import Work
from server.oncall.models import ScheduleRow
from server.oncall.timers import due_consultations, next_due

AT_ONCE = 3
"""Connections of PostgreSQL that learn their statements: so many decisions a node may have under way at once
before one of them has to prepare its own."""

LONGEST_S = 5.0
"""After so long a start goes on without the rest of its rehearsal, which takes some 0.2 s: the
first decisions are slow then, and that is all."""

Act = Callable[[Tx, Actor, str, Action, Data], Awaitable[None]]
"""Take an action by name in an open transaction (as `ConsultService.act` does)."""

logger = logging.getLogger(__name__)


class _UndoneError(Exception):
    """Ends the transaction; nothing of it stands and nothing is told."""


@dataclass(frozen=True, slots=True)
class _Like:
    """Of whom the made-up request is."""

    requester: Actor
    patient_id: str
    specialty: str


class Rehearsal:
    """What a start rehearses; `run` it once, before anybody is served."""

    def __init__(self, work: Work, requests: Requests, act: Act) -> None:
        self._work = work
        self._requests = requests
        self._act = act
        self._until = 0.0

    async def run(self, now: float) -> None:
        """As for the newest request's clinic, or before the first one any. Without people: nothing."""
        services = self._work.services
        self._until = services.clock.monotonic() + LONGEST_S
        try:
            async with services.database.look() as looking:
                await due_consultations(looking, now)
                await next_due(looking)
            async with services.database.read() as session:
                like = await _somebody(session)
            if like is not None:
                await self._once(like, now)
                if not services.database.is_sqlite:
                    await asyncio.gather(*(self._once(like, now) for _ in range(AT_ONCE)))
        except (Fault, SQLAlchemyError) as error:
            # A server that cannot rehearse may be able to serve; what is wrong shows where it is asked for.
            logger.warning("the rehearsal of a ring failed: %s", type(error).__name__)

    async def _once(self, like: _Like, now: float) -> None:
        try:
            async with self._work.transaction(now) as tx:
                await self._work.steps.read_book(tx)
                await self._play(tx, like)
                raise _UndoneError
        except _UndoneError:
            return

    def _late(self) -> bool:
        return self._work.services.clock.monotonic() >= self._until

    async def _play(self, tx: Tx, like: _Like) -> None:
        """A request, a ring that ends, one that is declined, one that is accepted and given back."""
        body = ConsultationIn(
            kind=Kind.URGENT,
            specialty=like.specialty,
            patient_id=like.patient_id,
            purpose="-",
            summary="-",
            consent=ConsentIn(consult=True, recording=False),
            submit=True,
        )
        # A day's number is one row, which others wait for: this is of a day that nobody uses.
        number = await next_number(tx.session, 0.0, self._work.services.config.zone)
        made = await self._requests.create_in(tx, like.requester, body, number)
        await self._work.write_all(tx)
        claimed = await claim(tx.session, made)
        if claimed is not None and claimed[0].state == State.OFFERED:
            await self._work.steps.on_timer(tx, claimed[0], Action.RING_TIMEOUT)
            await self._answers(tx, made)
        await self._work.write_all(tx)
        await end_of(tx.session)

    async def _answers(self, tx: Tx, consultation_id: str) -> None:
        for actions in ((Action.DECLINE,), (Action.ACCEPT, Action.RELEASE)):
            who = await self._rung(tx.session, consultation_id)
            if who is None or self._late():
                return
            for action in actions:
                await self._act(tx, who, consultation_id, action, Data(actor_id=who.id, reason="-"))
                await self._work.write_all(tx)

    async def _rung(self, session: AsyncSession, consultation_id: str) -> Actor | None:
        rung = [one for one in await offers_of(session, consultation_id) if one.state == RINGING]
        return _actor(await session.get_one(Practitioner, rung[0].practitioner_id)) if rung else None


async def _somebody(session: AsyncSession) -> _Like | None:
    newest = (
        select(Practitioner, Consultation.patient_id, Consultation.specialty)
        .join(Consultation, Consultation.requester_id == Practitioner.id)
        .where(Consultation.organization_id == Practitioner.organization_id)
        .order_by(Consultation.created_at.desc(), Consultation.id)
    )
    anybody = (
        select(Practitioner, Patient.id, ScheduleRow.specialty)
        .join(Patient, Patient.organization_id == Practitioner.organization_id)
        .join(ScheduleRow, ScheduleRow.id.is_not(None))
        .where(Practitioner.active)
    )
    for query in (newest, anybody):
        found = (await session.execute(query.limit(1))).first()
        if found is not None:
            return _Like(_actor(found[0]), found[1], found[2])
    return None


def _actor(who: Practitioner) -> Actor:
    posts = frozenset(Post(one) for one in who.roles)
    return Actor(who.id, ActorKind.PRACTITIONER, who.organization_id, posts, who.name)
