"""Rotas out of the database and into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import TypeVar

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import NOT_FOUND, RemoteProtocolError
from server.archive.among import among
from server.archive.ids import new_id
from server.archive.models import Practitioner
from server.errors import VERSION_CONFLICT
from server.oncall.holiday_table import calendar_of
from server.oncall.models import AskRow, CalendarDay, LayerRow, OverrideRow, ScheduleRow
from server.oncall.rota import Change, Layer, Leave, Override, Rotation, Schedule, Slot, Unit
from server.oncall.rota_ask import Ask, Stage
from server.oncall.rota_days import DayCalendar, DayKind, DayRule

RowT = TypeVar("RowT", LayerRow, OverrideRow)


async def load_schedules(
    session: AsyncSession, specialty: str | None = None, *, since: float
) -> list[Schedule]:
    """The rotas, of one specialty or all, in the order of their ids.

    :param since: Unix seconds; overrides and leave that ended before are left out.
    """
    query = select(ScheduleRow).order_by(ScheduleRow.id)
    if specialty is not None:
        query = query.where(ScheduleRow.specialty == specialty)
    return await _filled(session, list(await session.scalars(query)), since)


async def load_these(session: AsyncSession, ids: Sequence[str], *, since: float) -> list[Schedule]:
    """The rotas with these ids, in their order; one that is gone is left out."""
    found = await session.scalars(select(ScheduleRow).where(ScheduleRow.id.in_(ids)))
    rows = {row.id: row for row in found}
    return await _filled(session, [rows[one] for one in ids if one in rows], since)


async def load_schedule(session: AsyncSession, schedule_id: str, *, since: float) -> Schedule:
    """One rota. Raises RemoteProtocolError(not_found)."""
    (schedule,) = await _filled(session, [await schedule_row(session, schedule_id)], since)
    return schedule


async def schedule_row(session: AsyncSession, schedule_id: str) -> ScheduleRow:
    row = await session.get(ScheduleRow, schedule_id)
    if row is None:
        raise RemoteProtocolError(NOT_FOUND, "schedule")
    return row


async def next_version(session: AsyncSession, schedule_id: str, version: int | None) -> int:
    """Take the next version for a change; RemoteProtocolError(version_conflict) when ``version`` is not the
    one that stands (None: whatever stands)."""
    changed = update(ScheduleRow).where(ScheduleRow.id == schedule_id)
    if version is not None:
        changed = changed.where(ScheduleRow.version == version)
    changed = changed.values(version=ScheduleRow.version + 1).returning(ScheduleRow.version)
    taken = await session.scalar(changed.execution_options(synchronize_session=False))
    if taken is None:
        raise RemoteProtocolError(VERSION_CONFLICT)
    return taken


async def keep_layers(session: AsyncSession, schedule: Schedule) -> None:
    """Put the layers of ``schedule`` in place of those that are stored."""
    await session.execute(delete(LayerRow).where(LayerRow.schedule_id == schedule.id))
    session.add_all(_layer_row(schedule.id, layer) for layer in schedule.layers)
    await session.flush()


async def keep_override(
    session: AsyncSession,
    schedule_id: str,
    one: Override,
    made: tuple[str, float, int],
    ask_id: str | None = None,
) -> None:
    """Store an override. ``made``: by whom, when (Unix seconds), with which version of the rota."""
    session.add(
        OverrideRow(
            id=one.id,
            schedule_id=schedule_id,
            level=one.level,
            change=one.change.value,
            who=one.who,
            by=one.by,
            starts=one.starts,
            ends=one.ends,
            number=made[2],
            made_by=made[0],
            made_at=made[1],
            ask_id=ask_id,
        )
    )
    await session.flush()


def override_of(row: OverrideRow) -> Override:
    return Override(row.id, row.level, Change(row.change), row.starts, row.ends, row.who, row.by)


async def _filled(session: AsyncSession, rows: Sequence[ScheduleRow], since: float) -> list[Schedule]:
    ids = [row.id for row in rows]
    layers = await session.scalars(
        select(LayerRow).where(among(LayerRow.schedule_id, ids)).order_by(LayerRow.level, LayerRow.rank)
    )
    overrides = await session.scalars(
        select(OverrideRow)
        .where(among(OverrideRow.schedule_id, ids), OverrideRow.ends > since, OverrideRow.ended_at.is_(None))
        .order_by(OverrideRow.number, OverrideRow.id)
    )
    of_layers, of_overrides = _by_schedule(layers), _by_schedule(overrides)
    schedules = [
        Schedule(
            row.id,
            row.specialty,
            row.time_zone,
            tuple(layer_of(each) for each in of_layers.get(row.id, ())),
            overrides=tuple(override_of(each) for each in of_overrides.get(row.id, ())),
        )
        for row in rows
    ]
    return await _with_absences(session, schedules, since)


async def _with_absences(session: AsyncSession, schedules: list[Schedule], since: float) -> list[Schedule]:
    """Leave, accounts that ended, and holidays where a layer looks at them."""
    people = {one for schedule in schedules for one in schedule.people}
    away = select(AskRow.asker_id, AskRow.starts, AskRow.ends).where(
        AskRow.ask == Ask.LEAVE.value, AskRow.stage == Stage.APPROVED.value, AskRow.ends > since
    )
    leave = tuple(Leave(*row) for row in (await session.execute(away)).all())
    ended = select(Practitioner.id).where(among(Practitioner.id, people), Practitioner.active.is_(False))
    gone = frozenset(await session.scalars(ended))
    looks = any(layer.days.kind is not DayKind.ANY for each in schedules for layer in each.layers)
    days = await load_calendar(session, since) if looks else DayCalendar()
    return [replace(each, calendar=days, leave=leave, gone=gone) for each in schedules]


async def load_calendar(session: AsyncSession, since: float) -> DayCalendar:
    """The holidays around ``since`` and of the year after, with what the desk entered."""
    year = datetime.fromtimestamp(since, UTC).year
    mine = (await session.execute(select(CalendarDay.day, CalendarDay.kind))).all()
    off = [date.fromisoformat(day) for day, kind in mine if kind == DayKind.DAY_OFF]
    worked = [date.fromisoformat(day) for day, kind in mine if kind == DayKind.WORKDAY]
    return calendar_of(range(year - 1, year + 3), off, worked)


def _by_schedule(rows: Iterable[RowT]) -> dict[str, list[RowT]]:
    found: dict[str, list[RowT]] = {}
    for row in rows:
        found.setdefault(row.schedule_id, []).append(row)
    return found


def layer_of(row: LayerRow) -> Layer:
    rotation = Rotation(
        members=tuple(row.members),
        start=date.fromisoformat(row.start_date),
        handover=time.fromisoformat(row.handover),
        unit=Unit(row.unit),
        every=row.every,
        slots=tuple(
            Slot(one["member"], one["day"], time.fromisoformat(one["starts"]), one["minutes"])
            for one in row.slots
        ),
    )
    rule = DayRule(DayKind(row.day_kind), frozenset(row.weekdays), _time(row.day_starts), _time(row.day_ends))
    return Layer(row.level, rotation, row.rank, rule)


def _layer_row(schedule_id: str, layer: Layer) -> LayerRow:
    rotation, rule = layer.rotation, layer.days
    return LayerRow(
        id=new_id("lay"),
        schedule_id=schedule_id,
        level=layer.level,
        rank=layer.rank,
        unit=rotation.unit.value,
        every=rotation.every,
        start_date=rotation.start.isoformat(),
        handover=f"{rotation.handover:%H:%M}",
        members=list(rotation.members),
        slots=[
            {"member": one.member, "day": one.day, "starts": f"{one.starts:%H:%M}", "minutes": one.minutes}
            for one in rotation.slots
        ],
        day_kind=rule.kind.value,
        weekdays=sorted(rule.weekdays),
        day_starts=None if rule.starts is None else f"{rule.starts:%H:%M}",
        day_ends=None if rule.ends is None else f"{rule.ends:%H:%M}",
    )


def _time(text: str | None) -> time | None:
    return None if text is None else time.fromisoformat(text)
