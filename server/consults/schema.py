"""The JSON of consults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from server.api.models import ApiModel, Bilingual, Timestamp
from server.api.references import OrganizationRef, PatientRef, PractitionerRef
from server.consults.limits import (
    DEVICES_PER_CONSULT,
    GUEST_LINK_MINUTES,
    LINE_LETTERS,
    SEATS_PER_CONSULT,
    TEXT_LETTERS,
)
from server.consults.vocabulary import Action, Kind, State

Specialty = Annotated[str, Field(max_length=40)]
Channel = Literal["stroke", "infarction"]
"""The green channel: minutes are muscle and brain, so the stages are clocked for everyone to see."""
Outcome = Literal["adopted", "partly", "not"]


class ConsentIn(ApiModel):
    """What the patient or guardian agreed to, in writing. Recording needs its own consent."""

    consult: bool = False
    recording: bool = False
    by: Literal["patient", "guardian"] = "patient"


class ConsultationIn(ApiModel):
    """A new request. ``submit``: send it at once; refused as incomplete when something is missing.

    ``members``: the further specialties of a multidisciplinary consult; ``specialty`` chairs it.
    ``channel``: an urgent request goes through the green channel.
    """

    kind: Kind
    specialty: str = Field(max_length=40)
    patient_id: str = Field(max_length=64)
    purpose: str = Field(default="", max_length=LINE_LETTERS)
    summary: str = Field(default="", max_length=TEXT_LETTERS)
    consent: ConsentIn = ConsentIn()
    device_ids: list[str] = Field(default_factory=list, max_length=DEVICES_PER_CONSULT)
    members: list[Specialty] = Field(default_factory=list, max_length=SEATS_PER_CONSULT)
    channel: Channel | None = None
    submit: bool = False


class ConsultationPatch(ApiModel):
    """Changes of a draft; what is absent stays."""

    kind: Kind | None = None
    specialty: str | None = Field(default=None, max_length=40)
    patient_id: str | None = Field(default=None, max_length=64)
    purpose: str | None = Field(default=None, max_length=LINE_LETTERS)
    summary: str | None = Field(default=None, max_length=TEXT_LETTERS)
    consent: ConsentIn | None = None
    device_ids: list[str] | None = Field(default=None, max_length=DEVICES_PER_CONSULT)
    members: list[Specialty] | None = Field(default=None, max_length=SEATS_PER_CONSULT)
    channel: Channel | None = None


PeopleAction = Literal[
    Action.SUBMIT,
    Action.TRIAGE,
    Action.RETURN_INFO,
    Action.CANCEL,
    Action.ACCEPT,
    Action.DECLINE,
    Action.SCHEDULE,
    Action.RELEASE,
    Action.END,
    Action.REFER,
    Action.OFFER_AGAIN,
    Action.ACKNOWLEDGE,
    Action.AMEND,
    Action.WITHDRAW_RECORDING_CONSENT,
    Action.INVITE_AGAIN,
    Action.CONTRIBUTE,
    Action.NOTE_STAGE,
    Action.ACKNOWLEDGE_CRITICAL,
    Action.RATE,
]
"""Actions that people take by name; editing, writing, signing, joining, inviting have routes of their own."""


class ActionData(ApiModel):
    """What an action needs: acknowledge ``decision`` and ``outcome``, amend ``text`` and ``password``,
    schedule ``at``, contribute ``text``, rate ``stars`` and ``text``, note_stage ``stage`` and ``at``."""

    decision: str = Field(default="", max_length=TEXT_LETTERS)
    text: str = Field(default="", max_length=TEXT_LETTERS)
    password: str = Field(default="", max_length=1024)
    at: Timestamp | None = None
    outcome: Outcome = "adopted"
    stars: int | None = Field(default=None, ge=1, le=5)
    stage: str = Field(default="", max_length=16)


class ActionIn(ApiModel):
    """One action. ``version``: refuse when the consult was changed since that version was read."""

    action: PeopleAction
    version: int | None = None
    reason: str = Field(default="", max_length=LINE_LETTERS)
    data: ActionData = ActionData()


class OpinionIn(ApiModel):
    """The draft of an opinion: findings, impression (``conclusion``), recommendations (``advice``)."""

    findings: str = Field(default="", max_length=TEXT_LETTERS)
    conclusion: str = Field(default="", max_length=TEXT_LETTERS)
    advice: str = Field(default="", max_length=TEXT_LETTERS)
    follow_up: str = Field(default="", max_length=TEXT_LETTERS)
    critical: bool = False


class SignIn(ApiModel):
    """The practitioner's own password opens their signing key."""

    password: str = Field(min_length=1, max_length=1024)


class GuestLinkIn(ApiModel):
    """An invitation."""

    label: str = Field(default="", max_length=LINE_LETTERS)
    expires_in_minutes: int = Field(default=60, ge=1, le=GUEST_LINK_MINUTES)


class PersonRef(ApiModel):
    """Somebody who did something."""

    id: str
    name: str
    name_en: str


