"""The audit trail and its anchor: every changed byte, every missing or added entry is found."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from media.clock import CountedClock
from server.archive.anchor import FILE_NAME, Anchor, AnchorForgedError, Head
from server.archive.audit import AuditLog
from server.archive.chain import Link, link_hash
from server.archive.database import Database
from server.auth.actor import system_actor
from server.cli import app
from server.keys import Keys
from server.loop import run
from tests.server.migrated import empty_database

ENTRIES = 4
Change = Callable[[sqlite3.Connection], Any]


async def _write(data: Path, count: int) -> None:
    data.mkdir(exist_ok=True)
    anchor = Anchor(data, Keys.load_or_create(data).audit_key)
    database, clock = Database(empty_database(data / "huizhen.db")), CountedClock()
    audit = AuditLog(clock, anchor)
    for number in range(count):
        clock.advance(1.25)
        async with database.write() as session:
            await audit.record(
                session, system_actor(), "x.do", "thing", f"t-{number}", {"n": number, "名": "x"}
            )
    await database.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    run(_write(tmp_path / "data", ENTRIES))
    return tmp_path / "data"


def change(data: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """As somebody with the file in hand would."""
    with sqlite3.connect(data / "huizhen.db") as raw:
        for event in ("UPDATE", "DELETE"):
            raw.execute(f"DROP TRIGGER audit_entries_refuse_{event}")
        for statement, values in statements:
            raw.execute(statement, values)
    raw.close()


def verify(data: Path, *more: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["verify", "audit", "--data", str(data), *more])
    return done.exit_code, done.stdout


COLUMNS: dict[str, str] = {
    "sequence": "sequence + 100",
    "at": "at + 2.4e-7",  # the last bit of a double of this size
    "actor_id": "actor_id || ' '",
    "actor_kind": "upper(actor_kind)",
    "action": "replace(action, 'do', 'DO')",
    "subject_type": "substr(subject_type, 2)",
    "subject_id": "subject_id || char(0)",
    "detail": "replace(detail, ': ', ':')",  # the same value, spelled otherwise
    "previous_hash": "'x' || substr(previous_hash, 2)",
    "hash": "upper(hash)",
}


def test_an_untouched_trail_is_whole(data: Path) -> None:
    status, told = verify(data)
    assert (status, "4 entries, whole" in told) == (0, True)
    head = told.split("head ")[1].strip()
    assert verify(data, "--head", head)[0] == 0
    assert verify(data, "--head", head.replace("4:", "3:"))[0] == 1
    assert verify(data, "--head", "9:0")[0] == 1


@pytest.mark.parametrize("row", [1, 2, ENTRIES])
@pytest.mark.parametrize("column", sorted(COLUMNS))
def test_a_change_of_any_column_of_any_row_is_found(data: Path, column: str, row: int) -> None:
    change(data, (f"UPDATE audit_entries SET {column} = {COLUMNS[column]} WHERE sequence = ?", (row,)))
    assert verify(data)[0] == 1


@pytest.mark.parametrize("row", range(1, ENTRIES + 1))
def test_a_removed_row_is_found(data: Path, row: int) -> None:
    change(data, ("DELETE FROM audit_entries WHERE sequence = ?", (row,)))
    assert verify(data)[0] == 1


@pytest.mark.parametrize("left", range(ENTRIES))
def test_a_cut_tail_is_found(data: Path, left: int) -> None:
    change(data, ("DELETE FROM audit_entries WHERE sequence > ?", (left,)))
    status, told = verify(data)
    assert (status, "ends before entry 4" in told) == (1, True)


def test_a_tail_written_anew_with_right_hashes_is_found(data: Path) -> None:
    with sqlite3.connect(data / "huizhen.db") as raw:
        previous = raw.execute("SELECT hash FROM audit_entries WHERE sequence = 3").fetchone()[0]
    raw.close()
    link = Link(4, 1_000_000, "system", "system", "x.undo", "thing", "t", {}, previous)
    values = "action = ?, at = 1.0, subject_id = 't', detail = '{}', hash = ?"
    change(data, (f"UPDATE audit_entries SET {values} WHERE sequence = 4", ("x.undo", link_hash(link))))
    status, told = verify(data)
    assert (status, "not the one that was anchored" in told) == (1, True)


def test_an_entry_put_on_with_a_right_hash_is_found(data: Path) -> None:
    with sqlite3.connect(data / "huizhen.db") as raw:
        previous = raw.execute("SELECT hash FROM audit_entries WHERE sequence = 4").fetchone()[0]
        link = Link(5, 1_000_000, "prc-x", "practitioner", "x.do", "thing", "t", {}, previous)
        row = (5, 1.0, "prc-x", "practitioner", "x.do", "thing", "t", "{}", previous, link_hash(link))
        raw.execute(f"INSERT INTO audit_entries VALUES ({','.join('?' * 10)})", row)
    raw.close()
    status, told = verify(data)
    assert (status, "not anchored" in told) == (1, True)


def test_an_anchor_that_is_missing_or_forged_is_found(data: Path) -> None:
    path = data / FILE_NAME
    stored = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**stored, "sequence": 3}), "utf-8")
    assert "was not written by this server" in verify(data)[1]
    path.write_text("not json", "utf-8")
    assert verify(data)[0] == 1
    path.unlink()
    assert "the anchor is missing" in verify(data)[1]


def test_a_start_does_not_hide_a_cut_tail(data: Path) -> None:
    change(data, ("DELETE FROM audit_entries WHERE sequence > 2", ()))
    run(_start(data))
    run(_write(data, 3))
    status, told = verify(data)
    assert (status, "did not fit its anchor" in told) == (1, True)


async def _start(data: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{data / 'huizhen.db'}")
    audit = AuditLog(CountedClock(), Anchor(data, Keys.load_or_create(data).audit_key))
    async with database.read() as session:
        await audit.begin(session)
    await database.close()


async def test_what_is_rolled_back_is_not_anchored(tmp_path: Path) -> None:
    anchor = Anchor(tmp_path, b"k" * 32)
    database = Database(empty_database(tmp_path / "huizhen.db"))
    audit = AuditLog(CountedClock(), anchor)

    async def fail() -> None:
        async with database.write() as session:
            await audit.record(session, system_actor(), "x.do", "thing", "t")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert anchor.read() is None
    await database.close()


def test_an_anchor_never_goes_back(tmp_path: Path) -> None:
    anchor = Anchor(tmp_path, b"k" * 32)
    anchor.write(Head(7, "a"))
    anchor.write(Head(6, "b"))
    assert anchor.read() == Head(7, "a")
    with pytest.raises(AnchorForgedError):
        Anchor(tmp_path, b"j" * 32).read()
