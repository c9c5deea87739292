"""What several nodes on one PostgreSQL do one at a time: a lock that ends with the transaction.

SQLite's writers take turns anyway (`Database.write`).
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

NAMESPACE = 0x48_5A  # "HZ": our locks among those of whoever shares the database


class Turn(IntEnum):
    """A transaction that needs two takes them in this order, so that no two wait for each other."""

    MIGRATION = 1
    ROTA_WATCH = 2
    AUDIT = 3


async def take_turn(session: AsyncSession, turn: Turn) -> None:
    """Wait until no other transaction is in this turn; ours lasts until it commits."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(turn_taken(turn))


def turn_taken(turn: Turn) -> Select[tuple[None]]:
    """PostgreSQL's statement that takes a turn."""
    return select(func.pg_advisory_xact_lock(NAMESPACE, int(turn)))
