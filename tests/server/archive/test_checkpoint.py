"""The write-ahead log comes into the database file beside the writers."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from server.archive.checkpoint import AFTER_COMMITS, Checkpoints
from server.archive.database import Database
from server.archive.migrate import upgrade_database
from server.archive.models import Organization


async def commits(database: Database, first: int, count: int) -> None:
    for number in range(first, first + count):
        async with database.write() as session:
            name = f"org-{number}"
            session.add(Organization(id=name, name=name, name_en=name, level="village", parent_id=None))


def in_the_file(path: Path) -> int:
    """Organizations in the database file alone, without its log."""
    alone = path.with_name("alone.db")
    shutil.copy(path, alone)
    connection = sqlite3.connect(alone)
    try:
        return int(connection.execute("SELECT count(*) FROM organizations").fetchone()[0])
    finally:
        connection.close()


async def test_the_log_comes_into_the_file_after_so_many_commits(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    database = Database(f"sqlite+aiosqlite:///{path}")
    assert database.checkpoints is not None
    await upgrade_database(database)
    await commits(database, 0, AFTER_COMMITS)
    await database.checkpoints.close()  # the one that runs
    assert database.checkpoints.done == 1
    assert in_the_file(path) == AFTER_COMMITS
    await commits(database, AFTER_COMMITS, 3)
    assert in_the_file(path) == AFTER_COMMITS  # no commit has to do it
    await database.close()
    assert in_the_file(path) == AFTER_COMMITS + 3


async def test_one_that_fails_is_told_and_the_next_one_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "later" / "test.db"
    checkpoints = Checkpoints(str(path))
    for _ in range(AFTER_COMMITS):
        checkpoints.committed()
    await checkpoints.close()
    assert "checkpoint failed" in caplog.text
    assert checkpoints.done == 0
    path.parent.mkdir()
    for _ in range(AFTER_COMMITS):
        checkpoints.committed()
    await checkpoints.close()
    assert checkpoints.done == 1
    await checkpoints.close()
