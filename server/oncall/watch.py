"""The task that looks ahead: gaps of the next thirty days are announced to the desk, hand-overs to those who
take part, and swaps that nobody decided expire.

What was told stands in the database, so a restart tells nothing twice and misses nothing: what came due
meanwhile is told at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import Fault
from server.archive.ids import new_id
from server.archive.turns import Turn, take_turn
from server.auth.actor import system_actor
from server.consults.access import desks_of
from server.oncall.asking import expire
from server.oncall.history import Deed, note
from server.oncall.limits import COVERAGE_DAYS, HANDOVER_NOTICE_S, NOTICES_KEPT
from server.oncall.models import NoticeRow, ScheduleRow
from server.oncall.rota import Schedule
from server.oncall.rota_cover import Gap, Handover, gaps, handovers
from server.oncall.schedules import load_schedules
from server.services import Services
from server.times import iso_from_unix

LOOKS_EVERY_S = 60.0
"""How often it looks by itself: a hand-over is told at most so much later than planned."""

PUSH = "rota"
"""The event of the ``/events`` namespace."""

GAP, HANDOVER = "gap", "handover"

_DAY_S = 86_400.0

logger = logging.getLogger(__name__)

Push = tuple[str, dict[str, Any]]


class RotaWatch:
    """Owns one task. `changed` makes it look at once."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._changed = asyncio.Event()
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Idempotent."""
        if self._task is None:
            self._ending = False
            self._task = asyncio.create_task(self._run(), name="rota-watch")

    async def stop(self) -> None:
        """Wait for a look under way: a cancelled statement leaves its connection behind. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            self._ending = True
            self._changed.set()
            await asyncio.wait({task})

    def changed(self) -> None:
        """A rota, a leave or a swap is different now."""
        self._changed.set()

    async def look(self, now: float) -> int:
        """Announce what there is to announce at ``now`` (Unix seconds); how many pushes went out."""
        async with self._services.database.read() as session:
            schedules = await load_schedules(session, since=now)
        # In a thread: a year of hourly turns takes long enough to be heard in a running consult.
        views = [(one, await asyncio.to_thread(_ahead, one, now)) for one in schedules]
        pushes: list[Push] = []
        async with self._services.database.write() as session:
            # Another node's look has told what it told when ours begins, so nothing is told twice.
            await take_turn(session, Turn.ROTA_WATCH)
            for row in await expire(session, self._services.audit, now):
                told = {"kind": "ask", "id": row.id, "stage": row.stage}
                pushes += [(one, told) for one in (row.asker_id, row.other_id) if one is not None]
            for schedule, notices in views:
                fresh, closed = await _keep(session, schedule.id, now, notices)
                for notice in fresh:
                    pushes += await self._announce(session, notice, now)
                for notice in closed:
                    pushes += [(one, notice_push(notice)) for one in await _desks(session, notice)]
        for user_id, payload in pushes:
            await self._services.gateway.notify(user_id, PUSH, payload)
        return len(pushes)

    async def _announce(self, session: AsyncSession, notice: NoticeRow, now: float) -> list[Push]:
        people: Iterable[str] = notice.detail["people"]
        if notice.kind == GAP:
            people = await _desks(session, notice)
            told = {"level": notice.level, "starts": notice.starts, "ends": notice.ends, **notice.detail}
            deed = Deed(system_actor(), now)
            await note(session, self._services.audit, deed, "rota.gap", notice.id, notice.schedule_id, told)
        return [(one, notice_push(notice)) for one in people]

    async def _run(self) -> None:
        while not self._ending:
            self._changed.clear()
            try:
                await self.look(self._services.clock.wall())
            except (Fault, SQLAlchemyError) as error:
                # A locked database: what was not told stands in no table and is told by the next look.
                logger.error("looking at rotas failed: %s", type(error).__name__)
            try:
                await asyncio.wait_for(self._changed.wait(), LOOKS_EVERY_S)
            except TimeoutError:
                continue


def notice_push(notice: NoticeRow) -> dict[str, Any]:
    return {
        "kind": notice.kind,
        "id": notice.id,
        "scheduleId": notice.schedule_id,
        "level": notice.level,
        "starts": iso_from_unix(notice.starts),
        "ends": iso_from_unix(notice.ends),
        "closed": notice.closed_at is not None,
    }


async def _desks(session: AsyncSession, notice: NoticeRow) -> list[str]:
    schedule = await session.get_one(ScheduleRow, notice.schedule_id)
    return await desks_of(session, schedule.organization_id)


def _ahead(schedule: Schedule, now: float) -> list[NoticeRow]:
    """What is to be announced of a rota at ``now``."""
    found = [_of_gap(schedule, gap, now) for gap in gaps(schedule, now, now + COVERAGE_DAYS * _DAY_S)]
    found += [_of_handover(schedule, one, now) for one in handovers(schedule, now, now + HANDOVER_NOTICE_S)]
    return found[:NOTICES_KEPT]


async def _keep(
    session: AsyncSession, schedule_id: str, now: float, notices: list[NoticeRow]
) -> tuple[list[NoticeRow], list[NoticeRow]]:
    """Store what is new, follow what moves, close the gaps that are no more: (new, closed).

    A gap is known again by its line and its time: its edges move with the window and with what is covered.
    """
    standing = list(
        await session.scalars(
            select(NoticeRow).where(NoticeRow.schedule_id == schedule_id, NoticeRow.ends >= now)
        )
    )
    fresh: list[NoticeRow] = []
    for notice in notices:
        known = next((one for one in standing if _same(one, notice)), None)
        if known is None:
            session.add(notice)
            fresh.append(notice)
            continue
        standing.remove(known)
        known.ends, known.detail = notice.ends, notice.detail
        if known.closed_at is not None:
            known.closed_at, known.told_at = None, now
            fresh.append(known)
    closed = [one for one in standing if one.kind == GAP and one.closed_at is None]
    for one in closed:
        one.closed_at = now
    await session.flush()
    return fresh, closed


def _same(known: NoticeRow, notice: NoticeRow) -> bool:
    if (known.kind, known.level) != (notice.kind, notice.level):
        return False
    if notice.kind == HANDOVER:
        return known.starts == notice.starts and known.detail == notice.detail
    return known.starts <= notice.ends and known.ends >= notice.starts


def _of_gap(schedule: Schedule, gap: Gap, now: float) -> NoticeRow:
    detail = {"why": gap.why.value, "nobody": gap.nobody, "people": list(gap.missing)}
    return _notice(schedule, GAP, gap.level, (gap.starts, gap.ends), detail, now)


def _of_handover(schedule: Schedule, one: Handover, now: float) -> NoticeRow:
    detail = {
        "leaving": list(one.leaving),
        "coming": list(one.coming),
        "people": [*one.leaving, *one.coming],
    }
    return _notice(schedule, HANDOVER, one.level, (one.at, one.at), detail, now)


def _notice(
    schedule: Schedule, kind: str, level: int, span: tuple[float, float], detail: dict[str, Any], now: float
) -> NoticeRow:
    return NoticeRow(
        id=new_id("ntc"),
        schedule_id=schedule.id,
        kind=kind,
        level=level,
        starts=span[0],
        ends=span[1],
        detail=detail,
        told_at=now,
        closed_at=None,
    )
