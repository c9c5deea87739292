"""The database: one engine, sessions for reading and for writing.

SQLite (WAL) by default, PostgreSQL by URL: there several nodes write at once; what they must do one at a time
takes a turn (server/archive/turns.py), and row locks and versions decide the rest. With SQLite a writing
session starts with ``BEGIN IMMEDIATE``, after waiting for its turn in this process: a transaction that begins
by reading and then writes would otherwise fail at once (SQLITE_BUSY_SNAPSHOT, sqlite.org/rescode.html)
whenever another wrote in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Executable, MetaData, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.util.concurrency import await_

from media.errors import WRONG_STATE, LocalProtocolError
from server.archive.checkpoint import AT_LATEST_PAGES, Checkpoints
from server.archive.sqlite_cursor import AdaptedConnection, OneVisitConnection, connect
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

STATEMENTS_PREPARED = 500
"""Of one PostgreSQL connection: more than the product has, so that none is put together twice."""

_LAST = "last"
_BRIEF = "brief"
_ALONE = "alone"

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
        else:
            _tell_of_absence(self.engine)
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
        self._read_sessions, self._brief_read_sessions = (
            async_sessionmaker(self.engine.execution_options(**reading, **more), expire_on_commit=False)
            for more in ({}, {_BRIEF: True})
        )
        alone = {_BRIEF: True, _ALONE: True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._alone = self.engine.execution_options(**alone)

    @asynccontextmanager
    async def read(self, *, brief: bool = False) -> AsyncIterator[AsyncSession]:
        """A session on one consistent snapshot; never waits for a writer. Do not write with it.

        :param brief: as of `write`.
        """
        async with (self._brief_read_sessions if brief else self._read_sessions)() as session:
            yield session

    @asynccontextmanager
    async def look(self) -> AsyncIterator[Looking]:
        """For statements that read a few rows, each of which stands for itself: no transaction around them,
        which on PostgreSQL would be two more round trips. On SQLite they run in the event loop's thread.
        """
        async with self._alone.connect() as connection:
            yield Looking(connection)

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
                await end_of(session)
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


class Looking:
    """Statements that stand each for itself (`Database.look`)."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def rows(
        self, statement: Executable, given: Mapping[str, Any] | None = None
    ) -> Sequence[Sequence[Any]]:
        """All rows of one statement."""
        return await self._connection.run_sync(_rows, statement, given)

    async def value(self, statement: Executable) -> Any:
        """The first column of the first row; None without one."""
        found = await self.rows(statement)
        return found[0][0] if found else None


def _rows(
    connection: Connection, statement: Executable, given: Mapping[str, Any] | None
) -> Sequence[Sequence[Any]]:
    return connection.execute(statement, given).all()


def at_the_end(session: AsyncSession, last: Last) -> None:
    """Let ``last`` be the transaction's last work, before its commit; several in the order of their coming.

    :param session: from `Database.write`; another would never come to an end.
    """
    if WRITES not in session.info:
        raise LocalProtocolError(WRONG_STATE, "not a session of Database.write")
    session.info.setdefault(_LAST, []).append(last)


def after_commit(session: AsyncSession, then: Callable[[], None]) -> None:
    """Do something once the transaction stands; nothing when it does not."""
    event.listen(session.sync_session, "after_commit", lambda _session: then(), once=True)


async def end_of(session: AsyncSession) -> None:
    """Do what is a transaction's last work (`at_the_end`)."""
    for last in session.info.pop(_LAST, ()):
        await last(session)


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
        return {"pool_use_lifo": True, "connect_args": {"prepared_statement_cache_size": STATEMENTS_PREPARED}}
    return {"pool_use_lifo": True} if wanted.database else {}


def _tell_of_absence(engine: AsyncEngine) -> None:
    """A PostgreSQL that does not answer is an error of the database, as those of its statements are: the
    socket's own would come through as it is, past everybody who waits for the database to come back.
    """

    @event.listens_for(engine.sync_engine, "do_connect")
    def on_do_connect(dialect: Any, _record: Any, given: Any, options: Any) -> Any:
        try:
            return dialect.connect(*given, **options)
        except OSError as error:  # a TimeoutError is one
            raise dialect.dbapi.OperationalError(f"no connection: {type(error).__name__}") from error


def _prepare_sqlite(engine: AsyncEngine) -> None:
    path = engine.url.database

    @event.listens_for(engine.sync_engine, "do_connect")
    def on_do_connect(dialect: Any, *_given: Any) -> Any:
        opened: Any = await_(connect(path)) if path else None
        return None if opened is None else AdaptedConnection(dialect.dbapi, opened)

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
        options = connection.get_execution_options()
        driven = connection.connection.driver_connection
        brief = driven if options.get(_BRIEF, False) and isinstance(driven, OneVisitConnection) else None
        read_only = options.get("read_only", False)
        if not options.get(_ALONE, False) and not (brief is not None and brief.begin_at_once(read_only)):
            connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
        if brief is not None:
            brief.brief = True
