"""Maintaining practitioners, their accounts, and devices."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import ColumnElement, String, cast, or_, select

from server.api.context import RequestContext
from server.api.models import Page
from server.api.references import organization_ref
from server.api.register_shapes import (
    AccountIn,
    AccountState,
    ClosingIn,
    DeviceEdit,
    DeviceEntry,
    DeviceIn,
    DeviceListQuery,
    DeviceTokenOut,
    ListQuery,
    PeopleListQuery,
    PersonEdit,
    PersonEntry,
    PersonIn,
    SiteOut,
    TemporaryPasswordOut,
    VersionIn,
)
from server.api.routing import endpoint
from server.archive.among import among
from server.archive.database import after_commit
from server.archive.models import Account, Device, Organization, Practitioner, Site
from server.register.people import People, account_of, temporary_password
from server.register.scope import KEEPERS, Scope, scope_of
from signaling.gateway import SIGNED_OUT

RowT = TypeVar("RowT", Practitioner, Device)


@endpoint("GET", "/api/v1/register/practitioners", summary="People to maintain", roles=KEEPERS)
async def list_register_people(ctx: RequestContext, query: PeopleListQuery) -> Page[PersonEntry]:
    """Those of the caller's county, for an administrator all; by letters of name, user name or number."""
    scope = await scope_of(ctx.session, ctx.actor)
    chosen = select(Practitioner, Organization, Account).order_by(Practitioner.id)
    chosen = chosen.join(Organization, Practitioner.organization_id == Organization.id)
    chosen = chosen.outerjoin(Account, Account.practitioner_id == Practitioner.id)
    if query.q:
        letters = query.q.strip()
        chosen = chosen.where(
            or_(
                Practitioner.name.contains(letters, autoescape=True),
                Practitioner.name_en.icontains(letters, autoescape=True),
                Practitioner.registration.icontains(letters, autoescape=True),
                Account.username.icontains(letters, autoescape=True),
            )
        )
    for column, value in ((Practitioner.roles, query.role), (Practitioner.specialties, query.specialty)):
        if value is not None:
            chosen = chosen.where(cast(column, String).contains(f'"{value}"', autoescape=True))
    chosen = chosen.where(*_narrow(Practitioner, query, query.organization_id, scope))
    if query.state != "all":
        chosen = chosen.where(Practitioner.active.is_(query.state == "active"))
    rows = (await ctx.session.execute(chosen.limit(query.limit + 1))).all()
    shown = rows[: query.limit]
    return Page(
        items=[person_entry(scope, *row) for row in shown],
        next_cursor=shown[-1][0].id if len(rows) > query.limit else None,
    )


@endpoint("POST", "/api/v1/register/practitioners", summary="A new person", roles=KEEPERS, status=201)
async def add_person(ctx: RequestContext, body: PersonIn) -> PersonEntry:
    """Without an account yet: see ``/account``."""
    scope = await scope_of(ctx.session, ctx.actor)
    row = await People(ctx.services.audit).add(ctx.session, ctx.actor, scope, body.facts())
    return await _person(ctx, scope, row)


@endpoint("PUT", "/api/v1/register/practitioners/{practitioner_id}", summary="Change a person", roles=KEEPERS)
async def change_person(ctx: RequestContext, practitioner_id: str, body: PersonEdit) -> PersonEntry:
    scope = await scope_of(ctx.session, ctx.actor)
    row = await People(ctx.services.audit).change(
        ctx.session, ctx.actor, scope, practitioner_id, body.version, body.facts()
    )
    return await _person(ctx, scope, row)


@endpoint(
    "POST",
    "/api/v1/register/practitioners/{practitioner_id}/closing",
    summary="Close a person's account, or open it again",
    roles=KEEPERS,
)
async def close_person(ctx: RequestContext, practitioner_id: str, body: ClosingIn) -> PersonEntry:
    """Closed: signed out everywhere, rung by nobody; what waits for them goes to others. What they signed
    stays theirs.
    """
    scope = await scope_of(ctx.session, ctx.actor)
    row = await People(ctx.services.audit).set_active(
        ctx.session,
        ctx.actor,
        scope,
        practitioner_id,
        body.version,
        body.active,
        body.on or ctx.today,
    )
    if not body.active:
        after_commit(ctx.session, lambda: ctx.services.consults.expert_left(ctx.actor, practitioner_id))
    return await _person(ctx, scope, row)


@endpoint(
    "POST",
    "/api/v1/register/practitioners/{practitioner_id}/account",
    summary="Give a person a user name",
    roles=KEEPERS,
    writes=False,
    status=201,
)
async def give_account(ctx: RequestContext, practitioner_id: str, body: AccountIn) -> TemporaryPasswordOut:
    """With a temporary password, told once. Also another user name in place of the one there is."""
    password = temporary_password()
    hashed = await ctx.services.auth.passwords.hash(password)
    async with ctx.services.database.write() as session:
        scope = await scope_of(session, ctx.actor)
        account = await People(ctx.services.audit).give_account(
            session, ctx.actor, scope, practitioner_id, body.username, hashed, ctx.now
        )
    await ctx.services.gateway.notify(practitioner_id, SIGNED_OUT, {})
    return _temporary(account, password)


@endpoint(
    "POST",
    "/api/v1/register/practitioners/{practitioner_id}/password",
    summary="Reset a person's password",
    roles=KEEPERS,
    writes=False,
)
async def reset_person_password(ctx: RequestContext, practitioner_id: str) -> TemporaryPasswordOut:
    """A temporary one, told once; it must be changed at the next sign-in, within a week."""
    password = temporary_password()
    hashed = await ctx.services.auth.passwords.hash(password)
    async with ctx.services.database.write() as session:
        scope = await scope_of(session, ctx.actor)
        account = await People(ctx.services.audit).reset_password(
            session, ctx.actor, scope, practitioner_id, hashed, ctx.now
        )
    await ctx.services.gateway.notify(practitioner_id, SIGNED_OUT, {})
    return _temporary(account, password)


