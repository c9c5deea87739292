"""The database: one engine, sessions for reading and for writing.

SQLite (WAL) by default, PostgreSQL by URL: there several nodes write at once; what they must do one at a time
takes a turn (server/archive/turns.py), and row locks and versions decide the rest. With SQLite a writing
session starts with ``BEGIN IMMEDIATE``, after waiting for its turn in this process: a transaction that begins
by reading and then writes would otherwise fail at once (SQLITE_BUSY_SNAPSHOT, sqlite.org/rescode.html)
whenever another wrote in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import MetaData, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session

from media.errors import WRONG_STATE, LocalProtocolError
from server.archive.checkpoint import AT_LATEST_PAGES, Checkpoints
from server.archive.sqlite_cursor import OneVisitConnection, connect
from server.errors import BUSY
from server.limits import DATABASE_WAIT_S

NAMING_CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Constraints have names, so that migrations can drop them (Alembic, "The Importance of Naming
Constraints")."""


WRITES = "writes"
"""In ``session.info`` of a session that writes: rows that it is about to change may be locked."""

_LAST = "last"
_BRIEF = "brief"

Last = Callable[[AsyncSession], Awaitable[None]]


class Base(DeclarativeBase):
    """Base of all tables. Times are Unix seconds (float); identifiers are text from `new_id`."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Database:
    """Hands out sessions. Owned by the app, which closes it last.

    :param url: SQLAlchemy's asynchronous URL, ``sqlite+aiosqlite:///...`` or ``postgresql+asyncpg://...``.
    """

    def __init__(self, url: str) -> None:
        # hide_parameters: an error's text must not carry a patient into the log.
        self.engine: AsyncEngine = create_async_engine(url, hide_parameters=True, **_driver(url))
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        if self.is_sqlite:
            _prepare_sqlite(self.engine)
        path = self.engine.url.database if self.is_sqlite else None
        self.checkpoints = Checkpoints(path) if path else None
        self._writer = asyncio.Lock()
        self._write_sessions, self._brief_sessions = (
            async_sessionmaker(engine, expire_on_commit=False, sync_session_class=_Keeping)
            for engine in (self.engine, self.engine.execution_options(**{_BRIEF: True}))
        )
        reading: dict[str, Any] = {"read_only": True}
        if not self.is_sqlite:
            # One snapshot for the whole session, as SQLite's readers have.
            reading |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._read_sessions = async_sessionmaker(
            self.engine.execution_options(**reading), expire_on_commit=False
        )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session on one consistent snapshot; never waits for a writer. Do not write with it."""
        async with self._read_sessions() as session:
            yield session

    @asynccontextmanager
    async def write(self, *, brief: bool = False) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the block ends, rolled back when it raises.

        :param brief: each of its statements touches a few rows only; on SQLite they are quicker than handing
            them to another thread would be, and run in the event loop's.

        Do not open a second one inside: on SQLite it would wait for the first. Raises
        LocalProtocolError(busy) when the turn does not come within `DATABASE_WAIT_S`.
        """
        await self._take_turn()
        try:
            async with (self._brief_sessions if brief else self._write_sessions).begin() as session:
                session.info[WRITES] = True
                yield session
                for last in session.info.pop(_LAST, ()):
                    await last(session)
            if self.checkpoints is not None:
                self.checkpoints.committed()
        finally:
            self._give_turn()

    async def _take_turn(self) -> None:
        if not self.is_sqlite:
            return
        try:
            await asyncio.wait_for(self._writer.acquire(), DATABASE_WAIT_S)
        except TimeoutError:
            raise LocalProtocolError(BUSY, "the database did not become free") from None

    def _give_turn(self) -> None:
        if self.is_sqlite:
            self._writer.release()

    async def close(self) -> None:
        if self.checkpoints is not None:
            await self.checkpoints.close()
        await self.engine.dispose()


def at_the_end(session: AsyncSession, last: Last) -> None:
    """Let ``last`` be the transaction's last work, before its commit; several in the order of their coming.

    :param session: from `Database.write`; another would never come to an end.
    """
    if WRITES not in session.info:
        raise LocalProtocolError(WRONG_STATE, "not a session of Database.write")
    session.info.setdefault(_LAST, []).append(last)


class _Keeping(Session):
    """Holds what it has loaded until its end: an identity map of weak references would load it again."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._kept: set[object] = set()


@event.listens_for(_Keeping, "loaded_as_persistent")
@event.listens_for(_Keeping, "pending_to_persistent")
def _keep(session: Session, loaded: object) -> None:
    assert isinstance(session, _Keeping)
    session._kept.add(loaded)


def _driver(url: str) -> dict[str, Any]:
    """How connections are made (SQLite's by us) and chosen: the one used last has its statements prepared,
    and on SQLite its pages in memory, which another connection's writing throws away.
    """
    wanted = make_url(url)
    if wanted.get_backend_name() != "sqlite":
        return {"pool_use_lifo": True}
    if not wanted.database:
        return {}
    path = wanted.database
    return {"async_creator": lambda: connect(path), "pool_use_lifo": True}


def _prepare_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # We begin transactions ourselves (SQLAlchemy, "Enabling Non-Legacy SQLite Transactional Modes").
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # FULL: an accepted consult must survive a power cut in the county, not only a crash.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA wal_autocheckpoint={AT_LATEST_PAGES}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={int(DATABASE_WAIT_S * 1000)}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
        driven = connection.connection.driver_connection
        if connection.get_execution_options().get(_BRIEF, False) and isinstance(driven, OneVisitConnection):
            driven.brief = True
