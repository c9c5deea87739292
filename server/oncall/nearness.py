"""How far away a rota is: the nearest level first, then up the levels. Sans-I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

LEVELS = ("village", "township", "county", "city", "region", "province", "national")
"""Levels of care from the nearest up; of a level that is not here, nothing is known but that it is far."""

_COUNTY = LEVELS.index("county")

_OWN, _ALLIED = 0, 1
_OTHERS = 2 * (len(LEVELS) + 1)
"""After all of one's own group and its allies."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rota is kept.

    :param above: its organization and those above it, the topmost last.
    :param allies: the organizations that share an alliance with its own.
    """

    schedule_id: str
    level: str
    above: Sequence[str]
    allies: Collection[str] = ()


def rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def tiers(
    places: Iterable[Place], home: Sequence[str], levels: Mapping[str, str], at_most: int
) -> list[tuple[int, str]]:
    """(tier, schedule id) of the rotas that a request may use, the nearest first.

    First those above the requester and beside them on the same level, each level followed by the houses of
    that level that are allied with the requester's own or one above it; then those of other groups above the
    county. A rota below the place that it shares with the requester (another county's under one city, another
    township's) is none of theirs, unless its house is allied.

    :param home: the requester's organization and those above it.
    :param levels: of the organizations in ``home``.
    """
    found = []
    for one in places:
        tier = _tier(one, home, levels)
        if tier is not None:
            found.append((tier, one.schedule_id))
    return sorted(found)[:at_most]


def _tier(one: Place, home: Sequence[str], levels: Mapping[str, str]) -> int | None:
    far = rank(one.level)
    shared = next((each for each in home if each in one.above), None)
    if shared is not None and far >= rank(levels[shared]):
        return 2 * far + _OWN
    if one.allies and not set(home).isdisjoint(one.allies) and far >= rank(levels[home[0]]):
        return 2 * far + _ALLIED
    return 2 * far + _OTHERS if shared is None and far > _COUNTY else None
