"""The one clock. Logic never asks the machine for the time: it is handed ``now``, or a `Clock`.

The clock stands in the lowest layer because every layer above is given the same instance.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back. For intervals and timers."""
        ...

    def wall(self) -> float:
        """Unix time in seconds (UTC). For what is kept or shown to people."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


class CountedClock:
    """A clock for tests and simulations: it moves only when it is told to.

    :param monotonic: first monotonic reading, seconds.
    :param wall: first wall reading, Unix seconds (2026-01-01T00:00:00Z unless told).
    """

    def __init__(self, monotonic: float = 0.0, wall: float = 1_767_225_600.0) -> None:
        self._monotonic = monotonic
        self._wall = wall

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> float:
        return self._wall

    def advance(self, seconds: float) -> None:
        """Move both readings forward by ``seconds`` (>= 0)."""
        if seconds < 0:
            raise ValueError("a counted clock does not go back; use step_wall")
        self._monotonic += seconds
        self._wall += seconds

    def step_wall(self, seconds: float) -> None:
        """Let the wall clock jump, as an operator or NTP may do; monotonic time is untouched."""
        self._wall += seconds
