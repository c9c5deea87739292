"""Places of care, the people who work there and the specialties they have."""

from __future__ import annotations

from pydantic import Field
from sqlalchemy import Select, or_, select

from media.errors import NOT_FOUND, RemoteProtocolError
from server.api.context import RequestContext
from server.api.models import ApiModel, Bilingual
from server.api.people import PractitionerOut, load_practitioner, practitioner_out
from server.api.references import OrganizationRef, organization_ref
from server.api.routing import endpoint
from server.archive.models import Organization, Practitioner
from server.archive.specialties import SPECIALTIES
from server.limits import MAX_PAGE, SEARCH_LETTERS


class OrganizationOut(OrganizationRef):
    """``active`` false: closed; it stands here because consults of its time name it."""

    parent_id: str | None
    active: bool


class SpecialtyOut(ApiModel):
    code: str
    name: Bilingual


class PractitionerQuery(ApiModel):
    specialty: str | None = Field(default=None, max_length=40)
    q: str | None = Field(default=None, max_length=SEARCH_LETTERS)


@endpoint("GET", "/api/v1/organizations", summary="All places of care")
async def list_organizations(ctx: RequestContext) -> list[OrganizationOut]:
    rows = await ctx.session.scalars(select(Organization).order_by(Organization.id))
    return [_organization_out(row) for row in rows]


@endpoint("GET", "/api/v1/organizations/{organization_id}", summary="One place of care")
async def get_organization(ctx: RequestContext, organization_id: str) -> OrganizationOut:
    row = await ctx.session.get(Organization, organization_id)
    if row is None:
        raise RemoteProtocolError(NOT_FOUND, "organization")
    return _organization_out(row)


@endpoint("GET", "/api/v1/practitioners", summary="Find colleagues")
async def list_practitioners(ctx: RequestContext, query: PractitionerQuery) -> list[PractitionerOut]:
    """By specialty and by some letters of the name, in Chinese or English; at most 100."""
    found = await ctx.session.execute(_matching(query.q))
    people = [practitioner_out(practitioner, organization) for practitioner, organization in found]
    if query.specialty is not None:
        people = [person for person in people if query.specialty in person.specialties]
    return people[:MAX_PAGE]


@endpoint("GET", "/api/v1/practitioners/{practitioner_id}", summary="One colleague")
async def get_practitioner(ctx: RequestContext, practitioner_id: str) -> PractitionerOut:
    return await load_practitioner(ctx.session, practitioner_id)


@endpoint("GET", "/api/v1/specialties", summary="Specialties that can be asked for")
async def list_specialties(ctx: RequestContext) -> list[SpecialtyOut]:
    return [SpecialtyOut(code=s.code, name=Bilingual(zh=s.zh, en=s.en)) for s in SPECIALTIES]


def _organization_out(row: Organization) -> OrganizationOut:
    return OrganizationOut(**organization_ref(row).model_dump(), parent_id=row.parent_id, active=row.active)


def _matching(letters: str | None) -> Select[Practitioner, Organization]:
    query = select(Practitioner, Organization).join(
        Organization, Practitioner.organization_id == Organization.id
    )
    query = query.where(Practitioner.active).order_by(Practitioner.id)
    if not letters:
        return query
    return query.where(
        or_(
            Practitioner.name.contains(letters, autoescape=True),
            Practitioner.name_en.icontains(letters, autoescape=True),
        )
    )
