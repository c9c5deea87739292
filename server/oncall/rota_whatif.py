"""What a change of a rota would do: who stands when, gaps, one person on two lines, long turns. Sans-I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from server.oncall.limits import UNBROKEN_S
from server.oncall.rota import Layer, Schedule, Unit
from server.oncall.rota_cover import Difference, Gap, differences, gaps
from server.oncall.rota_line import duties, timeline

LOOK_S = 8 * 86_400.0
"""How far around a change a turn is followed: whoever has stood for a week and a day has stood too long."""

CLOCKS_S = 2 * 3600.0
"""A change of clocks makes a turn longer by no more, but for whole days left out; that is no long turn."""

Span = tuple[float, float]
"""From, up to: Unix seconds."""


@dataclass(frozen=True, slots=True)
class Twice:
    """``person`` would stand on more lines at once than now: two names on paper, one doctor."""

    person: str
    starts: float
    ends: float


@dataclass(frozen=True, slots=True)
class Unbroken:
    """``person`` would stand on one line longer than its turns last and `UNBROKEN_S`, and longer than now."""

    person: str
    level: int
    starts: float
    ends: float


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What one rota becomes. ``gaps``: all there would be; ``new_gaps``: those the change makes."""

    differences: tuple[Difference, ...]
    gaps: tuple[Gap, ...]
    new_gaps: tuple[Gap, ...]
    twice: tuple[Twice, ...]
    unbroken: tuple[Unbroken, ...]


def what_if(old: Schedule, new: Schedule, spans: Iterable[Span]) -> WhatIf:
    """What ``new`` changes in the place of ``old`` within ``spans``; of further rotas see `beside`."""
    parts = [_one(old, new, span) for span in joined(spans)]
    return WhatIf(
        tuple(one for part in parts for one in part.differences),
        tuple(one for part in parts for one in part.gaps),
        tuple(one for part in parts for one in part.new_gaps),
        tuple(one for part in parts for one in part.twice),
        tuple(dict.fromkeys(one for part in parts for one in part.unbroken)),
    )


def beside(
    found: WhatIf, old: Schedule, new: Schedule, spans: Iterable[Span], others: Sequence[Schedule]
) -> WhatIf:
    """The same, with those others counted on which the same people may stand at the same time."""
    people = comers(found.differences)
    twice = [_twice(old, new, span, others, people) for span in joined(spans)]
    return replace(found, twice=tuple(one for part in twice for one in part))


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same time in spans that do not touch, by their start; empty ones are left out."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def comers(changes: Iterable[Difference]) -> frozenset[str]:
    """Whoever would stand where they do not stand now."""
    return frozenset(one for each in changes for one in each.after if one not in each.before)


def unseen(made: Iterable[tuple[int, float, float]], seen: Iterable[tuple[int, float, float]]) -> bool:
    """Whether a gap of ``made`` (line, from, to) reaches beyond those of ``seen``, by a second or more."""
    known: dict[int, list[Span]] = {}
    for level, start, end in seen:
        known.setdefault(level, []).append((start - 1.0, end + 1.0))
    whole = {level: joined(spans) for level, spans in known.items()}
    return not all(
        any(begins <= start and end <= ceases for begins, ceases in whole.get(level, ()))
        for level, start, end in made
    )


def _one(old: Schedule, new: Schedule, span: Span) -> WhatIf:
    start, end = span
    found = differences(old, new, start, end)
    after = gaps(new, start, end)
    emptied = [one for one in found if not one.after]
    return WhatIf(
        tuple(found),
        tuple(after),
        tuple(gap for gap in after if any(_within(one, gap) for one in emptied)),
        tuple(_twice(old, new, span, (), comers(found))),
        tuple(_unbroken(old, new, span, found)),
    )


def _within(one: Difference, gap: Gap) -> bool:
    return one.level == gap.level and gap.starts <= one.starts and one.ends <= gap.ends


def _twice(
    old: Schedule, new: Schedule, span: Span, others: Sequence[Schedule], people: frozenset[str]
) -> list[Twice]:
    elsewhere = _posts(others, span, people)
    then, now = (_posts([one], span, people) for one in (old, new))
    found: list[Twice] = []
    for person in sorted(people):
        rest = elsewhere.get(person, [])
        before, after = then.get(person, []) + rest, now.get(person, []) + rest
        edges = sorted({edge for post in before + after for edge in post})
        for starts, ends in pairwise(edges):
            held = _held(after, starts)
            if held > 1 and held > _held(before, starts):
                last = found[-1] if found else None
                if last is not None and (last.person, last.ends) == (person, starts):
                    found[-1] = replace(last, ends=ends)
                else:
                    found.append(Twice(person, starts, ends))
    return found


def _held(posts: Iterable[Span], at: float) -> int:
    return sum(1 for starts, ends in posts if starts <= at < ends)


def _posts(schedules: Iterable[Schedule], span: Span, people: frozenset[str]) -> dict[str, list[Span]]:
    """When each of ``people`` stands on any line."""
    found: dict[str, list[Span]] = {}
    for schedule in schedules:
        for one in timeline(schedule, *span):
            for person in people.intersection(one.people):
                found.setdefault(person, []).append((one.starts, one.ends))
    return found


def _unbroken(old: Schedule, new: Schedule, span: Span, found: Sequence[Difference]) -> list[Unbroken]:
    around = span[0] - LOOK_S, span[1] + LOOK_S
    came = {(each.level, one) for each in found for one in comers([each])}
    if not came:
        return []
    then = [(level, one) for level, one in duties(old, *around) if (level, one.member) in came]
    longer: list[Unbroken] = []
    for level, one in duties(new, *around):
        lasts = one.ends - one.starts
        if (level, one.member) not in came or lasts <= _turn_s(new, level) + CLOCKS_S:
            continue
        before = (
            known.ends - known.starts
            for line, known in then
            if (line, known.member) == (level, one.member)
            and known.starts < one.ends
            and known.ends > one.starts
        )
        if lasts > max(before, default=0.0):
            longer.append(Unbroken(one.member, level, one.starts, one.ends))
    return longer


def _turn_s(schedule: Schedule, level: int) -> float:
    """The longest that somebody is meant to stand on a line at a stretch, seconds."""
    turns = (_longest(layer) for layer in schedule.layers if layer.level == level)
    return max(UNBROKEN_S, *turns, 0.0)


def _longest(layer: Layer) -> float:
    rotation = layer.rotation
    if rotation.unit is Unit.CUSTOM:
        return max((slot.minutes * 60.0 for slot in rotation.slots), default=0.0)
    days = 3 * rotation.every if rotation.unit is Unit.MONTH else 0  # of 28 days, some months have 31
    return rotation.length.total_seconds() + days * 86_400.0
