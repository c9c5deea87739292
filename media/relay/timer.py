"""The one timer of a process: wakes what is due, and nothing while nothing is due."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from math import ceil, floor, inf
from typing import Protocol

from media.clock import Clock
from media.limits import TIMER_SLOT_S, TIMER_TURN

_AGAIN_S = 1.0
"""Plan for a member until its call has returned: were it to raise, it is called again then."""


def following(now: float, interval_s: float, phase: float) -> float:
    """The first of the moments after ``now`` that lie an interval apart.

    :param phase: where they lie, 0..1 of the interval.
    """
    return (floor(now / interval_s - phase) + 1 + phase) * interval_s


class Ticking(Protocol):
    """Does what is due, and says when it wants to be called again (monotonic seconds, inf for never)."""

    def tick(self, now: float) -> float: ...


class Wheel:
    """Who is due when, in slots of `TIMER_SLOT_S`. No I/O.

    Each member stands in one slot; the earliest wish counts until it was called.
    """

    def __init__(self) -> None:
        self._slot_of: dict[Ticking, int] = {}
        self._members: dict[int, set[Ticking]] = {}
        self._slots: list[int] = []

    def schedule(self, member: Ticking, due: float) -> None:
        """Wake ``member`` at ``due`` or, when it is planned earlier already, then."""
        if due == inf:
            return
        slot = ceil(due / TIMER_SLOT_S)
        planned = self._slot_of.get(member)
        if planned is not None:
            if planned <= slot:
                return
            self._members[planned].discard(member)
        self._slot_of[member] = slot
        if slot not in self._members:
            self._members[slot] = set()
            heappush(self._slots, slot)
        self._members[slot].add(member)

    def remove(self, member: Ticking) -> None:
        slot = self._slot_of.pop(member, None)
        if slot is not None:
            self._members[slot].discard(member)

    @property
    def due(self) -> float:
        """When `run` is to be called; inf when nobody waits."""
        while self._slots and not self._members[self._slots[0]]:
            del self._members[heappop(self._slots)]
        return self._slots[0] * TIMER_SLOT_S if self._slots else inf

    def run(self, now: float) -> None:
        """Call who is due, each once, `TIMER_TURN` of them at most: the rest stays due.

        One that raises is tried again, and harms no other.
        """
        due: list[Ticking] = []
        while len(due) < TIMER_TURN and self.due <= now:
            members = self._members[self._slots[0]]
            while members and len(due) < TIMER_TURN:
                due.append(members.pop())
        for member in due:
            del self._slot_of[member]
            self.schedule(member, now + _AGAIN_S)
        for member in due:
            following = max(member.tick(now), now + TIMER_SLOT_S / 2)
            self.remove(member)
            self.schedule(member, following)


class RelayTimer:
    """Drives a `Wheel` from the running event loop; one for all routers of a process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wheel = Wheel()
        self._handle: asyncio.TimerHandle | None = None
        self._planned = inf
        self._closed = False

    def schedule(self, member: Ticking, due: float) -> None:
        """Have ``member.tick`` called at ``due`` (the clock's monotonic seconds)."""
        self._wheel.schedule(member, due)
        self._plan()

    def remove(self, member: Ticking) -> None:
        self._wheel.remove(member)

    def close(self) -> None:
        """Idempotent."""
        self._closed = True
        if self._handle is not None:
            self._handle.cancel()

    def _plan(self) -> None:
        due = self._wheel.due
        if self._closed or due >= self._planned:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._planned = due
        delay = max(0.0, due - self._clock.monotonic())
        if delay:
            # uvloop counts in whole milliseconds from one that has begun: without these two it fires too
            # early, finds nothing due, and does so several times more.
            delay = (ceil(delay * 1000) + 1) / 1000
        self._handle = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._handle = None
        self._planned = inf
        try:
            self._wheel.run(self._clock.monotonic())
        finally:
            self._plan()