class DeviceRef(ApiModel):
    id: str
    kind: str
    name: str
    name_en: str


class ConsentOut(ApiModel):
    consult: bool
    recording: bool
    by: str
    at: Timestamp | None
    recording_withdrawn_at: Timestamp | None


class OfferOut(ApiModel):
    """``specialty``: the consult's own, or that of a seat."""

    id: str
    ring: int
    practitioner: PractitionerRef
    state: Literal["ringing", "accepted", "declined", "timed_out", "cancelled"]
    offered_at: Timestamp
    expires_at: Timestamp
    answered_at: Timestamp | None
    reason: str | None
    specialty: str


class NextOut(ApiModel):
    """The running timer: what happens by itself, when. ``limit``: when the time of the state is up, or was;
    reminders come after it and do not move it. ``limit_name``: which limit that is; after it ``name`` is what
    the next reminder does."""

    name: Bilingual
    at: Timestamp
    limit_name: Bilingual
    limit: Timestamp
    action: Action


class SignatureOut(ApiModel):
    """``verified``: checked for this reply against the stored key and every signed field."""

    algorithm: str
    public_key: str
    value: str
    signed_at: Timestamp
    verified: bool


class AddendumOut(ApiModel):
    text: str
    at: Timestamp
    by: PersonRef
    signature: SignatureOut


class ContributionOut(ApiModel):
    """What a member of a multidisciplinary consult gave to a signed opinion."""

    specialty: str
    by: PersonRef
    text: str


class OpinionOut(ApiModel):
    """``code``: by which anybody checks the printed report."""

    findings: str
    conclusion: str
    advice: str
    follow_up: str
    critical: bool
    critical_acknowledged_at: Timestamp | None
    contributions: list[ContributionOut]
    code: str | None
    state: Literal["draft", "signed"]
    author: PersonRef
    signature: SignatureOut | None
    addenda: list[AddendumOut]


class SeatOut(ApiModel):
    """A further specialty of a multidisciplinary consult. ``contribution``: what its expert has written."""

    specialty: str
    state: Literal["open", "ringing", "taken", "empty"]
    practitioner: PractitionerRef | None
    contribution: str
    contributed_at: Timestamp | None


class StageOut(ApiModel):
    """A clock of the green channel; ``at`` None: not there yet."""

    stage: str
    at: Timestamp | None
    by: PersonRef | None


class RatingOut(ApiModel):
    stars: int
    text: str
    at: Timestamp


class DecisionOut(ApiModel):
    outcome: Outcome
    text: str
    by: PersonRef
    at: Timestamp


class RecordingRef(ApiModel):
    id: str
    started_at: Timestamp
    duration_ms: int | None


class EventOut(ApiModel):
    """One recorded step; ``actor`` None = the system."""

    at: Timestamp
    actor: PersonRef | None
    action: Action
    from_: State = Field(alias="from")
    to: State
    reason: str | None


class ConsultationOut(ApiModel):
    """A consult as this reader sees it: ``allowed`` is what they may do now."""

    id: str
    number: str
    kind: Kind
    state: State
    version: int
    specialty: str
    purpose: str
    summary: str
    patient: PatientRef
    requester: PractitionerRef
    expert: PractitionerRef | None
    consent: ConsentOut
    devices: list[DeviceRef]
    offers: list[OfferOut]
    seats: list[SeatOut]
    channel: Channel | None
    stages: list[StageOut]
    next: NextOut | None
    allowed: list[Action]
    opinion: OpinionOut | None
    decision: DecisionOut | None
    rating: RatingOut | None
    unread: int
    room_id: str
    recordings: list[RecordingRef]
    scheduled_for: Timestamp | None
    created_at: Timestamp
    submitted_at: Timestamp | None
    accepted_at: Timestamp | None
    started_at: Timestamp | None
    ended_at: Timestamp | None
    events: list[EventOut]


class RoomTokenOut(ApiModel):
    """``url``: where the room is entered, when another node has it."""

    token: str
    room_id: str
    role: str
    expires_at: Timestamp
    router_rtp_capabilities: dict[str, object]
    consultation: ConsultationOut
    url: str | None = None


class GuestLinkOut(ApiModel):
    """``url`` is given once, when the link is made: the server keeps only its hash."""

    id: str
    url: str | None = None
    label: str
    created_at: Timestamp
    expires_at: Timestamp
    ended_at: Timestamp | None


class GuestPageOut(ApiModel):
    """What an invitation says before one enters. No patient data."""

    organization: OrganizationRef
    expires_at: Timestamp
    state: Literal["waiting", "open", "ended"]


class GuestTokenIn(ApiModel):
    display_name: str = Field(min_length=1, max_length=40)


class GuestTokenOut(ApiModel):
    """``url`` as in a `RoomTokenOut`."""

    token: str
    room_id: str
    role: Literal["guest"] = "guest"
    expires_at: Timestamp
    router_rtp_capabilities: dict[str, object]
    url: str | None = None
