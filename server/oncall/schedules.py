"""Rotas out of the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.oncall.models import LayerRow, ScheduleRow
from server.oncall.rota import Layer, Rotation, Schedule, Unit


async def load_schedules(session: AsyncSession, specialty: str | None = None) -> list[Schedule]:
    """The rotas, of one specialty or all, in the order of their ids."""
    query = select(ScheduleRow).order_by(ScheduleRow.id)
    if specialty is not None:
        query = query.where(ScheduleRow.specialty == specialty)
    rows = list(await session.scalars(query))
    layers = await session.scalars(
        select(LayerRow).where(LayerRow.schedule_id.in_([row.id for row in rows])).order_by(LayerRow.level)
    )
    by_schedule: dict[str, list[LayerRow]] = {}
    for layer in layers:
        by_schedule.setdefault(layer.schedule_id, []).append(layer)
    return [schedule_of(row, by_schedule.get(row.id, ())) for row in rows]


def schedule_of(row: ScheduleRow, layers: Iterable[LayerRow]) -> Schedule:
    """The rota of these rows."""
    return Schedule(row.id, row.specialty, row.time_zone, tuple(_layer(each) for each in layers))


def _layer(row: LayerRow) -> Layer:
    rotation = Rotation(
        members=tuple(row.members),
        start=date.fromisoformat(row.start_date),
        handover=time.fromisoformat(row.handover),
        unit=Unit(row.unit),
        every=row.every,
    )
    return Layer(row.level, rotation)
