"""The rota of the demo county: it covers now, for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.specialties import specialty
from server.config import DEFAULT_ZONE
from server.oncall.models import LayerRow, ScheduleRow

_HANDOVER = "08:00"
_START = "2026-01-01"  # only says whose turn it is; a rotation has no beginning


async def seed_schedules(
    session: AsyncSession,
    organization_id: str,
    on_call: Mapping[str, Sequence[str]],
    zone: str = DEFAULT_ZONE,
) -> None:
    """One schedule for each specialty: its practitioners take daily turns, the others stand behind.

    Layer 1 rotates through all; layer ``k`` is the same rotation, ``k - 1`` turns ahead. Again is harmless.

    :param on_call: specialty code -> practitioner ids.
    :param zone: whose 08:00 they change at.
    """
    for code, members in on_call.items():
        schedule_id = f"sch-{code}"
        if await session.get(ScheduleRow, schedule_id) is not None:
            continue
        wanted = specialty(code)
        session.add(
            ScheduleRow(
                id=schedule_id,
                organization_id=organization_id,
                specialty=code,
                name=f"{wanted.zh if wanted else code}值班",
                name_en=f"{wanted.en if wanted else code} on call",
                time_zone=zone,
            )
        )
        await session.flush()
        for index in range(len(members)):
            session.add(_layer(schedule_id, index, members))


def _layer(schedule_id: str, index: int, members: Sequence[str]) -> LayerRow:
    return LayerRow(
        id=f"{schedule_id}-{index + 1}",
        schedule_id=schedule_id,
        level=index + 1,
        unit="day",
        every=1,
        start_date=_START,
        handover=_HANDOVER,
        members=[*members[index:], *members[:index]],
    )
