"""Bodies of practitioners and places, used by several resources."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import NOT_FOUND, RemoteProtocolError
from server.api.references import PractitionerRef, practitioner_ref
from server.archive.models import Organization, Practitioner


class PractitionerOut(PractitionerRef):
    """A practitioner with everything a colleague may know."""

    roles: list[str]
    specialties: list[str]
    languages: list[str]


def practitioner_out(practitioner: Practitioner, organization: Organization) -> PractitionerOut:
    return PractitionerOut(
        **practitioner_ref(practitioner, organization).model_dump(),
        roles=practitioner.roles,
        specialties=practitioner.specialties,
        languages=practitioner.languages,
    )


async def load_practitioner(session: AsyncSession, practitioner_id: str) -> PractitionerOut:
    """The practitioner with their organization; RemoteProtocolError(not_found)."""
    practitioner = await session.get(Practitioner, practitioner_id)
    if practitioner is None:
        raise RemoteProtocolError(NOT_FOUND, "practitioner")
    organization = await session.get_one(Organization, practitioner.organization_id)
    return practitioner_out(practitioner, organization)
