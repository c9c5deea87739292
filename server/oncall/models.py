"""The tables of rotas and of the timers that survive a restart."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.archive.columns import PersonalText
from server.archive.database import Base
from signaling.personal import Personal


class ScheduleRow(Base):
    """The rota of one specialty. ``time_zone``: a name of the tz database.

    ``version`` goes on with every change of the rota, its layers, overrides and approved swaps.
    ``policy``: escalation of its own by class of request (`policy.policies_of`), None = the defaults.
    """

    __tablename__ = "schedules"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), index=True)
    specialty: Mapped[str] = mapped_column(String(40), index=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(String(40))
    version: Mapped[int] = mapped_column(default=1)
    policy: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class LayerRow(Base):
    """One layer: ``members`` take turns from ``start_date`` (YYYY-MM-DD) at ``handover`` (HH:MM).

    ``weekdays``: 0 is Monday. ``slots``: of a custom list, JSON of {member, day, starts, minutes}.
    """

    __tablename__ = "schedule_layers"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedules.id"), index=True)
    level: Mapped[int]
    rank: Mapped[int] = mapped_column(default=0)
    unit: Mapped[str] = mapped_column(String(8))  # hour, day, week, month, custom
    every: Mapped[int] = mapped_column(default=1)
    start_date: Mapped[str] = mapped_column(String(10))
    handover: Mapped[str] = mapped_column(String(5))
    members: Mapped[list[str]] = mapped_column(JSON, default=list)
    slots: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    day_kind: Mapped[str] = mapped_column(String(8), default="any")  # any, workday, day_off
    weekdays: Mapped[list[int]] = mapped_column(JSON, default=lambda: list(range(7)))
    day_starts: Mapped[str | None] = mapped_column(String(5))
    day_ends: Mapped[str | None] = mapped_column(String(5))


class OverrideRow(Base):
    """A change by hand. ``ended_at``: it was taken back; ``ask_id``: the swap that it carries out."""

    __tablename__ = "schedule_overrides"
    __table_args__ = (Index("ix_schedule_overrides_schedule_ends", "schedule_id", "ends"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedules.id"))
    level: Mapped[int]
    change: Mapped[str] = mapped_column(String(8))  # add, remove, replace
    who: Mapped[str | None] = mapped_column(ForeignKey("practitioners.id"))
    by: Mapped[str | None] = mapped_column(ForeignKey("practitioners.id"))
    starts: Mapped[float]
    ends: Mapped[float]
    number: Mapped[int]  # the schedule's version that it made: their order
    made_by: Mapped[str] = mapped_column(String(40))
    made_at: Mapped[float]
    ended_at: Mapped[float | None]
    ask_id: Mapped[str | None] = mapped_column(String(40))


class AskRow(Base):
    """A swap or a leave that somebody asked for (`rota_ask`). A leave names no schedule: it is from all."""

    __tablename__ = "rota_asks"
    __table_args__ = (Index("ix_rota_asks_stage_expires", "stage", "expires_at"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    ask: Mapped[str] = mapped_column(String(8))  # swap, leave
    stage: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(default=1)
    schedule_id: Mapped[str | None] = mapped_column(ForeignKey("schedules.id"), index=True)
    asker_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"), index=True)
    other_id: Mapped[str | None] = mapped_column(ForeignKey("practitioners.id"), index=True)
    level: Mapped[int | None]
    starts: Mapped[float]
    ends: Mapped[float]
    back_level: Mapped[int | None]
    back_starts: Mapped[float | None]
    back_ends: Mapped[float | None]
    reason: Mapped[Personal[str]] = mapped_column(PersonalText)
    asked_at: Mapped[float]
    expires_at: Mapped[float]
    refused_by: Mapped[str | None] = mapped_column(String(40))
    refused_why: Mapped[str | None] = mapped_column(String(16))  # rota_ask.Refusal
    refused_words: Mapped[Personal[str] | None] = mapped_column(PersonalText)


class RotaEvent(Base):
    """One change: who, when, why. The audit trail holds the same without the words."""

    __tablename__ = "rota_events"
    __table_args__ = (Index("ix_rota_events_schedule_at", "schedule_id", "at"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    schedule_id: Mapped[str | None] = mapped_column(ForeignKey("schedules.id"))
    subject_id: Mapped[str] = mapped_column(String(40), index=True)
    at: Mapped[float]
    actor_id: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(40))
    reason: Mapped[Personal[str]] = mapped_column(PersonalText)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class NoticeRow(Base):
    """A gap or a hand-over that was announced. ``soon_at``: the desk was told that the gap is close by;
    ``closed_at``: it is no more.

    Its id comes from what it tells, so that nothing is announced twice.
    """

    __tablename__ = "rota_notices"
    __table_args__ = (Index("ix_rota_notices_schedule_ends", "schedule_id", "ends"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedules.id"))
    kind: Mapped[str] = mapped_column(String(8))  # gap, handover
    level: Mapped[int]
    starts: Mapped[float]
    ends: Mapped[float]
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    told_at: Mapped[float]
    soon_at: Mapped[float | None]
    closed_at: Mapped[float | None]


class FeedRow(Base):
    """A calendar address, of a rota or of a person. Only the SHA-256 of its secret is kept."""

    __tablename__ = "rota_feeds"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    schedule_id: Mapped[str | None] = mapped_column(ForeignKey("schedules.id"), index=True)
    practitioner_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"), index=True)
    made_at: Mapped[float]
    ended_at: Mapped[float | None]


class CalendarDay(Base):
    """A day that the desk entered on top of the known holidays: ``kind`` is day_off or workday."""

    __tablename__ = "calendar_days"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(Text)


class RotaChanges(Base):
    """One row: how often anything changed that a request's line is drawn from. Triggers count (`book`)."""

    __tablename__ = "rota_changes"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigInteger)


class TimerRow(Base):
    """The one running timer of a consult. It fires only while the consult still has ``version``."""

    __tablename__ = "timers"

    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), primary_key=True)
    due: Mapped[float] = mapped_column(index=True)
    action: Mapped[str] = mapped_column(String(32))
    version: Mapped[int]
