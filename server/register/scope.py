"""Who may maintain what: an administrator everything, the desk of a county what belongs to its county."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import RemoteProtocolError
from server.archive.models import Organization, Practitioner
from server.auth.actor import Actor, ActorKind, Role
from server.register import errors
from server.register.levels import below, group_of

KEEPERS = frozenset({Role.ADMIN, Role.DESK})
"""Who sees the register's own pages."""

RESERVED = frozenset({Role.ADMIN, Role.REGULATOR})
"""Roles that only an administrator gives: the one keeps everybody's accounts, the other reads all traces."""


@dataclass(frozen=True, slots=True)
class Tree:
    """All organizations: who stands below whom, at which level, and whether they are open."""

    parents: Mapping[str, str | None]
    levels: Mapping[str, str]
    active: Collection[str]


@dataclass(frozen=True, slots=True)
class Scope:
    """What an actor may change. ``organizations``: ids; for an administrator all there are."""

    tree: Tree
    admin: bool
    actor_id: str
    organizations: frozenset[str]

    def need(self, organization_id: str | None) -> None:
        """:raises RemoteProtocolError: out_of_reach."""
        if self.admin or organization_id in self.organizations:
            return
        raise RemoteProtocolError(errors.OUT_OF_REACH)

    def need_open(self, organization_id: str) -> None:
        """:raises RemoteProtocolError: out_of_reach, no_such_place."""
        if organization_id not in self.tree.active:
            raise RemoteProtocolError(errors.NO_SUCH_PLACE)
        self.need(organization_id)

    def need_roles(self, before: Collection[str], after: Collection[str]) -> None:
        """A reserved role comes and goes by an administrator only; so does the account of who holds one."""
        if not self.admin and RESERVED & (set(before) | set(after)):
            raise RemoteProtocolError(errors.ROLE_NOT_YOURS)


async def load_tree(session: AsyncSession) -> Tree:
    rows = (
        await session.execute(
            select(Organization.id, Organization.parent_id, Organization.level, Organization.active)
        )
    ).all()
    return Tree(
        parents={row.id: row.parent_id for row in rows},
        levels={row.id: row.level for row in rows},
        active=frozenset(row.id for row in rows if row.active),
    )


async def scope_of(session: AsyncSession, actor: Actor) -> Scope:
    """What ``actor``, who is of `KEEPERS` or the operator at the command line, may maintain."""
    tree = await load_tree(session)
    if actor.kind is ActorKind.SYSTEM or actor.has({Role.ADMIN}):
        return Scope(tree, True, actor.id, frozenset(tree.parents))
    home = actor.organization_id
    if home is None or home not in tree.parents:
        return Scope(tree, False, actor.id, frozenset())
    group = group_of(home, tree.parents, tree.levels)
    return Scope(tree, False, actor.id, below([group], tree.parents))


def need_other(scope: Scope, person: Practitioner) -> None:
    """:raises RemoteProtocolError: not_yourself, when a person would lock themselves out."""
    if person.id == scope.actor_id:
        raise RemoteProtocolError(errors.NOT_YOURSELF)
