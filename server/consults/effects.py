"""What a step asks of the world: rings, rooms, recordings, devices, the seal."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.ids import new_id
from server.archive.models import Practitioner
from server.consults.devices import DeviceDesk
from server.consults.machine import Transition
from server.consults.messages import (
    CONSULTATION,
    RING,
    RING_ENDED,
    consultation_push,
    person,
    ring_ended_push,
    ring_push,
)
from server.consults.models import Consultation, Offer
from server.consults.outbox import Command, Outbox
from server.consults.ports import Rooms
from server.consults.seal import record_hash
from server.consults.states import OWNERS
from server.consults.store import RINGING
from server.consults.views import room_of
from server.consults.vocabulary import SEAT_EFFECTS, Action, Data, Effect, Role
from server.services import Services
from signaling.rooms import RoomSettings

_RING_ENDS = {Action.ACCEPT: "taken", Action.RING_TIMEOUT: "timed_out"}


class Effects:
    """Carries out the effects of one step, into the transaction or the outbox."""

    def __init__(self, services: Services) -> None:
        self._devices = DeviceDesk(services.keys.room_secret)

    async def run(
        self,
        session: AsyncSession,
        outbox: Outbox,
        row: Consultation,
        step: Transition,
        data: Data,
        former: Sequence[Offer],
        now: float,
    ) -> None:
        """:param former: the offers that ran before the step."""
        if step.action is Action.DECLINE:
            _tell_decliner(outbox, former, data.actor_id)
        for effect in step.effects:
            if effect is Effect.RING:
                await _ring(session, outbox, row, step, data, now)
            elif effect is Effect.RING_OFF:
                await _ring_off(session, outbox, step, former, now)
            elif effect is Effect.ASSIGN_DEVICES:
                await self._assign(session, outbox, row, step, now)
            elif effect is Effect.CLOSE_ROOM:
                self._close(outbox, row, step)
            elif effect is Effect.REMIND_OWNER:
                _remind(outbox, row, step)
            elif effect in SEAT_EFFECTS:
                continue  # see `seats`
            elif effect is Effect.SEAL:
                row.seal = await record_hash(session, row)
            else:
                _command(outbox, row, step, effect)

    async def _assign(
        self, session: AsyncSession, outbox: Outbox, row: Consultation, step: Transition, now: float
    ) -> None:
        outbox.command("open", open_room(row.id, step.after.recording_consented))
        await self._devices.assign(session, row, outbox, now)

    def _close(self, outbox: Outbox, row: Consultation, step: Transition) -> None:
        if row.accepted_at is None:
            return  # there never was a room
        room_id, reason = room_of(row.id), "ended" if step.action is not Action.CANCEL else "cancelled"
        self._devices.release(row, outbox)

        async def close(rooms: Rooms) -> None:
            await rooms.close_room(room_id, reason)

        outbox.command("close", close)


def open_room(consultation_id: str, recording_consented: bool) -> Command:
    """Open the consult's room, or tell an open one about the consent."""
    room_id = room_of(consultation_id)

    async def open_it(rooms: Rooms) -> None:
        rooms.open_room(room_id, RoomSettings(record_allowed=recording_consented))

    return open_it


def record_room(consultation_id: str) -> Command:
    """Start recording unless it runs already."""
    room_id = room_of(consultation_id)

    async def record(rooms: Rooms) -> None:
        rooms.open_room(room_id, RoomSettings(record_allowed=True))
        snapshot = rooms.snapshot(room_id)
        if snapshot is not None and snapshot.recording_id is None:
            await rooms.start_recording(room_id)

    return record


def stop_recording(consultation_id: str) -> Command:
    """Stop recording, and let nobody start it again."""
    room_id = room_of(consultation_id)

    async def stop(rooms: Rooms) -> None:
        if rooms.snapshot(room_id) is not None:
            rooms.open_room(room_id, RoomSettings(record_allowed=False))
            await rooms.stop_recording(room_id)

    return stop


def _command(outbox: Outbox, row: Consultation, step: Transition, effect: Effect) -> None:
    if effect is Effect.RECORD and step.after.recording_consented:
        outbox.command("record", record_room(row.id))
    elif effect is Effect.STOP_RECORDING:
        outbox.command("stop recording", stop_recording(row.id))
    elif effect is Effect.RELEASE_EXPERT and step.before.expert_id is not None:
        room_id, expert = room_of(row.id), step.before.expert_id

        async def send_out(rooms: Rooms) -> None:
            await rooms.remove_peers(room_id, user_id=expert, reason="released")

        outbox.command("send out", send_out)


async def _ring(
    session: AsyncSession, outbox: Outbox, row: Consultation, step: Transition, data: Data, now: float
) -> None:
    expires_at = now if step.timer is None else step.timer.due
    for practitioner_id in data.rung:
        offer = Offer(
            id=new_id("off"),
            consultation_id=row.id,
            ring=step.after.ring,
            practitioner_id=practitioner_id,
            state=RINGING,
            offered_at=now,
            expires_at=expires_at,
        )
        session.add(offer)
        with session.no_autoflush:
            outbox.push(practitioner_id, RING, await ring_push(session, row, offer, now))


async def _ring_off(
    session: AsyncSession, outbox: Outbox, step: Transition, former: Sequence[Offer], now: float
) -> None:
    reason = _RING_ENDS.get(step.action, "cancelled")
    by = None
    if step.action is Action.ACCEPT:
        by = person(await session.get_one(Practitioner, step.after.expert_id))
    for offer in former:
        if offer.seat_id is not None:
            continue  # seats ring beside the chair's, see `seats`
        if offer.state == RINGING:
            offer.state = "timed_out" if reason == "timed_out" else "cancelled"
            offer.answered_at = now
        outbox.push(offer.practitioner_id, RING_ENDED, ring_ended_push(offer, reason, by))


def _tell_decliner(outbox: Outbox, former: Sequence[Offer], actor_id: str) -> None:
    """Every screen of whoever declined stops ringing."""
    for offer in former:
        if offer.practitioner_id == actor_id:
            outbox.push(actor_id, RING_ENDED, ring_ended_push(offer, "declined", None))


def _remind(outbox: Outbox, row: Consultation, step: Transition) -> None:
    owner = OWNERS.get(step.after.state)
    if step.action is Action.NO_SHOW:
        owner = Role.REQUESTER  # the expert is in, and waits
    people = {
        Role.REQUESTER: step.after.requester_id,
        Role.EXPERT: step.after.expert_id,
        Role.CHAIR: step.after.chair_id,
    }
    owner_id = people.get(owner) if owner is not None else None
    if owner_id is not None:
        outbox.push(owner_id, CONSULTATION, consultation_push(row, alarm=step.action.value))
