"""The state table of a consult request: who may do what when, what follows, when the system acts.

Sans-I/O, and nothing but data; `machine` walks along it. Two rules:

1. Only `machine.apply` makes a `Consult` with another state; every change is one row of `TABLE`.
2. A state that is not final has a row in `TIMERS`, a row in `OWNERS`, or both.

A row is tried from the top: the first one for the state, action and kind whose ``when`` holds and whose
``who`` includes the actor is taken. Then its ``needs`` must be met. A row without ``to`` leaves the state.
The diagram in DESIGN.md is rendered from this table (`diagram`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from server.consults.vocabulary import PACES, Action, Consult, Data, Effect, Kind, Pace, Role, State

S, A, R, X = State, Action, Role, Effect
Who = frozenset[Role]

REQUESTER: Who = frozenset({R.REQUESTER})
EXPERT: Who = frozenset({R.EXPERT})
RINGING: Who = frozenset({R.RINGING})
DESK: Who = frozenset({R.DESK})
SYSTEM: Who = frozenset({R.SYSTEM})
CHAIR = EXPERT | {R.CHAIR}
ALL_KINDS = frozenset(Kind)
INVITED: Who = frozenset({R.INVITED})
MEMBER: Who = frozenset({R.MEMBER})
THREAD = frozenset({Kind.PICTURE_TEXT})  # without a room
READ = frozenset({Kind.DIAGNOSTIC})  # may do without one
PANEL = frozenset({Kind.MULTIDISCIPLINARY})  # with a seat for each further specialty
PLANNED = ALL_KINDS - {Kind.URGENT}
ROOMED = ALL_KINDS - THREAD
AUTOMATIC = frozenset({Kind.URGENT, Kind.DIAGNOSTIC, Kind.GUIDANCE, Kind.PICTURE_TEXT})
"""Nobody at the desk has to agree first: they ring at once."""
DESK_FIRST = ALL_KINDS - AUTOMATIC


@dataclass(frozen=True, slots=True)
class Need:
    """A requirement: what is told when it is not met, and the test."""

    name: str
    unmet: Callable[[Consult, Data], Collection[str]]


@dataclass(frozen=True, slots=True)
class When:
    """A condition that chooses between rows."""

    name: str
    holds: Callable[[Consult, Data], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. ``to`` None leaves the state; ``quiet`` rows make no event and no new version."""

    states: tuple[State, ...]
    action: Action
    who: Who
    to: State | None = None
    kinds: frozenset[Kind] = ALL_KINDS
    when: When | None = None
    needs: tuple[Need, ...] = ()
    effects: tuple[Effect, ...] = ()
    quiet: bool = False
    reminds: bool = False  # counts towards Consult.reminders
    touches: bool = False  # restarts the state's timer


def _if(name: str, condition: bool) -> Collection[str]:
    return () if condition else (name,)


COMPLETE = Need("complete", lambda c, d: sorted(c.missing))
REASON = Need("reason", lambda c, d: _if("reason", bool(d.reason.strip())))
TEXT = Need("text", lambda c, d: _if("text", bool(d.text.strip())))
RUNG = Need("someone to ring", lambda c, d: _if("rung", bool(d.rung)))
TIME = Need("time", lambda c, d: _if("at", d.at is not None))
OPINION = Need("opinion complete", lambda c, d: sorted(c.opinion_missing))
BOTH_IN = Need("both sides in", lambda c, d: _if("both_in", c.both_in))

OTHERS_RING = When("others still ring", lambda c, d: bool(c.ringing - {d.actor_id}))
LAST_RINGS = When("nobody else rings", lambda c, d: not c.ringing - {d.actor_id})
EXPERT_IN = When("expert is in", lambda c, d: c.expert_in)
EXPERT_OUT = When("expert is not in", lambda c, d: not c.expert_in)
CONSENTED = When("recording consented", lambda c, d: c.recording_consented)
CRITICAL = When("critical, not acknowledged", lambda c, d: c.critical and not c.critical_acknowledged)
UNRATED = When("not rated", lambda c, d: not c.rated)
GREEN = When("green channel", lambda c, d: c.green)
WRITING = When("the opinion is begun", lambda c, d: c.writing)
SEATS_EMPTY = When("a seat is empty", lambda c, d: c.seats_empty)

