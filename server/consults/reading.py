"""Looking at consults: one, or a page of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import MALFORMED
from server.archive.among import among
from server.archive.models import AuditEntry
from server.auth.actor import Actor, Role
from server.consults.access import group_of
from server.consults.errors import ActionRefused
from server.consults.limits import VIEW_AUDIT_S
from server.consults.models import Consultation, Offer, Seat
from server.consults.schema import ConsultationOut
from server.consults.store import RINGING
from server.consults.views import consultation_pages
from server.consults.vocabulary import FINAL, State
from server.consults.work import Work

Scope = Literal["mine", "ringing", "open", "all"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list shows. ``cursor``: where the page before ended."""

    scope: Scope
    states: tuple[State, ...]
    limit: int
    cursor: str | None


class Reading:
    """Reads for people: checks that they may, and that it is seen that they did."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def one(self, actor: Actor, consultation_id: str, now: float) -> ConsultationOut:
        """A consult as the actor sees it; the look stands in the audit trail.

        :raises ActionRefused: not_found, forbidden.
        """
        async with self._work.services.database.read() as session:
            admitted = await self._work.admit(session, actor, consultation_id)
            pages = await self._pages(session, [admitted.row], actor, now, desk=admitted.desk)
            seen = await self._seen_lately(session, actor, consultation_id, now)
        if not seen:
            async with self._work.services.database.write() as session:
                await self._work.services.audit.record(
                    session, actor, "consultation.view", "consultation", consultation_id
                )
        return pages[0]

    async def page(
        self, actor: Actor, wanted: Wanted, now: float
    ) -> tuple[list[ConsultationOut], str | None]:
        """One page, newest first, and the cursor of the next.

        :raises ActionRefused: malformed (a cursor that is none).
        """
        async with self._work.services.database.read() as session:
            desk = actor.has({Role.DESK})
            query = select(Consultation).where(await _scope(session, actor, wanted.scope))
            if wanted.states:
                query = query.where(Consultation.state.in_([one.value for one in wanted.states]))
            if wanted.cursor is not None:
                place = tuple_(Consultation.created_at, Consultation.id)
                query = query.where(place < tuple_(*_place(wanted.cursor)))
            query = query.order_by(Consultation.created_at.desc(), Consultation.id.desc())
            rows = list(await session.scalars(query.limit(wanted.limit + 1)))
            shown = rows[: wanted.limit]
            pages = await self._pages(session, shown, actor, now, desk=desk)
        return pages, _cursor(shown[-1]) if len(rows) > wanted.limit else None

    async def watched(
        self, session: AsyncSession, rows: Sequence[Consultation], actor: Actor, now: float
    ) -> list[ConsultationOut]:
        """Consults of the county as its desk sees them."""
        return await self._pages(session, rows, actor, now, desk=True)

    async def _pages(
        self, session: AsyncSession, rows: Sequence[Consultation], actor: Actor, now: float, *, desk: bool
    ) -> list[ConsultationOut]:
        return await consultation_pages(
            session, rows, actor.id, desk=desk, now=now, durations=self._work.durations
        )

    async def _seen_lately(
        self, session: AsyncSession, actor: Actor, consultation_id: str, now: float
    ) -> bool:
        lately = select(AuditEntry.sequence).where(
            AuditEntry.subject_type == "consultation",
            AuditEntry.subject_id == consultation_id,
            AuditEntry.actor_id == actor.id,
            AuditEntry.action == "consultation.view",
            AuditEntry.at > now - VIEW_AUDIT_S,
        )
        return await session.scalar(lately.limit(1)) is not None


async def _scope(session: AsyncSession, actor: Actor, scope: Scope) -> ColumnElement[bool]:
    seats = select(Seat.consultation_id).where(Seat.practitioner_id == actor.id)
    own = or_(
        Consultation.requester_id == actor.id,
        Consultation.expert_id == actor.id,
        Consultation.id.in_(seats),
    )
    offers = select(Offer.consultation_id).where(Offer.practitioner_id == actor.id)
    if scope == "mine":
        return own
    if scope == "ringing":
        return Consultation.id.in_(offers.where(Offer.state == RINGING))
    reach = or_(own, Consultation.id.in_(offers))
    if actor.has({Role.DESK}):
        reach = or_(
            reach, among(Consultation.organization_id, await group_of(session, actor.organization_id))
        )
    if scope == "all":
        return reach
    return and_(reach, Consultation.state.not_in([one.value for one in FINAL]))


def _cursor(row: Consultation) -> str:
    return f"{row.created_at!r}~{row.id}"


def _place(cursor: str) -> tuple[float, str]:
    created_at, _, consultation_id = cursor.partition("~")
    try:
        return float(created_at), consultation_id
    except ValueError:
        raise ActionRefused(MALFORMED, "cursor") from None
