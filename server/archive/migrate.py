"""Bring a database to the newest migration. Run at every start; does nothing when there is nothing to do.

A new migration is written by ``python -m server.archive.migrate "what changes"``: it compares the models with
what the migrations make.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy.engine import Connection

from server.archive.database import Database
from server.archive.turns import Turn, turn_taken

MIGRATIONS = Path(__file__).with_name("migrations")


def upgrade(connection: Connection) -> None:
    """Apply what is missing, in the caller's transaction. Of two nodes that start at once, one waits."""
    if connection.dialect.name == "postgresql":
        connection.execute(turn_taken(Turn.MIGRATION))
    command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> AlembicConfig:
    """Alembic's settings with the open connection inside (its "sharing a connection" recipe)."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def upgrade_database(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(upgrade)


def _write_revision(connection: Connection, message: str) -> None:
    upgrade(connection)
    number = f"{len(list((MIGRATIONS / 'versions').glob('*.py'))) + 1:04}"
    command.revision(alembic_config(connection), message, autogenerate=True, rev_id=number)


async def _main(message: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        database = Database(f"sqlite+aiosqlite:///{directory}/empty.db")
        async with database.engine.begin() as connection:
            await connection.run_sync(_write_revision, message)
        await database.close()


if __name__ == "__main__":
    asyncio.run(_main(" ".join(sys.argv[1:]) or "change"))
