"""Rotas: who is on call at an instant.

Sans-I/O. A `Rotation` hands over at a wall-clock time of a named zone. On a change of clocks a shift starts
at the first and ends at the last occurrence of its wall time: two shifts may overlap, there is never a gap.

* Wall time that occurs twice (clocks go back): the new shift starts at the first, the old one ends at the
  second.
* Wall time that does not occur (02:30 when clocks go forward): PEP 495 gives it two readings, one with the
  offset before and one with the offset after; the earlier starts the new shift, the later ends the old.

A rotation has no beginning: its start date only fixes whose turn it is; an earlier instant is covered too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

# Pacific/Apia left out a whole day (2011-12-30); no change of clocks was ever larger.
_LARGEST_JUMP = timedelta(hours=25)


class Unit(StrEnum):
    """What a shift is counted in."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


_LENGTH = {Unit.HOUR: timedelta(hours=1), Unit.DAY: timedelta(days=1), Unit.WEEK: timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class Rotation:
    """Members take turns.

    :param members: practitioner ids in turn.
    :param start: the first member's turn begins on this date,
    :param handover: at this wall time.
    :param unit: with ``every``: the length of a shift.
    """

    members: tuple[str, ...]
    start: date
    handover: time
    unit: Unit = Unit.DAY
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError("a shift lasts at least one unit")

    @property
    def length(self) -> timedelta:
        """The length of a shift on the wall."""
        return _LENGTH[self.unit] * self.every

    def wall_start(self, turn: int) -> datetime:
        """When turn ``turn`` (any integer) begins on the wall; naive."""
        return datetime.combine(self.start, self.handover) + self.length * turn

    def member(self, turn: int) -> str:
        return self.members[turn % len(self.members)]


@dataclass(frozen=True, slots=True)
class Layer:
    """One line of defence; level 1 is rung first."""

    level: int
    rotation: Rotation


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rota of one specialty. ``zone``: a name of the tz database."""

    id: str
    specialty: str
    zone: str
    layers: tuple[Layer, ...]


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


def first_occurrence(wall: datetime, zone: ZoneInfo) -> float:
    """The earliest reading of a naive wall time, Unix seconds."""
    return min(_readings(wall, zone))


def last_occurrence(wall: datetime, zone: ZoneInfo) -> float:
    """The latest reading of a naive wall time, Unix seconds."""
    return max(_readings(wall, zone))


def _readings(wall: datetime, zone: ZoneInfo) -> tuple[float, float]:
    return (
        wall.replace(tzinfo=zone, fold=0).timestamp(),
        wall.replace(tzinfo=zone, fold=1).timestamp(),
    )


def shift(rotation: Rotation, turn: int, zone: ZoneInfo) -> Shift:
    """The shift of turn ``turn``."""
    return Shift(
        rotation.member(turn),
        first_occurrence(rotation.wall_start(turn), zone),
        last_occurrence(rotation.wall_start(turn + 1), zone),
    )


def shifts_at(rotation: Rotation, zone: ZoneInfo, at: float) -> list[Shift]:
    """The shifts that run at ``at`` (Unix seconds), the newest first.

    One, more while shifts overlap on a change of clocks; none only without members.
    """
    if not rotation.members:
        return []
    wall = datetime.fromtimestamp(at, UTC).astimezone(zone).replace(tzinfo=None)
    turn = (wall - rotation.wall_start(0)) // rotation.length
    reach = math.ceil(_LARGEST_JUMP / rotation.length)
    near = (shift(rotation, turn + step, zone) for step in range(reach, -reach - 1, -1))
    return [s for s in near if s.starts <= at < s.ends]


def on_call(schedule: Schedule, at: float) -> OnCall:
    """Who is on call at ``at``: layer by layer, nobody twice. Never empty when any layer has members."""
    zone = ZoneInfo(schedule.zone)
    order: list[str] = []
    changes: list[float] = []
    for layer in sorted(schedule.layers, key=lambda each: each.level):
        for each in shifts_at(layer.rotation, zone, at):
            if each.member not in order:
                order.append(each.member)
            changes.append(each.ends)
        changes += _next_start(layer.rotation, zone, at)
    return OnCall(tuple(order), min(changes, default=None))


def _next_start(rotation: Rotation, zone: ZoneInfo, at: float) -> list[float]:
    if not rotation.members:
        return []
    wall = datetime.fromtimestamp(at, UTC).astimezone(zone).replace(tzinfo=None)
    turn = (wall - rotation.wall_start(0)) // rotation.length
    starts = (first_occurrence(rotation.wall_start(turn + step), zone) for step in (0, 1, 2))
    return [start for start in starts if start > at][:1]
