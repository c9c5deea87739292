"""Rotas: who covers what, and who is on call."""

from __future__ import annotations

from pydantic import Field
from sqlalchemy import select

from media.errors import NOT_FOUND, RemoteProtocolError
from server.api.context import RequestContext
from server.api.models import ApiModel, Timestamp
from server.api.references import PractitionerRef, practitioner_ref
from server.api.routing import endpoint
from server.archive.models import Organization, Practitioner
from server.oncall.models import LayerRow, ScheduleRow
from server.oncall.rota import Schedule
from server.oncall.rota_line import on_call
from server.oncall.schedules import load_schedules


class ScheduleRef(ApiModel):
    id: str
    name: str
    name_en: str


class LayerOut(ApiModel):
    """``members`` take turns of ``every`` ``unit``s, from ``startDate`` on, at ``handover`` (wall time)."""

    level: int
    unit: str
    every: int
    start_date: str
    handover: str
    members: list[PractitionerRef]


class ScheduleOut(ScheduleRef):
    specialty: str
    time_zone: str
    organization_id: str
    layers: list[LayerOut]


class OnCallOut(ApiModel):
    """Who is rung for a specialty, in order; this holds until ``until``."""

    schedule: ScheduleRef
    specialty: str
    practitioners: list[PractitionerRef]
    until: Timestamp | None


class OnCallQuery(ApiModel):
    specialty: str | None = Field(default=None, max_length=40)
    at: Timestamp | None = None


@endpoint("GET", "/api/v1/schedules", summary="Rotas")
async def list_schedules(ctx: RequestContext) -> list[ScheduleOut]:
    rows = await ctx.session.scalars(select(ScheduleRow).order_by(ScheduleRow.id))
    return [await _schedule_out(ctx, row) for row in rows.all()]


@endpoint("GET", "/api/v1/schedules/on-call", summary="Who is on call")
async def who_is_on_call(ctx: RequestContext, query: OnCallQuery) -> list[OnCallOut]:
    """Now, or ``at`` a time; for one specialty or all."""
    at = ctx.now if query.at is None else query.at
    schedules = await load_schedules(ctx.session, query.specialty, since=at)
    return [await _on_call_out(ctx, schedule, at) for schedule in schedules]


@endpoint("GET", "/api/v1/schedules/{schedule_id}", summary="One rota")
async def get_schedule(ctx: RequestContext, schedule_id: str) -> ScheduleOut:
    row = await ctx.session.get(ScheduleRow, schedule_id)
    if row is None:
        raise RemoteProtocolError(NOT_FOUND, "schedule")
    return await _schedule_out(ctx, row)


async def _schedule_out(ctx: RequestContext, row: ScheduleRow) -> ScheduleOut:
    layers = select(LayerRow).where(LayerRow.schedule_id == row.id).order_by(LayerRow.level)
    rows = (await ctx.session.scalars(layers)).all()
    return ScheduleOut(
        id=row.id,
        name=row.name,
        name_en=row.name_en,
        specialty=row.specialty,
        time_zone=row.time_zone,
        organization_id=row.organization_id,
        layers=[await _layer_out(ctx, layer) for layer in rows],
    )


async def _layer_out(ctx: RequestContext, layer: LayerRow) -> LayerOut:
    return LayerOut(
        level=layer.level,
        unit=layer.unit,
        every=layer.every,
        start_date=layer.start_date,
        handover=layer.handover,
        members=await _people(ctx, layer.members),
    )


async def _on_call_out(ctx: RequestContext, schedule: Schedule, at: float) -> OnCallOut:
    row = await ctx.session.get_one(ScheduleRow, schedule.id)
    now = on_call(schedule, at)
    return OnCallOut(
        schedule=ScheduleRef(id=row.id, name=row.name, name_en=row.name_en),
        specialty=row.specialty,
        practitioners=await _people(ctx, now.practitioners),
        until=now.until,
    )


async def _people(ctx: RequestContext, ids: list[str] | tuple[str, ...]) -> list[PractitionerRef]:
    """In the order of ``ids``; whoever left is left out."""
    people = []
    for practitioner_id in ids:
        row = await ctx.session.get(Practitioner, practitioner_id)
        if row is not None and row.active:
            organization = await ctx.session.get_one(Organization, row.organization_id)
            people.append(practitioner_ref(row, organization))
    return people
