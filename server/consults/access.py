"""Who may see a consult: its requester, the experts it was offered to, the desk of its county. Nobody else,
but for a while whoever broke the glass (`emergency`).

An administrator keeps accounts and devices and sees no patient; a refused look stands in the audit trail.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, String, cast, false, literal, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.among import among
from server.archive.models import Organization, Practitioner
from server.auth.actor import Actor, Role
from server.consults.models import BreakGlass, Consultation
from server.consults.store import offers_of
from server.register import levels
from server.register.levels import Level
from server.register.limits import DEPTH
from server.register.scope import load_tree


async def root_of(session: AsyncSession, organization_id: str | None) -> str | None:
    """The county group it belongs to: the nearest organization of county level or above, else the topmost.

    A city's or a province's house above the county is a group of its own: its desk is not the county's.
    """
    for _ in range(DEPTH):
        if organization_id is None:
            return None
        organization = await session.get(Organization, organization_id)
        if organization is None or organization.parent_id is None:
            return organization_id
        if Level(organization.level).rank >= Level.COUNTY.rank:
            return organization_id
        organization_id = organization.parent_id
    return organization_id


async def group_of(session: AsyncSession, organization_id: str | None) -> list[str]:
    """Ids of all organizations of its county group (`root_of`)."""
    tree = await load_tree(session)
    if organization_id is None or organization_id not in tree.parents:
        return []
    home = levels.group_of(organization_id, tree.parents, tree.levels)
    return [one for one in tree.parents if levels.group_of(one, tree.parents, tree.levels) == home]


async def overseen_by(session: AsyncSession, actor: Actor) -> ColumnElement[bool]:
    """Which consults a desk or a regulator oversees: the desk those of its county group, the regulator all
    that come from below the own house, so that a province's sees its cities and counties."""
    if not actor.has({Role.REGULATOR}):
        return among(Consultation.organization_id, await group_of(session, actor.organization_id))
    tree = await load_tree(session)
    if actor.organization_id is None or actor.organization_id not in tree.parents:
        return false()
    home = levels.group_of(actor.organization_id, tree.parents, tree.levels)
    places = levels.below([home], tree.parents)
    return true() if places >= tree.parents.keys() else among(Consultation.organization_id, places)


async def is_desk_of(session: AsyncSession, actor: Actor, row: Consultation) -> bool:
    """The actor sits at the desk of the county from which the request came."""
    if not actor.has({Role.DESK}):
        return False
    return await root_of(session, actor.organization_id) == await root_of(session, row.organization_id)


async def takes_part(session: AsyncSession, actor: Actor, row: Consultation) -> bool:
    """The requester, the expert, whoever was rung for it, and the desk."""
    if actor.id in (row.requester_id, row.expert_id):
        return True
    if any(one.practitioner_id == actor.id for one in await offers_of(session, row.id)):
        return True
    return await is_desk_of(session, actor, row)


async def may_see(session: AsyncSession, actor: Actor, row: Consultation, now: float) -> bool:
    """Whoever takes part, and whoever broke the glass."""
    return await takes_part(session, actor, row) or await broke_glass(session, actor, row, now)


async def broke_glass(session: AsyncSession, actor: Actor, row: Consultation, now: float) -> bool:
    """The actor opened this consult in an emergency, and the time is not over."""
    opened = select(BreakGlass.id).where(
        BreakGlass.consultation_id == row.id, BreakGlass.practitioner_id == actor.id, BreakGlass.until > now
    )
    return await session.scalar(opened.limit(1)) is not None


async def desks_of(session: AsyncSession, organization_id: str) -> list[str]:
    """Practitioner ids of the desk responsible for an organization."""
    home = await root_of(session, organization_id)
    top = select(Organization.id, literal(0).label("depth")).where(Organization.id == home)
    below = top.cte("below", recursive=True)
    # What stands below a county, and is no county or more itself: that has a desk of its own.
    under = select(Organization.id, below.c.depth + 1).join(below, Organization.parent_id == below.c.id)
    small = [one.value for one in Level if one.rank < Level.COUNTY.rank]
    below = below.union_all(under.where(Organization.level.in_(small), below.c.depth < DEPTH))
    at_desks = select(Practitioner.id).where(
        Practitioner.organization_id.in_(select(below.c.id)),
        Practitioner.active,
        cast(Practitioner.roles, String).like(f'%"{Role.DESK.value}"%'),
    )
    return sorted(await session.scalars(at_desks))
