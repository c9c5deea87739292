"""The tables of consults. Times are Unix seconds; clinical and personal text is `PersonalText`."""

from __future__ import annotations

from sqlalchemy import JSON, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from server.archive.columns import PersonalText
from server.archive.database import Base
from server.consults.vocabulary import AT_WORK
from signaling.personal import Personal

_STATES_AT_WORK = ", ".join(f"'{one.value}'" for one in AT_WORK)
IS_AT_WORK = text(f"state IN ({_STATES_AT_WORK})")
"""Of ``consultations``, as the index below says it: spelled so, with no parameters, a query may use it
whatever the plan was made for (PostgreSQL, "Partial Indexes"; sqlite.org/partialindex.html)."""


class Consultation(Base):
    """One request and everything that happens to it. Its state is written by `steps` alone."""

    __tablename__ = "consultations"
    __table_args__ = (
        Index("ix_consultations_created", "created_at", "id"),
        Index("ix_consultations_at_work", "expert_id", sqlite_where=IS_AT_WORK, postgresql_where=IS_AT_WORK),
        Index("ix_consultations_expert_accepted", "expert_id", "accepted_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[str] = mapped_column(String(24), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(24), index=True)
    version: Mapped[int] = mapped_column()
    specialty: Mapped[str] = mapped_column(String(40))
    purpose: Mapped[Personal[str]] = mapped_column(PersonalText)
    summary: Mapped[Personal[str]] = mapped_column(PersonalText)
    patient_id: Mapped[str] = mapped_column(ForeignKey("patients.id"), index=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), index=True)
    requester_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"), index=True)
    expert_id: Mapped[str | None] = mapped_column(ForeignKey("practitioners.id"))
    chair_id: Mapped[str | None] = mapped_column(ForeignKey("practitioners.id"))
    device_ids: Mapped[list[str]] = mapped_column(JSON, default=list)

    consent_consult: Mapped[bool]
    consent_recording: Mapped[bool]  # what was consented; stays true after a withdrawal
    consent_by: Mapped[str] = mapped_column(String(16))
    consent_at: Mapped[float | None]
    recording_withdrawn_at: Mapped[float | None]

    ring: Mapped[int] = mapped_column(default=0)
    ring_s: Mapped[float | None]
    tried_from_ring: Mapped[int] = mapped_column(default=1)  # who was rung before may be rung again
    since: Mapped[float]
    reminders: Mapped[int] = mapped_column(default=0)
    scheduled_for: Mapped[float | None]
    requester_in: Mapped[bool] = mapped_column(default=False)
    expert_in: Mapped[bool] = mapped_column(default=False)
    absent_since: Mapped[float | None]

    created_at: Mapped[float]
    submitted_at: Mapped[float | None]
    accepted_at: Mapped[float | None]
    started_at: Mapped[float | None]
    ended_at: Mapped[float | None]
    seal: Mapped[str | None] = mapped_column(String(64))
    channel: Mapped[str | None] = mapped_column(String(16))  # green channel: stroke, infarction

    # Of two writers with the same version one wins: UPDATE ... WHERE id AND version. Steps set it.
    __mapper_args__ = {"version_id_col": version, "version_id_generator": False}  # noqa: RUF012


class ConsultNumber(Base):
    """How many requests a day has, ``day`` as a number begins: ``HZ20260101-``."""

    __tablename__ = "consult_numbers"

    day: Mapped[str] = mapped_column(String(16), primary_key=True)
    last: Mapped[int]


class Offer(Base):
    """One expert was rung once. States: ringing, accepted, declined, timed_out, cancelled.

    ``seat_id``: for a seat of a multidisciplinary consult, not for its chair.
    """

    __tablename__ = "offers"
    __table_args__ = (
        Index("ix_offers_practitioner", "practitioner_id", "state"),
        Index("ix_offers_practitioner_offered", "practitioner_id", "offered_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), index=True)
    consultation: Mapped[Consultation] = relationship(lazy="raise")  # is written before it
    ring: Mapped[int]
    practitioner_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"))
    state: Mapped[str] = mapped_column(String(16))
    offered_at: Mapped[float]
    expires_at: Mapped[float]
    answered_at: Mapped[float | None]
    reason: Mapped[Personal[str] | None] = mapped_column(PersonalText)
    seat_id: Mapped[str | None] = mapped_column(String(40))


class Seat(Base):
    """One further specialty of a multidisciplinary consult, and who sits for it.

    States: open (not asked yet), ringing, taken, empty (nobody was found; the desk knows).
    ``round``: who was offered the seat in an earlier one may be asked again.
    """

    __tablename__ = "consult_seats"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), index=True)
    consultation: Mapped[Consultation] = relationship(lazy="raise")  # is written before it
    position: Mapped[int]
    specialty: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(16))
    practitioner_id: Mapped[str | None] = mapped_column(ForeignKey("practitioners.id"))
    round: Mapped[int] = mapped_column(default=1)
    contribution: Mapped[Personal[str]] = mapped_column(PersonalText)
    contributed_at: Mapped[float | None]


class Stage(Base):
    """One clock of the green channel: when it was, who said so, when. The newest word counts."""

    __tablename__ = "consult_stages"

    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), primary_key=True)
    stage: Mapped[str] = mapped_column(String(16), primary_key=True)
    at: Mapped[float]
    noted_by: Mapped[str] = mapped_column(ForeignKey("practitioners.id"))
    noted_at: Mapped[float]


