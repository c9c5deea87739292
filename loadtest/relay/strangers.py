"""Who else was on the two cores: what nobody of a measurement did falsifies it, and has to be told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.cpu import core_time, usage


@dataclass(frozen=True, slots=True)
class Strangers:
    """Looks at the cores of a measurement.

    :param cores: the server's and the traffic's.
    :param ours: processes of the measurement: the traffic's own and every forwarder's, those aside, too.
    """

    cores: Sequence[int]
    ours: Callable[[], Sequence[int]]

    def look(self) -> Look:
        """How much all and how much ours did up to now."""
        total = core_time(self.cores)
        return Look(time.perf_counter_ns(), total.busy_ns, total.stolen_ns, usage(self.ours()).cpu_ns)


@dataclass(frozen=True, slots=True)
class Look:
    """One moment; what lies between two of them is `since`."""

    at_ns: int
    busy_ns: int
    stolen_ns: int
    ours_ns: int

    def since(self, earlier: Look) -> float:
        """Percent of one core that strangers or other machines took; by ticks: +-2 in half a second."""
        strange = self.busy_ns - earlier.busy_ns - (self.ours_ns - earlier.ours_ns)
        strange += self.stolen_ns - earlier.stolen_ns
        return max(0.0, 100 * strange / (self.at_ns - earlier.at_ns))
