"""The words of a consult: states, actions, roles, and the facts on which the table decides.

Sans-I/O. `Consult` holds no patient data and no free text: only what a rule may look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """Where a request stands."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    RETURNED_INFO = "RETURNED_INFO"
    TRIAGED = "TRIAGED"
    OFFERED = "OFFERED"
    ESCALATED = "ESCALATED"
    UNFILLED = "UNFILLED"
    ACCEPTED = "ACCEPTED"
    SCHEDULED = "SCHEDULED"
    READY = "READY"
    IN_SESSION = "IN_SESSION"
    SUSPENDED = "SUSPENDED"
    OPINION_PENDING = "OPINION_PENDING"
    SIGNED = "SIGNED"
    RETURNED = "RETURNED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REFERRED = "REFERRED"
    ARCHIVED = "ARCHIVED"


FINAL = frozenset({State.CANCELLED, State.EXPIRED, State.REFERRED, State.ARCHIVED})

AT_WORK = (State.ACCEPTED, State.READY, State.IN_SESSION, State.SUSPENDED, State.OPINION_PENDING)
"""A consult in one of these is work that its expert has now."""


class Kind(StrEnum):
    """What is asked for. How long each state may last follows from its `Pace`."""

    URGENT = "urgent"
    DIAGNOSTIC = "diagnostic"  # an ECG or an ultrasound clip is read
    ROUTINE = "routine"
    MULTIDISCIPLINARY = "mdt"  # several specialties, one chair
    TEACHING = "teaching"  # a teaching round
    GUIDANCE = "guidance"  # somebody is guided through a procedure, now
    PICTURE_TEXT = "picture_text"  # a thread without a room


class Pace(StrEnum):
    """How fast a kind goes: a column of the clinical table of time limits."""

    URGENT = "E"
    DIAGNOSTIC = "D"
    ROUTINE = "R"


PACES: Mapping[Kind, Pace] = {
    Kind.URGENT: Pace.URGENT,
    Kind.DIAGNOSTIC: Pace.DIAGNOSTIC,
    Kind.GUIDANCE: Pace.DIAGNOSTIC,  # the patient is on the table: nobody rings for four hours
    Kind.ROUTINE: Pace.ROUTINE,
    Kind.MULTIDISCIPLINARY: Pace.ROUTINE,
    Kind.TEACHING: Pace.ROUTINE,
    Kind.PICTURE_TEXT: Pace.ROUTINE,
}


class Role(StrEnum):
    """What somebody is to one consult (not what they are in the organization)."""

    REQUESTER = "requester"
    EXPERT = "expert"
    RINGING = "ringing"  # an expert whose offer is running
    CHAIR = "chair"
    INVITED = "invited"  # an expert whose offer of a seat in a multidisciplinary consult is running
    MEMBER = "member"  # sits there for one of the specialties
    DESK = "desk"
    SYSTEM = "system"


class Action(StrEnum):
    """Everything that can be done to a consult, by people or by the system."""

    EDIT = "edit"
    SUBMIT = "submit"
    TRIAGE = "triage"
    RETURN_INFO = "return_info"
    CANCEL = "cancel"
    EXPIRE = "expire"
    OFFER = "offer"
    ACCEPT = "accept"
    DECLINE = "decline"
    RING_TIMEOUT = "ring_timeout"
    UNFILLED = "unfilled"
    ALARM = "alarm"
    OFFER_AGAIN = "offer_again"
    REFER = "refer"
    SCHEDULE = "schedule"
    OPEN_WAITING_ROOM = "open_waiting_room"
    RELEASE = "release"
    NO_SHOW = "no_show"
    JOIN = "join"
    INVITE_GUEST = "invite_guest"
    ARRIVE = "arrive"
    START = "start"
    LINK_LOST = "link_lost"
    REJOIN = "rejoin"
    TELEPHONE = "telephone"
    GIVE_UP = "give_up"
    END = "end"
    WRITE_OPINION = "write_opinion"
    SIGN = "sign"
    RETURN_OPINION = "return_opinion"
    ACKNOWLEDGE = "acknowledge"
    AMEND = "amend"
    OVERDUE = "overdue"
    CALL = "call"
    ARCHIVE = "archive"
    WITHDRAW_RECORDING_CONSENT = "withdraw_recording_consent"
    SEAT_TIMEOUT = "seat_timeout"
    INVITE_AGAIN = "invite_again"
    CONTRIBUTE = "contribute"
    NOTE_STAGE = "note_stage"
    ATTACH = "attach"
    POST = "post"
    ACKNOWLEDGE_CRITICAL = "acknowledge_critical"
    RATE = "rate"


