"""The short forms of people and places that stand inside other resources."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

from server.api.models import ApiModel
from server.archive.models import Organization, Patient, Practitioner
from signaling.personal import Personal


def _reveal(value: Any) -> Any:
    return value.reveal() if isinstance(value, Personal) else value


Revealed = Annotated[str, BeforeValidator(_reveal)]
"""Text for the reader's own screen: takes `Personal` from a row and opens it on the way out."""


class OrganizationRef(ApiModel):
    id: str
    name: str
    name_en: str
    level: str


class PractitionerRef(ApiModel):
    id: str
    name: Revealed
    name_en: Revealed
    title: str
    title_en: str
    organization: OrganizationRef


class PatientRef(ApiModel):
    """A patient as a consult shows them; ``age`` in whole years, None without a usable birth date."""

    id: str
    name: Revealed
    name_en: Revealed
    sex: str
    birth_date: Revealed
    age: int | None
    identifier: Revealed


def organization_ref(organization: Organization) -> OrganizationRef:
    return OrganizationRef.model_validate(organization)


def practitioner_ref(practitioner: Practitioner, organization: Organization) -> PractitionerRef:
    return PractitionerRef(
        id=practitioner.id,
        name=practitioner.name.reveal(),
        name_en=practitioner.name_en.reveal(),
        title=practitioner.title,
        title_en=practitioner.title_en,
        organization=organization_ref(organization),
    )


def age_at(birth_date: str, now: float) -> int | None:
    """Whole years from ``YYYY-MM-DD`` to ``now`` (Unix seconds); None when the text is no date."""
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return None
    today = datetime.fromtimestamp(now, UTC).date()
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def patient_ref(patient: Patient, now: float) -> PatientRef:
    return PatientRef(
        id=patient.id,
        name=patient.name.reveal(),
        name_en=patient.name_en.reveal(),
        sex=patient.sex,
        birth_date=patient.birth_date.reveal(),
        age=age_at(patient.birth_date.reveal(), now),
        identifier=patient.identifier.reveal(),
    )
