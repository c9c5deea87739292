"""What changes a rota: the desk's edits and overrides, a doctor who takes the line."""

from __future__ import annotations

from datetime import date

from pydantic import Field
from sqlalchemy import select

from media.errors import RemoteProtocolError
from server.api.context import RequestContext
from server.api.models import ApiModel
from server.api.rota_shapes import (
    LayerIn,
    OverrideIn,
    OverrideOut,
    Reason,
    layer_in,
    override_in,
    override_out,
)
from server.api.routing import endpoint
from server.api.schedules import ScheduleOut, schedule_out
from server.archive.ids import new_id
from server.archive.specialties import specialty
from server.auth.actor import Role
from server.consults.errors import NO_SUCH_SPECIALTY
from server.oncall.changing import add_override, create_schedule, edit_schedule, end_override, take_line
from server.oncall.history import Deed, note
from server.oncall.holiday_table import year_of
from server.oncall.limits import LAYERS, UNBROKEN_S
from server.oncall.models import CalendarDay, OverrideRow, ScheduleRow
from server.oncall.rota import Schedule
from server.oncall.rota_days import DayKind
from server.oncall.schedules import schedule_row

DESK = {Role.DESK}


class ScheduleIn(ApiModel):
    specialty: str = Field(max_length=40)
    name: str = Field(min_length=1, max_length=80)
    name_en: str = Field(min_length=1, max_length=80)
    time_zone: str = Field(max_length=40)
    layers: list[LayerIn] = Field(max_length=LAYERS)
    reason: Reason = ""


class ScheduleEdit(ApiModel):
    """``version``: the rota that was seen; another's change in between gives 409 ``version_conflict``."""

    version: int
    time_zone: str = Field(max_length=40)
    layers: list[LayerIn] = Field(max_length=LAYERS)
    reason: Reason = ""


class TakeIn(ApiModel):
    hours: float | None = Field(default=None, gt=0, le=UNBROKEN_S / 3600.0)
    reason: Reason = ""


class ReasonIn(ApiModel):
    reason: Reason = ""


class DayIn(ApiModel):
    kind: DayKind
    name: str = Field(default="", max_length=80)


class HolidayOut(ApiModel):
    """``entered``: by the desk, on top of what is known."""

    day: date
    kind: DayKind
    name: str
    name_en: str
    entered: bool


class HolidaysOut(ApiModel):
    """``announced``: the year's make-up workdays are known."""

    year: int
    announced: bool
    days: list[HolidayOut]


class YearQuery(ApiModel):
    year: int = Field(ge=2008, le=2099)


@endpoint("POST", "/api/v1/schedules", summary="A new rota", roles=DESK, status=201)
async def make_schedule(ctx: RequestContext, body: ScheduleIn) -> ScheduleOut:
    """Of the desk's own organization."""
    if specialty(body.specialty) is None:
        raise RemoteProtocolError(NO_SUCH_SPECIALTY)
    row = ScheduleRow(
        id=new_id("sch"),
        organization_id=ctx.actor.organization_id or "",
        specialty=body.specialty,
        name=body.name,
        name_en=body.name_en,
        time_zone=body.time_zone,
        version=1,
    )
    layers = tuple(layer_in(one) for one in body.layers)
    schedule = Schedule(row.id, row.specialty, row.time_zone, layers)
    await create_schedule(ctx.session, ctx.services.audit, _deed(ctx, body.reason), row, schedule)
    _look_again(ctx)
    return await schedule_out(ctx, row)


@endpoint("PUT", "/api/v1/schedules/{schedule_id}", summary="Change a rota's layers", roles=DESK)
async def put_schedule(ctx: RequestContext, schedule_id: str, body: ScheduleEdit) -> ScheduleOut:
    row = await schedule_row(ctx.session, schedule_id)
    layers = tuple(layer_in(one) for one in body.layers)
    schedule = Schedule(row.id, row.specialty, body.time_zone, layers)
    await edit_schedule(ctx.session, ctx.services.audit, _deed(ctx, body.reason), schedule, body.version)
    await ctx.session.refresh(row)
    _look_again(ctx)
    return await schedule_out(ctx, row)


