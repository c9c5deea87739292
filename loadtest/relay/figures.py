"""Samples into figures, ratios and shortfalls. No I/O."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from loadtest.relay import cases
from loadtest.relay.cases import Case
from loadtest.report import Report


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one plane.

    :param cpu_ns: of the server's processes; over ``arrived`` packets in ``seconds``.
    :param main_ns: the part of it on the first thread, where a server's Python runs.
    :param lost: numbers that are missing at receivers, after everything under way had time to arrive.
    :param left_out: not arrived without a hole in the numbers: what the server decided not to send.
    :param overrun: datagrams that the traffic's socket had no room for, and so none of the server's losses.
    :param server_overrun: that other sockets, the server's above all, had no room for.
    :param strangers_percent: of one core, what processes outside of the measurement took of its two.
    :param load: ``saturated``, ``half`` or ``paced``.
    """

    plane: str
    size: int
    load: str
    run: int
    cpu_ns: int
    main_ns: int
    arrived: int
    seconds: float
    lost: int
    left_out: int
    corrupt: int
    stalls: int
    frames_late: int
    overrun: int
    server_overrun: int
    delay_p50_ms: float
    delay_p99_ms: float
    strangers_percent: float = 0.0

    @property
    def us_per_packet(self) -> float:
        return self.cpu_ns / 1000 / self.arrived if self.arrived else math.nan

    @property
    def rate(self) -> float:
        return self.arrived / self.seconds

    @property
    def cpu_percent(self) -> float:
        return 100 * self.cpu_ns / 1e9 / self.seconds


STRANGERS_MOST = 15.0
"""Percent of one core. A turn, in which all planes are measured within seconds, is made again above it: they
are to be compared with one another. What was measured in it is reported beside what counts."""


def is_quiet(turn: Iterable[Sample]) -> bool:
    """Whether nobody else was on the cores to speak of."""
    return all(one.strangers_percent <= STRANGERS_MOST for one in turn)


def of_case(case: Case, samples: Iterable[Sample], disturbed: Sequence[Sample] = ()) -> list[dict[str, Any]]:
    """An object for each plane and size: medians over the runs; ratios are medians of each run's ratio.

    :param disturbed: samples of turns that were made again: they stand beside the figures, in none of
        them, but for losses, which count.
    """
    grouped: dict[tuple[int, str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        grouped[sample.size, sample.load, sample.plane].append(sample)
    found = []
    for (size, load, plane), group in grouped.items():
        if load == "half":
            continue
        delays = grouped.get((size, "half", plane), group)
        both = group if delays is group else [*group, *delays]
        again = [one for one in disturbed if (one.plane, one.size) == (plane, size)]
        loaded = {one.load for one in delays}
        found.append(
            {
                "case": case.name,
                "plane": plane,
                "profile": case.profile,
                "fan_out": case.fan_out,
                "rooms": case.rooms,
                "packet_bytes": size,
                "load": load if load == "saturated" else f"{case.packets_per_second} packets/s",
                "us_per_egress_packet": round(median(one.us_per_packet for one in group), 2),
                "ratio_to_floor": _ratio(group, grouped.get((size, load, cases.FLOOR), [])),
                "ratio_to_janus": _ratio(group, grouped.get((size, load, cases.JANUS), [])),
                "egress_packets_per_second": round(median(one.rate for one in group)),
                "cpu_percent": round(median(one.cpu_percent for one in group), 1),
                "main_thread_percent": round(median(one.main_ns / one.seconds / 1e7 for one in group), 1),
                "lost_packets": sum(one.lost for one in [*both, *again]),
                "left_out_packets": sum(one.left_out for one in [*delays, *again] if one.load in loaded),
                "left_out_packets_saturated": sum(one.left_out for one in group)
                if load == "saturated"
                else 0,
                "corrupt_packets": sum(one.corrupt for one in group),
                "added_delay_p50_ms": round(median(one.delay_p50_ms for one in delays), 3),
                "added_delay_p99_ms": round(median(one.delay_p99_ms for one in delays), 3),
                "delay_at_packets_per_second": round(median(one.rate for one in delays)),
                "traffic_frames_late": max(one.frames_late for one in delays),
                "traffic_socket_dropped": sum(one.overrun for one in both),
                "server_socket_dropped": sum(one.server_overrun for one in both),
                "strangers_percent": round(max(one.strangers_percent for one in both), 1),
                "disturbed": [_disturbed(one) for one in again],
                "runs": len(group),
            }
        )
    return found


def _disturbed(one: Sample) -> dict[str, Any]:
    return {
        "run": one.run,
        "load": one.load,
        "strangers_percent": round(one.strangers_percent, 1),
        "us_per_egress_packet": round(one.us_per_packet, 2),
        "added_delay_p99_ms": round(one.delay_p99_ms, 3),
    }


def _ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> float | None:
    """Median of the ratios of runs that were made one after another; None without a partner."""
    by_run = {one.run: one.us_per_packet for one in theirs}
    ratios = [one.us_per_packet / by_run[one.run] for one in ours if by_run.get(one.run)]
    return round(median(ratios), 3) if ratios else None


def judge(report: Report, found: Sequence[dict[str, Any]]) -> None:
    """Note what falls short of the thresholds, among the cases that were measured."""
    for one in found:
        name = f"{one['case']} {one['packet_bytes']} B {one['plane']}"
        saturated = one["load"] == "saturated"
        if one["plane"] in (cases.PYTHON, cases.NATIVE):
            _at_most(report, name, one, "lost_packets", 0)
            _at_most(report, name, one, "left_out_packets", 0)
            _at_most(report, name, one, "corrupt_packets", 0)
        if one["plane"] == cases.NATIVE and saturated:
            if one["fan_out"] in (3, 10):
                _at_most(report, name, one, "ratio_to_floor", cases.NATIVE_TO_FLOOR)
            _at_most(report, name, one, "added_delay_p99_ms", cases.NATIVE_DELAY_P99_MS)
        if one["plane"] == cases.NATIVE and one["case"] in cases.MEDIASOUP_US:
            _at_most(report, name, one, "us_per_egress_packet", cases.MEDIASOUP_US[one["case"]])
        if not one["case"].endswith("40x500"):
            continue
        if one["plane"] == cases.NATIVE:
            _at_most(report, name, one, "ratio_to_janus", cases.NATIVE_TO_JANUS[one["profile"]])
        elif one["plane"] == cases.PYTHON and one["profile"] == cases.CM:
            _at_most(report, name, one, "ratio_to_janus", cases.PYTHON_TO_JANUS)


def _at_most(report: Report, name: str, one: dict[str, Any], figure: str, limit: float) -> None:
    value = one[figure]
    if value is None:
        return  # its partner was not asked for
    if not math.isfinite(value):
        report.shortfalls.append(f"{name}: {figure} could not be measured")
    elif value > limit:
        report.shortfalls.append(f"{name}: {figure} is {value:g}, the limit is {limit:g}")
