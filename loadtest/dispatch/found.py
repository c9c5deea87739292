"""What a day counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Found:
    """What was counted."""

    urgent: int = 0  # requests, those of which only a later look told included
    ring_ms: list[float] = field(default_factory=list)  # urgent, from the request to the first ring
    unrung: int = 0  # urgent requests that rang nobody at once
    decision_ms: list[float] = field(default_factory=list)  # the whole transaction around one decision
    first_ms: list[float] = field(default_factory=list)  # of those, the first one after each kill
    accept_s: list[float] = field(default_factory=list)  # urgent
    in_place_s: list[float] = field(default_factory=list)  # urgent; those who never were are infinite
    silent: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)
    accepts: Counter[str] = field(default_factory=Counter)  # by doctor
    away: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Doctor -> hours of the day in which they were at no screen."""
    done: Counter[str] = field(default_factory=Counter)  # commands and their refusals
    kills: int = 0
    events: int = 0
    audit: int | None = None
    """Entries of a chain that is whole, -1 = broken; None: not walked along yet."""
