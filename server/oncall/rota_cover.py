"""Coverage: gaps ahead, who hands over to whom, and what a change would change. Sans-I/O."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from server.oncall.rota import Schedule
from server.oncall.rota_line import Stretch, timeline
from server.oncall.rota_time import LARGEST_JUMP


class Why(StrEnum):
    """Why a line is empty."""

    EMPTY_POOL = "empty_pool"  # no layer of it names anybody
    AWAY = "away"  # whose turn it is is on leave, was removed, or has left
    NO_SHIFT = "no_shift"  # no layer stands at this hour


@dataclass(frozen=True, slots=True)
class Gap:
    """Nobody on one line.

    :param nobody: nobody on any other line either, at some time of it: a request would find no one.
    :param missing: whose turn it would be.
    """

    level: int
    starts: float
    ends: float
    why: Why
    missing: tuple[str, ...]
    nobody: bool


def gaps(schedule: Schedule, start: float, end: float) -> list[Gap]:
    """The gaps from ``start`` up to ``end`` (Unix seconds), by their start."""
    lines = timeline(schedule, start, end)
    covered = [(one.starts, one.ends) for one in lines if one.people]
    found = [
        Gap(
            one.level,
            one.starts,
            one.ends,
            _why(schedule, one),
            one.missing,
            nobody=not _whole(covered, one.starts, one.ends),
        )
        for one in lines
        if not one.people
    ]
    return sorted(found, key=lambda each: (each.starts, each.level))


def _why(schedule: Schedule, one: Stretch) -> Why:
    if not any(layer.rotation.people for layer in schedule.layers if layer.level == one.level):
        return Why.EMPTY_POOL
    return Why.AWAY if one.missing else Why.NO_SHIFT


def _whole(covered: Sequence[tuple[float, float]], start: float, end: float) -> bool:
    """Whether the spans together cover ``start``..``end``."""
    reached = start
    for begins, ceases in sorted(covered):
        if begins > reached:
            break
        reached = max(reached, ceases)
    return reached >= end


@dataclass(frozen=True, slots=True)
class Handover:
    """On one line, ``leaving`` hand over to ``coming`` at ``at`` (Unix seconds).

    When both stand together for a while (a change of clocks), ``at`` is where the incoming ones begin.
    """

    level: int
    at: float
    leaving: tuple[str, ...]
    coming: tuple[str, ...]


def handovers(schedule: Schedule, start: float, end: float) -> list[Handover]:
    """The hand-overs after ``start`` and before ``end``, by time."""
    lines = timeline(schedule, start, end + LARGEST_JUMP.total_seconds())
    found: list[Handover] = []
    for level in schedule.levels:
        found += _of_line([one for one in lines if one.level == level], end)
    return sorted(found, key=lambda each: (each.at, each.level))


def _of_line(line: Sequence[Stretch], end: float) -> list[Handover]:
    found: list[Handover] = []
    told: tuple[str, ...] = ()
    for index, (before, after) in enumerate(pairwise(line)):
        coming = _without(after.people, before.people)
        leaving = _without(before.people, after.people)
        if not coming and set(leaving) <= set(told):
            continue  # the end of an overlap: told when it began
        if coming and not leaving and index + 2 < len(line):
            leaving = _without(before.people, line[index + 2].people)
        told = leaving
        if after.starts < end:
            found.append(Handover(after.level, after.starts, leaving, coming))
    return found


def _without(people: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(one for one in people if one not in others)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change makes of one stretch of one line."""

    level: int
    starts: float
    ends: float
    before: tuple[str, ...]
    after: tuple[str, ...]


def differences(old: Schedule, new: Schedule, start: float, end: float) -> list[Difference]:
    """Where two versions of a rota have different people, from ``start`` up to ``end``."""
    then, now = timeline(old, start, end), timeline(new, start, end)
    found: list[Difference] = []
    for level in sorted({*old.levels, *new.levels}):
        mine = [[one for one in lines if one.level == level] for lines in (then, now)]
        edges = sorted(
            {start, end, *(edge for line in mine for one in line for edge in (one.starts, one.ends))}
        )
        starts = [[one.starts for one in line] for line in mine]
        for begins, ceases in pairwise(edges):
            before, after = (_at(*line, begins) for line in zip(mine, starts, strict=True))
            if before != after:
                _append(found, Difference(level, begins, ceases, before, after))
    return sorted(found, key=lambda each: (each.starts, each.level))


def _at(line: Sequence[Stretch], starts: Sequence[float], at: float) -> tuple[str, ...]:
    """Who stands on a line, which has no holes and begins at ``starts``; nobody on one that is not there."""
    place = bisect_right(starts, at) - 1
    return line[place].people if place >= 0 and at < line[place].ends else ()


def _append(found: list[Difference], one: Difference) -> None:
    last = found[-1] if found else None
    if last and (last.level, last.ends, last.before, last.after) == (
        one.level,
        one.starts,
        one.before,
        one.after,
    ):
        found[-1] = Difference(one.level, last.starts, one.ends, one.before, one.after)
    else:
        found.append(one)
