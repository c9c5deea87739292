"""The task that looks ahead: gaps of the next thirty days are announced to the desk, hand-overs to those who
take part, and swaps that nobody decided expire.

What was told stands in the database, so a restart tells nothing twice and misses nothing: what came due
meanwhile is told at once. `telling` says what; pages and telephones are `server.reach`'s.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import Fault
from server.archive.ids import new_id
from server.archive.turns import Turn, take_turn
from server.auth.actor import system_actor
from server.oncall.addressing import ask_notices, desks_for, rota_of
from server.oncall.asking import expire
from server.oncall.history import Deed, note
from server.oncall.limits import COVERAGE_DAYS, HANDOVER_NOTICE_S, NOTICES_KEPT
from server.oncall.models import NoticeRow
from server.oncall.rota import Schedule
from server.oncall.rota_cover import Gap, Handover, gaps, handovers
from server.oncall.schedules import load_schedules
from server.oncall.telling import GAP, HANDOVER, is_soon, of_closed, of_gaps, of_handovers
from server.reach.notices import Notice
from server.services import Services

LOOKS_EVERY_S = 60.0
"""How often it looks by itself: a hand-over is told at most so much later than planned."""

_DAY_S = 86_400.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Found:
    """What a look finds of one rota, besides what was told already."""

    fresh: list[NoticeRow] = field(default_factory=list)
    soon: list[NoticeRow] = field(default_factory=list)  # gaps told before, that are close by now
    closed: list[NoticeRow] = field(default_factory=list)  # gaps
    void: list[NoticeRow] = field(default_factory=list)  # hand-overs that were told, and are no more
    standing: list[NoticeRow] = field(default_factory=list)  # hand-overs
    open_gaps: int = 0

    @property
    def gaps(self) -> list[NoticeRow]:
        return [one for one in self.fresh if one.kind == GAP]

    @property
    def handovers(self) -> list[NoticeRow]:
        """New, or no more."""
        return [*(one for one in self.fresh if one.kind == HANDOVER), *self.void]


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
        """Announce what there is to announce at ``now`` (Unix seconds); how many were told something."""
        async with self._services.database.read() as session:
            schedules = await load_schedules(session, since=now)
        # In a thread: a year of hourly turns takes long enough to be heard in a running consult.
        views = [(one, await asyncio.to_thread(_ahead, one, now)) for one in schedules]
        notices: list[Notice] = []
        async with self._services.database.write() as session:
            # Another node's look has told what it told when ours begins, so nothing is told twice.
            await take_turn(session, Turn.ROTA_WATCH)
            for row in await expire(session, self._services.audit, now):
                notices += await ask_notices(session, row, None, now)
            for schedule, ahead in views:
                notices += await self._announce(session, schedule.id, ahead, now)
            # In the same transaction: what is told is put down for the telephones, or told by the next look.
            await self._services.reach.put_down(session, notices, now)
        await self._services.reach.tell(notices)
        return sum(len(one.people) for one in notices)

    async def _announce(
        self, session: AsyncSession, schedule_id: str, ahead: list[NoticeRow], now: float
    ) -> list[Notice]:
        found = await _keep(session, schedule_id, now, ahead)
        if not (found.fresh or found.soon or found.closed or found.void):
            return []
        for gap in found.gaps:
            told = {"level": gap.level, "starts": gap.starts, "ends": gap.ends, **gap.detail}
            deed = Deed(system_actor(), now)
            await note(session, self._services.audit, deed, "rota.gap", gap.id, schedule_id, told)
        rota = await rota_of(session, schedule_id)
        desks = await desks_for(session, schedule_id)
        return [
            *of_handovers(rota, found.standing, found.handovers, now),
            *of_closed(schedule_id, found.closed, desks, last=not found.open_gaps),
            *of_gaps(rota, found.gaps, found.open_gaps, desks, now, again=False),
            *of_gaps(rota, found.soon, found.open_gaps, desks, now, again=True),
        ]

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


def _ahead(schedule: Schedule, now: float) -> list[NoticeRow]:
    """What is to be announced of a rota at ``now``."""
    found = [_of_gap(schedule, gap, now) for gap in gaps(schedule, now, now + COVERAGE_DAYS * _DAY_S)]
    found += [_of_handover(schedule, one, now) for one in handovers(schedule, now, now + HANDOVER_NOTICE_S)]
    return found[:NOTICES_KEPT]


async def _keep(session: AsyncSession, schedule_id: str, now: float, notices: list[NoticeRow]) -> Found:
    """Store what is new, follow what moves, close what is no more.

    A gap is known again by its line and its time: its edges move with the window and with what is covered.
    """
    query = select(NoticeRow).where(NoticeRow.schedule_id == schedule_id, NoticeRow.ends >= now)
    standing = list(await session.scalars(query))
    found = Found(open_gaps=sum(one.kind == GAP for one in notices))
    for notice in notices:
        known = next((one for one in standing if _same(one, notice)), None)
        if notice.kind == HANDOVER:
            found.standing.append(known or notice)
        if known is None:
            session.add(notice)
            found.fresh.append(notice)
            continue
        standing.remove(known)
        _follow(known, notice, now)
        if known.closed_at is not None:
            known.closed_at, known.told_at, known.soon_at = None, now, notice.soon_at
            found.fresh.append(known)
        elif known.soon_at is None and notice.soon_at is not None:
            known.soon_at = now
            found.soon.append(known)
    found.closed = [one for one in standing if one.kind == GAP and one.closed_at is None]
    if len(notices) < NOTICES_KEPT:  # else the last may be missing
        found.void = [one for one in standing if one.kind == HANDOVER and _was_to_come(one, now)]
    for one in (*found.closed, *found.void):
        one.closed_at = now
    await session.flush()
    return found


def _was_to_come(handover: NoticeRow, now: float) -> bool:
    """It would be among what a look at ``now`` finds."""
    return handover.closed_at is None and now < handover.starts < now + HANDOVER_NOTICE_S


def _follow(known: NoticeRow, notice: NoticeRow, now: float) -> None:
    known.ends, known.detail = notice.ends, notice.detail
    if notice.starts > now:  # else the look begins in the middle of it
        known.starts = notice.starts


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
        soon_at=now if kind == GAP and is_soon(span[0], now) else None,
        closed_at=None,
    )
