"""What-if: what a change of a rota would do, before it is saved or decided."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from server.api.context import RequestContext
from server.api.models import ApiModel, Timestamp
from server.api.references import PractitionerRef
from server.api.rota_shapes import (
    DifferenceOut,
    GapOut,
    Id,
    Instant,
    LayerIn,
    OverrideIn,
    PieceShape,
    difference_out,
    gap_out,
    layer_in,
    override_in,
    people_by_id,
)
from server.api.routing import endpoint
from server.api.schedules import ScheduleRef, check_span
from server.auth.actor import Role
from server.oncall.asking import weighed
from server.oncall.limits import COVERAGE_DAYS, LAYERS
from server.oncall.rota import Leave, Schedule
from server.oncall.rota_check import check_override, check_schedule, with_override
from server.oncall.rota_whatif import LOOK_S, WhatIf
from server.oncall.schedules import load_schedule, schedule_row
from server.oncall.weighing import Weighed, weigh


class LeavePreview(PieceShape):
    level: int = 1
    practitioner_id: Id


class PreviewIn(ApiModel):
    """One of: other layers, an override, an override taken back, somebody's leave."""

    layers: list[LayerIn] | None = Field(default=None, max_length=LAYERS)
    override: OverrideIn | None = None
    end_override: Id | None = None
    leave: LeavePreview | None = None
    start: Instant | None = None
    end: Instant | None = None


class TwiceOut(ApiModel):
    """``person`` would hold more lines at once than now, on this rota or another."""

    person: str
    starts: Timestamp
    ends: Timestamp


class UnbrokenOut(ApiModel):
    """``person`` would stand longer without a break than 24 hours, the rota's turns, and than now."""

    person: str
    level: int
    starts: Timestamp
    ends: Timestamp


class PreviewOut(ApiModel):
    """What would be different; ``newGaps``: those of ``gaps`` that the change makes."""

    differences: list[DifferenceOut]
    gaps: list[GapOut]
    new_gaps: list[GapOut]
    twice: list[TwiceOut]
    unbroken: list[UnbrokenOut]
    people: list[PractitionerRef]


class AskPreviewOut(PreviewOut):
    """Of one rota that a swap or a leave would change."""

    schedule: ScheduleRef
    time_zone: str


@endpoint(
    "POST",
    "/api/v1/schedules/{schedule_id}/preview",
    summary="What a change would change",
    roles={Role.DESK, Role.EXPERT},
    writes=False,
)
async def preview(ctx: RequestContext, schedule_id: str, body: PreviewIn) -> PreviewOut:
    """Nothing is kept; refused as the change would be. Without ``start`` and ``end``: the next 30 days."""
    start = ctx.now if body.start is None else body.start
    end = start + COVERAGE_DAYS * 86_400.0 if body.end is None else body.end
    check_span(start, end)
    old = await load_schedule(ctx.session, schedule_id, since=min(ctx.now, start - LOOK_S))
    new = _changed(old, body, ctx.now)
    return await _preview_out(ctx, await weigh(ctx.session, old, new, [(start, end)]))


@endpoint(
    "GET",
    "/api/v1/schedules/asks/{ask_id}/preview",
    summary="What a swap or a leave would change",
    roles={Role.DESK, Role.EXPERT},
)
async def preview_ask(ctx: RequestContext, ask_id: str) -> list[AskPreviewOut]:
    """Of each rota that names who gives or goes, for whoever has a part in it; refused as the approval would
    be. Whoever approves sends ``newGaps`` along as ``seenGaps``."""
    found = await weighed(ctx.session, ctx.actor, ask_id, ctx.now)
    return [await _ask_preview_out(ctx, one) for one in found]


def _changed(old: Schedule, body: PreviewIn, now: float) -> Schedule:
    new = old
    if body.layers is not None:
        new = replace(new, layers=tuple(layer_in(one) for one in body.layers))
        check_schedule(new)
    if body.end_override is not None:
        kept = tuple(one for one in new.overrides if one.id != body.end_override)
        new = replace(new, overrides=kept)
    if body.override is not None:
        override = override_in(body.override, "preview")
        check_override(new, override, now)
        new = with_override(new, override)
    if body.leave is not None:
        away = Leave(body.leave.practitioner_id, body.leave.starts, body.leave.ends)
        new = replace(new, leave=(*new.leave, away))
    return new


async def _ask_preview_out(ctx: RequestContext, one: Weighed) -> AskPreviewOut:
    row = await schedule_row(ctx.session, one.schedule.id)
    told = await _preview_out(ctx, one.found)
    return AskPreviewOut(**dict(told), schedule=ScheduleRef.model_validate(row), time_zone=one.schedule.zone)


async def _preview_out(ctx: RequestContext, found: WhatIf) -> PreviewOut:
    named = {one for each in found.differences for one in (*each.before, *each.after)}
    named |= {one.person for one in found.twice} | {one.person for one in found.unbroken}
    people = await people_by_id(ctx.session, named | {one for gap in found.gaps for one in gap.missing})
    return PreviewOut(
        differences=[difference_out(one) for one in found.differences],
        gaps=[gap_out(one) for one in found.gaps],
        new_gaps=[gap_out(one) for one in found.new_gaps],
        twice=[TwiceOut.model_validate(one) for one in found.twice],
        unbroken=[UnbrokenOut.model_validate(one) for one in found.unbroken],
        people=[people[one] for one in sorted(people)],
    )
