"""The door of the room: tokens for people with an account."""

from __future__ import annotations

from dataclasses import dataclass

from server.auth.actor import Actor
from server.consults.effects import open_room
from server.consults.errors import ROOM_NOT_OPEN, ActionRefused
from server.consults.grants import grant_for
from server.consults.limits import ROOM_TOKEN_S
from server.consults.machine import apply
from server.consults.store import facts
from server.consults.views import room_of
from server.consults.vocabulary import Action, Consult, Role
from server.consults.work import Work
from server.services import Services
from signaling.access import Identity, mint_room_token


@dataclass(frozen=True, slots=True)
class Entry:
    """A room token and what goes with it; ``url``: the node that has the room, when it is another."""

    token: str
    room_id: str
    role: str
    expires_at: float
    url: str | None = None


class Door:
    """Hands out room tokens by role."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def enter(self, actor: Actor, consultation_id: str, now: float) -> Entry:
        """A token for the actor's own part in the consult; the room is open after it.

        :raises ActionRefused: forbidden, room_not_open, not_found.
        """
        async with (
            self._work.noting_refusals(actor, consultation_id, "join"),
            self._work.transaction(now) as tx,
        ):
            admitted = await self._work.admit(tx.session, actor, consultation_id)
            consult = await facts(tx.session, admitted.row)
            _check_open(consult, admitted.roles, now)
            role = _room_role(admitted.roles)
            await self._work.services.audit.record(
                tx.session, actor, "consultation.join", "consultation", consultation_id, {"role": role}
            )
        room_id = room_of(consultation_id)
        url = await ready_room(self._work.services, consultation_id, consult.recording_consented)
        token = mint_room_token(
            self._work.services.keys.room_secret,
            Identity(actor.id, actor.name, _ROOM_ROLES.get(role, role)),
            grant_for(role, room_id),
            now,
            ROOM_TOKEN_S,
        )
        return Entry(token, room_id, _ROOM_ROLES.get(role, role), now + ROOM_TOKEN_S, url)


async def ready_room(services: Services, consultation_id: str, recording_consented: bool) -> str | None:
    """Open the room before a token is in anybody's hands: a restart may have lost it.

    The address of the node where it is, None when that is this one.
    """
    url = await services.place_room(room_of(consultation_id))
    rooms = services.rooms if url is None else services.consult_rooms
    await open_room(consultation_id, recording_consented)(rooms)
    return url


_ROOM_ROLES = {"member": "expert"}
"""A member of a multidisciplinary consult is an expert to the room; the grant alone says who chairs."""


def _check_open(consult: Consult, roles: frozenset[Role], now: float) -> None:
    try:
        apply(consult, Action.JOIN, roles, now)
    except ActionRefused as refusal:
        if refusal.code.code == "wrong_state":
            raise ActionRefused(ROOM_NOT_OPEN, f"in {consult.state}") from None
        raise


def _room_role(roles: frozenset[Role]) -> str:
    if Role.EXPERT in roles:
        return "expert"
    if Role.MEMBER in roles:
        return "member"
    return "requester" if Role.REQUESTER in roles else "desk"