class ConsultEvent(Base):
    """One recorded step: who, when, from where to where, why. ``actor_id`` None = the system."""

    __tablename__ = "consult_events"
    __table_args__ = (
        Index("ix_consult_events_order", "consultation_id", "version"),
        Index("ix_consult_events_at", "at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"))
    consultation: Mapped[Consultation] = relationship(lazy="raise")  # is written before it
    version: Mapped[int]
    at: Mapped[float]
    actor_id: Mapped[str | None] = mapped_column(ForeignKey("practitioners.id"))
    action: Mapped[str] = mapped_column(String(32))
    from_state: Mapped[str] = mapped_column(String(24))
    to_state: Mapped[str] = mapped_column(String(24))
    reason: Mapped[Personal[str] | None] = mapped_column(PersonalText)


class Opinion(Base):
    """The expert's opinion: a draft until signed, then never changed."""

    __tablename__ = "opinions"

    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), primary_key=True)
    author_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"))
    findings: Mapped[Personal[str]] = mapped_column(PersonalText)
    conclusion: Mapped[Personal[str]] = mapped_column(PersonalText)
    advice: Mapped[Personal[str]] = mapped_column(PersonalText)
    follow_up: Mapped[Personal[str]] = mapped_column(PersonalText)
    contributions: Mapped[Personal[str]] = mapped_column(PersonalText)  # JSON, taken over at the signing
    critical: Mapped[bool]
    critical_acknowledged_at: Mapped[float | None]
    critical_acknowledged_by: Mapped[str | None] = mapped_column(ForeignKey("practitioners.id"))
    form: Mapped[int] = mapped_column(default=2)  # which document was signed, see `documents`
    code: Mapped[str | None] = mapped_column(String(24), unique=True)  # by which the report is checked
    written_at: Mapped[float]
    signed_at: Mapped[float | None]
    key_id: Mapped[str | None] = mapped_column(ForeignKey("practitioner_keys.id"))
    signature: Mapped[str | None] = mapped_column(Text)


class Addendum(Base):
    """What the expert added after signing; signed itself."""

    __tablename__ = "addenda"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), index=True)
    author_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"))
    text: Mapped[Personal[str]] = mapped_column(PersonalText)
    signed_at: Mapped[float]
    key_id: Mapped[str] = mapped_column(ForeignKey("practitioner_keys.id"))
    signature: Mapped[str] = mapped_column(Text)


class Decision(Base):
    """What the inviting doctor decided. After an addendum there may be a second one; the newest counts.

    ``outcome``: the advice was adopted, partly, or not.
    """

    __tablename__ = "decisions"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), index=True)
    by_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"))
    outcome: Mapped[str] = mapped_column(String(8))
    text: Mapped[Personal[str]] = mapped_column(PersonalText)
    at: Mapped[float]


class Rating(Base):
    """How helpful the consult was to the inviting doctor: 1 to 5, once."""

    __tablename__ = "ratings"

    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), primary_key=True)
    by_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"))
    stars: Mapped[int]
    text: Mapped[Personal[str]] = mapped_column(PersonalText)
    at: Mapped[float]


class Material(Base):
    """A file that was laid beside a consult: a picture, a PDF, a DICOM object. Its bytes: see `materials`."""

    __tablename__ = "materials"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), index=True)
    name: Mapped[Personal[str]] = mapped_column(PersonalText)
    media_type: Mapped[str] = mapped_column(String(32))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    added_by: Mapped[str] = mapped_column(ForeignKey("practitioners.id"))
    added_at: Mapped[float]


class ThreadMessage(Base):
    """One message of a picture-and-text consult. ``read_at``: the other side had it on the screen."""

    __tablename__ = "thread_messages"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), index=True)
    author_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"))
    text: Mapped[Personal[str]] = mapped_column(PersonalText)
    at: Mapped[float]
    read_at: Mapped[float | None]


class BreakGlass(Base):
    """Somebody opened a consult of others in an emergency: why, until when, and what the review says."""

    __tablename__ = "break_glass"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), index=True)
    practitioner_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"), index=True)
    reason: Mapped[Personal[str]] = mapped_column(PersonalText)
    began_at: Mapped[float]
    until: Mapped[float]
    reviewed_at: Mapped[float | None]
    reviewed_by: Mapped[str | None] = mapped_column(ForeignKey("practitioners.id"))
    justified: Mapped[bool | None]
    review: Mapped[Personal[str] | None] = mapped_column(PersonalText)


class GuestLink(Base):
    """An invitation for somebody without an account.

    ``secret_hash``: SHA-256 of what stands in the address.
    """

    __tablename__ = "guest_links"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), index=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    label: Mapped[Personal[str]] = mapped_column(PersonalText)
    created_by: Mapped[str] = mapped_column(ForeignKey("practitioners.id"))
    created_at: Mapped[float]
    expires_at: Mapped[float]
    ended_at: Mapped[float | None]


class PractitionerKey(Base):
    """A practitioner's signing key. The private half opens with their password only; see `signing`.

    A new row is made when the password has changed; old rows stay, to verify what they signed.
    """

    __tablename__ = "practitioner_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    practitioner_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"), index=True)
    algorithm: Mapped[str] = mapped_column(String(16))
    public_key: Mapped[str] = mapped_column(String(64))
    salt: Mapped[str] = mapped_column(String(64))
    time_cost: Mapped[int]
    memory_kib: Mapped[int]
    parallelism: Mapped[int]
    sealed: Mapped[str] = mapped_column(Text)  # nonce and AES-GCM ciphertext, base64
    created_at: Mapped[float]