@endpoint("GET", "/api/v1/register/devices", summary="Devices to maintain", roles=KEEPERS)
async def list_register_devices(ctx: RequestContext, query: DeviceListQuery) -> Page[DeviceEntry]:
    scope = await scope_of(ctx.session, ctx.actor)
    chosen = select(Device, Organization, Site).order_by(Device.id)
    chosen = chosen.join(Organization, Device.organization_id == Organization.id)
    chosen = chosen.outerjoin(Site, Device.site_id == Site.id)
    if query.q:
        letters = query.q.strip()
        columns = (Device.name, Device.name_en, Device.serial, Organization.name, Organization.name_en)
        chosen = chosen.where(or_(*(one.icontains(letters, autoescape=True) for one in columns)))
    if query.kind is not None:
        chosen = chosen.where(Device.kind == query.kind)
    chosen = chosen.where(*_narrow(Device, query, query.organization_id, scope))
    if query.state != "all":
        chosen = chosen.where(Device.disabled.is_(query.state == "closed"))
    rows = (await ctx.session.execute(chosen.limit(query.limit + 1))).all()
    shown = rows[: query.limit]
    return Page(
        items=[_device_entry(ctx, scope, *row) for row in shown],
        next_cursor=shown[-1][0].id if len(rows) > query.limit else None,
    )


@endpoint("POST", "/api/v1/register/devices", summary="A new device", roles=KEEPERS, status=201)
async def add_device(ctx: RequestContext, body: DeviceIn) -> DeviceTokenOut:
    """With its token, told once."""
    scope = await scope_of(ctx.session, ctx.actor)
    row, token = await People(ctx.services.audit).add_device(ctx.session, ctx.actor, scope, body.facts())
    return DeviceTokenOut(device=await _device(ctx, scope, row), token=token)


@endpoint("PUT", "/api/v1/register/devices/{device_id}", summary="Change or close a device", roles=KEEPERS)
async def change_device(ctx: RequestContext, device_id: str, body: DeviceEdit) -> DeviceEntry:
    scope = await scope_of(ctx.session, ctx.actor)
    row = await People(ctx.services.audit).change_device(
        ctx.session, ctx.actor, scope, device_id, body.version, body.facts(), body.active
    )
    return await _device(ctx, scope, row)


@endpoint(
    "POST", "/api/v1/register/devices/{device_id}/token", summary="Give a device a new token", roles=KEEPERS
)
async def new_device_token(ctx: RequestContext, device_id: str, body: VersionIn) -> DeviceTokenOut:
    """Told once; the old one ends."""
    scope = await scope_of(ctx.session, ctx.actor)
    row, token = await People(ctx.services.audit).new_device_token(
        ctx.session, ctx.actor, scope, device_id, body.version
    )
    return DeviceTokenOut(device=await _device(ctx, scope, row), token=token)


def _narrow(
    kind: type[RowT], query: ListQuery, organization_id: str | None, scope: Scope
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if organization_id is not None:
        found.append(kind.organization_id == organization_id)
    if not scope.admin:
        found.append(among(kind.organization_id, scope.organizations))
    if query.cursor is not None:
        found.append(kind.id > query.cursor)
    return found


def _temporary(account: Account, password: str) -> TemporaryPasswordOut:
    return TemporaryPasswordOut(
        username=account.username, password=password, until=account.temporary_until or 0.0
    )


async def _person(ctx: RequestContext, scope: Scope, row: Practitioner) -> PersonEntry:
    organization = await ctx.session.get_one(Organization, row.organization_id)
    return person_entry(scope, row, organization, await account_of(ctx.session, row.id))


def person_entry(
    scope: Scope, row: Practitioner, organization: Organization, account: Account | None
) -> PersonEntry:
    state = None
    if account is not None:
        state = AccountState(
            username=account.username, disabled=account.disabled, temporary_until=account.temporary_until
        )
    return PersonEntry(
        id=row.id,
        name=row.name.reveal(),
        name_en=row.name_en.reveal(),
        title=row.title,
        title_en=row.title_en,
        organization=organization_ref(organization),
        roles=row.roles,
        specialties=row.specialties,
        languages=row.languages,
        registration=None if row.registration is None else row.registration.reveal(),
        phone=None if row.phone is None else row.phone.reveal(),
        active=row.active,
        closed_on=row.closed_on,
        version=row.version,
        editable=row.organization_id in scope.organizations,
        account=state,
    )


async def _device(ctx: RequestContext, scope: Scope, row: Device) -> DeviceEntry:
    organization = await ctx.session.get_one(Organization, row.organization_id)
    site = None if row.site_id is None else await ctx.session.get(Site, row.site_id)
    return _device_entry(ctx, scope, row, organization, site)


def _device_entry(
    ctx: RequestContext, scope: Scope, row: Device, organization: Organization, site: Site | None
) -> DeviceEntry:
    return DeviceEntry(
        id=row.id,
        kind=row.kind,
        name=row.name,
        name_en=row.name_en,
        organization=organization_ref(organization),
        site=None if site is None else SiteOut.model_validate(site),
        serial=row.serial,
        active=not row.disabled,
        online=ctx.services.gateway.online(row.id),
        version=row.version,
        editable=row.organization_id in scope.organizations,
    )
