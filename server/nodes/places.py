"""The statements about nodes and rooms' places.

The database decides, not Redis: a room must never be in two halves, also while Redis is away.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from server.nodes.limits import NODE_DEAD_S
from server.nodes.models import NodeRow, RoomPlace


async def beat(session: AsyncSession, node_id: str, url: str, now: float) -> None:
    """This node lives; its row is made when there is none."""
    row = await session.get(NodeRow, node_id)
    if row is None:
        session.add(NodeRow(id=node_id, url=url, beat_at=now))
    else:
        row.url, row.beat_at = url, now


async def succeed(session: AsyncSession, node_id: str, url: str, now: float) -> set[str]:
    """Begin, in the place of a process that died at the same address; the rooms it had are open nowhere."""
    former = await session.scalars(select(NodeRow.id).where(NodeRow.url == url, NodeRow.id != node_id))
    lost = await _remove(session, list(former))
    await beat(session, node_id, url, now)
    return lost


async def living(session: AsyncSession, now: float) -> list[NodeRow]:
    """The nodes that said so lately."""
    return list(await session.scalars(select(NodeRow).where(NodeRow.beat_at >= now - NODE_DEAD_S)))


async def take(session: AsyncSession, room_id: str, node_id: str, now: float) -> NodeRow | None:
    """Take a room that is nowhere, or at a dead node: None; else the node that has it."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    # Of two at the same moment the second waits here and finds the first one's row.
    await session.execute(insert(RoomPlace).values(room_id=room_id, node_id=node_id).on_conflict_do_nothing())
    place = await session.get_one(RoomPlace, room_id, with_for_update=True, populate_existing=True)
    if place.node_id == node_id:
        return None
    owner = await session.get_one(NodeRow, place.node_id)
    if owner.beat_at >= now - NODE_DEAD_S:
        return owner
    place.node_id = node_id
    return None


async def release(session: AsyncSession, room_id: str, node_id: str) -> None:
    """The room is open nowhere now. Harmless when it is not this node's."""
    await session.execute(delete(RoomPlace).where(RoomPlace.room_id == room_id, RoomPlace.node_id == node_id))


async def rooms_of(session: AsyncSession, node_id: str) -> set[str]:
    return set(await session.scalars(select(RoomPlace.room_id).where(RoomPlace.node_id == node_id)))


async def elsewhere(session: AsyncSession, node_id: str, now: float) -> set[str]:
    """Rooms that other living nodes have."""
    others = select(NodeRow.id).where(NodeRow.id != node_id, NodeRow.beat_at >= now - NODE_DEAD_S)
    return set(await session.scalars(select(RoomPlace.room_id).where(RoomPlace.node_id.in_(others))))


async def bury(session: AsyncSession, now: float) -> set[str]:
    """Remove the dead nodes; the rooms that went with them. Of several that look, one gets each."""
    silent = select(NodeRow).where(NodeRow.beat_at < now - NODE_DEAD_S).with_for_update(skip_locked=True)
    dead = [row.id for row in await session.scalars(silent)]
    return await _remove(session, dead)


async def leave(session: AsyncSession, node_id: str) -> None:
    """This node stops. Idempotent."""
    await _remove(session, [node_id])


async def _remove(session: AsyncSession, nodes: Collection[str]) -> set[str]:
    if not nodes:
        return set()
    lost = set(await session.scalars(select(RoomPlace.room_id).where(RoomPlace.node_id.in_(nodes))))
    await session.execute(delete(RoomPlace).where(RoomPlace.node_id.in_(nodes)))
    await session.execute(delete(NodeRow).where(NodeRow.id.in_(nodes)))
    return lost
