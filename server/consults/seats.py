"""The seats of a multidisciplinary consult: one for each further specialty, each with offers of its own.

The state table says when seats ring (`Effect.RING_SEATS`); here is whom they ring, and what answers make of
them. The chair is found like any expert; seats ring beside that and never hold it up. A seat for which nobody
is found is ``empty``: the desk is alarmed, and requester, chair or desk may ask anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.ids import new_id
from server.archive.models import Practitioner
from server.consults.machine import Transition
from server.consults.messages import RING, RING_ENDED, person, ring_ended_push, ring_push
from server.consults.models import Consultation, Offer, Seat
from server.consults.outbox import Command, Outbox
from server.consults.ports import Rooms
from server.consults.states import RING as RING_TIME
from server.consults.states import Duration
from server.consults.store import RINGING, seats_of
from server.consults.views import room_of
from server.consults.vocabulary import Action, Data, Effect
from server.oncall.book import Book
from server.oncall.dispatch import decide
from server.oncall.line import Reachable, line_for
from server.oncall.policy import Policy
from signaling.personal import Personal

OPEN, SEAT_RINGING, TAKEN, EMPTY = "open", "ringing", "taken", "empty"


def new_seats(consultation_id: str, specialties: Sequence[str]) -> list[Seat]:
    """The seats of a new request, in the order in which they were asked for."""
    return [
        Seat(
            id=new_id("seat"),
            consultation_id=consultation_id,
            position=position,
            specialty=specialty,
            state=OPEN,
            contribution=Personal(""),
        )
        for position, specialty in enumerate(specialties)
    ]


class Seats:
    """Carries out what a step means for seats. Holds no state of any consult."""

    def __init__(
        self, durations: Mapping[str, Duration], policy: Policy | None, reachable: Reachable, book: Book
    ) -> None:
        self._durations = durations
        self._policy = policy
        self._reachable = reachable
        self._book = book

    async def run(
        self,
        session: AsyncSession,
        outbox: Outbox,
        row: Consultation,
        step: Transition,
        data: Data,
        former: Sequence[Offer],
        now: float,
    ) -> bool:
        """The seats after ``step``; True when the desk has to know that nobody was found for one.

        :param former: the offers that ran before the step, the actor's own answered already.
        """
        seats = {one.id: one for one in await seats_of(session, row.id)}
        offers = [one for one in former if one.seat_id in seats]
        if Effect.SEATS_OFF in step.effects:
            _end(outbox, offers, "cancelled", now)
        if Effect.TAKE_SEAT in step.effects:
            await _take(session, outbox, seats, offers, data.actor_id, now)
        if Effect.RING_SEATS not in step.effects:
            return False
        _prepare(outbox, row, step, data, seats, offers, now)
        await session.flush()
        found = [await self._ring(session, outbox, row, step, seat, now) for seat in seats.values()]
        await session.flush()
        return not all(found)

    async def _ring(
        self,
        session: AsyncSession,
        outbox: Outbox,
        row: Consultation,
        step: Transition,
        seat: Seat,
        now: float,
    ) -> bool:
        """Ring the next expert for an open seat; False when there is none left."""
        if seat.state != OPEN:
            return True
        gone = await _taken_or_tried(session, step, seat)
        line = await line_for(session, row, now, self._reachable, self._book, seat.specialty)
        ring_s = self._durations[RING_TIME].of(step.after.kind)
        policy = line.policy or self._policy
        decision = decide(line.candidates, gone, step.after.kind, 0.0, ring_s, policy)
        ring = decision.ring
        seat.state = SEAT_RINGING if ring else EMPTY
        for practitioner_id in ring:
            offer = Offer(
                id=new_id("off"),
                consultation_id=row.id,
                ring=seat.round,
                practitioner_id=practitioner_id,
                state=RINGING,
                offered_at=now,
                expires_at=now + (decision.seconds or ring_s),
                seat_id=seat.id,
            )
            session.add(offer)
            await session.flush()
            outbox.push(practitioner_id, RING, await ring_push(session, row, offer, now))
        return bool(ring)


async def _taken_or_tried(session: AsyncSession, step: Transition, seat: Seat) -> set[str]:
    """Who has a part in the consult already, is being rung for one, or was asked for this seat."""
    asked = select(Offer.practitioner_id).where(Offer.seat_id == seat.id, Offer.ring == seat.round)
    running = select(Offer.practitioner_id).where(
        Offer.consultation_id == seat.consultation_id, Offer.state == RINGING
    )
    gone = {*await session.scalars(asked), *await session.scalars(running), *step.after.members}
    return gone | ({step.after.expert_id} if step.after.expert_id else set())


def _prepare(
    outbox: Outbox,
    row: Consultation,
    step: Transition,
    data: Data,
    seats: Mapping[str, Seat],
    offers: Sequence[Offer],
    now: float,
) -> None:
    """Which seats are open again."""
    if step.action is Action.SEAT_TIMEOUT:
        _end(outbox, [one for one in offers if one.expires_at <= now], "timed_out", now)
    running = {one.seat_id for one in offers if one.state == RINGING}
    for seat in seats.values():
        if step.action is Action.RELEASE and seat.practitioner_id == data.actor_id:
            seat.state, seat.practitioner_id = OPEN, None
            seat.contribution, seat.contributed_at = Personal(""), None
            outbox.command("send out", _send_out(row.id, data.actor_id))
        elif step.action is Action.INVITE_AGAIN and seat.state == EMPTY:
            seat.state, seat.round = OPEN, seat.round + 1
        elif seat.state == SEAT_RINGING and seat.id not in running:
            seat.state = OPEN


async def _take(
    session: AsyncSession,
    outbox: Outbox,
    seats: Mapping[str, Seat],
    offers: Sequence[Offer],
    actor_id: str,
    now: float,
) -> None:
    own = next(one for one in offers if one.practitioner_id == actor_id)
    seat = seats[own.seat_id or ""]
    seat.state, seat.practitioner_id = TAKEN, actor_id
    by = person(await session.get_one(Practitioner, actor_id))
    rest = [one for one in offers if one.seat_id == seat.id]
    _end(outbox, rest, "taken", now, by)
    await session.flush()


def _end(
    outbox: Outbox, offers: Sequence[Offer], reason: str, now: float, by: dict[str, str] | None = None
) -> None:
    for offer in offers:
        if offer.state == RINGING:
            offer.state = "timed_out" if reason == "timed_out" else "cancelled"
            offer.answered_at = now
        outbox.push(offer.practitioner_id, RING_ENDED, ring_ended_push(offer, reason, by))


def _send_out(consultation_id: str, practitioner_id: str) -> Command:
    async def send_out(rooms: Rooms) -> None:
        await rooms.remove_peers(room_of(consultation_id), user_id=practitioner_id, reason="released")

    return send_out
