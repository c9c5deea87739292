"""Breaking the glass: a look into a consult of others, in an emergency, with a reason, for a while, reviewed.

It gives sight and nothing else: what may be done follows from the part one has in the consult. The desk of
the consult's county learns of it at once and says afterwards whether it was justified; nobody reviews their
own.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import LIMIT_REACHED
from server.archive.ids import new_id
from server.auth.actor import Actor, Role
from server.consults.access import desks_of, is_desk_of
from server.consults.errors import (
    ALREADY_REVIEWED,
    FORBIDDEN,
    NO_SUCH_BREAK_GLASS,
    REASON_TOO_SHORT,
    ActionRefused,
)
from server.consults.limits import BREAK_GLASS_LISTED, BREAK_GLASS_REASON, BREAK_GLASS_RUNNING
from server.consults.messages import CONSULTATION, consultation_push
from server.consults.models import BreakGlass, Consultation
from server.consults.store import load
from server.consults.work import Work
from signaling.personal import Personal


class Emergency:
    """Opens consults in an emergency and reviews that it was done."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def open(
        self, actor: Actor, consultation_id: str, reason: str, minutes: int, now: float
    ) -> BreakGlass:
        """Let ``actor`` see the consult for ``minutes``; the desk is told, the trail has it.

        :raises ActionRefused: not_found, reason_too_short, limit_reached.
        """
        if len(reason.strip()) < BREAK_GLASS_REASON:
            raise ActionRefused(REASON_TOO_SHORT)
        async with self._work.transaction(now) as tx:
            row = await load(tx.session, consultation_id)
            await _check_bound(tx.session, actor, now)
            opened = BreakGlass(
                id=new_id("bg"),
                consultation_id=row.id,
                practitioner_id=actor.id,
                reason=Personal(reason.strip()),
                began_at=now,
                until=now + minutes * 60,
            )
            tx.session.add(opened)
            detail = {"breakGlassId": opened.id, "minutes": minutes}
            await self._work.services.audit.record(
                tx.session, actor, "consultation.break_glass", "consultation", row.id, detail
            )
            for desk in await desks_of(tx.session, row.organization_id):
                tx.outbox.push(desk, CONSULTATION, consultation_push(row, alarm="break_glass"))
        return opened

    async def review(
        self, actor: Actor, break_glass_id: str, justified: bool, text: str, now: float
    ) -> BreakGlass:
        """Say whether it was justified: once, by the desk, never about oneself.

        :raises ActionRefused: no_such_break_glass, forbidden, already_reviewed.
        """
        async with self._work.transaction(now) as tx:
            opened = await tx.session.get(BreakGlass, break_glass_id)
            if opened is None:
                raise ActionRefused(NO_SUCH_BREAK_GLASS)
            row = await load(tx.session, opened.consultation_id)
            if opened.practitioner_id == actor.id or not await is_desk_of(tx.session, actor, row):
                self._work.note_refusal(actor, row.id, "review of break-glass")
                raise ActionRefused(FORBIDDEN)
            if opened.reviewed_at is not None:
                raise ActionRefused(ALREADY_REVIEWED)
            opened.reviewed_at, opened.reviewed_by = now, actor.id
            opened.justified, opened.review = justified, Personal(text.strip())
            detail = {"breakGlassId": opened.id, "justified": justified}
            await self._work.services.audit.record(
                tx.session, actor, "consultation.break_glass_review", "consultation", row.id, detail
            )
        return opened

    async def listed(self, session: AsyncSession, actor: Actor, limit: int) -> Sequence[BreakGlass]:
        """The newest first, those without a review before the others: the desk's of its county, one's own
        otherwise."""
        query = select(BreakGlass).order_by(BreakGlass.reviewed_at.is_not(None), BreakGlass.began_at.desc())
        if not actor.has({Role.DESK}):
            return list(
                await session.scalars(query.where(BreakGlass.practitioner_id == actor.id).limit(limit))
            )
        found: list[BreakGlass] = []
        for one in await session.scalars(query.limit(BREAK_GLASS_LISTED)):
            if await is_desk_of(session, actor, await session.get_one(Consultation, one.consultation_id)):
                found.append(one)
            if len(found) >= limit:
                break
        return found


async def _check_bound(session: AsyncSession, actor: Actor, now: float) -> None:
    running = select(func.count()).where(BreakGlass.practitioner_id == actor.id, BreakGlass.until > now)
    if (await session.scalar(running) or 0) >= BREAK_GLASS_RUNNING:
        raise ActionRefused(LIMIT_REACHED, "emergency accesses")
