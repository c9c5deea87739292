"""Whom the rota tells, out of the database."""

from __future__ import annotations

from datetime import time

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import Organization, Practitioner
from server.archive.specialties import specialty
from server.consults.access import desks_of
from server.oncall.models import AskRow, LayerRow
from server.oncall.rota_ask import Ask, Part, Stage
from server.oncall.schedules import schedule_row
from server.oncall.telling import FOR_THE_DESK, Rota, of_ask
from server.reach.notices import Notice

_HANDOVER = time(8)  # of a rota without layers: as the calendar draws it


async def rota_of(session: AsyncSession, schedule_id: str) -> Rota:
    schedule = await schedule_row(session, schedule_id)
    house = await session.get_one(Organization, schedule.organization_id)
    layers = select(LayerRow.handover).where(LayerRow.schedule_id == schedule_id)
    handover = await session.scalar(layers.order_by(LayerRow.level, LayerRow.rank, LayerRow.id).limit(1))
    wanted = specialty(schedule.specialty)
    names = (wanted.zh, wanted.en) if wanted else (schedule.specialty, schedule.specialty)
    return Rota(
        schedule.id,
        schedule.time_zone,
        _HANDOVER if handover is None else time.fromisoformat(handover),
        {"zh": names[0], "en": names[1]},
        {"zh": house.name, "en": house.name_en},
    )


async def desks_for(session: AsyncSession, schedule_id: str) -> list[str]:
    """Who keeps that rota."""
    return await desks_of(session, (await schedule_row(session, schedule_id)).organization_id)


async def ask_notices(session: AsyncSession, row: AskRow, by: str | None, now: float) -> list[Notice]:
    """What is to be told of a swap or a leave that moved, and to whom.

    :param by: who moved it, and knows; None: time did.
    """
    people: dict[Part, list[str]] = {Part.ASKER: [row.asker_id]}
    if row.other_id is not None:
        people[Part.OTHER] = [row.other_id]
    if (Ask(row.ask), Stage(row.stage)) in FOR_THE_DESK:
        asker = await session.get_one(Practitioner, row.asker_id)
        desks = await desks_of(session, asker.organization_id)
        people[Part.DESK] = [one for one in desks if one not in (row.asker_id, row.other_id)]
    told = {part: [one for one in some if one != by] for part, some in people.items()}
    rota = None if row.schedule_id is None else await rota_of(session, row.schedule_id)
    return of_ask(row, rota, {part: some for part, some in told.items() if some}, now)
