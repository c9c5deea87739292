"""How much a decision asks of the database: counted, because statements are what it costs.

Besides them it begins and it commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event, func, select

from media.errors import CLOSED, LocalProtocolError
from server.archive.database import Base
from server.consults.models import ConsultNumber
from server.consults.steps import Steps
from server.consults.vocabulary import Action
from tests.server.consults.flow import ringing
from tests.server.consults.world import World

REQUEST = 10
"""A request that is triaged and rung: three steps in one transaction."""

RING_ENDS = 13
"""A ring that ended and the next one, with the dispatcher's looks for what is due before and after."""

ACCEPTS = 10


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    county = await World.begin(tmp_path)
    yield county
    await county.end()


@contextmanager
def counted(world: World) -> Iterator[list[str]]:
    """The statements that run inside."""
    engine = world.services.database.engine.sync_engine
    ran: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        ran.append(" ".join(statement.split()))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield ran
    finally:
        event.remove(engine, "before_cursor_execute", note)


def writes(ran: list[str], table: str) -> list[str]:
    return [one for one in ran if one.startswith((f"INSERT INTO {table} ", f"UPDATE {table} "))]


async def test_a_request_is_found_its_expert_in_few_statements(world: World) -> None:
    await world.request()
    with counted(world) as ran:
        consult = await world.request()
    assert await ringing(world, consult)
    assert len(ran) <= REQUEST, "\n".join(ran)
    assert len(writes(ran, "audit_entries")) == 1  # four entries
    assert len(writes(ran, "consult_events")) == 1  # three events
    assert len(writes(ran, "timers")) == 1


async def test_a_ring_that_ended_is_followed_in_few_statements(world: World) -> None:
    consult = await world.request()
    first = await ringing(world, consult)
    with counted(world) as ran:
        assert await world.advance(60) == 1
    assert await ringing(world, consult) not in ([], first)
    assert len(ran) <= RING_ENDS, "\n".join(ran)
    assert len(writes(ran, "consultations")) == 1  # two steps
    assert len(writes(ran, "audit_entries")) == 1


async def test_a_start_rehearses_a_ring_and_leaves_nothing_of_it(world: World) -> None:
    consult = await world.request()
    before = await kept(world)
    fresh = await world.restart()
    assert await kept(fresh) == before
    assert fresh.gateway.notes == []
    assert fresh.rooms.log == []
    with counted(fresh) as ran:
        await fresh.request()
    assert not [one for one in ran if "FROM schedules" in one]  # the book is read already
    assert await ringing(fresh, consult)
    await fresh.end()


async def test_a_rehearsal_that_fails_stops_no_start(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await world.request()

    async def broken(*_given: object) -> None:
        raise LocalProtocolError(CLOSED, "database")

    monkeypatch.setattr(Steps, "read_book", broken)
    fresh = await world.restart()
    assert "rehearsal of a ring failed" in caplog.text
    assert await ringing(fresh, await fresh.request())
    await fresh.end()


async def kept(world: World) -> dict[str, int]:
    """How many rows each table has, and the numbers given."""
    async with world.services.database.read() as session:
        counts = {
            table.name: await session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }
        numbers = await session.scalars(select(ConsultNumber.last))
        return counts | {"last number": sum(numbers)}


async def test_an_accept_takes_few_statements(world: World) -> None:
    consult = await world.request()
    [expert] = await ringing(world, consult)
    with counted(world) as ran:
        await world.act(expert, consult, Action.ACCEPT)
    assert len(ran) <= ACCEPTS, "\n".join(ran)
    assert len(writes(ran, "consultations")) == 1