BEFORE_ROOM = (S.SUBMITTED, S.TRIAGED, S.OFFERED, S.ESCALATED, S.UNFILLED)
WITH_ROOM = (S.ACCEPTED, S.SCHEDULED, S.READY, S.IN_SESSION, S.SUSPENDED)
WAITING = (S.ACCEPTED, S.SCHEDULED, S.READY)
SEATED = (S.TRIAGED, S.OFFERED, S.ESCALATED, S.UNFILLED, *WITH_ROOM)
LEAVE = (X.RING_OFF, X.SEATS_OFF, X.CLOSE_ROOM)
END_ROOM = (X.SEATS_OFF, X.CLOSE_ROOM)
FREE = (X.RELEASE_EXPERT,)

TABLE: tuple[Rule, ...] = (
    # the request
    Rule((S.DRAFT, S.RETURNED_INFO), A.EDIT, REQUESTER, touches=True),
    Rule((S.DRAFT, S.RETURNED_INFO), A.SUBMIT, REQUESTER, S.SUBMITTED, needs=(COMPLETE,)),
    Rule((S.DRAFT, S.RETURNED_INFO), A.CANCEL, REQUESTER, S.CANCELLED),
    Rule((S.DRAFT, S.RETURNED_INFO), A.EXPIRE, SYSTEM, S.EXPIRED),
    Rule((S.SUBMITTED,), A.TRIAGE, DESK, S.TRIAGED, kinds=PANEL, effects=(X.RING_SEATS,)),
    Rule((S.SUBMITTED,), A.TRIAGE, DESK, S.TRIAGED, kinds=ALL_KINDS - PANEL),
    Rule((S.SUBMITTED,), A.TRIAGE, SYSTEM, S.TRIAGED, kinds=AUTOMATIC),
    Rule((S.SUBMITTED,), A.RETURN_INFO, DESK, S.RETURNED_INFO, kinds=PLANNED, needs=(REASON,)),
    Rule((S.SUBMITTED,), A.OVERDUE, SYSTEM, reminds=True, effects=(X.ALARM_DESK,)),
    # finding the expert
    Rule((S.TRIAGED, S.ESCALATED), A.OFFER, SYSTEM, S.OFFERED, needs=(RUNG,), effects=(X.RING,)),
    Rule((S.TRIAGED, S.ESCALATED), A.UNFILLED, SYSTEM, S.UNFILLED, effects=(X.ALARM_DESK,)),
    Rule((S.OFFERED,), A.ACCEPT, RINGING, S.ACCEPTED, kinds=ROOMED, effects=(X.RING_OFF, X.ASSIGN_DEVICES)),
    Rule((S.OFFERED,), A.ACCEPT, RINGING, S.ACCEPTED, kinds=THREAD, effects=(X.RING_OFF,)),
    Rule((S.OFFERED,), A.DECLINE, RINGING, when=OTHERS_RING, needs=(REASON,)),
    Rule((S.OFFERED,), A.DECLINE, RINGING, S.ESCALATED, when=LAST_RINGS, needs=(REASON,)),
    Rule((S.OFFERED,), A.RING_TIMEOUT, SYSTEM, S.ESCALATED, effects=(X.RING_OFF,)),
    Rule((S.UNFILLED,), A.ALARM, SYSTEM, reminds=True, effects=(X.ALARM_DESK,)),
    Rule((S.UNFILLED,), A.OFFER_AGAIN, DESK, S.OFFERED, needs=(RUNG,), effects=(X.RING,)),
    Rule((S.UNFILLED,), A.REFER, DESK, S.REFERRED, needs=(REASON,), effects=LEAVE),
    Rule(BEFORE_ROOM, A.CANCEL, REQUESTER | DESK, S.CANCELLED, effects=LEAVE),
    # the seats of a multidisciplinary consult; each has its own offers (`seats`)
    Rule(SEATED, A.ACCEPT, INVITED, kinds=PANEL, effects=(X.TAKE_SEAT,)),
    Rule(SEATED, A.DECLINE, INVITED, kinds=PANEL, needs=(REASON,), effects=(X.RING_SEATS,)),
    Rule(SEATED, A.RELEASE, MEMBER, kinds=PANEL, needs=(REASON,), effects=(X.RING_SEATS,)),
    Rule(SEATED, A.SEAT_TIMEOUT, SYSTEM, kinds=PANEL, effects=(X.RING_SEATS,)),
    Rule(SEATED, A.INVITE_AGAIN, REQUESTER | CHAIR | DESK, kinds=PANEL, when=SEATS_EMPTY,
         effects=(X.RING_SEATS,)),
    # before the room
    Rule((S.ACCEPTED, S.SCHEDULED), A.SCHEDULE, CHAIR | DESK, S.SCHEDULED,
         kinds=PLANNED & ROOMED, needs=(TIME,)),
    Rule((S.SCHEDULED,), A.OPEN_WAITING_ROOM, SYSTEM, S.READY, effects=(X.REMIND_OWNER,)),
    Rule((S.ACCEPTED, S.SCHEDULED), A.ARRIVE, SYSTEM, S.READY),
    # The desk for whoever cannot: an expert who fell ill, or left the hospital, holds no patient up.
    Rule((*WAITING, S.OPINION_PENDING), A.RELEASE, EXPERT | DESK, S.ESCALATED, needs=(REASON,), effects=FREE),
    Rule((S.ACCEPTED,), A.NO_SHOW, SYSTEM, S.ESCALATED, effects=FREE),
    Rule((S.READY,), A.NO_SHOW, SYSTEM, S.ESCALATED, when=EXPERT_OUT, effects=FREE),
    Rule((S.READY,), A.NO_SHOW, SYSTEM, when=EXPERT_IN, reminds=True, effects=(X.REMIND_OWNER, X.ALARM_DESK)),
    Rule(WAITING, A.CANCEL, REQUESTER | DESK, S.CANCELLED, effects=LEAVE),
    # the session
    Rule(WITH_ROOM, A.JOIN, REQUESTER | CHAIR | MEMBER | DESK, kinds=ROOMED, quiet=True),
    Rule(WITH_ROOM, A.INVITE_GUEST, REQUESTER | CHAIR, kinds=ROOMED, quiet=True),
    Rule((S.READY,), A.START, SYSTEM, S.IN_SESSION, needs=(BOTH_IN,), effects=(X.RECORD,)),
    Rule((S.IN_SESSION,), A.LINK_LOST, SYSTEM, S.SUSPENDED, effects=(X.REMIND_OWNER,)),
    Rule((S.SUSPENDED,), A.REJOIN, SYSTEM, S.IN_SESSION, needs=(BOTH_IN,), effects=(X.RECORD,)),
    Rule((S.SUSPENDED,), A.TELEPHONE, SYSTEM, reminds=True, effects=(X.ALARM_DESK, X.REMIND_OWNER)),
    Rule((S.SUSPENDED,), A.GIVE_UP, SYSTEM, S.OPINION_PENDING, when=EXPERT_IN, effects=END_ROOM),
    Rule((S.SUSPENDED,), A.GIVE_UP, SYSTEM, S.ESCALATED, when=EXPERT_OUT, effects=FREE),
    Rule((S.IN_SESSION, S.SUSPENDED), A.END, CHAIR, S.OPINION_PENDING, effects=END_ROOM),
    Rule((S.ACCEPTED, S.READY), A.END, EXPERT, S.OPINION_PENDING,
         kinds=THREAD | READ, effects=END_ROOM),
    Rule((S.ACCEPTED, S.READY), A.OVERDUE, SYSTEM, kinds=READ, when=WRITING, reminds=True,
         effects=(X.REMIND_OWNER, X.ALARM_DESK)),
    Rule((*BEFORE_ROOM, *WITH_ROOM), A.WITHDRAW_RECORDING_CONSENT, REQUESTER | CHAIR | DESK,
         when=CONSENTED, effects=(X.STOP_RECORDING,)),
    # what is laid beside it
    Rule((*BEFORE_ROOM, *WITH_ROOM, S.OPINION_PENDING, S.RETURNED), A.NOTE_STAGE, REQUESTER | CHAIR | DESK,
         kinds=frozenset({Kind.URGENT}), when=GREEN),
    Rule((S.DRAFT, S.RETURNED_INFO, *BEFORE_ROOM, *WITH_ROOM, S.OPINION_PENDING, S.RETURNED), A.ATTACH,
         REQUESTER | CHAIR | MEMBER),
    Rule((S.ACCEPTED,), A.POST, EXPERT, kinds=THREAD, needs=(TEXT,), touches=True),
    Rule((*BEFORE_ROOM, S.ACCEPTED, S.OPINION_PENDING, S.RETURNED), A.POST, REQUESTER | EXPERT,
         kinds=THREAD, needs=(TEXT,)),
    # the opinion and after
    Rule((*WITH_ROOM, S.OPINION_PENDING), A.WRITE_OPINION, EXPERT, quiet=True),
    Rule((*SEATED, S.OPINION_PENDING), A.CONTRIBUTE, MEMBER, kinds=PANEL, needs=(TEXT,)),
    Rule((S.OPINION_PENDING,), A.SIGN, EXPERT, S.SIGNED, needs=(OPINION,)),
    Rule((S.OPINION_PENDING,), A.OVERDUE, SYSTEM, reminds=True, effects=(X.REMIND_OWNER, X.ALARM_DESK)),
    Rule((S.SIGNED,), A.RETURN_OPINION, SYSTEM, S.RETURNED, effects=(X.REMIND_OWNER,)),
    Rule((S.SIGNED, S.RETURNED), A.AMEND, EXPERT, needs=(TEXT,), effects=(X.REMIND_OWNER,)),
    Rule((S.ACKNOWLEDGED,), A.AMEND, EXPERT, S.RETURNED, needs=(TEXT,), effects=(X.REMIND_OWNER,)),
    Rule((S.RETURNED,), A.CALL, SYSTEM, reminds=True, effects=(X.ALARM_DESK, X.REMIND_OWNER)),
    Rule((S.RETURNED,), A.OVERDUE, SYSTEM, reminds=True, effects=(X.REMIND_OWNER, X.ALARM_DESK)),
    Rule((S.RETURNED,), A.ACKNOWLEDGE_CRITICAL, REQUESTER, when=CRITICAL, touches=True),
    Rule((S.RETURNED,), A.ACKNOWLEDGE, REQUESTER, S.ACKNOWLEDGED, needs=(TEXT,)),
    Rule((S.ACKNOWLEDGED,), A.RATE, REQUESTER, when=UNRATED),
    Rule((S.ACKNOWLEDGED,), A.ARCHIVE, SYSTEM, S.ARCHIVED, effects=(X.SEAL,)),
)  # fmt: skip

