"""Rotas: who covers what, who is on call, the calendar with its gaps."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlalchemy import select

from media.errors import NOT_FOUND, RemoteProtocolError
from server.api.context import RequestContext
from server.api.models import ApiModel, Timestamp
from server.api.references import PractitionerRef
from server.api.rota_shapes import (
    GapOut,
    Instant,
    LayerOut,
    NoticeOut,
    OverrideOut,
    StretchOut,
    gap_out,
    layer_out,
    notice_out,
    override_out,
    people_by_id,
    stretch_out,
)
from server.api.routing import endpoint
from server.auth.actor import Role
from server.errors import VALIDATION_FAILED
from server.oncall.changing import experts_of, may_edit
from server.oncall.history import events_of
from server.oncall.limits import CALENDAR_DAYS, NOTICES_KEPT
from server.oncall.models import LayerRow, NoticeRow, OverrideRow, ScheduleRow
from server.oncall.rota import Schedule
from server.oncall.rota_cover import gaps
from server.oncall.rota_days import DayKind
from server.oncall.rota_line import on_call, timeline
from server.oncall.rota_time import wall_at
from server.oncall.schedules import load_calendar, load_schedule, load_schedules, schedule_row

_DAY_S = 86_400.0


class ScheduleRef(ApiModel):
    id: str
    name: str
    name_en: str


class ScheduleOut(ScheduleRef):
    """``editable``: the reader is its desk."""

    specialty: str
    time_zone: str
    organization_id: str
    version: int
    editable: bool
    layers: list[LayerOut]


class OnCallOut(ApiModel):
    """Who is rung for a specialty, in order; this holds until ``until``."""

    schedule: ScheduleRef
    specialty: str
    practitioners: list[PractitionerRef]
    until: Timestamp | None


class OnCallQuery(ApiModel):
    specialty: str | None = Field(default=None, max_length=40)
    at: Instant | None = None


class SpanQuery(ApiModel):
    start: Instant
    end: Instant


class DayOut(ApiModel):
    """A day of the calendar that is not what its weekday says."""

    day: date
    kind: DayKind


class CalendarOut(ApiModel):
    """A rota from ``start`` up to ``end``: each line without holes.

    ``people``: everybody named, and whoever could be.
    """

    schedule: ScheduleRef
    specialty: str
    time_zone: str
    version: int
    editable: bool
    start: Timestamp
    end: Timestamp
    levels: list[int]
    stretches: list[StretchOut]
    gaps: list[GapOut]
    overrides: list[OverrideOut]
    days: list[DayOut]
    people: list[PractitionerRef]


class EventOut(ApiModel):
    """One change: who, when, why. ``detail.policies``: escalation policies as they were put then."""

    at: Timestamp
    actor: PractitionerRef | None
    action: str
    subject_id: str
    reason: str
    detail: dict[str, str | int | float | bool | list[str] | dict[str, Any] | None]


@endpoint("GET", "/api/v1/schedules", summary="Rotas")
async def list_schedules(ctx: RequestContext) -> list[ScheduleOut]:
    rows = await ctx.session.scalars(select(ScheduleRow).order_by(ScheduleRow.id))
    return [await schedule_out(ctx, row) for row in rows.all()]


@endpoint("GET", "/api/v1/schedules/on-call", summary="Who is on call")
async def who_is_on_call(ctx: RequestContext, query: OnCallQuery) -> list[OnCallOut]:
    """Now, or ``at`` a time; for one specialty or all."""
    at = ctx.now if query.at is None else query.at
    schedules = await load_schedules(ctx.session, query.specialty, since=at)
    return [await _on_call_out(ctx, schedule, at) for schedule in schedules]


@endpoint("GET", "/api/v1/schedules/notices", summary="Announced gaps and hand-overs")
async def list_notices(ctx: RequestContext) -> list[NoticeOut]:
    """What is still open or to come, by time."""
    query = select(NoticeRow).where(NoticeRow.ends >= ctx.now, NoticeRow.closed_at.is_(None))
    rows = await ctx.session.scalars(query.order_by(NoticeRow.starts, NoticeRow.id).limit(NOTICES_KEPT))
    return [notice_out(row) for row in rows]


@endpoint("GET", "/api/v1/schedules/{schedule_id}", summary="One rota")
async def get_schedule(ctx: RequestContext, schedule_id: str) -> ScheduleOut:
    return await schedule_out(ctx, await schedule_row(ctx.session, schedule_id))


@endpoint("GET", "/api/v1/schedules/{schedule_id}/calendar", summary="A rota's calendar")
async def get_calendar(ctx: RequestContext, schedule_id: str, query: SpanQuery) -> CalendarOut:
    """Who is on call when, from ``start`` up to ``end``, at most 100 days; with gaps and overrides."""
    check_span(query.start, query.end)
    row = await schedule_row(ctx.session, schedule_id)
    schedule = await load_schedule(ctx.session, schedule_id, since=query.start)
    made = await ctx.session.scalars(
        select(OverrideRow)
        .where(
            OverrideRow.schedule_id == schedule_id,
            OverrideRow.ended_at.is_(None),
            OverrideRow.ends > query.start,
            OverrideRow.starts < query.end,
        )
        .order_by(OverrideRow.number, OverrideRow.id)
    )
    overrides = [override_out(one) for one in made]
    able = [one.id for one in await experts_of(ctx.session, row.specialty)]
    named = [one for each in overrides for one in (each.who, each.by)]
    people = await people_by_id(ctx.session, {*schedule.people, *able, *named})
    return CalendarOut(
        schedule=ScheduleRef.model_validate(row),
        specialty=row.specialty,
        time_zone=row.time_zone,
        version=row.version,
        editable=await may_edit(ctx.session, ctx.actor, row.organization_id),
        start=query.start,
        end=query.end,
        levels=list(schedule.levels),
        stretches=[stretch_out(one) for one in timeline(schedule, query.start, query.end)],
        gaps=[gap_out(one) for one in gaps(schedule, query.start, query.end)],
        overrides=overrides,
        days=await _days(ctx, row.time_zone, query),
        people=[people[one] for one in sorted(people)],
    )


@endpoint(
    "GET",
    "/api/v1/schedules/{schedule_id}/events",
    summary="What was changed",
    roles={Role.DESK, Role.REGULATOR},
)
async def list_events(ctx: RequestContext, schedule_id: str) -> list[EventOut]:
    """Who changed what, when and why; the newest first."""
    await schedule_row(ctx.session, schedule_id)
    events = await events_of(ctx.session, schedule_id)
    people = await people_by_id(ctx.session, {one.actor_id for one in events})
    return [
        EventOut(
            at=one.at,
            actor=people.get(one.actor_id),
            action=one.action,
            subject_id=one.subject_id,
            reason=one.reason.reveal(),
            detail=one.detail,
        )
        for one in events
    ]


def check_span(start: float, end: float) -> None:
    """Raises RemoteProtocolError(validation_failed) for a span that ends early or is too long."""
    if not 0 < end - start <= CALENDAR_DAYS * _DAY_S:
        raise RemoteProtocolError(VALIDATION_FAILED, f"end: after start, at most {CALENDAR_DAYS} days")


async def schedule_out(ctx: RequestContext, row: ScheduleRow) -> ScheduleOut:
    layers = select(LayerRow).where(LayerRow.schedule_id == row.id).order_by(LayerRow.level, LayerRow.rank)
    rows = (await ctx.session.scalars(layers)).all()
    people = await people_by_id(ctx.session, {one for layer in rows for one in layer.members})
    return ScheduleOut(
        id=row.id,
        name=row.name,
        name_en=row.name_en,
        specialty=row.specialty,
        time_zone=row.time_zone,
        organization_id=row.organization_id,
        version=row.version,
        editable=await may_edit(ctx.session, ctx.actor, row.organization_id),
        layers=[layer_out(layer, people) for layer in rows],
    )


async def _on_call_out(ctx: RequestContext, schedule: Schedule, at: float) -> OnCallOut:
    row = await ctx.session.get(ScheduleRow, schedule.id)
    if row is None:
        raise RemoteProtocolError(NOT_FOUND, "schedule")
    now = on_call(schedule, at)
    people = await people_by_id(ctx.session, now.practitioners)
    return OnCallOut(
        schedule=ScheduleRef.model_validate(row),
        specialty=row.specialty,
        practitioners=[people[one] for one in now.practitioners if one in people],
        until=now.until,
    )


async def _days(ctx: RequestContext, zone: str, span: SpanQuery) -> list[DayOut]:
    """The holidays and make-up workdays of the span."""
    calendar = await load_calendar(ctx.session, span.start)
    first, last = (wall_at(at, ZoneInfo(zone)).date() for at in (span.start, span.end))
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [
        DayOut(day=day, kind=calendar.kind(day))
        for day in days
        if day in calendar.holidays or day in calendar.workdays
    ]
