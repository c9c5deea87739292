"""Planned consults into slots at the least cost, and times when everybody is free. Sans-I/O.

The assignment is the rectangular linear sum assignment problem (Crouse 2016), solved by SciPy. It knows of
experts; that one requester or member is wanted by two consults at once is seen afterwards, and put right.
Times are Unix seconds; a span runs from its start up to, not including, its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

Span = tuple[float, float]
Barred = set[tuple[str, float]]
"""(consult, start) that must not be."""

ROUNDS = 20
"""Plans made until nobody is wanted twice at a time; who still is then gets what is left over."""

_NEVER = 1e12
"""The cost of what cannot be: more than any sum of what can, so it is chosen when nothing else is left."""

_LEFT_OUT = 1e9
"""The cost of a consult without a slot: more than the longest wait of all others together."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A consult that wants a time.

    :param expert_id: who accepted it; None: anybody of the specialty.
    :param earliest: not before.
    :param weight: what an hour of waiting costs; 1 is a routine request.
    :param people: who else has to be there, and can be in one consult at a time.
    :param starts: the times that suit all of them; None: any.
    """

    consultation_id: str
    specialty: str
    expert_id: str | None
    earliest: float
    weight: float = 1.0
    people: frozenset[str] = frozenset()
    starts: frozenset[float] | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """One expert has time. ``load``: how many planned consults they have that day already."""

    expert_id: str
    specialties: frozenset[str]
    starts: float
    load: int = 0


@dataclass(frozen=True, slots=True)
class Assigned:
    consultation_id: str
    expert_id: str
    starts: float


LOAD_HOURS = 2.0
"""A consult more on an expert's day weighs as much as so many hours of waiting."""


def assign(wishes: Sequence[Wish], slots: Sequence[Slot]) -> list[Assigned]:
    """Every wish that fits a slot of its own, at the least sum of costs, in the order of time.

    As many as possible are placed; among those plans the one with the least waiting (by weight) and the most
    even days. Where two of it want the same person at the same time the dearer stays and the other gives way,
    which is the least cost no more, but a plan that can be kept. The same input gives the same plan.

    :param slots: of one grid: two that begin at different times do not overlap.
    """
    if not wishes or not slots:
        return []
    wishes = sorted(wishes, key=lambda one: one.consultation_id)
    slots = sorted(slots, key=lambda one: (one.starts, one.expert_id))
    known = {one.consultation_id: one for one in wishes}
    barred: Barred = set()
    for _ in range(ROUNDS):
        plan = _cheapest(wishes, slots, barred)
        twice = _wanted_twice(plan, known)
        if not twice:
            break
        barred |= twice
    kept = [one for one in plan if (one.consultation_id, one.starts) not in twice]
    kept += _left_over(wishes, slots, kept)
    return sorted(kept, key=lambda one: (one.starts, one.consultation_id))


def _cheapest(wishes: Sequence[Wish], slots: Sequence[Slot], barred: Barred) -> list[Assigned]:
    # A column of its own for each wish: to be left out is allowed, but dear.
    costs = np.full((len(wishes), len(slots) + len(wishes)), _NEVER)
    of_expert: dict[str, list[int]] = {}
    for column, slot in enumerate(slots):
        of_expert.setdefault(slot.expert_id, []).append(column)
    for row, wish in enumerate(wishes):
        costs[row, len(slots) + row] = _LEFT_OUT
        columns = range(len(slots)) if wish.expert_id is None else of_expert.get(wish.expert_id, ())
        for column in columns:
            if _fits(wish, slots[column]) and (wish.consultation_id, slots[column].starts) not in barred:
                costs[row, column] = _cost(wish, slots[column])
    rows, found = linear_sum_assignment(costs)
    return [
        Assigned(wishes[row].consultation_id, slots[column].expert_id, slots[column].starts)
        for row, column in zip(rows, found, strict=True)
        if column < len(slots)
    ]


def _cost(wish: Wish, slot: Slot) -> float:
    return wish.weight * (slot.starts - wish.earliest) / 3600.0 + LOAD_HOURS * slot.load


def _wanted_twice(plan: Sequence[Assigned], known: Mapping[str, Wish]) -> Barred:
    """Those whose people are in a dearer consult then."""
    dearest = sorted(plan, key=lambda one: (-known[one.consultation_id].weight, one.consultation_id))
    there: dict[float, set[str]] = {}
    twice: Barred = set()
    for one in dearest:
        people, taken = (
            known[one.consultation_id].people | {one.expert_id},
            there.setdefault(one.starts, set()),
        )
        if taken.isdisjoint(people):
            taken |= people
        else:
            twice.add((one.consultation_id, one.starts))
    return twice


def _left_over(wishes: Sequence[Wish], slots: Sequence[Slot], kept: Sequence[Assigned]) -> list[Assigned]:
    """Whoever gave way takes what nobody else has, the cheapest first."""
    known = {one.consultation_id: one for one in wishes}
    gone = {(one.expert_id, one.starts) for one in kept}
    plan = list(kept)
    for wish in sorted(known.keys() - {one.consultation_id for one in kept}):
        free = [one for one in slots if _fits(known[wish], one) and (one.expert_id, one.starts) not in gone]
        for slot in sorted(free, key=lambda one: _cost(known[wish], one)):
            tried = Assigned(wish, slot.expert_id, slot.starts)
            if not _wanted_twice([*plan, tried], known):
                plan.append(tried)
                gone.add((slot.expert_id, slot.starts))
                break
    return plan[len(kept) :]


def _fits(wish: Wish, slot: Slot) -> bool:
    if slot.starts < wish.earliest or (wish.starts is not None and slot.starts not in wish.starts):
        return False
    if wish.expert_id is not None:
        return wish.expert_id == slot.expert_id
    return wish.specialty in slot.specialties


def merged(spans: Iterable[Span]) -> list[Span]:
    """Without overlaps, in order; what is empty is left out."""
    found: list[Span] = []
    for start, end in sorted(one for one in spans if one[0] < one[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def free_starts(
    busy: Mapping[str, Iterable[Span]], hours: Iterable[Span], lasts_s: float, every_s: float, at_most: int
) -> list[float]:
    """Starts at which everybody of ``busy`` is free for ``lasts_s``, the earliest first.

    :param busy: person -> what they have to do.
    :param hours: when consults may be; they start every ``every_s`` from the beginning of each span.
    """
    taken = merged(one for spans in busy.values() for one in spans)
    found: list[float] = []
    for opens, closes in merged(hours):
        start = opens
        while start + lasts_s <= closes and len(found) < at_most:
            in_the_way = next((one for one in taken if one[0] < start + lasts_s and one[1] > start), None)
            if in_the_way is None:
                found.append(start)
                start += every_s
            else:  # on to the first start after it
                start += every_s * max(1, -(-(in_the_way[1] - start) // every_s))
    return found
