"""How far a day is, how fast it goes and when it will be over."""

from __future__ import annotations

from dataclasses import dataclass

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Reached:
    """A point of a day.

    :param clock_s: seconds after its midnight, counted.
    :param requests: made by then, of ``expected``.
    :param wall_s: seconds since the day began, real.
    """

    clock_s: float
    requests: int
    expected: int
    events: int
    kills: int
    wall_s: float

    @property
    def clock(self) -> str:
        """``13:35``; a day goes on after 24:00 until its last requests are done."""
        minutes = int(self.clock_s // 60)
        return f"{minutes // 60:02}:{minutes % 60:02}"


def progress(reached: Reached, before: Reached | None) -> str:
    """One line: what is done, at which rate since ``before``, how long the rest will take at that rate."""
    since = before or Reached(0.0, 0, 0, 0, 0, 0.0)
    took = max(reached.wall_s - since.wall_s, 1e-6)
    rate = (reached.events - since.events) / took
    per_request = reached.events / max(reached.requests, 1)
    left = (reached.expected - reached.requests) * per_request / rate / 60 if rate else 0.0
    return (
        f"{reached.clock}, {reached.requests} of {reached.expected} requests, {reached.events} events, "
        f"{rate:.0f}/s, {reached.kills} kills; {reached.wall_s / 60:.1f} min gone, about {left:.1f} left"
    )
