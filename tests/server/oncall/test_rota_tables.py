"""Rotas in the database: they come out as they went in; old ones get the new columns; versions conflict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, time
from pathlib import Path

import pytest
import pytest_asyncio
from alembic import command
from sqlalchemy import select, text
from sqlalchemy.engine import Connection

from media.clock import CountedClock
from media.errors import RemoteProtocolError
from server.archive.audit import AuditLog
from server.archive.database import Database
from server.archive.migrate import alembic_config, upgrade_database
from server.archive.models import AuditEntry, Organization, Practitioner
from server.auth.actor import system_actor
from server.oncall.demo import seed_schedules
from server.oncall.history import Deed, events_of, note
from server.oncall.models import AskRow, CalendarDay, LayerRow, OverrideRow
from server.oncall.rota import Change, Leave, Override, Rotation, Slot, Unit
from server.oncall.rota_days import DayKind, DayRule
from server.oncall.rota_line import on_call
from server.oncall.schedules import (
    keep_layers,
    keep_override,
    load_calendar,
    load_schedule,
    load_schedules,
    next_version,
)
from signaling.personal import Personal
from tests.server.migrated import empty_database
from tests.server.oncall.rotas import DAY, daily, instant, layer

NOW = instant("2026-03-02T08:00:00+08:00")
ROTA = "sch-cardiology"


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(empty_database(tmp_path / "test.db"))
    async with database.write() as session:
        session.add(Organization(id="org", name="a", name_en="a", level="county", parent_id=None))
        await session.flush()
        session.add_all(_person(one) for one in "abc")
        await session.flush()
        await seed_schedules(session, "org", {"cardiology": ["a", "b"]})
    yield database
    await database.close()


def _person(one: str) -> Practitioner:
    return Practitioner(id=one, organization_id="org", name=Personal(one), name_en=Personal(one))


async def test_layers_come_out_as_they_went_in(database: Database) -> None:
    slots = (Slot("a", 0, time(8), 600), Slot("b", 1, time(20, 30), 90))
    layers = (
        layer(daily("a", "b", every=3)),
        layer(Rotation((), date(2026, 1, 5), time(8), Unit.CUSTOM, 7, slots), rank=1),
        layer(daily("b"), rank=2, days=DayRule(DayKind.DAY_OFF, frozenset({5, 6}), time(20), time(6))),
        layer(Rotation(("c",), date(2026, 1, 31), time(8), Unit.MONTH), level=2),
    )
    async with database.write() as session:
        kept = replace(await load_schedule(session, ROTA, since=NOW), layers=layers)
        await keep_layers(session, kept)
    async with database.read() as session:
        assert (await load_schedule(session, ROTA, since=NOW)).layers == layers


async def test_overrides_come_in_the_order_of_their_making(database: Database) -> None:
    first = Override("z", 1, Change.REPLACE, NOW, NOW + DAY, "a", "c")
    second = Override("y", 1, Change.REPLACE, NOW, NOW + DAY, "c", "b")
    async with database.write() as session:
        for one in (first, second):
            version = await next_version(session, ROTA, None)
            await keep_override(session, ROTA, one, ("desk", NOW, version))
    async with database.write() as session:
        schedule = await load_schedule(session, ROTA, since=NOW)
        assert schedule.overrides == (first, second)
        assert (await load_schedule(session, ROTA, since=NOW + DAY)).overrides == ()
        (await session.get_one(OverrideRow, "z")).ended_at = NOW
    async with database.read() as session:
        assert (await load_schedule(session, ROTA, since=NOW)).overrides == (second,)


async def test_leave_and_ended_accounts_take_people_off(database: Database) -> None:
    async with database.write() as session:
        for number, stage in enumerate(("approved", "proposed")):
            session.add(
                AskRow(
                    id=f"ask-{number}",
                    ask="leave",
                    stage=stage,
                    asker_id="ab"[number],
                    starts=NOW,
                    ends=NOW + DAY,
                    reason=Personal(""),
                    asked_at=NOW,
                    expires_at=NOW,
                )
            )
    async with database.write() as session:
        schedule = await load_schedule(session, ROTA, since=NOW)
        assert schedule.leave == (Leave("a", NOW, NOW + DAY),)
        assert on_call(schedule, NOW).practitioners == ("b",)
        (await session.get_one(Practitioner, "b")).active = False
    async with database.read() as session:
        assert on_call(await load_schedule(session, ROTA, since=NOW), NOW).practitioners == ()


async def test_the_desk_s_days_are_in_the_calendar(database: Database) -> None:
    async with database.write() as session:
        session.add(CalendarDay(day="2026-03-04", kind="day_off", name="停电"))
    async with database.read() as session:
        calendar = await load_calendar(session, NOW)
    assert calendar.kind(date(2026, 3, 4)) is DayKind.DAY_OFF
    assert calendar.kind(date(2026, 2, 14)) is DayKind.WORKDAY


async def test_of_two_changes_of_one_version_one_is_told(database: Database) -> None:
    async def change() -> int:
        async with database.write() as session:
            return await next_version(session, ROTA, 1)

    results = await asyncio.gather(change(), change(), return_exceptions=True)
    assert sorted(str(one) for one in results) == ["2", "version_conflict"]


async def test_a_change_is_an_event_and_a_link_of_the_trail_without_the_words(database: Database) -> None:
    audit = AuditLog(CountedClock())
    async with database.write() as session:
        deed = Deed(system_actor(), NOW, "妻子生产")
        await note(session, audit, deed, "rota.override", "ovr-1", ROTA, {"level": 1})
    async with database.read() as session:
        (event,) = await events_of(session, ROTA)
        assert (event.at, event.action, event.reason.reveal()) == (NOW, "rota.override", "妻子生产")
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "rota.override"))
        assert entry is not None
        assert (entry.subject_type, entry.subject_id, entry.detail["event"]) == ("rota", "ovr-1", event.id)
        assert "妻子" not in str(entry.detail)


async def test_a_rota_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'old.db'}")

    async with database.engine.begin() as connection:
        await connection.run_sync(_upgrade, "0002")
        for statement in (
            "INSERT INTO organizations VALUES ('org', 'a', 'a', 'county', NULL)",
            "INSERT INTO schedules VALUES ('sch', 'org', 'cardiology', 'a', 'a', 'Asia/Shanghai')",
            "INSERT INTO schedule_layers VALUES"
            " ('lay', 'sch', 1, 'day', 1, '2026-01-01', '08:00', '[\"a\", \"b\"]')",
        ):
            await connection.execute(text(statement))
    await upgrade_database(database)
    async with database.read() as session:
        (schedule,) = await load_schedules(session, since=NOW)
        assert schedule.layers == (layer(daily("a", "b")),)
        assert (await session.get_one(LayerRow, "lay")).slots == []
    async with database.write() as session:
        assert await next_version(session, "sch", 1) == 2
    await database.close()


def _upgrade(connection: Connection, revision: str) -> None:
    command.upgrade(alembic_config(connection), revision)


async def test_a_rota_that_is_not_there(database: Database) -> None:
    async with database.read() as session:
        with pytest.raises(RemoteProtocolError, match="not_found"):
            await load_schedule(session, "none", since=NOW)
