"""Patients of one's own place of care."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from sqlalchemy import func, or_, select

from media.errors import NOT_FOUND, RemoteProtocolError
from server.api.context import RequestContext
from server.api.models import ApiModel
from server.api.references import PatientRef, patient_ref
from server.api.routing import endpoint
from server.archive.ids import new_id
from server.archive.models import Patient
from server.auth.actor import REQUESTERS, Role
from server.errors import VALIDATION_FAILED
from server.limits import SEARCH_LETTERS
from signaling.personal import Personal

_FOUND_AT_ONCE = 20  # what a list under a search field can show

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]

_CARERS = REQUESTERS | {Role.DESK}


class PatientOut(PatientRef):
    phone: str | None


class PatientIn(ApiModel):
    name: _Name
    name_en: str = Field(default="", max_length=100)
    sex: Literal["male", "female", "unknown"]
    birth_date: date
    identifier: str = Field(default="", max_length=64)
    phone: str | None = Field(default=None, max_length=32)

    @model_validator(mode="after")
    def born_within_reason(self) -> PatientIn:
        if self.birth_date.year < 1880:
            raise ValueError("the year of birth is too early")
        return self


class PatientQuery(ApiModel):
    q: str | None = Field(default=None, max_length=SEARCH_LETTERS)


@endpoint("GET", "/api/v1/patients", summary="Find patients", roles=_CARERS)
async def list_patients(ctx: RequestContext, query: PatientQuery) -> list[PatientOut]:
    """By a few letters of the name (Chinese, or its transliteration with or without spaces), or by the
    first characters of the identifier; the newest first, at most 20."""
    statement = select(Patient).where(Patient.organization_id == ctx.actor.organization_id)
    letters = (query.q or "").strip()
    if letters:
        joined = func.replace(Patient.name_en, " ", "")
        statement = statement.where(
            or_(
                Patient.name.contains(letters, autoescape=True),
                Patient.name_en.icontains(letters, autoescape=True),
                joined.icontains(letters, autoescape=True),
                Patient.identifier.startswith(letters, autoescape=True),
            )
        )
    rows = await ctx.session.scalars(statement.order_by(Patient.created_at.desc()).limit(_FOUND_AT_ONCE))
    return [_patient_out(row, ctx.now) for row in rows]


@endpoint("POST", "/api/v1/patients", summary="Register a patient", roles=REQUESTERS, status=201)
async def create_patient(ctx: RequestContext, body: PatientIn) -> PatientOut:
    if body.birth_date > ctx.today:
        raise RemoteProtocolError(VALIDATION_FAILED, "birthDate lies in the future")
    row = Patient(
        id=new_id("pat"),
        organization_id=ctx.actor.organization_id or "",
        name=Personal(body.name),
        name_en=Personal(body.name_en),
        sex=body.sex,
        birth_date=Personal(body.birth_date.isoformat()),
        identifier=Personal(body.identifier),
        phone=None if body.phone is None else Personal(body.phone),
        created_at=ctx.now,
    )
    ctx.session.add(row)
    await ctx.session.flush()
    await ctx.services.audit.record(ctx.session, ctx.actor, "patient.create", "patient", row.id)
    return _patient_out(row, ctx.now)


@endpoint("GET", "/api/v1/patients/{patient_id}", summary="One patient", roles=_CARERS, writes=True)
async def get_patient(ctx: RequestContext, patient_id: str) -> PatientOut:
    """Of one's own place of care. The view is kept in the audit trail."""
    row = await ctx.session.get(Patient, patient_id)
    if row is None or row.organization_id != ctx.actor.organization_id:
        raise RemoteProtocolError(NOT_FOUND, "patient")
    await ctx.services.audit.record(ctx.session, ctx.actor, "patient.view", "patient", row.id)
    return _patient_out(row, ctx.now)


def _patient_out(row: Patient, now: float) -> PatientOut:
    return PatientOut(
        **patient_ref(row, now).model_dump(), phone=None if row.phone is None else row.phone.reveal()
    )
