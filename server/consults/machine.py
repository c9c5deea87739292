"""Walking along the state table: the only functions that move a consult.

Sans-I/O: ``now`` is an argument, the outcome is returned.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from server.consults.errors import FORBIDDEN, INCOMPLETE, RING_OVER, WRONG_STATE, ActionRefused
from server.consults.states import (
    AUTOMATIC,
    BOTH_IN,
    COMPLETE,
    DURATIONS,
    OPINION,
    PANEL,
    RING,
    SEATED,
    TABLE,
    TIMERS,
    Duration,
    Rule,
)
from server.consults.vocabulary import Action, Consult, Data, Effect, Role, State, Timer

A, R, S, X = Action, Role, State, Effect

# These leave their state after a first reminder, so a reminder does not push them back.
_ONCE = frozenset({A.GIVE_UP})


# Needs that look at the consult alone; the others wait for what comes with the action.
_FACT_NEEDS = (COMPLETE, OPINION, BOTH_IN)


@dataclass(frozen=True, slots=True)
class Transition:
    """One step along the table: the consult after it, and what it asks of the world."""

    before: Consult
    after: Consult
    action: Action
    effects: tuple[Effect, ...]
    timer: Timer | None  # of the state; see `state_timer`
    recorded: bool  # it makes an event and a new version

    @property
    def moved(self) -> bool:
        return self.before.state is not self.after.state


def _rows(consult: Consult, action: Action) -> list[Rule]:
    return [r for r in TABLE if r.action is action and _fits(r, consult)]


def _fits(row: Rule, consult: Consult) -> bool:
    return consult.state in row.states and consult.kind in row.kinds


def _choose(consult: Consult, action: Action, roles: Collection[Role], data: Data) -> Rule:
    rows = _rows(consult, action)
    if not rows:
        stale = action in (Action.ACCEPT, Action.DECLINE)
        raise ActionRefused(RING_OVER if stale else WRONG_STATE, f"{action} in {consult.state}")
    rows = [r for r in rows if r.who & frozenset(roles)]
    if not rows:
        raise ActionRefused(FORBIDDEN, f"{action} in {consult.state}")
    for row in rows:
        if row.when is None or row.when.holds(consult, data):
            return row
    raise ActionRefused(WRONG_STATE, f"{action} in {consult.state}: not as things are")


def apply(
    consult: Consult,
    action: Action,
    roles: Collection[Role],
    now: float,
    data: Data | None = None,
    durations: Mapping[str, Duration] = DURATIONS,
) -> Transition:
    """Take one action.

    :param roles: what the actor is to this consult (`roles_of`), or ``{Role.SYSTEM}``.
    :param now: Unix seconds.
    :raises ActionRefused: wrong_state, ring_over, forbidden or incomplete (the detail lists what is missing).
    """
    data = data or Data()
    row = _choose(consult, action, roles, data)
    lacking = [name for need in row.needs for name in need.unmet(consult, data)]
    if lacking:
        raise ActionRefused(INCOMPLETE, ", ".join(lacking))
    after = _follow(consult, row, now, data)
    if row.reminds:
        after = _skip_missed(after, action, now, durations)
    return Transition(
        before=consult,
        after=after,
        action=action,
        effects=row.effects,
        timer=state_timer(after, durations),
        recorded=not row.quiet,
    )


def _follow(consult: Consult, row: Rule, now: float, data: Data) -> Consult:
    if row.quiet:
        return consult
    after = replace(consult, version=consult.version + 1)
    if row.to is not None:
        after = replace(after, state=row.to, since=now, reminders=0)
    elif row.touches:
        after = replace(after, since=now, reminders=0)
    elif row.reminds:
        after = replace(after, reminders=consult.reminders + 1)
    return _facts(after, row.action, row.effects, now, data)


def _skip_missed(after: Consult, action: Action, now: float, durations: Mapping[str, Duration]) -> Consult:
    """One reminder stands for all that were missed while nobody was there to give them."""
    while (timer := timer_for(after, durations)) and timer.action is action and timer.due <= now:
        after = replace(after, reminders=after.reminders + 1)
    return after


def _facts(c: Consult, action: Action, effects: Collection[Effect], now: float, data: Data) -> Consult:
    """The facts a transition changes besides the state."""
    if action is A.SUBMIT:
        c = replace(c, submitted_at=c.submitted_at or now)
    elif action is A.SCHEDULE:
        c = replace(c, scheduled_for=data.at)
    elif X.TAKE_SEAT in effects or X.RING_SEATS in effects:
        c = _seats(c, action, data)
    elif action is A.ACCEPT:
        c = replace(c, expert_id=data.actor_id, chair_id=data.actor_id, expert_in=False)
    elif action is A.DECLINE:
        c = replace(c, ringing=c.ringing - {data.actor_id})
    elif action is A.WITHDRAW_RECORDING_CONSENT:
        c = replace(c, recording_consented=False)
    elif action is A.ACKNOWLEDGE_CRITICAL:
        c = replace(c, critical_acknowledged=True)
    elif action is A.RATE:
        c = replace(c, rated=True)
    if X.RING in effects:
        c = replace(c, ringing=frozenset(data.rung), ring=c.ring + 1, ring_s=data.ring_s)
    if X.RING_OFF in effects:
        c = replace(c, ringing=frozenset())
    if X.RELEASE_EXPERT in effects:
        c = replace(c, expert_id=None, chair_id=None, expert_in=False, scheduled_for=None, absent_since=None)
    if X.SEATS_OFF in effects:
        c = replace(c, invited=frozenset(), seat_due=None)
    if X.CLOSE_ROOM in effects:
        c = replace(c, requester_in=False, expert_in=False, absent_since=None)
    return c


def _seats(c: Consult, action: Action, data: Data) -> Consult:
    """Who sits and who is asked after a step about seats, before open seats ring anew (`seats`)."""
    c = replace(c, invited=c.invited - {data.actor_id})
    if action is A.ACCEPT:
        return replace(c, members=c.members | {data.actor_id})
    if action is A.RELEASE:
        return replace(c, members=c.members - {data.actor_id})
    return replace(c, seat_due=None) if action is A.SEAT_TIMEOUT else c


def presence(consult: Consult, role: Role, inside: bool, now: float) -> Consult:
    """Somebody came into the room or left it. No action by itself; see `follow_up` and `timer_for`."""
    if role is R.REQUESTER:
        consult = replace(consult, requester_in=inside)
    elif role is R.EXPERT:
        consult = replace(consult, expert_in=inside)
    if consult.both_in or consult.state not in (S.IN_SESSION, S.SUSPENDED):
        return replace(consult, absent_since=None)
    return replace(consult, absent_since=now if consult.absent_since is None else consult.absent_since)


def follow_up(consult: Consult) -> Action | None:
    """The system action that has nothing to wait for, if any."""
    state = consult.state
    if state is S.SUBMITTED and consult.kind in AUTOMATIC:
        return A.TRIAGE
    if state in (S.TRIAGED, S.ESCALATED):
        return A.OFFER
    if state in (S.ACCEPTED, S.SCHEDULED) and (consult.requester_in or consult.expert_in):
        return A.ARRIVE
    if state is S.READY and consult.both_in:
        return A.START
    if state is S.SUSPENDED and consult.both_in:
        return A.REJOIN
    if state is S.SIGNED:
        return A.RETURN_OPINION
    return None


def timer_for(consult: Consult, durations: Mapping[str, Duration] = DURATIONS) -> Timer | None:
    """The timer that runs now, or None (final, or nothing to wait for but the owner).

    Of the state's own and that of the offers of seats, the one that is due first.
    """
    own = state_timer(consult, durations)
    if consult.seat_due is None or consult.kind not in PANEL or consult.state not in SEATED:
        return own
    if own is not None and own.due <= consult.seat_due:
        return own
    return Timer(consult.seat_due, A.SEAT_TIMEOUT, "seat_ring")


def limit_for(consult: Consult, durations: Mapping[str, Duration] = DURATIONS) -> float | None:
    """When the time of the state is up, or was (`limit_of`); None: no timer."""
    timer = limit_of(consult, durations)
    return None if timer is None else timer.due


def limit_of(consult: Consult, durations: Mapping[str, Duration] = DURATIONS) -> Timer | None:
    """The timer whose end is the limit of the state: reminders do not move it."""
    return timer_for(replace(consult, reminders=0), durations)


def state_timer(consult: Consult, durations: Mapping[str, Duration] = DURATIONS) -> Timer | None:
    """The timer of the state alone."""
    for rule in TIMERS:
        if rule.state is consult.state and consult.kind in rule.kinds and rule.when(consult):
            anchor = rule.anchor(consult)
            if anchor is None:
                return None
            seconds = durations[rule.duration].of(consult.kind)
            if rule.duration == RING and consult.ring_s is not None:
                seconds = consult.ring_s  # an escalation policy's own
            due = max(anchor + rule.sign * seconds, consult.since + rule.floor)
            if rule.action not in _ONCE:
                due += consult.reminders * seconds
            return Timer(due, rule.action, rule.duration)
    return None


def roles_of(consult: Consult, practitioner_id: str, *, desk: bool) -> frozenset[Role]:
    """What a practitioner is to this consult. Empty for a stranger."""
    roles = set()
    if practitioner_id == consult.requester_id:
        roles.add(R.REQUESTER)
    if practitioner_id == consult.expert_id:
        roles.add(R.EXPERT)
    if practitioner_id == consult.chair_id:
        roles.add(R.CHAIR)
    if practitioner_id in consult.ringing:
        roles.add(R.RINGING)
    if practitioner_id in consult.invited:
        roles.add(R.INVITED)
    if practitioner_id in consult.members:
        roles.add(R.MEMBER)
    if desk:
        roles.add(R.DESK)
    return frozenset(roles)


def allowed(consult: Consult, roles: Collection[Role]) -> list[Action]:
    """What somebody with these roles may do now, in the table's order.

    An action whose data is still to be given (a reason, a text) is allowed; one whose facts
    are missing (consent, an opinion without conclusion) is not.
    """
    found: list[Action] = []
    for row in TABLE:
        if row.action in found or not row.who & frozenset(roles):
            continue
        if not _fits(row, consult):
            continue
        if row.when is not None and not row.when.holds(consult, Data()):
            continue
        if any(need.unmet(consult, Data()) for need in row.needs if need in _FACT_NEEDS):
            continue
        found.append(row.action)
    return found
