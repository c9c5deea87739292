"""Who was in a room: kept when somebody joins, so that a recording's tracks can be told by name."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import Device, Guest, Practitioner, RoomParticipant
from signaling.events import PeerJoined
from signaling.personal import Personal


@dataclass(frozen=True, slots=True)
class Participant:
    """One peer of a room. A guest has one name for both languages."""

    role: str
    name: Personal[str]
    name_en: Personal[str]


async def keep_participant(session: AsyncSession, event: PeerJoined) -> None:
    """Note who a peer is. Twice is harmless."""
    if await session.get(RoomParticipant, (event.room_id, event.peer_id)) is None:
        session.add(
            RoomParticipant(
                room_id=event.room_id,
                peer_id=event.peer_id,
                user_id=event.user_id,
                role=event.role,
                joined_at=event.at,
            )
        )


async def participants_of(session: AsyncSession, room_id: str) -> dict[str, Participant]:
    """Everybody who was in the room, by peer id; somebody we do not know any more is left out."""
    query = select(RoomParticipant).where(RoomParticipant.room_id == room_id)
    rows = list(await session.scalars(query))
    names = await _names(session, {row.user_id for row in rows})
    return {row.peer_id: Participant(row.role, *names[row.user_id]) for row in rows if row.user_id in names}


async def _names(session: AsyncSession, ids: set[str]) -> dict[str, tuple[Personal[str], Personal[str]]]:
    names: dict[str, tuple[Personal[str], Personal[str]]] = {}
    for person in await session.scalars(select(Practitioner).where(Practitioner.id.in_(ids))):
        names[person.id] = (person.name, person.name_en)
    for guest in await session.scalars(select(Guest).where(Guest.id.in_(ids))):
        names[guest.id] = (guest.display_name, guest.display_name)
    for device in await session.scalars(select(Device).where(Device.id.in_(ids))):
        names[device.id] = (Personal(device.name), Personal(device.name_en))
    return names
