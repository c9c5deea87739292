"""What the members of a multidisciplinary consult gave to its opinion, as it was when the chair signed."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from server.consults.models import Consultation, Opinion
from server.consults.store import seats_of
from server.consults.vocabulary import Kind


@dataclass(frozen=True, slots=True)
class Contribution:
    """One specialty's part."""

    specialty: str
    practitioner_id: str
    text: str


async def contributions_json(session: AsyncSession, row: Consultation) -> str:
    """What the seats hold now, in order, as it becomes part of the signed document."""
    seats = await seats_of(session, row.id) if row.kind == Kind.MULTIDISCIPLINARY else []
    given = [
        {"specialty": one.specialty, "practitionerId": one.practitioner_id, "text": one.contribution.reveal()}
        for one in seats
        if one.practitioner_id is not None and one.contribution.reveal()
    ]
    return json.dumps(given, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def contributions_of(opinion: Opinion) -> list[Contribution]:
    """The signed ones."""
    return [
        Contribution(one["specialty"], one["practitionerId"], one["text"])
        for one in json.loads(opinion.contributions.reveal())
    ]
