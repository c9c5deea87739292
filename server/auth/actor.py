"""Who is acting: the one answer to "who did this" that handlers, rules and the audit trail share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from signaling.personal import Personal


class Role(StrEnum):
    """What an account may be. One account may hold several."""

    VILLAGE_DOCTOR = "village_doctor"
    TOWNSHIP_DOCTOR = "township_doctor"
    EXPERT = "expert"
    DESK = "desk"
    REGULATOR = "regulator"
    ADMIN = "admin"
    DEVICE = "device"


# Those who may ask for a consult: whoever sees patients.
REQUESTERS = frozenset({Role.VILLAGE_DOCTOR, Role.TOWNSHIP_DOCTOR, Role.EXPERT})


class ActorKind(StrEnum):
    PRACTITIONER = "practitioner"
    DEVICE = "device"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Someone, or something, that acts.

    :param id: practitioner or device id; ``system`` for the server itself.
    :param kind: which table the id belongs to.
    :param organization_id: where they work or stand; None for the system.
    :param roles: what they may be.
    :param name: for their own screens and for those in the same consult.
    """

    id: str
    kind: ActorKind
    organization_id: str | None
    roles: frozenset[Role]
    name: Personal[str]

    def has(self, roles: Collection[Role]) -> bool:
        """True when at least one of ``roles`` is held."""
        return not self.roles.isdisjoint(roles)


def system_actor() -> Actor:
    """The server acting on its own: timers, the dispatcher, sealing."""
    return Actor("system", ActorKind.SYSTEM, None, frozenset(), Personal("system"))
