"""Who is on call: at an instant, and stretch by stretch through a span of time. Sans-I/O.

A line at an instant: the highest layer that has anybody left after removals, replacements and leave; then the
overrides in their order; nobody on leave, nobody whose account ended. What holds between two boundaries (a
start or an end of a shift, an override, a leave) holds for all of it, so both questions are one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from zoneinfo import ZoneInfo

from server.oncall.rota import Change, OnCall, Override, Schedule, Shift
from server.oncall.rota_shifts import layer_shifts, look_ahead

HOLDS_S = 3600.0
"""So far ahead is looked for the next change of a line; longer costs more shifts to reckon."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """One line through a span in which nothing changes.

    :param people: in the order in which to ring; empty = a gap.
    :param missing: whose turn it would be: those whom leave, a removal or the end of an account took away.
    """

    level: int
    starts: float
    ends: float
    people: tuple[str, ...]
    missing: tuple[str, ...] = ()


class Rows:
    """The shifts of a schedule in one span, ready to be asked at any instant of it."""

    def __init__(self, schedule: Schedule, start: float, end: float) -> None:
        zone = ZoneInfo(schedule.zone)
        self._schedule = schedule
        self._layers: dict[int, list[_Row]] = {}
        for layer in sorted(schedule.layers, key=lambda each: -each.rank):
            shifts = layer_shifts(layer, schedule.calendar, zone, start, end)
            self._layers.setdefault(layer.level, []).append(_Row(shifts))

    def line(self, level: int, at: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(who is on call, who would be but is away) on one line at ``at``."""
        schedule = self._schedule
        away = {one.member for one in schedule.leave if one.runs(at)} | schedule.gone
        changes = [one for one in schedule.overrides if one.level == level and one.runs(at)]
        own = [one for one in changes if one.change is not Change.ADD and (one.who or one.by is None)]
        chosen: list[str] = []
        due: list[str] = []
        for row in self._layers.get(level, ()):
            running = row.running(at)
            due += [one for one in running if one not in due]
            if not chosen and _changed(running, own, away):
                chosen = running
        people = _changed(chosen, changes, away)
        return tuple(people), () if people else tuple(due)

    def boundaries(self) -> Iterable[float]:
        for rows in self._layers.values():
            for row in rows:
                for one in row.shifts:
                    yield one.starts
                    yield one.ends
        yield from (edge for one in self._schedule.overrides for edge in (one.starts, one.ends))
        yield from (edge for one in self._schedule.leave for edge in (one.starts, one.ends))


class _Row:
    """The shifts of one layer by their start."""

    def __init__(self, shifts: Sequence[Shift]) -> None:
        self.shifts = shifts
        self._starts = [one.starts for one in shifts]
        self._longest = max((one.ends - one.starts for one in shifts), default=0.0)

    def running(self, at: float) -> list[str]:
        """Who has the turn, the newest shift first: the incoming one is rung before the outgoing."""
        found: list[str] = []
        for index in range(bisect_right(self._starts, at) - 1, -1, -1):
            one = self.shifts[index]
            if one.starts + self._longest <= at:
                break
            if one.ends > at and one.member not in found:
                found.append(one.member)
        return found


def _changed(running: Sequence[str], changes: Iterable[Override], away: Iterable[str]) -> list[str]:
    line = list(running)
    for one in changes:
        if one.change is Change.REMOVE:
            line = [each for each in line if each != one.who]
        elif one.by is not None:
            if one.change is Change.ADD:
                line.append(one.by)
            else:
                line = [one.by] if one.who is None else [one.by if e == one.who else e for e in line]
            line = list(dict.fromkeys(line))
    return [each for each in line if each not in away]


def on_call(schedule: Schedule, at: float) -> OnCall:
    """Who is on call at ``at``: line by line, nobody twice.

    Never empty while any layer that always stands has members who are not away.
    """
    ahead = max((look_ahead(one.rotation) for one in schedule.layers if one.rotation.people), default=0.0)
    rows = Rows(schedule, at, at + ahead)
    order = (one for level in schedule.levels for one in rows.line(level, at)[0])
    later = [each for each in rows.boundaries() if each > at]
    if ahead and not later:
        later = [at + ahead]  # a layer that stands on few days: at least so long nothing changes
    return OnCall(tuple(dict.fromkeys(order)), min(later, default=None))


def lines_at(schedule: Schedule, at: float) -> list[tuple[int, tuple[str, ...]]]:
    """(line, who is on call on it) at ``at``, the first line in front; a gap is an empty line."""
    rows = Rows(schedule, at, at + 1.0)
    return [(level, rows.line(level, at)[0]) for level in schedule.levels]


def lines_until(schedule: Schedule, at: float) -> tuple[list[tuple[int, tuple[str, ...]]], float]:
    """`lines_at`, and until when that holds: at most `HOLDS_S`."""
    rows = Rows(schedule, at, at + HOLDS_S)
    later = min((each for each in rows.boundaries() if each > at), default=at + HOLDS_S)
    return [(level, rows.line(level, at)[0]) for level in schedule.levels], min(later, at + HOLDS_S)


def timeline(schedule: Schedule, start: float, end: float) -> list[Stretch]:
    """Each line from ``start`` up to ``end``, without holes: neighbours differ, empty ones are gaps."""
    rows = Rows(schedule, start, end)
    inside = {each for each in rows.boundaries() if start < each < end}
    edges = [start, *sorted(inside), end]
    found: list[Stretch] = []
    for level in schedule.levels:
        line: list[Stretch] = []
        for begins, ceases in pairwise(edges):
            people, missing = rows.line(level, begins)
            if line and (line[-1].people, line[-1].missing) == (people, missing):
                line[-1] = replace(line[-1], ends=ceases)
            else:
                line.append(Stretch(level, begins, ceases, people, missing))
        found += line
    return found


def duties(schedule: Schedule, start: float, end: float) -> list[tuple[int, Shift]]:
    """What each person does: (level, shift) by start; the same person's neighbouring stretches are one.

    Two shifts of one rotation that follow each other under one name are one duty as well.
    """
    found: list[tuple[int, Shift]] = []
    running: dict[tuple[int, str], Shift] = {}
    for one in sorted(timeline(schedule, start, end), key=lambda each: each.starts):
        for person in one.people:
            known = running.get((one.level, person))
            if known is not None and known.ends == one.starts:
                running[one.level, person] = replace(known, ends=one.ends)
                continue
            if known is not None:
                found.append((one.level, known))
            running[one.level, person] = Shift(person, one.starts, one.ends)
    found += [(level, each) for (level, _), each in running.items()]
    return sorted(found, key=lambda each: (each[1].starts, each[0], each[1].member))
