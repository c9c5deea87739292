"""More values than a database takes parameters; and what is not a list of ids stays what it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import insert, select

from server.archive.among import among
from server.archive.database import Database
from server.archive.models import Organization
from tests.server.migrated import empty_database

ODD = ['org-"quoted"', "org-'; --", "org-\\", "机构一", "org-[1,2]"]


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    one = Database(empty_database(tmp_path / "test.db"))
    async with one.write() as session:
        rows = [{"id": each, "name": each, "name_en": "", "level": "village"} for each in ODD]
        await session.execute(insert(Organization), rows)
    yield one
    await one.close()


@pytest.mark.parametrize(
    ("values", "found"),
    [(ODD, set(ODD)), (ODD[:2], set(ODD[:2])), ([], set()), (["org-", "1", "2"], set())],
)
async def test_each_value_is_itself(database: Database, values: list[str], found: set[str]) -> None:
    async with database.read() as session:
        meant = select(Organization.id).where(among(Organization.id, values))
        assert set(await session.scalars(meant)) == found
        others = select(Organization.id).where(~among(Organization.id, values))
        assert set(await session.scalars(others)) == set(ODD) - found


async def test_more_than_sqlite_takes_parameters(database: Database) -> None:
    """250,000 in a Debian's; a list of so many is refused (``too many SQL variables``)."""
    values = [*(f"org-{number}" for number in range(250_001)), ODD[0]]
    async with database.read() as session:
        meant = select(Organization.id).where(among(Organization.id, values))
        assert list(await session.scalars(meant)) == [ODD[0]]
    assert len(meant.compile(database.engine.sync_engine).params) == 1