class Effect(StrEnum):
    """What has to happen outside the table because of a transition."""

    RING = "ring"  # the people in ``Data.rung`` are rung
    RING_OFF = "ring_off"  # every running offer ends
    ASSIGN_DEVICES = "assign_devices"  # the clinic's devices learn the room
    CLOSE_ROOM = "close_room"  # the room is closed, devices released, recording ends
    RECORD = "record"  # recording starts, when consented
    STOP_RECORDING = "stop_recording"
    ALARM_DESK = "alarm_desk"  # the desk is told, with sound
    REMIND_OWNER = "remind_owner"  # whoever owes the next step is told
    RELEASE_EXPERT = "release_expert"  # the consult has no expert any more
    SEAL = "seal"  # the record's hash is taken
    RING_SEATS = "ring_seats"  # open seats of a multidisciplinary consult ring their specialty
    TAKE_SEAT = "take_seat"  # the actor's offer of a seat becomes the seat
    SEATS_OFF = "seats_off"  # every running offer of a seat ends


SEAT_EFFECTS = frozenset({Effect.RING_SEATS, Effect.TAKE_SEAT, Effect.SEATS_OFF})


@dataclass(frozen=True, slots=True)
class Consult:
    """The facts of one consult that rules and timers look at.

    Times are Unix seconds.
    """

    id: str
    kind: Kind
    state: State
    version: int = 1  # grows by one with every recorded change
    requester_id: str = ""
    expert_id: str | None = None
    chair_id: str | None = None
    ringing: frozenset[str] = frozenset()  # practitioners whose offer is running
    ring: int = 0  # how many times somebody was rung, k of OFFERED(k)
    ring_s: float | None = None  # how long the running ring lasts; None: as long as the class says
    since: float = 0.0  # entered the state at
    submitted_at: float | None = None
    scheduled_for: float | None = None
    reminders: int = 0  # timer actions that left the state as it was
    missing: frozenset[str] = frozenset()  # what a request still lacks: purpose, summary, specialty, consent
    opinion_missing: frozenset[str] = frozenset()  # what the opinion still lacks: findings, conclusion
    writing: bool = False  # the expert has begun the opinion
    recording_consented: bool = False
    critical: bool = False  # the signed opinion reports a critical value
    critical_acknowledged: bool = False  # the inviting doctor has taken note of it
    rated: bool = False
    green: bool = False  # stroke or infarction: the stages are clocked
    members: frozenset[str] = frozenset()  # who sits for a specialty
    invited: frozenset[str] = frozenset()  # whose offer of a seat is running
    seats_empty: bool = False  # nobody was found for a seat
    seat_due: float | None = None  # the first offer of a seat ends at
    requester_in: bool = False  # is in the room
    expert_in: bool = False
    absent_since: float | None = None  # one side left a running session at

    @property
    def both_in(self) -> bool:
        return self.requester_in and self.expert_in


@dataclass(frozen=True, slots=True)
class Data:
    """What came with an action."""

    actor_id: str = ""
    reason: str = ""
    text: str = ""  # an addendum or a decision
    at: float | None = None  # the wanted time of a planned consult, Unix seconds
    rung: tuple[str, ...] = field(default=())  # whom the dispatcher rings
    ring_s: float | None = None  # for how long; None: as the class says
    outcome: str = ""  # of a decision: adopted, partly, not
    stars: int | None = None  # of a rating
    stage: str = ""  # of the green channel
    signature: str = ""  # digest of the one that was made, for the audit trail


@dataclass(frozen=True, slots=True)
class Timer:
    """When the system acts by itself, and how.

    :param name: key of the duration it came from, see ``states.DURATIONS``.
    """

    due: float
    action: Action
    name: str
