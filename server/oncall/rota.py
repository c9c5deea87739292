"""Rotas: the words. Who takes turns, when, on which line of defence, and what people changed by hand.

Sans-I/O. The rules stand beside: `rota_time` (wall times), `rota_days` (weekdays and holidays), `rota_shifts`
(whose turn), `rota_line` (who is on call), `rota_cover` (gaps, hand-overs), `rota_ask` (swaps and leave),
`rota_check` (what is refused).

A schedule has *lines* of defence (``level`` 1 is rung first, 2 stands behind) and each line has *layers*: the
layer with the higher ``rank`` covers the lower ones while it has anybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from server.oncall.rota_days import EVERY_DAY, NO_HOLIDAYS, DayCalendar, DayRule


class Unit(StrEnum):
    """What a shift is counted in. ``CUSTOM``: a list of slots that comes again every ``every`` days."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    CUSTOM = "custom"


LENGTH = {
    Unit.HOUR: timedelta(hours=1),
    Unit.DAY: timedelta(days=1),
    Unit.WEEK: timedelta(weeks=1),
    Unit.CUSTOM: timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One shift of a custom list.

    :param day: days after the cycle's first day.
    :param starts: wall time.
    :param minutes: length on the wall.
    """

    member: str
    day: int
    starts: time
    minutes: int

    def wall_start(self, cycle: datetime) -> datetime:
        return datetime.combine(cycle.date() + timedelta(days=self.day), self.starts)

    def wall_end(self, cycle: datetime) -> datetime:
        return self.wall_start(cycle) + timedelta(minutes=self.minutes)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Members take turns. A rotation has no beginning: its start only fixes whose turn it is.

    :param members: practitioner ids in turn; unused by a custom list, whose slots name theirs.
    :param start: the first member's turn begins on this date,
    :param handover: at this wall time. A monthly turn begins on this day of the month, or on its last day.
    :param unit: with ``every``: the length of a shift, or of a custom list's cycle in days.
    :param slots: a custom list's shifts.
    """

    members: tuple[str, ...]
    start: date
    handover: time
    unit: Unit = Unit.DAY
    every: int = 1
    slots: tuple[Slot, ...] = ()

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError("a shift lasts at least one unit")

    @property
    def length(self) -> timedelta:
        """The length of a turn on the wall; of a monthly one, the shortest possible."""
        return timedelta(days=28 * self.every) if self.unit is Unit.MONTH else LENGTH[self.unit] * self.every

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who ever has a turn."""
        if self.unit is Unit.CUSTOM:
            return tuple(dict.fromkeys(slot.member for slot in self.slots))
        return self.members


@dataclass(frozen=True, slots=True)
class Layer:
    """One rotation on one line. It stands on the days of ``days`` alone.

    :param rank: covers the layers of the same level with a lower rank.
    """

    level: int
    rotation: Rotation
    rank: int = 0
    days: DayRule = EVERY_DAY


class Change(StrEnum):
    """What an override does to a line."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Override:
    """A change by hand, from ``starts`` up to but not including ``ends`` (Unix seconds).

    :param who: who goes; None with REPLACE = the whole line.
    :param by: who comes; None with REMOVE.
    """

    id: str
    level: int
    change: Change
    starts: float
    ends: float
    who: str | None = None
    by: str | None = None

    def runs(self, at: float) -> bool:
        return self.starts <= at < self.ends


@dataclass(frozen=True, slots=True)
class Leave:
    """Somebody is away from all rotas, whatever else says so, from ``starts`` up to ``ends``."""

    member: str
    starts: float
    ends: float

    def runs(self, at: float) -> bool:
        return self.starts <= at < self.ends


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rota of one specialty.

    :param zone: a name of the tz database.
    :param overrides: in the order in which they were made: a later one changes what the earlier ones left.
    :param gone: members whose account ended: they are never on call.
    """

    id: str
    specialty: str
    zone: str
    layers: tuple[Layer, ...]
    calendar: DayCalendar = NO_HOLIDAYS
    overrides: tuple[Override, ...] = ()
    leave: tuple[Leave, ...] = ()
    gone: frozenset[str] = field(default_factory=frozenset)

    @property
    def levels(self) -> tuple[int, ...]:
        """The lines, the one rung first in front; a rota without layers still owes its first line."""
        return tuple(sorted({layer.level for layer in self.layers})) or (1,)

    @property
    def people(self) -> frozenset[str]:
        """Everybody whom a layer or an override names."""
        named = {one for layer in self.layers for one in layer.rotation.people}
        return frozenset(named | {one.by for one in self.overrides if one.by is not None})


@dataclass(frozen=True, slots=True)
class Shift:
    """One turn of one member: from ``starts`` up to but not including ``ends``, Unix seconds."""

    member: str
    starts: float
    ends: float


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who is on call, in the order in which to ring.

    :param until: Unix seconds up to which this holds; None when it never changes (nobody on any layer).
    """

    practitioners: tuple[str, ...]
    until: float | None
