"""Changes of organizations, sites and alliances: each one checked, versioned and noted, in the caller's
transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import NOT_FOUND, RemoteProtocolError
from server.archive.audit import AuditLog
from server.archive.ids import new_id
from server.archive.models import Alliance, AllianceMember, Device, Organization, Practitioner, Site
from server.auth.actor import Actor
from server.errors import VERSION_CONFLICT
from server.register import errors
from server.register.facts import OrganizationFacts
from server.register.levels import Level, in_circle, may_stand_under, too_deep
from server.register.scope import Scope, Tree

RowT = TypeVar("RowT", Organization, Site, Alliance, Practitioner, Device)
ClosingT = TypeVar("ClosingT", Organization, Site, Alliance)


async def held(session: AsyncSession, kind: type[RowT], row_id: str, version: int) -> RowT:
    """The row, locked, at its next version; RemoteProtocolError(not_found | version_conflict)."""
    row = await session.get(kind, row_id, with_for_update=True)
    if row is None:
        raise RemoteProtocolError(NOT_FOUND, kind.__tablename__)
    if row.version != version:
        raise RemoteProtocolError(VERSION_CONFLICT)
    row.version += 1
    return row


def set_open(row: ClosingT, active: bool, on: date) -> None:
    """Open or closed; a closed one keeps the day on which it closed."""
    if row.active != active or row.closed_on is None:
        row.closed_on = None if active else on.isoformat()
    row.active = active


class Places:
    """Organizations, sites, alliances. Stateless but for the audit log."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    async def add(
        self, session: AsyncSession, actor: Actor, scope: Scope, facts: OrganizationFacts
    ) -> Organization:
        """A new organization. The desk's own stand below its county; an administrator's may stand alone."""
        if facts.parent_id is None or not scope.admin:
            scope.need(facts.parent_id)
        row = Organization(id=new_id("org"), **asdict(facts), active=True, closed_on=None, version=1)
        check_parent(scope.tree, row.id, facts.level, facts.parent_id)
        await _need_free_code(session, facts.code, row.id)
        session.add(row)
        await self._note(session, actor, "organization.create", row.id, {"level": facts.level})
        return row

    async def change(
        self,
        session: AsyncSession,
        actor: Actor,
        scope: Scope,
        organization_id: str,
        version: int,
        facts: OrganizationFacts,
    ) -> Organization:
        row = await held(session, Organization, organization_id, version)
        scope.need(row.id)
        if facts.parent_id != row.parent_id:
            # Out of the county, or to the top of it, leads away from the desk that would do it.
            scope.need(facts.parent_id)
        check_parent(scope.tree, row.id, facts.level, facts.parent_id)
        await _need_free_code(session, facts.code, row.id)
        changed = [name for name, value in asdict(facts).items() if getattr(row, name) != value]
        for name in changed:
            setattr(row, name, getattr(facts, name))
        detail = {"version": row.version, "changed": changed}
        await self._note(session, actor, "organization.change", row.id, detail)
        return row

    async def set_active(
        self,
        session: AsyncSession,
        actor: Actor,
        scope: Scope,
        organization_id: str,
        version: int,
        active: bool,
        on: date,
    ) -> Organization:
        """Close or open again. What still works below it keeps it open: not_empty."""
        row = await held(session, Organization, organization_id, version)
        scope.need(row.id)
        if active:
            check_parent(scope.tree, row.id, row.level, row.parent_id)
        elif await _in_use(session, row.id):
            raise RemoteProtocolError(errors.NOT_EMPTY)
        set_open(row, active, on)
        action = "organization.open" if active else "organization.close"
        await self._note(session, actor, action, row.id, {"version": row.version, "on": row.closed_on})
        return row

    async def add_site(
        self, session: AsyncSession, actor: Actor, scope: Scope, organization_id: str, names: tuple[str, str]
    ) -> Site:
        scope.need_open(organization_id)
        row = Site(id=new_id("sit"), organization_id=organization_id, name=names[0], name_en=names[1])
        row.active, row.closed_on, row.version = True, None, 1
        session.add(row)
        await self._note(session, actor, "site.create", row.id, {"organization": organization_id})
        return row

    async def change_site(
        self,
        session: AsyncSession,
        actor: Actor,
        scope: Scope,
        site_id: str,
        version: int,
        names: tuple[str, str],
        active: bool,
        on: date,
    ) -> Site:
        row = await held(session, Site, site_id, version)
        scope.need(row.organization_id)
        standing = select(Device.id).where(Device.site_id == row.id, Device.disabled.is_(False)).limit(1)
        if row.active and not active and await session.scalar(standing) is not None:
            raise RemoteProtocolError(errors.NOT_EMPTY)
        row.name, row.name_en = names
        set_open(row, active, on)
        await self._note(session, actor, "site.change", row.id, {"version": row.version, "active": active})
        return row

    async def add_alliance(
        self,
        session: AsyncSession,
        actor: Actor,
        scope: Scope,
        names: tuple[str, str],
        members: Collection[str],
    ) -> Alliance:
        """Across trees, so an administrator's."""
        row = Alliance(id=new_id("all"), name=names[0], name_en=names[1])
        row.active, row.closed_on, row.version = True, None, 1
        session.add(row)
        await session.flush()
        await _set_members(session, scope.tree, row.id, members)
        await self._note(session, actor, "alliance.create", row.id, {"members": sorted(members)})
        return row

    async def change_alliance(
        self,
        session: AsyncSession,
        actor: Actor,
        scope: Scope,
        alliance_id: str,
        version: int,
        names: tuple[str, str],
        members: Collection[str],
        active: bool,
        on: date,
    ) -> Alliance:
        row = await held(session, Alliance, alliance_id, version)
        row.name, row.name_en = names
        set_open(row, active, on)
        await _set_members(session, scope.tree, row.id, members)
        detail = {"version": row.version, "active": active, "members": sorted(members)}
        await self._note(session, actor, "alliance.change", row.id, detail)
        return row

    async def _note(
        self, session: AsyncSession, actor: Actor, action: str, row_id: str, detail: dict[str, Any]
    ) -> None:
        await self._audit.record(session, actor, action, action.partition(".")[0], row_id, detail)