OWNERS: Mapping[State, Role] = {
    # Who owes the next step. The system owns what its timers do "at once".
    S.DRAFT: R.REQUESTER,
    S.SUBMITTED: R.DESK,
    S.RETURNED_INFO: R.REQUESTER,
    S.OFFERED: R.RINGING,
    S.UNFILLED: R.DESK,
    S.ACCEPTED: R.EXPERT,
    S.SCHEDULED: R.EXPERT,
    S.READY: R.EXPERT,
    S.IN_SESSION: R.CHAIR,
    S.SUSPENDED: R.EXPERT,
    S.OPINION_PENDING: R.EXPERT,
    S.RETURNED: R.REQUESTER,
}

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds for each pace (E urgent, D diagnostic read, R routine)."""

    urgent: float
    diagnostic: float
    routine: float

    def of(self, kind: Kind) -> float:
        return {
            Pace.URGENT: self.urgent,
            Pace.DIAGNOSTIC: self.diagnostic,
            Pace.ROUTINE: self.routine,
        }[PACES[kind]]


def _same(seconds: float) -> Duration:
    return Duration(seconds, seconds, seconds)


RING = "ring"
"""The duration that an escalation policy may set otherwise, ring by ring."""

DURATIONS: Mapping[str, Duration] = {
    "draft_idle": _same(7 * DAY),
    "triage": Duration(30, 3 * MINUTE, 4 * HOUR),
    "information": _same(48 * HOUR),
    "at_once": _same(0),
    RING: Duration(60, 60, 4 * HOUR),
    "unfilled_alarm": Duration(60, 5 * MINUTE, HOUR),
    "in_place": Duration(10 * MINUTE, 10 * MINUTE, DAY),
    "reading": _same(10 * MINUTE),  # of what may be read without a room
    "answer": _same(DAY),  # of a thread, which has no place to be in
    "waiting_room_opens": _same(15 * MINUTE),  # before the planned time
    "waiting_room": Duration(2 * MINUTE, 10 * MINUTE, 10 * MINUTE),
    "link_lost": _same(30),
    "telephone_fallback": _same(60),
    "suspended": _same(5 * MINUTE),
    "opinion": Duration(30 * MINUTE, 10 * MINUTE, DAY),
    "critical_acknowledged": _same(5 * MINUTE),
    "acknowledged": _same(DAY),
    "archived": _same(72 * HOUR),
}


def with_ring(seconds: float) -> Mapping[str, Duration]:
    """`DURATIONS` with another length of a ring. A routine request waits for its answer as ever."""
    return {**DURATIONS, RING: Duration(seconds, seconds, DURATIONS[RING].routine)}


@dataclass(frozen=True, slots=True)
class TimerRule:
    """One timer of a state.

    It is due ``sign * duration`` after ``anchor``, not before ``floor`` seconds in the state,
    and again every ``duration`` when its action leaves the state.
    """

    state: State
    duration: str
    action: Action
    kinds: frozenset[Kind] = ALL_KINDS
    anchor: Callable[[Consult], float | None] = lambda c: c.since
    when: Callable[[Consult], bool] = lambda c: True
    floor: float = 0.0
    sign: int = 1
    named: str = ""  # ``when`` in words


def _submitted(c: Consult) -> float:
    return c.since if c.submitted_at is None else c.submitted_at


def _planned(c: Consult) -> float:
    return max(c.since, c.scheduled_for or 0.0)


URGENT = frozenset({Kind.URGENT})

TIMERS: tuple[TimerRule, ...] = (
    TimerRule(S.DRAFT, "draft_idle", A.EXPIRE),
    TimerRule(S.SUBMITTED, "triage", A.TRIAGE, kinds=AUTOMATIC),
    TimerRule(S.SUBMITTED, "triage", A.OVERDUE, kinds=DESK_FIRST),
    TimerRule(S.RETURNED_INFO, "information", A.EXPIRE),
    TimerRule(S.TRIAGED, "at_once", A.OFFER),
    TimerRule(S.OFFERED, RING, A.RING_TIMEOUT),
    TimerRule(S.ESCALATED, "at_once", A.OFFER),
    TimerRule(S.UNFILLED, "unfilled_alarm", A.ALARM),
    # Whoever reads without a room shows up nowhere but in the draft: reminded, as later on, not replaced.
    TimerRule(S.ACCEPTED, "opinion", A.OVERDUE, kinds=READ, anchor=_submitted, floor=2 * MINUTE,
              when=lambda c: c.writing, named="opinion begun"),
    TimerRule(S.READY, "opinion", A.OVERDUE, kinds=READ, anchor=_submitted, floor=2 * MINUTE,
              when=lambda c: c.writing and not c.expert_in, named="opinion begun"),
    # Ten minutes of the request, yet never less than two after the accept.
    TimerRule(S.ACCEPTED, "in_place", A.NO_SHOW, kinds=URGENT, anchor=_submitted, floor=2 * MINUTE),
    TimerRule(S.ACCEPTED, "reading", A.NO_SHOW, kinds=READ),
    TimerRule(S.ACCEPTED, "in_place", A.NO_SHOW, kinds=(PLANNED & ROOMED) - READ),
    TimerRule(S.ACCEPTED, "answer", A.NO_SHOW, kinds=THREAD),
    TimerRule(
        S.SCHEDULED, "waiting_room_opens", A.OPEN_WAITING_ROOM, anchor=lambda c: c.scheduled_for, sign=-1
    ),
    TimerRule(S.READY, "waiting_room", A.NO_SHOW, anchor=_planned),
    TimerRule(S.IN_SESSION, "link_lost", A.LINK_LOST, anchor=lambda c: c.absent_since),
    TimerRule(
        S.SUSPENDED, "telephone_fallback", A.TELEPHONE, kinds=URGENT, when=lambda c: c.reminders == 0
    ),
    TimerRule(S.SUSPENDED, "suspended", A.GIVE_UP),
    TimerRule(S.OPINION_PENDING, "opinion", A.OVERDUE, kinds=READ,
              anchor=_submitted, floor=2 * MINUTE),
    TimerRule(S.OPINION_PENDING, "opinion", A.OVERDUE),
    TimerRule(S.SIGNED, "at_once", A.RETURN_OPINION),
    TimerRule(S.RETURNED, "critical_acknowledged", A.CALL,
              when=lambda c: c.critical and not c.critical_acknowledged),
    TimerRule(S.RETURNED, "acknowledged", A.OVERDUE),
    TimerRule(S.ACKNOWLEDGED, "archived", A.ARCHIVE),
)  # fmt: skip
