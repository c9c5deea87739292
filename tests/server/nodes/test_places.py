"""Which node has a room: one, whatever happens to the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.archive.database import Database
from server.nodes import places
from server.nodes.limits import NODE_DEAD_S
from tests.server.migrated import empty_database

NOW = 1_000.0


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(empty_database(tmp_path / "huizhen.db"))
    async with database.write() as session:
        for node in ("a", "b"):
            await places.beat(session, node, f"http://{node}", NOW)
    yield database
    await database.close()


async def take(database: Database, node: str, now: float = NOW) -> str | None:
    async with database.write() as session:
        owner = await places.take(session, "c-1", node, now)
        return None if owner is None else owner.url


async def test_the_first_has_it_and_the_others_are_told_where(database: Database) -> None:
    assert await take(database, "a") is None
    assert await take(database, "a") is None
    assert await take(database, "b") == "http://a"
    async with database.write() as session:
        assert await places.elsewhere(session, "b", NOW) == {"c-1"}
        assert await places.elsewhere(session, "a", NOW) == set()
        await places.release(session, "c-1", "b")  # not its own
        assert await places.rooms_of(session, "a") == {"c-1"}
        await places.release(session, "c-1", "a")
    assert await take(database, "b") is None


async def test_a_dead_nodes_room_is_taken_and_a_living_ones_is_not(database: Database) -> None:
    assert await take(database, "a") is None
    assert await take(database, "b", NOW + NODE_DEAD_S) == "http://a"
    assert await take(database, "b", NOW + NODE_DEAD_S + 1) is None
    assert await take(database, "a", NOW + 1) == "http://b"


async def test_the_dead_are_buried_once(database: Database) -> None:
    await take(database, "a")
    late = NOW + NODE_DEAD_S + 1
    async with database.write() as session:
        await places.beat(session, "b", "http://b", late)
        assert await places.bury(session, late) == {"c-1"}
        assert await places.bury(session, late) == set()
        assert [row.id for row in await places.living(session, late)] == ["b"]


async def test_a_restart_at_the_same_address_buries_its_former_self(database: Database) -> None:
    await take(database, "a")
    async with database.write() as session:
        assert await places.succeed(session, "a2", "http://a", NOW + 1) == {"c-1"}
    assert await take(database, "a2", NOW + 1) is None
    async with database.write() as session:
        await places.leave(session, "a2")
        await places.leave(session, "a2")
    assert await take(database, "b", NOW + 1) is None
