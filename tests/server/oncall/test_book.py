"""The book of who may be asked: every change turns its page, and a kept page says what a fresh one does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Executable, delete, insert, select, update

from server.archive.models import Alliance, AllianceMember, Organization, Practitioner
from server.consults.access import desks_of
from server.consults.store import load
from server.oncall.book import PAGE_S, Book
from server.oncall.line import line_for
from server.oncall.models import CalendarDay, LayerRow, OverrideRow, RotaChanges, ScheduleRow
from tests.server.consults.world import World

NOW = 1_767_225_600.0


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    county = await World.begin(tmp_path)
    yield county
    await county.end()


async def count(world: World) -> int:
    async with world.services.database.read() as session:
        return (await session.scalars(select(RotaChanges.count))).one()


async def line(world: World, consult: str, book: Book) -> list[str]:
    async with world.services.database.read() as session:
        row = await load(session, consult)
        found = await line_for(session, row, world.now, world.gateway.reachable, book)
    return [one.practitioner_id for one in found.candidates]


def override(number: int, **what: Any) -> Executable:
    given = {"id": f"ovr-{number}", "schedule_id": "sch-cardiology", "level": 1, "number": number}
    made = {"made_by": "prc-desk", "made_at": 0.0, "starts": 0.0, "ends": 4e9, "ended_at": None}
    return insert(OverrideRow).values({"change": "remove", "who": None, "by": None} | given | made | what)


def parent(place: str, above: str | None) -> Executable:
    return update(Organization).where(Organization.id == place).values(parent_id=above)


CHANGES: dict[str, Executable] = {
    "override": override(1, who="prc-cardio1"),
    "account closed": update(Practitioner).where(Practitioner.id == "prc-cardio1").values(active=False),
    "layer taken away": delete(LayerRow).where(LayerRow.id == "sch-cardiology-1"),
    "turns": update(LayerRow)
    .where(LayerRow.level == 1)
    .values(members=["prc-cardio2"], start_date="2020-01-01"),
    "rota of another specialty": update(ScheduleRow)
    .where(ScheduleRow.id == "sch-cardiology")
    .values(specialty="surgery"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_turns_the_page(world: World, change: str) -> None:
    consult = await world.request()
    book = Book()
    before = await line(world, consult, book)
    assert len(before) == 2
    async with world.services.database.write() as session:
        await session.execute(CHANGES[change])
    assert await line(world, consult, book) == await line(world, consult, Book())


QUIET: dict[str, Executable] = {
    "a name": update(Practitioner).values(title="主任医师"),
    "an address": update(Organization).values(address="云岭路 1 号"),
}
COUNTED: dict[str, Executable] = {
    "a place moves": parent("org-yunling-hospital", None),
    "a holiday": insert(CalendarDay).values(day="2026-05-04", kind="day_off", name="x"),
    "an alliance": insert(Alliance).values(id="all-1", name="x", name_en="x"),
    "a role": update(Practitioner).where(Practitioner.id == "prc-desk").values(roles=["regulator"]),
}


@pytest.mark.parametrize("change", [*QUIET, *COUNTED])
async def test_only_what_a_line_is_drawn_from_is_counted(world: World, change: str) -> None:
    before = await count(world)
    async with world.services.database.write() as session:
        await session.execute({**QUIET, **COUNTED}[change])
    assert (await count(world) > before) == (change in COUNTED)


async def test_the_same_page_serves_until_something_changes(world: World) -> None:
    book = Book()
    async with world.services.database.read() as session:
        first = await book.open(session, world.now)
    async with world.services.database.read() as session:
        assert await book.open(session, world.now + 1) is first
    async with world.services.database.read() as session:
        assert await book.open(session, world.now + PAGE_S) is not first
    async with world.services.database.read() as session:
        assert await book.open(session, world.now) is not first  # the clock was put back


async def test_a_page_is_believed_until_the_count_has_moved(world: World) -> None:
    book = Book()
    async with world.services.database.read() as session:
        assert book.guess(session, "cardiology", world.now) is None
        page, rotas = await book.rotas(session, "cardiology", world.now)
    async with world.services.database.read() as session:
        assert book.guess(session, "cardiology", world.now) == (page, rotas)
        assert book.guess(session, "neurology", world.now) is None
        assert book.guess(session, "cardiology", world.now + PAGE_S) is None
        assert not book.confirm(session, page, None)
        assert not book.confirm(session, page, page.count + 1)
        assert book.confirm(session, page, page.count)
        assert await book.open(session, world.now) is page


async def test_the_page_knows_the_desks_that_the_database_knows(world: World) -> None:
    async with world.services.database.write() as session:
        session.add(Organization(id="org-alone", name="x", name_en="x", level="village", parent_id=None))
    async with world.services.database.read() as session:
        page = await Book().open(session, world.now)
        for place in await session.scalars(select(Organization.id)):
            assert list(page.desks_of(place)) == await desks_of(session, place)


async def test_an_allied_hospital_is_rung_and_one_that_left_is_not(world: World) -> None:
    consult = await world.request()
    book = Book()
    async with world.services.database.write() as session:
        session.add(Organization(id="org-ally", name="x", name_en="x", level="county", parent_id=None))
        await session.flush()
        moved = update(ScheduleRow).where(ScheduleRow.id == "sch-cardiology")
        await session.execute(moved.values(organization_id="org-ally"))
    assert await line(world, consult, book) == []
    async with world.services.database.write() as session:
        session.add(Alliance(id="all-1", name="x", name_en="x"))
        await session.flush()
        for one in ("org-ally", "org-yunling-hospital"):
            session.add(AllianceMember(alliance_id="all-1", organization_id=one))
    assert sorted(await line(world, consult, book)) == ["prc-cardio1", "prc-cardio2"]
    async with world.services.database.write() as session:
        await session.execute(update(Alliance).values(active=False))
    assert await line(world, consult, book) == []
