"""Times for planned consults: when everybody is free, and a plan for all that wait for a time."""

from __future__ import annotations

from server.api.context import RequestContext
from server.api.models import ApiModel, Timestamp
from server.api.routing import endpoint
from server.auth.actor import Role
from server.consults.store import load
from server.oncall.planning import CONSULT_S, plan_for, times_for


class TimesOut(ApiModel):
    """``starts``: the earliest first; each lasts ``minutes``."""

    minutes: int
    starts: list[Timestamp]


class PlannedOut(ApiModel):
    consultation_id: str
    expert_id: str
    at: Timestamp


class PlanOut(ApiModel):
    """A proposal; each entry becomes real by the consult's action ``schedule``."""

    planned: list[PlannedOut]


@endpoint(
    "GET",
    "/api/v1/consultations/{consultation_id}/times",
    summary="When everybody is free",
    roles={Role.VILLAGE_DOCTOR, Role.TOWNSHIP_DOCTOR, Role.EXPERT, Role.DESK},
)
async def get_times(ctx: RequestContext, consultation_id: str) -> TimesOut:
    """Requester, expert and every taken seat, on workdays of the coming two weeks."""
    await ctx.services.consults.check_view(ctx.session, ctx.actor, consultation_id)
    zone = ctx.services.config.zone
    starts = await times_for(ctx.session, await load(ctx.session, consultation_id), ctx.now, zone)
    return TimesOut(minutes=int(CONSULT_S // 60), starts=starts)


@endpoint("GET", "/api/v1/planning", summary="A plan for all that wait for a time", roles={Role.DESK})
async def get_plan(ctx: RequestContext) -> PlanOut:
    """Of the desk's own county: as many as fit, with the least waiting and even days."""
    planned = await plan_for(ctx.session, ctx.actor.organization_id or "", ctx.now, ctx.services.config.zone)
    return PlanOut(
        planned=[
            PlannedOut(consultation_id=one.consultation_id, expert_id=one.expert_id, at=one.starts)
            for one in planned
        ]
    )
