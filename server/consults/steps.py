"""Steps: a transition of the table and all that belongs to it, in one transaction.

The state, the offers, the timer, the event, the audit entry and the outbox stand or fall together. After each
step the system's own steps that have nothing to wait for follow at once (automatic triage, the next ring, the
session that starts when both are in).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.specialties import SPECIALTIES
from server.auth.actor import Actor, ActorKind, system_actor
from server.consults.effects import Effects
from server.consults.errors import NOBODY_ON_CALL, ActionRefused
from server.consults.events import Columns, event_of, write_events
from server.consults.limits import FOLLOW_UPS
from server.consults.machine import Transition, apply, follow_up, presence, timer_for
from server.consults.messages import CONSULTATION, consultation_push
from server.consults.models import Consultation, Offer
from server.consults.outbox import Outbox
from server.consults.seats import Seats
from server.consults.states import PANEL, Duration
from server.consults.states import RING as RING_TIME
from server.consults.store import RINGING, facts, offers_of, save
from server.consults.vocabulary import SEAT_EFFECTS, Action, Consult, Data, Effect, Role, State, Timer
from server.oncall.book import Book
from server.oncall.dispatch import GREEN, Decision, Way, decide, decide_green
from server.oncall.line import Line, line_for, tried, why_nobody
from server.oncall.policy import Policy
from server.services import Services
from signaling.personal import Personal

SYSTEM = frozenset({Role.SYSTEM})


@dataclass(slots=True)
class Tx:
    """One transaction: its session, its time, and what is told when it stands."""

    session: AsyncSession
    now: float
    outbox: Outbox = field(default_factory=Outbox)
    events: list[Columns] = field(default_factory=list)
    """Those that are not written yet."""
    timers: dict[str, tuple[int, Timer | None]] = field(default_factory=dict)
    """Consult -> (its version, the timer that it has when the transaction ends)."""


class Steps:
    """Takes steps. Holds no state of any consult."""

    def __init__(self, services: Services, durations: Mapping[str, Duration], policy: Policy | None) -> None:
        self._services = services
        self._durations = durations
        self._policy = policy
        self._effects = Effects(services)
        self._book = Book()
        self._seats = Seats(durations, policy, self._reachable, self._book)

    async def take(
        self, tx: Tx, row: Consultation, action: Action, actor: Actor, roles: frozenset[Role], data: Data
    ) -> None:
        """Take one step and those that follow from it.

        :raises ActionRefused: what the table says; version_conflict; nobody_on_call for ``offer_again``.
        """
        before = await facts(tx.session, row)
        if action is Action.OFFER_AGAIN:
            data = await self._begin_anew(tx, row, before, data)
        step = apply(before, action, roles, tx.now, data, self._durations)
        audience = {before.requester_id, before.expert_id, *before.ringing}
        audience |= await self._write(tx, row, step, actor, data)
        await self._follow(tx, row, await self._after(tx, row, step), audience)

    async def set_presence(self, tx: Tx, row: Consultation, *, requester_in: bool, expert_in: bool) -> None:
        """Note who is in the room, and take what follows."""
        before = await facts(tx.session, row)
        after = presence(before, Role.REQUESTER, requester_in, tx.now)
        after = presence(after, Role.EXPERT, expert_in, tx.now)
        if after == before:
            return
        save(row, before, after, {})
        self._put_timer(tx, after)
        await self._follow(tx, row, after, set())

    async def on_timer(self, tx: Tx, row: Consultation, action: Action) -> None:
        """Take the action of the consult's timer.

        :raises ActionRefused: never for a timer that the table made; the tests hold it to that.
        """
        consult = await facts(tx.session, row)
        if follow_up(consult) is not None:
            await self._follow(tx, row, consult, set())
        else:
            await self.take(tx, row, action, system_actor(), SYSTEM, Data())

    async def tell(self, tx: Tx, row: Consultation) -> None:
        """Tell everyone concerned that something about the consult changed."""
        await self._announce(tx, row, await facts(tx.session, row), set())

    async def renew_timer(self, tx: Tx, row: Consultation) -> None:
        """Store the timer that the table wants, whatever stood there."""
        self._put_timer(tx, await facts(tx.session, row))

    async def read_book(self, tx: Tx) -> None:
        """Have every specialty's rotas at hand."""
        for one in SPECIALTIES:
            await self._book.rotas(tx.session, one.code, tx.now)

    async def begin_now(self, tx: Tx, row: Consultation) -> None:
        """Date what is dated later than now to now, and reckon the timer anew; no step of the consult."""
        for offer in await offers_of(tx.session, row.id):
            if offer.state == RINGING and offer.offered_at > tx.now:
                offer.offered_at, offer.expires_at = tx.now, tx.now + offer.expires_at - offer.offered_at
        before = await facts(tx.session, row)
        after = replace(
            before,
            submitted_at=_not_after(before.submitted_at, tx.now),
            absent_since=_not_after(before.absent_since, tx.now),
        )
        if before.since > tx.now:
            after = replace(after, since=tx.now, reminders=0)
        save(row, before, after, {})
        self._put_timer(tx, after)
        await self._announce(tx, row, after, set())

    # -- the system's own steps ----------------------------------------------------------------------------

    async def _follow(self, tx: Tx, row: Consultation, consult: Consult, audience: set[str | None]) -> None:
        """Take the steps that have nothing to wait for; then tell everyone concerned, once."""
        start = consult
        for _ in range(FOLLOW_UPS):
            action = follow_up(consult)
            if action is None:
                break
            action, data = await self._what_to_do(tx, row, consult, action)
            step = apply(consult, action, SYSTEM, tx.now, data, self._durations)
            audience |= await self._write(tx, row, step, system_actor(), data)
            consult = await self._after(tx, row, step)
        if audience or consult.version != start.version:
            await self._announce(tx, row, consult, audience)

    async def _after(self, tx: Tx, row: Consultation, step: Transition) -> Consult:
        """The facts after a step: whom seats ring is known to their rows alone."""
        return await facts(tx.session, row) if step.after.kind in PANEL else step.after

    async def _what_to_do(
        self, tx: Tx, row: Consultation, consult: Consult, action: Action
    ) -> tuple[Action, Data]:
        """An offer needs people to ring: without any it becomes UNFILLED."""
        if action is not Action.OFFER:
            return action, Data()
        # Who sits for another specialty is in the room already, or is being asked for that.
        gone = (
            tried(await offers_of(tx.session, row.id), row.tried_from_ring)
            | consult.members
            | consult.invited
        )
        lines = await self._lines(tx, row)
        decision = self._decide(tx, row, consult, lines, gone)
        if not decision.ring:
            return Action.UNFILLED, Data(reason=why_nobody(lines.values()))
        if decision.alarm_desk:
            await self._alarm_desks(tx, row, Action.OFFER)
        return Action.OFFER, Data(rung=decision.ring, ring_s=decision.seconds)

    async def _begin_anew(self, tx: Tx, row: Consultation, consult: Consult, data: Data) -> Data:
        row.tried_from_ring = consult.ring + 1
        lines = await self._lines(tx, row)
        decision = self._decide(tx, row, consult, lines, consult.members | consult.invited)
        if not decision.ring and consult.state is State.UNFILLED:
            raise ActionRefused(NOBODY_ON_CALL)
        return replace(data, rung=decision.ring, ring_s=decision.seconds)

    async def _lines(self, tx: Tx, row: Consultation) -> dict[str, Line]:
        """By specialty: the one that was asked for first, then those of its green channel."""
        wanted = dict.fromkeys((row.specialty, *GREEN.get(row.channel or "", ())))
        with tx.session.no_autoflush:  # it looks at others' work alone: ours is written once, at the end
            return {
                one: await line_for(tx.session, row, tx.now, self._reachable, self._book, one)
                for one in wanted
            }

    async def _reachable(self, session: AsyncSession, people: Collection[str]) -> Mapping[str, Way]:
        return await self._services.reach.reachable(session, people)

    def _decide(
        self, tx: Tx, row: Consultation, consult: Consult, lines: Mapping[str, Line], gone: Collection[str]
    ) -> Decision:
        elapsed = tx.now - (consult.submitted_at or tx.now)
        ring_s = self._durations[RING_TIME].of(consult.kind)
        rings = consult.ring + 1 - row.tried_from_ring
        own = lines[row.specialty]
        policy = own.policy or self._policy
        if row.channel is not None:
            each = {one: line.candidates for one, line in lines.items()}
            return decide_green(each, gone, elapsed, ring_s, policy, rings)
        return decide(own.candidates, gone, consult.kind, elapsed, ring_s, policy, rings)

    # -- one step's rows -----------------------------------------------------------------------------------

    async def _write(
        self, tx: Tx, row: Consultation, step: Transition, actor: Actor, data: Data
    ) -> set[str | None]:
        """Write the step; whom it concerns besides those before it."""
        if not step.recorded:
            return set()
        former = [one for one in await offers_of(tx.session, row.id) if one.state == RINGING]
        save(row, step.before, step.after, _stamps(step, tx.now))
        _answer_offers(former, step, actor, data, tx.now)
        self._put_timer(tx, step.after)
        tx.events.append(event_of(step, actor, data, tx.now))
        if Effect.SEAL in step.effects:  # what is sealed is read from the database
            await write_events(tx.session, tx.events)
        await self._effects.run(tx.session, tx.outbox, row, step, data, former, tx.now)
        self._audit(tx, row, step, actor, data)
        if step.after.kind in PANEL and not SEAT_EFFECTS.isdisjoint(step.effects):
            if await self._seats.run(tx.session, tx.outbox, row, step, data, former, tx.now):
                await self._alarm_desks(tx, row, Action.INVITE_AGAIN)
            await self.renew_timer(tx, row)
        if Effect.ALARM_DESK in step.effects:
            await self._alarm_desks(tx, row, step.action)
        return {step.after.expert_id, *step.after.ringing}

    def _put_timer(self, tx: Tx, consult: Consult) -> None:
        tx.timers[consult.id] = (consult.version, timer_for(consult, self._durations))
        tx.outbox.timers_changed = True

    def _audit(self, tx: Tx, row: Consultation, step: Transition, actor: Actor, data: Data) -> None:
        if actor.kind is ActorKind.SYSTEM and not step.moved:
            return  # a standing alarm's repetitions are events of the consult, not news of the trail
        detail: dict[str, Any] = {
            "from": step.before.state.value,
            "to": step.after.state.value,
            "version": step.after.version,
        }
        if Effect.RING in step.effects:
            detail["rung"] = sorted(step.after.ringing)
        if data.signature:
            detail["signature"] = data.signature
        if Effect.SEAL in step.effects:
            detail["seal"] = row.seal
        self._services.audit.note(
            tx.session, actor, f"consultation.{step.action}", "consultation", row.id, detail
        )

    # -- telling -------------------------------------------------------------------------------------------

    async def _announce(self, tx: Tx, row: Consultation, consult: Consult, audience: set[str | None]) -> None:
        audience |= {consult.requester_id, consult.expert_id, *consult.ringing}
        audience |= consult.members | consult.invited
        audience |= set(await self._desks(tx, row))
        for one in sorted(one for one in audience if one):
            tx.outbox.push(one, CONSULTATION, consultation_push(row))

    async def _alarm_desks(self, tx: Tx, row: Consultation, action: Action) -> None:
        for desk in await self._desks(tx, row):
            tx.outbox.push(desk, CONSULTATION, consultation_push(row, alarm=action.value))

    async def _desks(self, tx: Tx, row: Consultation) -> tuple[str, ...]:
        with tx.session.no_autoflush:
            page = await self._book.open(tx.session, tx.now)
        return page.desks_of(row.organization_id)


def _answer_offers(former: Sequence[Offer], step: Transition, actor: Actor, data: Data, now: float) -> None:
    """The actor's own running offer gets its answer."""
    answers = {Action.ACCEPT: "accepted", Action.DECLINE: "declined"}
    for offer in former:
        if step.action in answers and offer.practitioner_id == actor.id:
            offer.state = answers[step.action]
            offer.answered_at = now
            offer.reason = Personal(data.reason) if data.reason else None


def _not_after(at: float | None, now: float) -> float | None:
    return None if at is None else min(at, now)


def _stamps(step: Transition, now: float) -> dict[str, Any]:
    """Columns that note when something first or last happened."""
    if step.action is Action.ACCEPT and step.moved:
        return {"accepted_at": now}
    if step.action is Action.START:
        return {"started_at": now}
    if step.action is Action.WITHDRAW_RECORDING_CONSENT:
        return {"recording_withdrawn_at": now}
    if step.moved and step.after.state is State.OPINION_PENDING:
        return {"ended_at": now}
    return {}
