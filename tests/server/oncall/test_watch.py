"""Gaps and hand-overs are told once, to the right people, also after a restart; late asks expire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest_asyncio
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from media.clock import CountedClock
from server.archive.audit import AuditLog
from server.archive.database import Database
from server.archive.models import AuditEntry, Organization, Practitioner
from server.oncall.demo import seed_schedules
from server.oncall.limits import HANDOVER_LATE_S, HANDOVER_NOTICE_S
from server.oncall.models import AskRow, LayerRow, NoticeRow
from server.oncall.watch import RotaWatch
from server.reach.notices import Notice
from server.services import Services
from signaling.personal import Personal
from tests.server.migrated import empty_database
from tests.server.oncall.rotas import DAY, HOUR, instant

NOW = instant("2026-03-02T12:00:00+08:00")


@dataclass
class Pushes:
    sent: list[tuple[str, str, str]] = field(default_factory=list)

    put: list[Notice] = field(default_factory=list)

    async def put_down(self, _session: AsyncSession, notices: Sequence[Notice], _now: float) -> None:
        self.put += [one for one in notices if one.body is not None]

    async def tell(self, notices: Sequence[Notice]) -> None:
        for one in notices:
            page = one.page
            kind = (
                page["kind"]
                + (" closed" if page.get("closed") else "")
                + (" soon" if page.get("soon") else "")
            )
            self.sent += [(whom, kind, page.get("scheduleId") or page["id"]) for whom in one.people]

    def taken(self) -> list[tuple[str, str, str]]:
        sent, self.sent = self.sent, []
        return sorted(sent)


@dataclass
class World:
    database: Database
    pushes: Pushes
    watch: RotaWatch

    async def leave(self, ask_id: str, stage: str, starts: float, ends: float) -> None:
        async with self.database.write() as session:
            session.add(
                AskRow(
                    id=ask_id,
                    ask="leave",
                    stage=stage,
                    asker_id="neuro",
                    starts=starts,
                    ends=ends,
                    reason=Personal(""),
                    asked_at=NOW,
                    expires_at=NOW + DAY,
                )
            )

    async def withdraw(self, ask_id: str) -> None:
        async with self.database.write() as session:
            (await session.get_one(AskRow, ask_id)).stage = "withdrawn"


def watch_over(database: Database, pushes: Pushes) -> RotaWatch:
    parts = SimpleNamespace(database=database, audit=AuditLog(CountedClock()), reach=pushes)
    return RotaWatch(cast(Services, parts))


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = Database(empty_database(tmp_path / "test.db"))
    async with database.write() as session:
        session.add(Organization(id="org", name="a", name_en="a", level="county", parent_id=None))
        await session.flush()
        for one, role in (("a", "expert"), ("b", "expert"), ("neuro", "expert"), ("desk", "desk")):
            session.add(
                Practitioner(
                    id=one, organization_id="org", name=Personal(one), name_en=Personal(one), roles=[role]
                )
            )
        await session.flush()
        await seed_schedules(session, "org", {"cardiology": ["a", "b"], "neurology": ["neuro"]})
    pushes = Pushes()
    yield World(database, pushes, watch_over(database, pushes))
    await database.close()


async def test_a_gap_is_told_to_the_desk_once_and_again_when_it_comes_back(world: World) -> None:
    assert await world.watch.look(NOW) == 0
    await world.leave("lve-1", "approved", NOW + 29 * DAY, NOW + 40 * DAY)
    await world.watch.look(NOW)
    assert world.pushes.taken() == [("desk", "gap", "sch-neurology")]
    # The window moves on, the gap begins: the same gap, also for a server started anew.
    for later in (HOUR, DAY, 28 * DAY - 1):
        await watch_over(world.database, world.pushes).look(NOW + later)
    assert world.pushes.taken() == []
    # A day before it begins it is still open: once more.
    for later in (28 * DAY, 28.5 * DAY):
        await watch_over(world.database, world.pushes).look(NOW + later)
    assert world.pushes.taken() == [("desk", "gap soon", "sch-neurology")]
    for later in (29.5 * DAY, 35 * DAY):
        await watch_over(world.database, world.pushes).look(NOW + later)
    assert world.pushes.taken() == []
    await world.withdraw("lve-1")
    await world.watch.look(NOW + 35 * DAY)
    assert world.pushes.taken() == [("desk", "gap closed", "sch-neurology")]
    async with world.database.read() as session:
        (notice,) = (await session.scalars(select(NoticeRow))).all()
        assert notice.closed_at == NOW + 35 * DAY
        told = await session.scalar(select(AuditEntry).where(AuditEntry.action == "rota.gap"))
        assert told is not None
        assert told.detail["why"] == "away"
    await world.leave("lve-2", "approved", NOW + 36 * DAY, NOW + 37 * DAY)
    await world.watch.look(NOW + 35 * DAY + HOUR)
    assert world.pushes.taken() == [("desk", "gap soon", "sch-neurology")]
    # Close by when it is found: told once.
    await world.watch.look(NOW + 35 * DAY + 2 * HOUR)
    assert world.pushes.taken() == []


async def test_what_is_covered_from_the_front_is_told_by_its_new_beginning(world: World) -> None:
    await world.leave("lve-1", "approved", NOW + 3 * DAY, NOW + 6 * DAY)
    await world.watch.look(NOW)
    world.pushes.taken()
    await world.withdraw("lve-1")
    await world.leave("lve-2", "approved", NOW + 5 * DAY, NOW + 6 * DAY)
    for later in (HOUR, 3 * DAY, 4 * DAY):
        await world.watch.look(NOW + later)
    assert world.pushes.taken() == [("desk", "gap soon", "sch-neurology")]
    assert world.pushes.put[-1].until == NOW + 5 * DAY


async def test_those_who_hand_over_and_take_over_are_told_before(world: World) -> None:
    morning = instant("2026-03-03T08:00:00+08:00")
    await world.watch.look(morning - HANDOVER_NOTICE_S - 1)
    assert world.pushes.taken() == []
    await world.watch.look(morning - HANDOVER_NOTICE_S + 1)
    # Line one and the line behind it change places: one notice for each.
    assert world.pushes.taken() == [("a", "handover", "sch-cardiology"), ("b", "handover", "sch-cardiology")]
    said = {one.people: (one.body or {})["takes"] + (one.body or {})["hands"] for one in world.pushes.put}
    assert sorted(said.values()) == [[1, 2], [2, 1]]
    assert {one.until for one in world.pushes.put} == {morning + HANDOVER_LATE_S}
    await world.watch.look(morning - 60)
    assert world.pushes.taken() == []


async def test_whose_hand_over_is_no_more_is_told_and_again_when_it_is(world: World) -> None:
    morning = instant("2026-03-03T08:00:00+08:00")
    await world.watch.look(morning - HANDOVER_NOTICE_S + 1)
    world.pushes.taken()
    # The desk makes it one doctor's rota: nobody hands over to anybody.
    async with world.database.write() as session:
        layers = list(await session.scalars(select(LayerRow).where(LayerRow.schedule_id == "sch-cardiology")))
        members = [list(one.members) for one in layers]
        for one in layers:
            one.members = ["a"]
    await world.watch.look(morning - 600)
    assert world.pushes.taken() == [("a", "handover", "sch-cardiology"), ("b", "handover", "sch-cardiology")]
    told = {whom: one.body or {} for one in world.pushes.put[-1:] for whom in one.people}
    assert {whom: (body["takes"], body["hands"]) for whom, body in told.items()} == {
        "a": ([], []),
        "b": ([], []),
    }
    await world.watch.look(morning - 590)
    # The clock is put back: what lies beyond the look is not taken for gone.
    await world.watch.look(morning - 2 * HANDOVER_NOTICE_S)
    world.pushes.taken()
    async with world.database.write() as session:
        for one, names in zip(
            await session.scalars(select(LayerRow).where(LayerRow.schedule_id == "sch-cardiology")),
            members,
            strict=True,
        ):
            one.members = names
    await world.watch.look(morning - 500)
    assert world.pushes.taken() == [("a", "handover", "sch-cardiology"), ("b", "handover", "sch-cardiology")]


async def test_an_ask_that_nobody_decided_expires_and_the_asker_is_told(world: World) -> None:
    await world.leave("lve-1", "proposed", NOW + 2 * DAY, NOW + 3 * DAY)
    await world.watch.look(NOW + DAY - 1)
    assert world.pushes.taken() == []
    await world.watch.look(NOW + DAY)
    assert world.pushes.taken() == [("neuro", "ask", "lve-1")]
    async with world.database.read() as session:
        assert (await session.get_one(AskRow, "lve-1")).stage == "expired"


async def test_starting_and_stopping_twice_is_harmless(world: World) -> None:
    for _ in range(2):
        await world.watch.start()
        await world.watch.start()
        await world.watch.stop()
        await world.watch.stop()
