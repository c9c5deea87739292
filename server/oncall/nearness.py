"""How far away a rota is: the nearest level first, then up the levels. Sans-I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

LEVELS = ("village", "township", "county", "city", "region", "province", "national")
"""Levels of care from the nearest up; of a level that is not here, nothing is known but that it is far."""

_COUNTY = LEVELS.index("county")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rota is kept.

    :param above: its organization and those above it, the topmost last.
    """

    schedule_id: str
    level: str
    above: Sequence[str]


def rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def tiers(
    places: Iterable[Place], home: Sequence[str], levels: Mapping[str, str], at_most: int
) -> list[tuple[int, str]]:
    """(tier, schedule id) of the rotas that a request may use, the nearest first.

    First those above the requester and beside them on the same level; then those of other groups above the
    county. A rota below the place that it shares with the requester (another county's under one city, another
    township's) is none of theirs.

    :param home: the requester's organization and those above it.
    :param levels: of the organizations in ``home``.
    """
    found = []
    for one in places:
        shared = next((each for each in home if each in one.above), None)
        far = rank(one.level)
        if shared is not None and far >= rank(levels[shared]):
            found.append((far, one.schedule_id))
        elif shared is None and far > _COUNTY:
            found.append((far + len(LEVELS) + 1, one.schedule_id))
    return sorted(found)[:at_most]