def check_parent(tree: Tree, organization_id: str, level: str, parent_id: str | None) -> None:
    """Whether it may stand there with what stands below it.

    :raises RemoteProtocolError: no_such_parent, parent_level, parent_circle, too_many_levels.
    """
    children = (child for child, parent in tree.parents.items() if parent == organization_id)
    if any(not may_stand_under(Level(tree.levels[child]), Level(level)) for child in children):
        raise RemoteProtocolError(errors.PARENT_LEVEL)
    if parent_id is None:
        return
    if parent_id not in tree.active:
        raise RemoteProtocolError(errors.NO_PARENT)
    parents = {**tree.parents, organization_id: parent_id}
    if in_circle(organization_id, parents):
        raise RemoteProtocolError(errors.PARENT_CIRCLE)
    if not may_stand_under(Level(level), Level(tree.levels[parent_id])):
        raise RemoteProtocolError(errors.PARENT_LEVEL)
    if too_deep(organization_id, parents):
        raise RemoteProtocolError(errors.TOO_DEEP)


async def _need_free_code(session: AsyncSession, code: str | None, organization_id: str) -> None:
    if code is None:
        return
    taken = select(Organization.id).where(Organization.code == code, Organization.id != organization_id)
    if await session.scalar(taken) is not None:
        raise RemoteProtocolError(errors.CODE_TAKEN)


async def _in_use(session: AsyncSession, organization_id: str) -> bool:
    questions = (
        select(func.count()).where(Organization.parent_id == organization_id, Organization.active),
        select(func.count()).where(Practitioner.organization_id == organization_id, Practitioner.active),
        select(func.count()).where(Device.organization_id == organization_id, Device.disabled.is_(False)),
    )
    return any([await session.scalar(question) for question in questions])


async def _set_members(session: AsyncSession, tree: Tree, alliance_id: str, members: Collection[str]) -> None:
    if not set(members) <= set(tree.active):
        raise RemoteProtocolError(errors.NO_SUCH_PLACE)
    await session.execute(delete(AllianceMember).where(AllianceMember.alliance_id == alliance_id))
    session.add_all(
        AllianceMember(alliance_id=alliance_id, organization_id=one) for one in sorted(set(members))
    )
    await session.flush()


async def members_of(session: AsyncSession, alliance_ids: Collection[str]) -> dict[str, list[str]]:
    """Organization ids by alliance, sorted."""
    found: dict[str, list[str]] = {one: [] for one in alliance_ids}
    query = select(AllianceMember).where(AllianceMember.alliance_id.in_(alliance_ids))
    for row in await session.scalars(query.order_by(AllianceMember.organization_id)):
        found[row.alliance_id].append(row.organization_id)
    return found


async def allies_of(session: AsyncSession, organization_id: str) -> frozenset[str]:
    """Organizations that share a standing alliance with this one, itself left out."""
    mine = (
        select(AllianceMember.alliance_id)
        .join(Alliance, Alliance.id == AllianceMember.alliance_id)
        .where(AllianceMember.organization_id == organization_id, Alliance.active)
    )
    query = select(AllianceMember.organization_id).where(AllianceMember.alliance_id.in_(mine))
    return frozenset(await session.scalars(query)) - {organization_id}
