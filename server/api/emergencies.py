"""Breaking the glass over HTTP: a look into a consult of others in an emergency, and its review."""

from __future__ import annotations

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.api.context import RequestContext
from server.api.entering import CLINICAL
from server.api.models import ApiModel, Timestamp
from server.api.routing import endpoint
from server.archive.models import Practitioner
from server.auth.actor import REQUESTERS, Role
from server.consults.limits import BREAK_GLASS_MINUTES, LINE_LETTERS
from server.consults.models import BreakGlass, Consultation
from server.consults.schema import PersonRef
from server.limits import MAX_PAGE


class BreakGlassIn(ApiModel):
    reason: str = Field(max_length=LINE_LETTERS)
    minutes: int = Field(default=30, ge=1, le=BREAK_GLASS_MINUTES)


class ReviewIn(ApiModel):
    justified: bool
    text: str = Field(default="", max_length=LINE_LETTERS)


class BreakGlassOut(ApiModel):
    """``justified`` None: not reviewed yet."""

    id: str
    consultation_id: str
    number: str
    practitioner: PersonRef
    reason: str
    began_at: Timestamp
    until: Timestamp
    reviewed_at: Timestamp | None
    reviewed_by: PersonRef | None
    justified: bool | None
    review: str | None


@endpoint(
    "POST",
    "/api/v1/consultations/{consultation_id}/break-glass",
    summary="Open a consult of others in an emergency",
    roles=REQUESTERS,
    writes=False,
    status=201,
)
async def break_glass(ctx: RequestContext, consultation_id: str, body: BreakGlassIn) -> BreakGlassOut:
    """Sight only, for the minutes asked for. The desk is told at once and reviews it."""
    opened = await ctx.services.consults.emergency.open(
        ctx.actor, consultation_id, body.reason, body.minutes, ctx.now
    )
    async with ctx.services.database.read() as session:
        return await _shown(session, opened)


@endpoint("GET", "/api/v1/break-glass", summary="Emergency accesses", roles=CLINICAL)
async def list_break_glass(ctx: RequestContext) -> list[BreakGlassOut]:
    """The desk's county, those without a review first; anybody else's own."""
    found = await ctx.services.consults.emergency.listed(ctx.session, ctx.actor, MAX_PAGE)
    return [await _shown(ctx.session, one) for one in found]


@endpoint(
    "POST",
    "/api/v1/break-glass/{break_glass_id}/review",
    summary="Review an emergency access",
    roles={Role.DESK},
    writes=False,
)
async def review_break_glass(ctx: RequestContext, break_glass_id: str, body: ReviewIn) -> BreakGlassOut:
    """Once; nobody reviews their own."""
    opened = await ctx.services.consults.emergency.review(
        ctx.actor, break_glass_id, body.justified, body.text, ctx.now
    )
    async with ctx.services.database.read() as session:
        return await _shown(session, opened)


async def _shown(session: AsyncSession, one: BreakGlass) -> BreakGlassOut:
    number = await session.scalar(select(Consultation.number).where(Consultation.id == one.consultation_id))
    return BreakGlassOut(
        id=one.id,
        consultation_id=one.consultation_id,
        number=number or "",
        practitioner=await _person(session, one.practitioner_id),
        reason=one.reason.reveal(),
        began_at=one.began_at,
        until=one.until,
        reviewed_at=one.reviewed_at,
        reviewed_by=await _person(session, one.reviewed_by) if one.reviewed_by else None,
        justified=one.justified,
        review=one.review.reveal() if one.review is not None else None,
    )


async def _person(session: AsyncSession, practitioner_id: str) -> PersonRef:
    row = await session.get_one(Practitioner, practitioner_id)
    return PersonRef(id=row.id, name=row.name.reveal(), name_en=row.name_en.reveal())
