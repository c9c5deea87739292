"""How far away a rota is: the nearest level first, then up the levels. Sans-I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LEVELS = ("village", "township", "county", "city", "region", "province", "national")
"""Levels of care from the nearest up; of a level that is not here, nothing is known but that it is far."""

_COUNTY = LEVELS.index("county")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rota is kept. ``root``: the topmost organization above it."""

    schedule_id: str
    level: str
    root: str


def rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def tiers(places: Iterable[Place], home: str | None, at_most: int) -> list[tuple[int, str]]:
    """(tier, schedule id) of the rotas that a request may use, the nearest first.

    First those of the group to which the requester belongs, up its levels; then those of other groups above
    the county. Another county's own rota is none of theirs.

    :param home: the topmost organization above the requester.
    """
    found = []
    for one in places:
        own = one.root == home
        if own or rank(one.level) > _COUNTY:
            found.append((rank(one.level) + (0 if own else len(LEVELS) + 1), one.schedule_id))
    return sorted(found)[:at_most]
