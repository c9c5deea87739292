"""Which deliveries may leave now. No I/O.

Each service (a browser maker's push service, a gateway) has two lanes: one for rings, one for notices. What
hangs fills its own lane and no other: neither a ring nor somebody else's notice waits for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from server.reach.limits import (
    AT_ONCE,
    LONGEST_NOTICE_RETRY_S,
    LONGEST_RETRY_S,
    NOTICES_AT_ONCE,
    NOTICES_WAITING,
    WAITING,
)


class Rank(IntEnum):
    """The lower is claimed first."""

    RING = 0
    NOTICE = 1

    @property
    def at_once(self) -> int:
        """Requests under way together to one service."""
        return AT_ONCE if self is Rank.RING else NOTICES_AT_ONCE

    @property
    def waiting(self) -> int:
        """How many may wait for one service."""
        return WAITING if self is Rank.RING else NOTICES_WAITING

    @property
    def longest_retry_s(self) -> float:
        return LONGEST_RETRY_S if self is Rank.RING else LONGEST_NOTICE_RETRY_S


@dataclass(frozen=True, slots=True, order=True)
class Lane:
    rank: Rank
    service: str


@dataclass(slots=True)
class Lanes:
    """What is under way from this process."""

    under_way: Counter[Lane] = field(default_factory=Counter)

    def room(self, lane: Lane) -> int:
        return lane.rank.at_once - self.under_way[lane]

    def open(self, fronts: Mapping[Lane, float], now: float) -> list[tuple[Lane, int]]:
        """Lanes with something due and room for it, and for how much; rings first.

        :param fronts: when the first of each lane is due, Unix seconds.
        """
        due = sorted(lane for lane, at in fronts.items() if at <= now)
        return [(lane, self.room(lane)) for lane in due if self.room(lane) > 0]

    def next_at(self, fronts: Mapping[Lane, float]) -> float | None:
        """When there is something to start next; a full lane waits for the end of what is under way."""
        return min((at for lane, at in fronts.items() if self.room(lane) > 0), default=None)

    def enter(self, lane: Lane) -> None:
        self.under_way[lane] += 1

    def leave(self, lane: Lane) -> None:
        self.under_way[lane] -= 1
        if not self.under_way[lane]:
            del self.under_way[lane]
