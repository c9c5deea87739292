"""Whose turn it is: the shifts of a rotation, cut to the days on which its layer stands. Sans-I/O."""

from __future__ import annotations

import calendar as months
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from server.oncall.rota import Layer, Rotation, Shift, Unit
from server.oncall.rota_days import DayCalendar, windows
from server.oncall.rota_time import LARGEST_JUMP, first_occurrence, last_occurrence, wall_at


def wall_start(rotation: Rotation, turn: int) -> datetime:
    """When turn ``turn`` (any integer; of a custom list: cycle) begins on the wall; naive."""
    if rotation.unit is Unit.MONTH:
        month = rotation.start.year * 12 + rotation.start.month - 1 + turn * rotation.every
        year, index = divmod(month, 12)
        day = min(rotation.start.day, months.monthrange(year, index + 1)[1])
        return datetime.combine(
            rotation.start.replace(year=year, month=index + 1, day=day), rotation.handover
        )
    return datetime.combine(rotation.start, rotation.handover) + rotation.length * turn


def turn_at(rotation: Rotation, wall: datetime) -> int:
    """The turn that runs at a naive wall time, were clocks never changed."""
    if rotation.unit is not Unit.MONTH:
        return (wall - wall_start(rotation, 0)) // rotation.length
    between = (wall.year - rotation.start.year) * 12 + wall.month - rotation.start.month
    turn = between // rotation.every
    return turn if wall_start(rotation, turn) <= wall else turn - 1


def shift(rotation: Rotation, turn: int, zone: ZoneInfo) -> Shift:
    """The shift of turn ``turn``; the rotation has members."""
    return Shift(
        rotation.members[turn % len(rotation.members)],
        first_occurrence(wall_start(rotation, turn), zone),
        last_occurrence(wall_start(rotation, turn + 1), zone),
    )


def shifts_between(rotation: Rotation, zone: ZoneInfo, start: float, end: float) -> list[Shift]:
    """The shifts that run at some time from ``start`` up to ``end`` (Unix seconds), by their start.

    Whole shifts: the first may begin before ``start``, the last end after ``end``.
    """
    if not rotation.people:
        return []
    # Slots may reach from one cycle into the next, by no more than a cycle (`rota_check`).
    reach = math.ceil(LARGEST_JUMP / rotation.length) + (rotation.unit is Unit.CUSTOM)
    first = turn_at(rotation, wall_at(start, zone)) - reach
    last = turn_at(rotation, wall_at(end, zone)) + reach
    found = (one for turn in range(first, last + 1) for one in _of_turn(rotation, turn, zone))
    running = [one for one in found if one.starts < end and one.ends > start]
    return sorted(running, key=lambda one: (one.starts, one.ends))


def layer_shifts(
    layer: Layer, calendar: DayCalendar, zone: ZoneInfo, start: float, end: float
) -> list[Shift]:
    """`shifts_between`, cut to the days on which the layer stands."""
    whole = shifts_between(layer.rotation, zone, start, end)
    if layer.days.always:
        return whole
    open_ = windows(layer.days, layer.rotation.handover, calendar, zone, start, end)
    cut = (
        Shift(one.member, max(one.starts, begins), min(one.ends, ceases))
        for one in whole
        for begins, ceases in open_
    )
    return sorted(
        (one for one in cut if one.starts < one.ends and one.starts < end and one.ends > start),
        key=lambda one: (one.starts, one.ends),
    )


def _of_turn(rotation: Rotation, turn: int, zone: ZoneInfo) -> Iterator[Shift]:
    if rotation.unit is not Unit.CUSTOM:
        yield shift(rotation, turn, zone)
        return
    cycle = wall_start(rotation, turn)
    for slot in rotation.slots:
        yield Shift(
            slot.member,
            first_occurrence(slot.wall_start(cycle), zone),
            last_occurrence(slot.wall_end(cycle), zone),
        )


def look_ahead(rotation: Rotation) -> float:
    """Seconds after which the next change of this rotation has surely come."""
    length = timedelta(days=31 * rotation.every) if rotation.unit is Unit.MONTH else rotation.length
    return (length + LARGEST_JUMP + timedelta(days=1)).total_seconds()
