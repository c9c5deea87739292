"""The levels of care and what may stand above what. Rules without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from server.register.limits import DEPTH


class Level(StrEnum):
    """From the village up."""

    VILLAGE = "village"
    TOWNSHIP = "township"
    COUNTY = "county"
    CITY = "city"
    PROVINCE = "province"
    NATIONAL = "national"

    @property
    def rank(self) -> int:
        """0 for a village clinic, 5 for a national centre."""
        return _ORDER.index(self)


_ORDER = tuple(Level)

LEVEL_NAMES: Mapping[Level, tuple[str, str]] = {
    Level.VILLAGE: ("村", "Village"),
    Level.TOWNSHIP: ("乡镇", "Township"),
    Level.COUNTY: ("县", "County"),
    Level.CITY: ("市", "City"),
    Level.PROVINCE: ("省", "Province"),
    Level.NATIONAL: ("国家", "National"),
}
"""Chinese and English, for files and screens."""


def may_stand_under(level: Level, parent: Level) -> bool:
    """A branch stands under its own level's house, everything else under a higher one."""
    return level.rank <= parent.rank


def above(start: str, parents: Mapping[str, str | None]) -> list[str]:
    """The organizations above ``start``, nearest first; ends at a circle or at `DEPTH` all the same."""
    found: list[str] = []
    here = parents.get(start)
    while here is not None and here != start and here not in found and len(found) <= DEPTH:
        found.append(here)
        here = parents.get(here)
    return found


def in_circle(start: str, parents: Mapping[str, str | None]) -> bool:
    """Whoever goes up from ``start`` comes back to it."""
    here, steps = parents.get(start), 0
    while here is not None and steps <= len(parents):
        if here == start:
            return True
        here, steps = parents.get(here), steps + 1
    return False


def too_deep(start: str, parents: Mapping[str, str | None]) -> bool:
    """More than `DEPTH` organizations stand above ``start``."""
    return len(above(start, parents)) > DEPTH


def below(tops: Iterable[str], parents: Mapping[str, str | None]) -> frozenset[str]:
    """``tops`` and everything below them."""
    children: dict[str, list[str]] = {}
    for child, parent in parents.items():
        if parent is not None:
            children.setdefault(parent, []).append(child)
    found: set[str] = set()
    waiting = list(tops)
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += children.get(here, [])
    return frozenset(found)


def group_of(start: str, parents: Mapping[str, str | None], levels: Mapping[str, str]) -> str:
    """The house whose desk serves ``start``: the nearest of county level or above, else the topmost."""
    line = [start, *above(start, parents)]
    for one in line:
        if Level(levels[one]).rank >= Level.COUNTY.rank:
            return one
    return line[-1]
