"""The tables that every part of the application shares. Consults and rotas keep theirs in their own folders.

Times are Unix seconds (UTC); identifiers come from `new_id`; who a person is stands in `PersonalText`
columns.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, true
from sqlalchemy.orm import Mapped, mapped_column

from server.archive.columns import PersonalText
from server.archive.database import Base
from signaling.personal import Personal


class Organization(Base):
    """A place of care: village clinic, township centre, county hospital and up.

    ``code``: its institution registration number, by which files know it again. ``closed_on``: ISO date.
    """

    __tablename__ = "organizations"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(String(16))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("organizations.id"), index=True)
    code: Mapped[str | None] = mapped_column(String(64), unique=True, index=True)
    address: Mapped[str] = mapped_column(Text, default="", server_default="")
    active: Mapped[bool] = mapped_column(default=True, server_default=true())
    closed_on: Mapped[str | None] = mapped_column(String(10))
    version: Mapped[int] = mapped_column(default=1, server_default="1")


class Site(Base):
    """A room, a ward or a building of an organization (FHIR: Location): where devices stand."""

    __tablename__ = "sites"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True)
    closed_on: Mapped[str | None] = mapped_column(String(10))
    version: Mapped[int] = mapped_column(default=1)


class Alliance(Base):
    """Organizations of several trees that consult one another (FHIR: OrganizationAffiliation)."""

    __tablename__ = "alliances"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True)
    closed_on: Mapped[str | None] = mapped_column(String(10))
    version: Mapped[int] = mapped_column(default=1)


class AllianceMember(Base):
    __tablename__ = "alliance_members"

    alliance_id: Mapped[str] = mapped_column(ForeignKey("alliances.id"), primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), primary_key=True, index=True)


class Practitioner(Base):
    """A doctor, a desk, a regulator: a person with roles.

    ``registration``: the number of the licence to practise, by which files know them again; ``phone``: where
    a text-message or telephone gateway reaches them.
    """

    __tablename__ = "practitioners"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), index=True)
    name: Mapped[Personal[str]] = mapped_column(PersonalText)
    name_en: Mapped[Personal[str]] = mapped_column(PersonalText)
    title: Mapped[str] = mapped_column(Text, default="")
    title_en: Mapped[str] = mapped_column(Text, default="")
    roles: Mapped[list[str]] = mapped_column(JSON, default=list)
    specialties: Mapped[list[str]] = mapped_column(JSON, default=list)
    languages: Mapped[list[str]] = mapped_column(JSON, default=list)
    active: Mapped[bool] = mapped_column(default=True)
    registration: Mapped[Personal[str] | None] = mapped_column(PersonalText, unique=True, index=True)
    phone: Mapped[Personal[str] | None] = mapped_column(PersonalText)
    closed_on: Mapped[str | None] = mapped_column(String(10))
    version: Mapped[int] = mapped_column(default=1, server_default="1")


class Account(Base):
    """A way to sign in, for one practitioner or one device.

    ``temporary_until``: the password was set by somebody else, must be changed at the next sign-in and works
    until then (Unix seconds); None = the person's own.
    """

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(Text)
    practitioner_id: Mapped[str | None] = mapped_column(ForeignKey("practitioners.id"), index=True)
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[float]
    temporary_until: Mapped[float | None]


class RefreshToken(Base):
    """One browser that stays signed in. Each use replaces the row's successor; a second use ends the family.

    Only the SHA-256 of the token is kept: a copy of the database signs nobody in.
    """

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    family: Mapped[str] = mapped_column(String(40), index=True)
    issued_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)
    used_at: Mapped[float | None]


class Patient(Base):
    """A person in care."""

    __tablename__ = "patients"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), index=True)
    name: Mapped[Personal[str]] = mapped_column(PersonalText)
    name_en: Mapped[Personal[str]] = mapped_column(PersonalText)
    sex: Mapped[str] = mapped_column(String(8))
    birth_date: Mapped[Personal[str]] = mapped_column(PersonalText)
    identifier: Mapped[Personal[str]] = mapped_column(PersonalText)
    phone: Mapped[Personal[str] | None] = mapped_column(PersonalText)
    created_at: Mapped[float]


class Device(Base):
    """An ECG or ultrasound gateway that stands in one place. ``token_hash``: SHA-256 of its device token."""

    __tablename__ = "devices"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    disabled: Mapped[bool] = mapped_column(default=False)
    site_id: Mapped[str | None] = mapped_column(String(40))
    serial: Mapped[str] = mapped_column(Text, default="", server_default="")
    version: Mapped[int] = mapped_column(default=1, server_default="1")


class RecordingRow(Base):
    """One recording of one room. ``manifest_path`` is relative to the recordings directory."""

    __tablename__ = "recordings"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    room_id: Mapped[str] = mapped_column(String(64), index=True)
    consultation_id: Mapped[str | None] = mapped_column(String(40), index=True)
    started_at: Mapped[float]
    ended_at: Mapped[float | None]
    duration_ms: Mapped[int | None]
    manifest_path: Mapped[str] = mapped_column(Text)


class Guest(Base):
    """Somebody without an account who came by a guest link, under the name they gave."""

    __tablename__ = "guests"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    display_name: Mapped[Personal[str]] = mapped_column(PersonalText)
    came_at: Mapped[float]


class RoomParticipant(Base):
    """Who a peer of a room was: recordings know their tracks by peer ids only.

    ``user_id`` is a practitioner's, a device's or a guest's.
    """

    __tablename__ = "room_participants"

    room_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    peer_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    joined_at: Mapped[float]


class AuditEntry(Base):
    """One link of the append-only chain; see server/archive/audit.py for the hash."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_subject", "subject_type", "subject_id"),)

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[float] = mapped_column(index=True)
    actor_id: Mapped[str] = mapped_column(String(40), index=True)
    actor_kind: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(64), index=True)
    subject_type: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
