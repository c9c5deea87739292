"""How a database looks up what those on call have to do: by person, neither everybody's nor years of theirs.

PostgreSQL may plan a statement while the tables are empty and keep the plan: the shape must hold there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.database import Database
from server.archive.migrate import upgrade_database
from server.oncall.line import WORK
from tests.server.postgres import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]

PEOPLE = {"people": ["prc-a", "prc-b", "prc-c"], "consult": "con-a", "since": 0.0}
AT_WORK, ACCEPTED = "ix_consultations_at_work", "ix_consultations_expert_accepted"


def spelled(session: AsyncSession) -> str:
    dialect = session.get_bind().dialect
    return str(WORK.params(PEOPLE).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for one in plan.get("Plans", ()):
        yield from nodes(one)


async def test_postgresql_looks_person_by_person(postgres_url: str) -> None:
    database = Database(postgres_url)
    await upgrade_database(database)
    async with database.write() as session:
        for way in ("seqscan", "bitmapscan"):  # of an empty table one page is cheapest whatever the index
            await session.execute(text(f"SET LOCAL enable_{way} = off"))
        found = await session.execute(text(f"EXPLAIN (FORMAT JSON) {spelled(session)}"))
        every = list(nodes(found.scalar_one()[0]["Plan"]))
    await database.close()
    looked = [one for one in every if one.get("Relation Name") in ("consultations", "offers")]
    used = sorted(one["Index Name"] for one in looked if one["Relation Name"] == "consultations")
    assert used == [AT_WORK, AT_WORK, ACCEPTED]
    assert all("(practitioners.id)" in one["Index Cond"] for one in looked), looked


async def test_postgresql_cleans_up_what_every_step_leaves_behind(postgres_url: str) -> None:
    database = Database(postgres_url)
    await upgrade_database(database)
    query = "SELECT relname FROM pg_class WHERE 'autovacuum_vacuum_scale_factor=0.01' = ANY (reloptions)"
    async with database.read() as session:
        found = set(await session.scalars(text(query)))
    await database.close()
    assert found == {"consultations", "offers", "timers"}


async def test_sqlite_looks_at_those_at_work_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    await upgrade_database(database)
    async with database.read() as session:
        found = await session.execute(text(f"EXPLAIN QUERY PLAN {spelled(session)}"))
        lines = [one.detail for one in found]
    await database.close()
    used = [one.partition(" INDEX ")[2] for one in lines if " consultations " in one]
    by_person = f"{AT_WORK} (expert_id=?)"
    assert used == [by_person, f"{ACCEPTED} (expert_id=? AND accepted_at>?)", by_person], lines
    assert [one for one in lines if one.startswith("SCAN ")] == ["SCAN rota_changes"]  # one row
