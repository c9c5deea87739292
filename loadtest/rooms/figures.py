"""Samples of a run into figures and shortfalls. No I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.report import Report, percentile
from loadtest.rooms.ecg import SignalCounts

ADDED_DELAY_P99_MS = 20.0
JOIN_P95_MS = 1000.0
JOIN_SUCCESS_PERCENT = 100.0
DELIVERED_PERCENT = 99.0
"""Of what was sent to those who listen: nobody's line is thin, so next to nothing may be left out."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One second of a run.

    :param packets: RTP packets that arrived in it. :param lost: numbers missing at receivers so far.
    :param delay_p99_ms: of the packets of this second.
    """

    at_s: float
    rooms: int
    packets: int
    lost: int
    delay_p50_ms: float
    delay_p99_ms: float
    server_cpu_percent: float
    traffic_cpu_percent: float
    memory_mb: float
    frames_late: int

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Held:
    """What was measured while all rooms stood."""

    seconds: float
    cpu_ns: int
    main_ns: int
    wakeups: int
    arrived: int
    expected: int
    delay_p50_ms: float
    delay_p99_ms: float


def of_rooms(rooms: int, people: int, held: Held, empty_bytes: int, full_bytes: int) -> dict[str, Any]:
    """Figures of one number of rooms with ``people`` participants together."""
    cpu_percent = held.cpu_ns / held.seconds / 1e7
    return {
        "rooms": rooms,
        "participants": people,
        "egress_packets_per_second": round(held.arrived / held.seconds),
        "held_delivered_percent": share(held.arrived, held.expected),
        "held_delay_p50_ms": round(held.delay_p50_ms, 3),
        "held_delay_p99_ms": round(held.delay_p99_ms, 3),
        "server_cpu_percent": round(cpu_percent, 1),
        "main_thread_percent": round(held.main_ns / held.seconds / 1e7, 1),
        "cpu_percent_per_participant": round(cpu_percent / people, 4),
        "us_per_egress_packet": round(held.cpu_ns / 1000 / held.arrived, 2) if held.arrived else None,
        "memory_kb_per_participant": round((full_bytes - empty_bytes) / 1024 / people, 1),
        "memory_mb": round(full_bytes / 2**20, 1),
        "wakeups_per_second": round(held.wakeups / held.seconds, 1),
    }


def share(arrived: int, expected: int) -> float:
    """Percent, 100 at most: what was under way at the beginning arrives without having been sent."""
    return round(min(100.0, 100 * arrived / max(expected, 1)), 2)


def of_joins(seconds: Sequence[float], failures: int) -> dict[str, Any]:
    """How joining went; success of nobody is no success."""
    tried = len(seconds) + failures
    return {
        "join_success_percent": round(100 * len(seconds) / tried, 2) if tried else math.nan,
        "join_p50_ms": round(percentile(seconds, 50) * 1000, 1),
        "join_p95_ms": round(percentile(seconds, 95) * 1000, 1),
    }


def of_signals(counts: SignalCounts) -> dict[str, Any]:
    """What devices sent and viewers got."""
    return {
        "ecg_frames_by_ms": {str(length): count for length, count in sorted(counts.lengths.items())},
        "signal_frames_sent": counts.sent,
        "signal_frames_received": counts.received,
        "signal_frames_lost": counts.lost,
        "signal_frames_sent_late": counts.late,
        "signal_delay_p50_ms": round(percentile(counts.delays_s, 50) * 1000, 1),
        "signal_delay_p99_ms": round(percentile(counts.delays_s, 99) * 1000, 1),
        "signal_age_p99_ms": round(percentile(counts.ages_s, 99) * 1000, 1),
        "signal_sockets_lost": len(counts.closed),
    }


def judge(report: Report) -> None:
    """Note what falls short of the thresholds of a consult's rooms."""
    report.require("lost_packets", 0)
    report.require("corrupt_packets", 0)
    report.require("added_delay_p99_ms", ADDED_DELAY_P99_MS)
    report.require("join_p95_ms", JOIN_P95_MS)
    for name, least in (
        ("join_success_percent", JOIN_SUCCESS_PERCENT),
        ("delivered_percent", DELIVERED_PERCENT),
    ):
        value = report.figures.get(name, math.nan)
        if not value >= least:
            report.shortfalls.append(f"{name} is {value:g}, the least is {least:g}")


@dataclass(frozen=True, slots=True)
class Until:
    """When to stop adding rooms: ``figure`` above ``limit``, or anything lost, left out or failed."""

    figure: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Until:
        """``added_delay_p99_ms=50``, or ``p99_ms=50`` for short.

        :raises ValueError: not of that form.
        """
        figure, equals, limit = text.partition("=")
        figure = SHORT.get(figure, figure)
        if not equals or figure not in STEP_FIGURES:
            raise ValueError(f"{text!r} is not FIGURE=LIMIT with one of {', '.join([*SHORT, *STEP_FIGURES])}")
        return cls(figure, float(limit))

    def reached(self, step: dict[str, Any]) -> bool:
        """Whether this step is too much; a figure that could not be taken is."""
        value = step[self.figure]
        broken = (
            step["lost_packets"] > 0
            or step["join_success_percent"] < JOIN_SUCCESS_PERCENT
            or step["held_delivered_percent"] < DELIVERED_PERCENT
        )
        return broken or value is None or not value <= self.limit


SHORT = {"p99_ms": "added_delay_p99_ms"}
"""What people say for a figure of a step."""
STEP_FIGURES = ("added_delay_p99_ms", "server_cpu_percent", "join_p95_ms", "lost_packets")


def knee(steps: Sequence[dict[str, Any]], until: Until) -> int:
    """Rooms of the last step before the first that was too much; 0 when the first one was."""
    rooms = 0
    for step in steps:
        if until.reached(step):
            break
        rooms = int(step["rooms"])
    return rooms
