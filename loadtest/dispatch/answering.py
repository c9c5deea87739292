"""How people answer: the stated model of a day. Pure functions of a random source.

Every number is a parameter of `Habits`, which the report carries among its conditions.
"""

from __future__ import annotations

import math
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from random import Random

DAY_S = 86_400.0

BY_HOUR = (1, 1, 1, 1, 1, 2, 3, 5, 9, 10, 10, 9, 7, 7, 8, 9, 8, 6, 5, 4, 4, 3, 2, 1)
"""How many requests an hour of the day has, as parts: a clinic's morning and afternoon."""

ONLINE_BY_HOUR = (
    0.80, 0.78, 0.76, 0.76, 0.78, 0.82, 0.88, 0.93, 0.96, 0.97, 0.97, 0.96,
    0.93, 0.93, 0.95, 0.96, 0.96, 0.95, 0.93, 0.92, 0.91, 0.89, 0.86, 0.83,
)  # fmt: skip
"""Probability that somebody on call sits at a screen or has the page on the telephone, by hour of the day."""


@dataclass(frozen=True, slots=True)
class Habits:
    """Times are medians of log-normal ones, seconds; ``spread`` is their sigma; the rest probabilities."""

    answer_s: float = 20.0
    spread: float = 0.8
    decline: float = 0.06
    no_answer: float = 0.12
    no_show: float = 0.02
    release: float = 0.01
    arrive_s: float = 60.0
    session_s: float = 480.0
    read_s: float = 240.0
    opinion_s: float = 150.0
    acknowledge_s: float = 600.0
    triage_s: float = 300.0
    urgent: float = 0.40
    diagnostic: float = 0.45

    def lasts(self, random: Random, median_s: float) -> float:
        return median_s * math.exp(random.gauss(0.0, self.spread))


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody who is rung does, after so many seconds; None = nothing."""

    action: str | None
    after_s: float


def answer(random: Random, habits: Habits) -> Answer:
    after = habits.lasts(random, habits.answer_s)
    drawn = random.random()
    if drawn < habits.no_answer:
        return Answer(None, after)
    if drawn < habits.no_answer + habits.decline:
        return Answer("decline", after)
    return Answer("accept", after)


def arrivals(random: Random, requests: int, day_s: float = DAY_S) -> list[float]:
    """When requests come, seconds after the day's midnight, ascending."""
    edges = list(accumulate(BY_HOUR))
    times = []
    for _ in range(requests):
        drawn = random.random() * edges[-1]
        hour = bisect(edges, drawn)
        times.append((hour + random.random()) / 24.0 * day_s)
    return sorted(times)


def kind(random: Random, habits: Habits) -> str:
    drawn = random.random()
    if drawn < habits.urgent:
        return "urgent"
    return "diagnostic" if drawn < habits.urgent + habits.diagnostic else "routine"


def online(random: Random, now_s: float) -> bool:
    """``now_s``: seconds after midnight."""
    return random.random() < ONLINE_BY_HOUR[int(now_s // 3600) % 24]
