"""How evenly equals shared the work of a day."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.dispatch.found import Found
from loadtest.dispatch.province import FIRST_TURN_HOUR, TURN_HOURS, Province

ENOUGH = 30
"""Consults of a line in a day below which its spread is chance; the day of 50,000 gives each some 120."""

_TURNS_A_DAY = 24 // TURN_HOURS


@dataclass(frozen=True, slots=True)
class Shares:
    """In shifts: a line's mean work a turn. NaN when the day was too small to tell.

    :param there: the widest of two doctors who were on call for the same requests in the same turn, both at a
        screen in every hour of it: equals. What sets them apart is whom the dispatcher rang, and chance.
    :param pairs: how many such.
    :param lines: the widest of two lines over the whole day, hours away from the screen included.
    """

    there: float
    pairs: int
    lines: float


def shares(found: Found, province: Province) -> Shares:
    there, lines = [], []
    for equals in province.firsts.values():
        work = [sum(found.accepts[one] for one in line) for line in equals]
        shift = sum(work) / len(work) / _TURNS_A_DAY
        if shift * _TURNS_A_DAY < ENOUGH:
            continue
        lines.append((max(work) - min(work)) / shift)
        for people in _present(equals, found):
            taken = [found.accepts[one] for one in people]
            there.append((max(taken) - min(taken)) / shift)
    return Shares(max(there, default=math.nan), len(there), max(lines, default=math.nan))


def _present(equals: list[tuple[str, ...]], found: Found) -> Iterator[list[str]]:
    """Turn by turn of the day: who had it, of each line; only turns in which none of them was away."""
    for first_hour in range(FIRST_TURN_HOUR - TURN_HOURS, 24 - TURN_HOURS + 1, TURN_HOURS):
        turn = (first_hour - FIRST_TURN_HOUR) // TURN_HOURS
        people = [line[turn % len(line)] for line in equals]
        hours = set(range(first_hour, first_hour + TURN_HOURS))
        if not any(found.away[one] & hours for one in people):
            yield people
