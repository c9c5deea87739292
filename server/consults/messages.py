"""The pushes of consults, as PROTOCOL of the ``/events`` namespace has them (camelCase, times ISO 8601)."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from server.api.references import age_at
from server.archive.models import Practitioner
from server.archive.specialties import specialty
from server.consults.models import Consultation, Offer, Seat
from server.consults.store import parties_of
from server.times import iso_from_unix

CONSULTATION = "consultation"
RING = "ring"
RING_ENDED = "ringEnded"
DEVICE_ASSIGNED = "deviceAssigned"
DEVICE_RELEASED = "deviceReleased"


def consultation_push(row: Consultation, *, alarm: str | None = None) -> dict[str, Any]:
    """The consult changed. ``alarm``: the action that wants attention (a standing alarm, an overdue step)."""
    payload: dict[str, Any] = {
        "id": row.id,
        "number": row.number,
        "state": row.state,
        "version": row.version,
    }
    return payload if alarm is None else {**payload, "alarm": alarm}


async def ring_push(session: AsyncSession, row: Consultation, offer: Offer, now: float) -> dict[str, Any]:
    """What stands on a ringing screen: urgency, specialty, age, sex, from where, why; no patient's name."""
    patient, organization, requester = await parties_of(session, row)
    seat = await session.get(Seat, offer.seat_id) if offer.seat_id else None
    code = row.specialty if seat is None else seat.specialty
    wanted = specialty(code)
    names = {"zh": wanted.zh, "en": wanted.en} if wanted else {"zh": code, "en": code}
    return {
        "offerId": offer.id,
        "consultationId": row.id,
        "number": row.number,
        "kind": row.kind,
        "specialty": {"code": code, "name": names},
        "patient": {"age": age_at(patient.birth_date.reveal(), now), "sex": patient.sex},
        "from": {
            "organization": {
                "id": organization.id,
                "name": organization.name,
                "nameEn": organization.name_en,
                "level": organization.level,
            },
            "practitioner": person(requester),
        },
        "channel": row.channel,
        "purpose": row.purpose.reveal(),
        "offeredAt": iso_from_unix(offer.offered_at),
        "expiresAt": iso_from_unix(offer.expires_at),
        "ring": offer.ring,
    }


def ring_ended_push(offer: Offer, reason: str, by: dict[str, str] | None) -> dict[str, Any]:
    """A ring is over: ``taken`` (``by`` says by whom), ``cancelled``, ``timed_out`` or ``declined``."""
    payload: dict[str, Any] = {
        "offerId": offer.id,
        "consultationId": offer.consultation_id,
        "reason": reason,
    }
    return payload if by is None else {**payload, "by": by}


def person(practitioner: Practitioner) -> dict[str, str]:
    """A practitioner on another's screen."""
    return {
        "id": practitioner.id,
        "name": practitioner.name.reveal(),
        "nameEn": practitioner.name_en.reveal(),
        "title": practitioner.title,
        "titleEn": practitioner.title_en,
    }
