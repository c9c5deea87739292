"""SQLite statements in one visit to the connection's thread.

aiosqlite visits its thread four times a statement (make a cursor, execute, fetch, close), and SQLAlchemy's
adapter does just that; each visit wakes a thread and the event loop. Here a cursor does all of it in one.

A step of a consult has some ten statements, each of which is quicker than a visit: 10 to 30 us against 40
us of the event loop's own time. So a transaction that says so (`Database.write`, ``brief``) runs them at
once, by cursors that wait for nobody and that SQLAlchemy need not wait for either. It has the database's
write lock by then; what would wait (``BEGIN IMMEDIATE`` while another process writes) and what goes to the
disk (``COMMIT``) is done in the thread all the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection

Row = Any


class OneVisitCursor:
    """What SQLAlchemy's adapter asks of an aiosqlite cursor. A statement's rows are fetched with it."""

    def __init__(self, connection: OneVisitConnection) -> None:
        self._connection = connection
        self._rows: list[Row] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> OneVisitCursor:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> OneVisitCursor:
        given = () if parameters is None else parameters
        await self._visit(lambda cursor: cursor.execute(sql, given))  # type: ignore[arg-type]
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> OneVisitCursor:
        await self._visit(lambda cursor: cursor.executemany(sql, parameters))  # type: ignore[arg-type]
        return self

    async def _visit(self, statement: Callable[[sqlite3.Cursor], object]) -> None:
        await self._connection.in_thread(self._run, statement)

    def _run(self, statement: Callable[[sqlite3.Cursor], object]) -> None:
        cursor = self._connection.raw.cursor()
        try:
            statement(cursor)
            self._rows = cursor.fetchall() if cursor.description else []
            self.description = cursor.description
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()

    async def fetchall(self) -> Sequence[Row]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []


class AtOnceCursor(sqlite3.Cursor):
    """A cursor of the event loop's thread, while the connection's own is idle."""

    async def _async_soft_close(self) -> None:
        """SQLAlchemy's word for: close it, its rows are still wanted. They are read where it is."""


class OneVisitConnection(aiosqlite.Connection):
    """An aiosqlite connection with cursors of one visit.

    ``brief``: a transaction of short statements is under way, until its end.
    """

    brief = False

    @property
    def raw(self) -> sqlite3.Connection:
        """To be touched by one thread at a time."""
        return self._conn

    def begin_at_once(self, read_only: bool) -> bool:
        """Begin, unless it is to write and another process writes now."""
        if read_only:
            self.raw.execute("BEGIN")  # waits for nobody
            return True
        [(patience,)] = self.raw.execute("PRAGMA busy_timeout").fetchall()
        self.raw.execute("PRAGMA busy_timeout=0")
        try:
            self.raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        finally:
            self.raw.execute(f"PRAGMA busy_timeout={patience}")
        return True

    async def commit(self) -> None:
        self.brief = False
        await super().commit()

    async def rollback(self) -> None:
        if self.brief:  # what was written is forgotten, nothing goes to the disk
            self.brief = False
            self.raw.rollback()
        else:
            await super().rollback()

    async def in_thread(self, work: Callable[..., object], *given: object) -> None:
        await self._execute(work, *given)  # type: ignore[no-untyped-call]

    def cursor(self) -> OneVisitCursor:  # type: ignore[override]
        return OneVisitCursor(self)


class AdaptedConnection(AsyncAdapt_aiosqlite_connection):
    """SQLAlchemy's side of it: which cursor a statement gets."""

    __slots__ = ()

    def cursor(self, server_side: bool = False) -> Any:
        driven: Any = self._connection
        return driven.raw.cursor(AtOnceCursor) if driven.brief else super().cursor(server_side=server_side)


async def connect(path: str) -> OneVisitConnection:
    """Open a database file. The thread ends with the process when nobody closes it."""

    def open_it() -> sqlite3.Connection:
        return sqlite3.connect(path, check_same_thread=False)

    connection = OneVisitConnection(open_it, iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy's own
    await connection
    return connection
