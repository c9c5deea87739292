"""The tables of rotas and of the timers that survive a restart."""

from __future__ import annotations

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.archive.database import Base


class ScheduleRow(Base):
    """The rota of one specialty. ``time_zone``: a name of the tz database."""

    __tablename__ = "schedules"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), index=True)
    specialty: Mapped[str] = mapped_column(String(40), index=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(String(40))


class LayerRow(Base):
    """One layer: ``members`` take turns from ``start_date`` (YYYY-MM-DD) at ``handover`` (HH:MM)."""

    __tablename__ = "schedule_layers"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedules.id"), index=True)
    level: Mapped[int]
    unit: Mapped[str] = mapped_column(String(8))  # hour, day, week
    every: Mapped[int] = mapped_column(default=1)
    start_date: Mapped[str] = mapped_column(String(10))
    handover: Mapped[str] = mapped_column(String(5))
    members: Mapped[list[str]] = mapped_column(JSON, default=list)


class TimerRow(Base):
    """The one running timer of a consult. It fires only while the consult still has ``version``."""

    __tablename__ = "timers"

    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"), primary_key=True)
    due: Mapped[float] = mapped_column(index=True)
    action: Mapped[str] = mapped_column(String(32))
    version: Mapped[int]
