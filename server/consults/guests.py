"""Guest links: an invitation into one room for somebody without an account, which can be ended."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.ids import new_id
from server.archive.models import Guest, Organization
from server.auth.actor import Actor, ActorKind
from server.consults.door import Entry, ready_room
from server.consults.errors import (
    GUEST_LINK_ENDED,
    GUEST_LINK_UNKNOWN,
    NOT_FOUND,
    ROOM_NOT_OPEN,
    TOO_MANY_LINKS,
    ActionRefused,
)
from server.consults.grants import grant_for
from server.consults.limits import GUEST_LINKS_PER_CONSULT
from server.consults.machine import apply
from server.consults.models import Consultation, GuestLink
from server.consults.outbox import Command
from server.consults.ports import Rooms
from server.consults.schema import GuestLinkIn
from server.consults.states import BEFORE_ROOM, WITH_ROOM
from server.consults.store import facts, load
from server.consults.views import room_of
from server.consults.vocabulary import Action, State
from server.consults.work import Work
from signaling.access import Identity, mint_room_token
from signaling.personal import Personal

_SEPARATOR = "."
"""A guest's id is its link's and a part of its own."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a link says to whoever opens it."""

    organization: Organization
    expires_at: float
    state: str  # waiting, open, ended


class Guests:
    """Makes, lists, ends and honours guest links."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def create(
        self, actor: Actor, consultation_id: str, body: GuestLinkIn, now: float
    ) -> tuple[GuestLink, str]:
        """A new link and its secret, which is shown this once.

        :raises ActionRefused: forbidden, wrong_state, too_many_links, not_found.
        """
        secret = secrets.token_urlsafe(24)
        async with (
            self._work.noting_refusals(actor, consultation_id, "invite_guest"),
            self._work.transaction(now) as tx,
        ):
            admitted = await self._work.admit(tx.session, actor, consultation_id)
            apply(await facts(tx.session, admitted.row), Action.INVITE_GUEST, admitted.roles, now)
            await _check_bound(tx.session, consultation_id)
            link = GuestLink(
                id=new_id("gst"),
                consultation_id=consultation_id,
                secret_hash=_digest(secret),
                label=Personal(body.label),
                created_by=actor.id,
                created_at=now,
                expires_at=now + body.expires_in_minutes * 60,
            )
            tx.session.add(link)
            await self._audit(tx.session, actor, "invite", link)
        return link, secret

    async def list(self, session: AsyncSession, actor: Actor, consultation_id: str) -> list[GuestLink]:
        """The consult's links, oldest first, for whoever may see the consult."""
        await self._work.admit(session, actor, consultation_id)
        query = select(GuestLink).where(GuestLink.consultation_id == consultation_id)
        return list(await session.scalars(query.order_by(GuestLink.created_at)))

    async def end(self, actor: Actor, consultation_id: str, link_id: str, now: float) -> None:
        """End a link: its guests leave the room at once. Twice is harmless.

        :raises ActionRefused: forbidden, not_found.
        """
        async with self._work.transaction(now) as tx:
            await self._work.admit(tx.session, actor, consultation_id)
            link = await tx.session.get(GuestLink, link_id)
            if link is None or link.consultation_id != consultation_id:
                raise ActionRefused(NOT_FOUND, "link")
            if link.ended_at is None:
                link.ended_at = now
                await self._audit(tx.session, actor, "uninvite", link)
            tx.outbox.command("end guest link", _send_out(room_of(consultation_id), link_id))

    async def look(self, session: AsyncSession, secret: str, now: float) -> Invitation:
        """What the invitation's page shows. No patient data.

        :raises ActionRefused: guest_link_unknown.
        """
        link = await _find(session, secret)
        row = await load(session, link.consultation_id)
        organization = await session.get_one(Organization, row.organization_id)
        return Invitation(organization, link.expires_at, _link_state(link, row, now))

    async def enter(self, secret: str, display_name: str, now: float) -> Entry:
        """A room token for one guest. It ends with the link.

        :raises ActionRefused: guest_link_unknown, guest_link_ended, room_not_open.
        """
        async with self._work.transaction(now) as tx:
            link = await _find(tx.session, secret)
            guest_id = f"{link.id}{_SEPARATOR}{secrets.token_hex(6)}"
            row = await load(tx.session, link.consultation_id)
            state = _link_state(link, row, now)
            if state != "open":
                raise ActionRefused(GUEST_LINK_ENDED if state == "ended" else ROOM_NOT_OPEN)
            consult = await facts(tx.session, row)
            actor = Actor(guest_id, ActorKind.SYSTEM, None, frozenset(), Personal(display_name))
            tx.session.add(Guest(id=guest_id, display_name=Personal(display_name), came_at=now))
            await self._audit(tx.session, actor, "guest_join", link)
        url = await ready_room(self._work.services, row.id, consult.recording_consented)
        room_id = room_of(row.id)
        token = mint_room_token(
            self._work.services.keys.room_secret,
            Identity(guest_id, Personal(display_name), "guest"),
            grant_for("guest", room_id),
            now,
            max(1, int(link.expires_at - now)),
            token_id=link.id,
        )
        return Entry(token, room_id, "guest", link.expires_at, url)

    async def _audit(self, session: AsyncSession, actor: Actor, what: str, link: GuestLink) -> None:
        await self._work.services.audit.record(
            session, actor, f"consultation.{what}", "consultation", link.consultation_id, {"linkId": link.id}
        )


async def guest_may_stay(session: AsyncSession, guest_id: str, now: float) -> bool:
    """Whether the link of a guest who just came in still stands: a room opened anew knows no ended links."""
    link = await session.get(GuestLink, guest_id.partition(_SEPARATOR)[0])
    return link is not None and link.ended_at is None and now < link.expires_at


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


async def _find(session: AsyncSession, secret: str) -> GuestLink:
    link = await session.scalar(select(GuestLink).where(GuestLink.secret_hash == _digest(secret)))
    if link is None:
        raise ActionRefused(GUEST_LINK_UNKNOWN)
    return link


def _link_state(link: GuestLink, row: Consultation, now: float) -> str:
    state = State(row.state)
    if link.ended_at is not None or now >= link.expires_at:
        return "ended"
    if state in WITH_ROOM:
        return "open"
    return "waiting" if state in BEFORE_ROOM else "ended"


def _send_out(room_id: str, link_id: str) -> Command:
    async def send_out(rooms: Rooms) -> None:
        await rooms.remove_peers(room_id, token_id=link_id, reason="link_ended")

    return send_out


async def _check_bound(session: AsyncSession, consultation_id: str) -> None:
    count = select(func.count()).where(GuestLink.consultation_id == consultation_id)
    if (await session.scalar(count) or 0) >= GUEST_LINKS_PER_CONSULT:
        raise ActionRefused(TOO_MANY_LINKS)
