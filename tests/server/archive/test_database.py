"""Sessions: one transaction each, turns for writers, an audit trail that the database itself protects."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

import server.consults.models
import server.oncall.models
import server.reach.models  # noqa: F401 - for their tables
from media.clock import CountedClock
from server.archive.audit import AuditLog
from server.archive.chain import Break
from server.archive.database import Base, Database
from server.archive.migrate import upgrade_database
from server.archive.models import AuditEntry, Organization, Patient
from server.archive.sqlite_cursor import OneVisitConnection
from server.auth.actor import system_actor
from signaling.personal import Personal
from tests.server.migrated import empty_database


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(empty_database(tmp_path / "test.db"))
    yield database
    await database.close()


def place(place_id: str) -> Organization:
    return Organization(id=place_id, name="石桥", name_en="Shiqiao", level="village", parent_id=None)


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Base.metadata))


async def test_the_migrations_make_exactly_the_models(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_upgrading_again_changes_nothing(database: Database) -> None:
    await upgrade_database(database)


async def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as session:
            session.add(place("org-1"))
            await session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with database.read() as session:
        assert await session.get(Organization, "org-1") is None


async def test_a_brief_transaction_leaves_its_connection_as_it_was(database: Database) -> None:
    async def fail(place_id: str, *, wrong: bool) -> None:
        async with database.write(brief=True) as session:
            driven = await driver(session)
            assert driven.brief
            session.add(place(place_id))
            await session.flush()
            if wrong:
                raise LookupError

    await fail("org-1", wrong=False)
    with pytest.raises(LookupError):
        await fail("org-2", wrong=True)
    async with database.write() as session:
        assert not (await driver(session)).brief
        assert list(await session.scalars(select(Organization.id))) == ["org-1"]


async def test_a_look_sees_each_commit_and_leaves_its_connection_as_it_was(database: Database) -> None:
    places = select(func.count()).select_from(Organization)
    async with database.look() as looking:
        assert await looking.value(places) == 0
        async with database.write() as session:
            session.add(place("org-1"))
        assert await looking.value(places) == 1
    for _ in range(2):
        async with database.write() as session:
            assert not (await driver(session)).brief


async def test_who_writes_briefly_while_another_process_writes_waits_for_it_in_the_thread(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = asyncio.Event()
    begin_at_once = OneVisitConnection.begin_at_once

    def trying(self: OneVisitConnection, read_only: bool) -> bool:
        tried.set()
        return begin_at_once(self, read_only)

    monkeypatch.setattr(OneVisitConnection, "begin_at_once", trying)
    async with database.look() as looking:
        assert await looking.value(select(Organization.id)) is None
    other = sqlite3.connect(database.engine.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with database.write(brief=True) as session:
            session.add(place("org-1"))

    waiting = asyncio.create_task(write())
    await tried.wait()
    other.execute("COMMIT")  # the event loop still turns
    await waiting
    other.close()
    async with database.look() as looking:
        assert await looking.value(select(Organization.id)) == "org-1"


async def driver(session: AsyncSession) -> OneVisitConnection:
    driven = (await (await session.connection()).get_raw_connection()).driver_connection
    assert isinstance(driven, OneVisitConnection)
    return driven


async def test_writers_take_turns_and_lose_nothing(database: Database) -> None:
    async with database.write() as session:
        session.add(place("org-0"))

    async def read_then_write(number: int) -> None:
        async with database.write() as session:
            seen = await session.scalar(select(func.count()).select_from(Organization))
            session.add(place(f"org-{seen}"))

    await asyncio.gather(*(read_then_write(n) for n in range(8)))
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Organization)) == 9


async def test_a_reader_is_not_kept_waiting_by_a_writer(database: Database) -> None:
    async with database.write() as writing:
        writing.add(place("org-1"))
        await writing.flush()
        async with asyncio.timeout(5), database.read() as reading:
            assert await reading.get(Organization, "org-1") is None


async def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.write() as session:
            session.add(
                Organization(id="org-1", name="a", name_en="b", level="village", parent_id="org-nowhere")
            )


async def test_an_error_of_the_database_does_not_tell_the_values(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught:
        async with database.write() as session:
            session.add(
                Patient(
                    id="pat-1",
                    organization_id="org-nowhere",
                    name=Personal("张桂英"),
                    name_en=Personal("Zhang Guiying"),
                    sex="female",
                    birth_date=Personal("1958-03-12"),
                    identifier=Personal("YL-1"),
                    phone=None,
                    created_at=0,
                )
            )
    assert "张桂英" not in str(caught.value)
    assert "1958" not in str(caught.value)


async def test_personal_columns_come_out_wrapped(database: Database) -> None:
    async with database.write() as session:
        session.add(place("org-1"))
        await session.flush()
        session.add(
            Patient(
                id="pat-1",
                organization_id="org-1",
                name=Personal("张桂英"),
                name_en=Personal("Zhang"),
                sex="female",
                birth_date=Personal("1958-03-12"),
                identifier=Personal(""),
                phone=None,
                created_at=0,
            )
        )
    async with database.read() as session:
        row = await session.scalar(select(Patient).where(Patient.name == "张桂英"))
        assert row is not None
        assert row.name == Personal("张桂英")
        assert "张" not in repr(row.name)


async def entries(database: Database, count: int) -> AuditLog:
    audit = AuditLog(CountedClock())
    for number in range(count):
        async with database.write() as session:
            await audit.record(session, system_actor(), "x.do", "thing", f"t-{number}", {"n": number})
    return audit


async def test_the_trail_is_whole_as_written(database: Database) -> None:
    audit = await entries(database, 5)
    async with database.read() as session:
        assert await audit.verify(session) == (5, None)


async def test_several_entries_of_one_transaction_are_one_chain(database: Database) -> None:
    audit = AuditLog(CountedClock())
    async with database.write() as session:
        for number in range(3):
            await audit.record(session, system_actor(), "x.do", "thing", f"t-{number}")
    async with database.read() as session:
        assert await audit.verify(session) == (3, None)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_entries SET action = 'y' WHERE sequence = 2", "DELETE FROM audit_entries"]
)
async def test_the_database_refuses_to_change_the_trail(database: Database, statement: str) -> None:
    await entries(database, 3)
    with pytest.raises(DatabaseError, match="append-only"):
        async with database.write() as session:
            await session.execute(text(statement))


async def test_a_change_behind_the_back_of_the_triggers_is_found(database: Database, tmp_path: Path) -> None:
    audit = await entries(database, 4)
    with sqlite3.connect(tmp_path / "test.db") as raw:
        raw.execute("DROP TRIGGER audit_entries_refuse_UPDATE")
        raw.execute("UPDATE audit_entries SET actor_id = 'prc-else' WHERE sequence = 3")
    raw.close()
    async with database.read() as session:
        for page in (1, 2, 3, 4, 100):
            assert await audit.verify(session, page) == (4, Break(3, "was changed after it was written"))


async def test_a_trail_is_whole_page_by_page(database: Database) -> None:
    audit = await entries(database, 4)
    async with database.read() as session:
        assert [await audit.verify(session, page) for page in (1, 3, 4, 5)] == [(4, None)] * 4


async def test_the_entry_falls_with_its_step(database: Database) -> None:
    audit = AuditLog(CountedClock())

    async def fail() -> None:
        async with database.write() as session:
            await audit.record(session, system_actor(), "x.do", "thing", "t-1")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(AuditEntry)) == 0