@endpoint(
    "POST",
    "/api/v1/schedules/{schedule_id}/overrides",
    summary="Change a rota by hand",
    roles=DESK,
    status=201,
)
async def make_override(ctx: RequestContext, schedule_id: str, body: OverrideIn) -> OverrideOut:
    override = override_in(body, new_id("ovr"))
    deed = _deed(ctx, body.reason)
    await add_override(ctx.session, ctx.services.audit, deed, schedule_id, override, body.version)
    _look_again(ctx)
    return override_out(await ctx.session.get_one(OverrideRow, override.id))


@endpoint(
    "DELETE",
    "/api/v1/schedules/{schedule_id}/overrides/{override_id}",
    summary="Take a change back",
    roles={Role.DESK, Role.EXPERT},
)
async def take_back(ctx: RequestContext, schedule_id: str, override_id: str) -> None:
    """By the desk, or by whoever made it. One that has begun ends now."""
    await end_override(ctx.session, ctx.services.audit, _deed(ctx, ""), schedule_id, override_id)
    _look_again(ctx)


@endpoint(
    "POST",
    "/api/v1/schedules/{schedule_id}/take-now",
    summary="Take the line now",
    roles={Role.EXPERT},
    status=201,
)
async def take_it_now(ctx: RequestContext, schedule_id: str, body: TakeIn) -> OverrideOut:
    """The first line, for ``hours`` or until it would change; no approval is asked for."""
    deed = _deed(ctx, body.reason)
    override = await take_line(ctx.session, ctx.services.audit, deed, schedule_id, body.hours)
    _look_again(ctx)
    return override_out(await ctx.session.get_one(OverrideRow, override.id))


@endpoint("GET", "/api/v1/schedules/holidays", summary="Holidays and make-up workdays")
async def list_holidays(ctx: RequestContext, query: YearQuery) -> HolidaysOut:
    known = year_of(query.year)
    rows = await ctx.session.scalars(select(CalendarDay).where(CalendarDay.day.startswith(f"{query.year}-")))
    days = {
        day: HolidayOut(day=day, kind=DayKind.DAY_OFF, name=zh, name_en=en, entered=False)
        for day, (zh, en) in known.names.items()
        if day in known.calendar.holidays
    }
    for day in known.calendar.workdays:
        days[day] = HolidayOut(
            day=day, kind=DayKind.WORKDAY, name="调休上班", name_en="Make-up workday", entered=False
        )
    for row in rows:
        day = date.fromisoformat(row.day)
        days[day] = HolidayOut(day=day, kind=DayKind(row.kind), name=row.name, name_en=row.name, entered=True)
    return HolidaysOut(year=query.year, announced=known.announced, days=[days[day] for day in sorted(days)])


@endpoint("PUT", "/api/v1/schedules/holidays/{day}", summary="Enter a holiday or a workday", roles=DESK)
async def put_holiday(ctx: RequestContext, day: date, body: DayIn) -> None:
    """``any`` takes the desk's entry away again."""
    row = await ctx.session.get(CalendarDay, day.isoformat())
    if row is not None:
        await ctx.session.delete(row)
        await ctx.session.flush()
    if body.kind is not DayKind.ANY:
        ctx.session.add(CalendarDay(day=day.isoformat(), kind=body.kind.value, name=body.name))
    detail = {"kind": body.kind.value}
    await note(
        ctx.session, ctx.services.audit, _deed(ctx, ""), "rota.calendar_day", day.isoformat(), None, detail
    )
    _look_again(ctx)


def _deed(ctx: RequestContext, reason: str) -> Deed:
    return Deed(ctx.actor, ctx.now, reason)


def _look_again(ctx: RequestContext) -> None:
    """Coverage is looked at anew once the change stands."""

    async def look() -> None:
        ctx.services.rota_watch.changed()

    ctx.after_commit(look)
