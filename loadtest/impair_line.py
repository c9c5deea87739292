"""What a bad line does to packets, as a model: packets and ``now`` in, packets out later or never.

Nothing here waits, reads a clock or owns a socket. ``now`` is seconds on any clock that only goes forward,
rates are bits per second of whole IP packets. All chance comes from one seed, so a run can be repeated.

A packet first waits its turn for the line's rate in a bounded queue (drop tail, as the modem of a village
clinic), takes ``size / rate`` to be sent, may then be lost on the way, and arrives after the delay. Packets
never overtake each other.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

QUEUE_SECONDS = 0.3
"""How much a rate-limited line holds when nobody says otherwise: what cheap routers and LTE cells buffer."""
MIN_QUEUE_BYTES = 6_000
"""Four full packets: below that no queue could pass even one video frame."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """One direction of a line.

    :param delay_ms: from the end of sending to the arrival.
    :param loss_percent: share of packets that never arrive.
    :param burst_packets: mean length of a run of lost packets (Gilbert-Elliott with a good state that loses
        nothing and a bad state that loses all); 0 or 1 means that each packet is lost independently.
    :param rate_kbps: kilobits per second; None means that sending takes no time.
    :param queue_ms: how long the last packet that still fits waits at ``rate_kbps``.
    :param cut: nothing passes at all.
    """

    delay_ms: float = 0.0
    loss_percent: float = 0.0
    burst_packets: float = 0.0
    rate_kbps: float | None = None
    queue_ms: float = QUEUE_SECONDS * 1000
    cut: bool = False

    def __post_init__(self) -> None:
        if self.delay_ms < 0 or not 0 <= self.loss_percent <= 100 or self.burst_packets < 0:
            raise ValueError("delay and burst must not be negative, loss is a percentage")
        if self.rate_kbps is not None and self.rate_kbps <= 0:
            raise ValueError("a rate is positive; a line that passes nothing is cut")

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Conditions:
        """From `as_json`; `TypeError` for an unknown name."""
        return cls(**value)

    def as_json(self) -> dict[str, Any]:
        """Only what differs from a perfect line."""
        perfect = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != perfect[name]}

    @property
    def queue_bytes(self) -> float:
        """Bytes that may wait for a line of this rate; without a rate nothing waits."""
        if self.rate_kbps is None:
            return 0.0
        return max(MIN_QUEUE_BYTES, self.rate_kbps / 8 * self.queue_ms)


class Loss:
    """Which packets are lost: independently or in bursts."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._bad = False

    def lost(self, conditions: Conditions) -> bool:
        """Draw once, for one packet."""
        share = conditions.loss_percent / 100
        if share in (0.0, 1.0):
            self._bad = False
            return bool(share)
        if conditions.burst_packets <= 1:
            return self._random.random() < share
        # Stationary share of the bad state = enter / (enter + leave), mean stay in it = 1 / leave.
        leave = 1 / conditions.burst_packets
        enter = leave * share / (1 - share)
        draw = self._random.random()
        self._bad = draw >= leave if self._bad else draw < enter
        return self._bad


@dataclass(slots=True)
class Counters:
    """What became of the packets so far."""

    sent: int = 0
    arrived: int = 0
    lost: int = 0
    overflowed: int = 0
    cut: int = 0
    queue_peak_bytes: int = 0


class Line:
    """One direction of one line.

    `steps` are conditions that replace each other at given times. `send` takes a packet, `due` gives the
    packets that have arrived by now, `next_due` says when to look again.
    """

    def __init__(self, seed: int, conditions: Conditions | None = None) -> None:
        self.conditions = conditions or Conditions()
        self.counters = Counters()
        self._loss = Loss(seed)
        self._steps: deque[tuple[float, Conditions]] = deque()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._waiting_bytes = 0
        self._free_at = 0.0
        self._flying: deque[tuple[float, bytes]] = deque()
        self._last_arrival = 0.0

    def plan(self, steps: Sequence[tuple[float, Conditions]]) -> None:
        """Replace what was planned: from each time on, the conditions beside it."""
        self._steps = deque(sorted(steps, key=lambda step: step[0]))

    def send(self, packet: bytes, now: float) -> None:
        """Give a packet to the line."""
        self._advance(now)
        self.counters.sent += 1
        conditions = self.conditions
        if conditions.cut:
            self.counters.cut += 1
        elif conditions.rate_kbps is not None and self._waiting_bytes + len(packet) > conditions.queue_bytes:
            self.counters.overflowed += 1
        else:
            self._waiting.append((now, packet))
            self._waiting_bytes += len(packet)
            self.counters.queue_peak_bytes = max(self.counters.queue_peak_bytes, self._waiting_bytes)
            self._serve(now)

    def due(self, now: float) -> list[bytes]:
        """The packets that have arrived by ``now``, in the order in which they were sent."""
        self._advance(now)
        arrived = []
        while self._flying and self._flying[0][0] <= now:
            arrived.append(self._flying.popleft()[1])
        self.counters.arrived += len(arrived)
        return arrived

    def next_due(self) -> float | None:
        """When `due` may have something new; None while nothing is on its way and nothing is planned."""
        times = [queue[0][0] for queue in (self._flying, self._steps) if queue]
        if self._waiting:
            times.append(self._free_at)
        return min(times, default=None)

    def _advance(self, now: float) -> None:
        while self._steps and self._steps[0][0] <= now:
            at, conditions = self._steps.popleft()
            # What begins to be sent at the very moment of the step is sent under the new conditions.
            self._serve(math.nextafter(at, -math.inf))
            self.conditions = conditions
            if conditions.cut:
                self._drop_all(at)
        self._serve(now)

    def _drop_all(self, now: float) -> None:
        """What is on a line that is cut is gone; what has arrived by then is not."""
        arrived = deque(item for item in self._flying if item[0] <= now)
        self.counters.cut += len(self._waiting) + len(self._flying) - len(arrived)
        self._flying = arrived
        self._waiting.clear()
        self._waiting_bytes = 0

    def _serve(self, now: float) -> None:
        while self._waiting and self._free_at <= now:
            since, packet = self._waiting.popleft()
            self._waiting_bytes -= len(packet)
            rate = self.conditions.rate_kbps
            self._free_at = max(self._free_at, since) + (len(packet) * 8 / (rate * 1000) if rate else 0.0)
            if self._loss.lost(self.conditions):
                self.counters.lost += 1
                continue
            arrival = max(self._free_at + self.conditions.delay_ms / 1000, self._last_arrival)
            self._last_arrival = arrival
            self._flying.append((arrival, packet))
