"""Maintaining organizations, their sites and their alliances."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import LocalProtocolError, RemoteProtocolError
from server.api.context import RequestContext
from server.api.models import Page
from server.api.references import OrganizationRef, organization_ref
from server.api.register_shapes import (
    AllianceEdit,
    AllianceIn,
    AllianceOut,
    ClosingIn,
    OrganizationEdit,
    OrganizationEntry,
    OrganizationIn,
    OrganizationListQuery,
    SiteEdit,
    SiteIn,
    SiteOut,
    SiteQuery,
)
from server.api.routing import endpoint
from server.archive.models import Alliance, Organization, Site
from server.auth.actor import Role
from server.errors import BUSY
from server.register import errors
from server.register.limits import SITES_EACH
from server.register.places import Places, members_of
from server.register.scope import KEEPERS, Scope, scope_of

ADMINISTRATOR = {Role.ADMIN}


@endpoint("GET", "/api/v1/register/organizations", summary="Organizations to maintain", roles=KEEPERS)
async def list_register_organizations(
    ctx: RequestContext, query: OrganizationListQuery
) -> Page[OrganizationEntry]:
    """In the order of their names; ``editable``: by the caller."""
    scope = await scope_of(ctx.session, ctx.actor)
    chosen = select(Organization).order_by(Organization.id)
    if query.q:
        letters = query.q.strip()
        chosen = chosen.where(
            or_(
                Organization.name.contains(letters, autoescape=True),
                Organization.name_en.icontains(letters, autoescape=True),
                Organization.code.icontains(letters, autoescape=True),
            )
        )
    if query.level is not None:
        chosen = chosen.where(Organization.level == query.level.value)
    if query.parent_id is not None:
        chosen = chosen.where(Organization.parent_id == query.parent_id)
    if query.state != "all":
        chosen = chosen.where(Organization.active.is_(query.state == "active"))
    if query.cursor is not None:
        chosen = chosen.where(Organization.id > query.cursor)
    rows = list(await ctx.session.scalars(chosen.limit(query.limit + 1)))
    shown = rows[: query.limit]
    return Page(
        items=await _entries(ctx.session, scope, shown),
        next_cursor=shown[-1].id if len(rows) > query.limit else None,
    )


@endpoint("POST", "/api/v1/register/organizations", summary="A new organization", roles=KEEPERS, status=201)
async def add_organization(ctx: RequestContext, body: OrganizationIn) -> OrganizationEntry:
    scope = await scope_of(ctx.session, ctx.actor)
    row = await Places(ctx.services.audit).add(ctx.session, ctx.actor, scope, body.facts())
    return await _entry(ctx, row)


@endpoint(
    "PUT",
    "/api/v1/register/organizations/{organization_id}",
    summary="Change an organization",
    roles=KEEPERS,
)
async def change_organization(
    ctx: RequestContext, organization_id: str, body: OrganizationEdit
) -> OrganizationEntry:
    scope = await scope_of(ctx.session, ctx.actor)
    row = await Places(ctx.services.audit).change(
        ctx.session, ctx.actor, scope, organization_id, body.version, body.facts()
    )
    return await _entry(ctx, row)


@endpoint(
    "POST",
    "/api/v1/register/organizations/{organization_id}/closing",
    summary="Close an organization, or open it again",
    roles=KEEPERS,
)
async def close_organization(ctx: RequestContext, organization_id: str, body: ClosingIn) -> OrganizationEntry:
    """Refused with `not_empty` while people, devices or organizations stand below it."""
    scope = await scope_of(ctx.session, ctx.actor)
    row = await Places(ctx.services.audit).set_active(
        ctx.session,
        ctx.actor,
        scope,
        organization_id,
        body.version,
        body.active,
        body.on or ctx.today,
    )
    return await _entry(ctx, row)


@endpoint("GET", "/api/v1/register/sites", summary="Sites of an organization", roles=KEEPERS)
async def list_sites(ctx: RequestContext, query: SiteQuery) -> list[SiteOut]:
    rows = await ctx.session.scalars(
        select(Site).where(Site.organization_id == query.organization_id).order_by(Site.id)
    )
    return [SiteOut.model_validate(row) for row in rows]


@endpoint("POST", "/api/v1/register/sites", summary="A new site", roles=KEEPERS, status=201)
async def add_site(ctx: RequestContext, body: SiteIn) -> SiteOut:
    scope = await scope_of(ctx.session, ctx.actor)
    count = select(func.count()).where(Site.organization_id == body.organization_id)
    if (await ctx.session.scalar(count) or 0) >= SITES_EACH:
        raise LocalProtocolError(BUSY, f"an organization has at most {SITES_EACH} sites")
    names = (body.name, body.name_en)
    row = await Places(ctx.services.audit).add_site(
        ctx.session, ctx.actor, scope, body.organization_id, names
    )
    return SiteOut.model_validate(row)


@endpoint("PUT", "/api/v1/register/sites/{site_id}", summary="Change or close a site", roles=KEEPERS)
async def change_site(ctx: RequestContext, site_id: str, body: SiteEdit) -> SiteOut:
    scope = await scope_of(ctx.session, ctx.actor)
    names = (body.name, body.name_en)
    row = await Places(ctx.services.audit).change_site(
        ctx.session, ctx.actor, scope, site_id, body.version, names, body.active, ctx.today
    )
    return SiteOut.model_validate(row)


@endpoint("GET", "/api/v1/alliances", summary="Alliances across organizations")
async def list_alliances(ctx: RequestContext) -> list[AllianceOut]:
    rows = list(await ctx.session.scalars(select(Alliance).order_by(Alliance.id)))
    members = await members_of(ctx.session, [row.id for row in rows])
    refs = await _refs(ctx.session, {one for each in members.values() for one in each})
    return [_alliance_out(row, [refs[one] for one in members[row.id]]) for row in rows]


@endpoint("POST", "/api/v1/register/alliances", summary="A new alliance", roles=ADMINISTRATOR, status=201)
async def add_alliance(ctx: RequestContext, body: AllianceIn) -> AllianceOut:
    scope = await scope_of(ctx.session, ctx.actor)
    row = await Places(ctx.services.audit).add_alliance(
        ctx.session, ctx.actor, scope, (body.name, body.name_en), set(body.organization_ids)
    )
    return _alliance_out(row, await _members(ctx.session, row))


@endpoint(
    "PUT", "/api/v1/register/alliances/{alliance_id}", summary="Change an alliance", roles=ADMINISTRATOR
)
async def change_alliance(ctx: RequestContext, alliance_id: str, body: AllianceEdit) -> AllianceOut:
    if not body.active and not body.organization_ids:
        raise RemoteProtocolError(errors.NO_SUCH_PLACE)
    scope = await scope_of(ctx.session, ctx.actor)
    row = await Places(ctx.services.audit).change_alliance(
        ctx.session,
        ctx.actor,
        scope,
        alliance_id,
        body.version,
        (body.name, body.name_en),
        set(body.organization_ids),
        body.active,
        ctx.today,
    )
    return _alliance_out(row, await _members(ctx.session, row))


async def _members(session: AsyncSession, row: Alliance) -> list[OrganizationRef]:
    ids = (await members_of(session, [row.id]))[row.id]
    refs = await _refs(session, ids)
    return [refs[one] for one in ids]


def _alliance_out(row: Alliance, organizations: list[OrganizationRef]) -> AllianceOut:
    return AllianceOut(
        id=row.id,
        name=row.name,
        name_en=row.name_en,
        active=row.active,
        closed_on=row.closed_on,
        version=row.version,
        organizations=organizations,
    )


async def _entry(ctx: RequestContext, row: Organization) -> OrganizationEntry:
    await ctx.session.flush()
    scope = await scope_of(ctx.session, ctx.actor)
    (entry,) = await _entries(ctx.session, scope, [row])
    return entry


async def _entries(session: AsyncSession, scope: Scope, rows: list[Organization]) -> list[OrganizationEntry]:
    parents = await _refs(session, {row.parent_id for row in rows if row.parent_id is not None})
    return [
        OrganizationEntry(
            **organization_ref(row).model_dump(),
            parent=parents.get(row.parent_id or ""),
            code=row.code,
            address=row.address,
            active=row.active,
            closed_on=row.closed_on,
            version=row.version,
            editable=row.id in scope.organizations,
        )
        for row in rows
    ]


async def _refs(session: AsyncSession, ids: Iterable[str]) -> dict[str, OrganizationRef]:
    rows = await session.scalars(select(Organization).where(Organization.id.in_(set(ids))))
    return {row.id: organization_ref(row) for row in rows}
