"""Into a consult's room: what a client needs besides its session."""

from __future__ import annotations

from server.auth.actor import REQUESTERS, Actor, Role
from server.consults.schema import RoomTokenOut
from server.services import Services

CLINICAL = REQUESTERS | {Role.DESK}
"""Who has to do with consults at all. What each may see and do is asked for every one."""


async def enter_room(services: Services, actor: Actor, consultation_id: str, now: float) -> RoomTokenOut:
    """A token for the actor's own part; the capabilities let the client load its device early.

    :raises ActionRefused: forbidden, room_not_open, not_found.
    """
    entry = await services.consults.door.enter(actor, consultation_id, now)
    return RoomTokenOut(
        token=entry.token,
        room_id=entry.room_id,
        role=entry.role,
        expires_at=entry.expires_at,
        router_rtp_capabilities=services.rooms.router_rtp_capabilities,
        url=entry.url,
        consultation=await services.consults.reading.one(actor, consultation_id, now),
    )
