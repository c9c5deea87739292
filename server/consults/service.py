"""The consult service: the one door for handlers, rooms, timers and the gateway.

Each use case is one transaction; messages and room commands follow when it stands. What belongs together
lives in a part of its own: ``requests``, ``opinions``, ``door``, ``guests``, ``reading``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import Device, Practitioner
from server.archive.recordings import consultation_of
from server.auth.actor import Actor
from server.consults.access import takes_part
from server.consults.devices import DeviceDesk
from server.consults.door import Door
from server.consults.emergency import Emergency
from server.consults.errors import (
    FORBIDDEN,
    PASSWORD_REQUIRED,
    VERSION_CONFLICT,
    ActionRefused,
    AlreadyTaken,
)
from server.consults.guests import Guests, guest_may_stay
from server.consults.keeping import keep
from server.consults.materials import Materials, materials_directory
from server.consults.messages import DEVICE_ASSIGNED, RING, person, ring_push
from server.consults.models import Consultation, Offer
from server.consults.opinions import Opinions
from server.consults.outbox import Command, Push
from server.consults.ports import Pushes, Rooms
from server.consults.reading import Reading
from server.consults.rehearsal import Rehearsal
from server.consults.requests import Requests
from server.consults.states import BEFORE_ROOM, DURATIONS, WAITING, WITH_ROOM, Duration
from server.consults.steps import Tx
from server.consults.store import RINGING, claim, facts, load
from server.consults.threads import Threads
from server.consults.views import room_of
from server.consults.vocabulary import FINAL, Action, Data, Role, State
from server.consults.work import Admitted, Work
from server.oncall.models import TimerRow
from server.oncall.policy import Policy
from server.services import Services
from signaling.events import PeerJoined, PeerLeft, RecordingStopped, RoomClosed, RoomEvent
from signaling.gateway import SIGNED_OUT

logger = logging.getLogger(__name__)


class ConsultService:
    """Everything that happens to consults.

    :param services: rooms, gateway and dispatcher are looked up when they are used.
    :param durations: how long each state may last; see ``states.DURATIONS``.
    :param policy: of every rota that has none of its own; None: by the class of the request.
    """

    def __init__(
        self,
        services: Services,
        durations: Mapping[str, Duration] = DURATIONS,
        policy: Policy | None = None,
    ) -> None:
        self._services = services
        self._work = Work(services, durations, policy)
        self._devices = DeviceDesk(services.keys.room_secret)
        self.requests = Requests(self._work)
        self.opinions = Opinions(self._work)
        self.emergency = Emergency(self._work)
        self.materials = Materials(self._work, materials_directory(services.config))
        self.threads = Threads(self._work)
        self.door = Door(self._work)
        self.guests = Guests(self._work)
        self.reading = Reading(self._work)

    # -- life ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to deliver; put right what a crash left: nobody is in a room, every timer is stored."""
        self._work.delivery.start()
        now = self._services.clock.wall()
        node = self._services.node
        elsewhere = await node.rooms_elsewhere() if node is not None else frozenset()
        async with self._work.transaction(now) as tx:
            running = Consultation.state.not_in([one.value for one in FINAL])
            missing = Consultation.id.not_in(select(TimerRow.consultation_id))
            inside = or_(Consultation.requester_in, Consultation.expert_in)
            for row in await tx.session.scalars(select(Consultation).where(running, or_(missing, inside))):
                if room_of(row.id) not in elsewhere:
                    await self._sync_presence(tx, row)
                await self._work.steps.renew_timer(tx, row)
        await self.clock_put_back(now)
        await Rehearsal(self._work, self.requests, self._act_in).run(now)

    async def stop(self) -> None:
        """Finish what is in line. Twice is harmless."""
        await self._work.delivery.stop()
        self.materials.close()

    @property
    def durations(self) -> Mapping[str, Duration]:
        """How long each state may last."""
        return self._work.durations

    def tell_through(self, pushes: Pushes) -> None:
        """Send messages by ``pushes`` from now on; without it they go to screens only."""
        self._work.delivery.pushes = lambda: pushes

    async def rooms_lost(self, room_ids: Collection[str]) -> None:
        """The node that had these rooms died: nobody is in them until they come in again."""
        ids = [consultation_of(room_id) for room_id in room_ids]
        async with self._work.transaction(self._services.clock.wall()) as tx:
            query = select(Consultation).where(Consultation.id.in_(ids)).with_for_update()
            for row in await tx.session.scalars(query):
                await self._sync_presence(tx, row)

    def later(self, name: str, command: Command) -> None:
        """Put a room command in line behind those that are there."""
        self._work.delivery.later(name, command)

    async def settle(self) -> None:
        """Return when every room command so far has been carried out."""
        await self._work.delivery.settle()

    # -- people --------------------------------------------------------------------------------------------

    async def act(
        self,
        actor: Actor,
        consultation_id: str,
        action: Action,
        now: float,
        *,
        version: int | None = None,
        data: Data | None = None,
        password: str = "",
    ) -> None:
        """Take an action by name.

        :param version: refuse with version_conflict when the consult is at another one.
        :raises ActionRefused: wrong_state, forbidden, incomplete, version_conflict, ring_over, not_found, ...
        :raises AlreadyTaken: an accept that came second.
        """
        data = data or Data(actor_id=actor.id)
        if action is Action.SIGN:
            raise ActionRefused(PASSWORD_REQUIRED)
        if action is Action.AMEND:
            await self.opinions.amend(actor, consultation_id, data.text, password, now)
            return
        async with (
            self._work.noting_refusals(actor, consultation_id, action.value),
            self._work.transaction(now) as tx,
        ):
            await self._act_in(tx, actor, consultation_id, action, data, version)

    async def _act_in(
        self,
        tx: Tx,
        actor: Actor,
        consultation_id: str,
        action: Action,
        data: Data,
        version: int | None = None,
    ) -> None:
        admitted = await self._work.admit(tx.session, actor, consultation_id)
        if action is Action.ACCEPT:
            await _refuse_second(tx.session, actor, admitted)
        if version is not None and version != admitted.row.version:
            raise ActionRefused(VERSION_CONFLICT)
        await self._work.steps.take(tx, admitted.row, action, actor, admitted.roles, data)
        await keep(tx.session, consultation_id, actor, action, data, tx.now)

    async def check_view(self, session: AsyncSession, actor: Actor, consultation_id: str) -> None:
        """:raises ActionRefused: not_found, forbidden (noted)."""
        await self._work.admit(session, actor, consultation_id)

    async def check_part(self, session: AsyncSession, actor: Actor, consultation_id: str) -> None:
        """As `check_view`, for what an emergency does not open: who did what in the consult.

        :raises ActionRefused: not_found, forbidden (noted).
        """
        admitted = await self._work.admit(session, actor, consultation_id)
        if not await takes_part(session, actor, admitted.row):
            self._work.note_refusal(actor, consultation_id, "trail")
            raise ActionRefused(FORBIDDEN)

    # -- the system ----------------------------------------------------------------------------------------

    async def fire(self, consultation_id: str, now: float) -> bool:
        """Take the action of a consult's timer, if it is due and still means this version.

        False when somebody else has the consult in hand now: a person, or another node's dispatcher. They set
        its next timer, and this one is looked at again.
        """
        async with self._work.transaction(now) as tx:
            claimed = await claim(tx.session, consultation_id)
            if claimed is None:
                return False
            row, timer = claimed
            if timer.due > now:
                return True
            if timer.version != row.version:
                logger.warning("timer of %s was for another version; renewed", consultation_id)
                await self._work.steps.renew_timer(tx, row)
                return True
            await self._work.steps.on_timer(tx, row, Action(timer.action))
        return True

    def expert_left(self, actor: Actor, practitioner_id: str) -> None:
        """Their account was closed, by ``actor``: their pages hear nothing more, and what waits for them is
        given to others, soon.

        Not a session that runs: who is in it ends it.
        """

        async def give_on(_rooms: Rooms) -> None:
            await self._services.gateway.notify(practitioner_id, SIGNED_OUT, {})
            async with self._services.database.read() as session:
                waits = Consultation.state.in_([one.value for one in (*WAITING, State.OPINION_PENDING)])
                theirs = select(Consultation.id).where(Consultation.expert_id == practitioner_id, waits)
                found = (await session.scalars(theirs)).all()
            reason = "专家账户已停用 / The expert's account was closed"
            for one in found:
                async with self._work.transaction(self._services.clock.wall()) as tx:
                    row = await load(tx.session, one)
                    if row.expert_id == practitioner_id and row.state in (*WAITING, State.OPINION_PENDING):
                        data = Data(actor_id=actor.id, reason=reason)
                        await self._work.steps.take(
                            tx, row, Action.RELEASE, actor, frozenset({Role.DESK}), data
                        )

        self.later("expert left", give_on)

    async def clock_put_back(self, now: float) -> None:
        """The wall clock reads less than it did: what began in its future begins now.

        Else a ring of a minute would last as long as the jump. What is planned keeps its time.
        """
        rung = select(Offer.consultation_id).where(Offer.state == RINGING, Offer.offered_at > now)
        ahead = or_(Consultation.since > now, Consultation.id.in_(rung))
        running = Consultation.state.not_in([one.value for one in FINAL])
        async with self._work.transaction(now) as tx:
            query = select(Consultation).where(running, ahead).with_for_update()
            for row in (await tx.session.scalars(query)).all():
                await self._work.steps.begin_now(tx, row)

    async def room_event(self, event: RoomEvent) -> None:
        """What a room tells (`RoomListener`)."""
        consultation_id = consultation_of(event.room_id)
        if consultation_id is None or not isinstance(
            event, PeerJoined | PeerLeft | RoomClosed | RecordingStopped
        ):
            return
        # The time of handling, not the event's: a step must not be dated before the one it follows.
        now = self._services.clock.wall()
        async with self._work.transaction(now) as tx:
            row = await tx.session.get(Consultation, consultation_id, with_for_update=True)
            if row is None:
                return
            if isinstance(event, RecordingStopped):
                await self._work.steps.tell(tx, row)
            elif isinstance(event, PeerJoined) and not await _may_stay(tx.session, row, event, now):
                self._send_out(tx, row, event)
            else:
                await self._sync_presence(tx, row)

    async def _sync_presence(self, tx: Tx, row: Consultation) -> None:
        snapshot = self._services.rooms.snapshot(room_of(row.id))

        def inside(user_id: str | None) -> bool:
            return snapshot is not None and user_id is not None and snapshot.has_user(user_id)

        await self._work.steps.set_presence(
            tx, row, requester_in=inside(row.requester_id), expert_in=inside(row.expert_id)
        )

    def _send_out(self, tx: Tx, row: Consultation, event: PeerJoined) -> None:
        """Somebody whose part in the consult is over came with a token that is still good."""
        room_id, user_id = room_of(row.id), event.user_id
        over = _is_over(State(row.state))
        logger.info("room %s: %s came too late", room_id, user_id)

        async def send_out(rooms: Rooms) -> None:
            if over:
                await rooms.close_room(room_id, "ended")
            else:
                await rooms.remove_peers(room_id, user_id=user_id, reason="ended")

        tx.outbox.command("send out", send_out)

    # -- the gateway ---------------------------------------------------------------------------------------

    async def user_connected(self, user_id: str) -> None:
        """Somebody signed in to ``/events``: tell them what runs (`Gateway.on_user_connected`)."""
        for push in await self.snapshot_for(user_id):
            await self._services.gateway.notify(push.user_id, push.event, push.payload)

    async def snapshot_for(self, user_id: str) -> list[Push]:
        """The running rings of a practitioner; the current assignment of a device."""
        now = self._services.clock.wall()
        async with self._services.database.read() as session:
            pushes = []
            ringing = select(Offer).where(Offer.practitioner_id == user_id, Offer.state == RINGING)
            for offer in await session.scalars(ringing.order_by(Offer.offered_at)):
                row = await load(session, offer.consultation_id)
                pushes.append(Push(user_id, RING, await ring_push(session, row, offer, now)))
            device = await session.get(Device, user_id)
            current = await self._devices.current(session, device) if device is not None else None
            if device is not None and current is not None:
                assignment = self._devices.assignment(current, device, now)
                pushes.append(Push(user_id, DEVICE_ASSIGNED, assignment))
            return pushes


async def _refuse_second(session: AsyncSession, actor: Actor, admitted: Admitted) -> None:
    """Say who was first, instead of only that the ring is over."""
    row = admitted.row
    if Role.INVITED in admitted.roles:
        return  # a seat is none that the chair could have taken
    if row.expert_id is None or row.expert_id == actor.id:
        return
    rung = select(Offer.id).where(Offer.consultation_id == row.id, Offer.practitioner_id == actor.id)
    if await session.scalar(rung.limit(1)) is not None:
        raise AlreadyTaken(person(await session.get_one(Practitioner, row.expert_id)))


async def _may_stay(session: AsyncSession, row: Consultation, event: PeerJoined, now: float) -> bool:
    """Tokens outlive their use: a room that is over, an expert who was released, a link that was ended."""
    state = State(row.state)
    if event.role == "expert":
        return state in WITH_ROOM and (
            event.user_id == row.expert_id or event.user_id in (await facts(session, row)).members
        )
    if _is_over(state):
        return False
    return event.role != "guest" or await guest_may_stay(session, event.user_id, now)


def _is_over(state: State) -> bool:
    """No room any more. While another expert is looked for, the requester may wait in it."""
    return state not in (*WITH_ROOM, *BEFORE_ROOM)
