"""What every use case of consults does: open a transaction, admit the actor, take a step, deliver.

Refusals are written by a later transaction of their own: the refused one is rolled back (and may belong
to somebody else).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from media.errors import Fault
from server.auth.actor import Actor
from server.consults.access import is_desk_of, may_see
from server.consults.errors import FORBIDDEN, VERSION_CONFLICT, ActionRefused
from server.consults.events import write_events
from server.consults.machine import roles_of
from server.consults.models import Consultation
from server.consults.outbox import Delivery
from server.consults.ports import Rooms
from server.consults.states import Duration
from server.consults.steps import Steps, Tx
from server.consults.store import facts, load
from server.consults.vocabulary import Role
from server.oncall.policy import Policy
from server.oncall.timers import put_timers
from server.services import Services

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A consult that the actor may see, and what they are to it."""

    row: Consultation
    roles: frozenset[Role]

    @property
    def desk(self) -> bool:
        return Role.DESK in self.roles


class Work:
    """Shared by the parts of the consult service."""

    def __init__(self, services: Services, durations: Mapping[str, Duration], policy: Policy | None) -> None:
        self.services = services
        self.durations = durations
        self.steps = Steps(services, durations, policy)
        self.delivery = Delivery(lambda: services.consult_rooms, lambda: services.gateway)

    @asynccontextmanager
    async def transaction(self, now: float) -> AsyncIterator[Tx]:
        """One transaction, written at its end; when it stands, what it has to tell is told.

        :raises ActionRefused: version_conflict when somebody else has changed the consult meanwhile.
        """
        try:
            async with self.services.database.write(brief=True) as session:
                tx = Tx(session, now)
                yield tx
                await self.write_all(tx)
        except StaleDataError:
            raise ActionRefused(VERSION_CONFLICT) from None
        await self.delivery.deliver(tx.outbox)
        if tx.outbox.timers_changed:
            self.services.dispatcher.wake()

    async def write_all(self, tx: Tx) -> None:
        """What is still to be written of it."""
        await write_events(tx.session, tx.events)
        await put_timers(tx.session, tx.timers)

    async def admit(self, session: AsyncSession, actor: Actor, consultation_id: str) -> Admitted:
        """The consult, if the actor may see it.

        :raises ActionRefused: not_found, forbidden (which stands in the audit trail).
        """
        row = await load(session, consultation_id)
        if not await may_see(session, actor, row, self.services.clock.wall()):
            self.note_refusal(actor, consultation_id, "view")
            raise ActionRefused(FORBIDDEN)
        desk = await is_desk_of(session, actor, row)
        return Admitted(row, roles_of(await facts(session, row), actor.id, desk=desk))

    def note_refusal(self, actor: Actor, consultation_id: str, what: str) -> None:
        """Leave a refused access in the audit trail."""

        async def write(_rooms: Rooms) -> None:
            async with self.services.database.write() as session:
                await self.services.audit.record(
                    session, actor, "consultation.refused", "consultation", consultation_id, {"what": what}
                )

        self.delivery.later("audit refusal", write)

    @asynccontextmanager
    async def noting_refusals(self, actor: Actor, consultation_id: str, what: str) -> AsyncIterator[None]:
        """Whatever is refused as forbidden inside is noted."""
        try:
            yield
        except Fault as fault:
            if fault.code is FORBIDDEN and what != "view":
                self.note_refusal(actor, consultation_id, what)
            raise
