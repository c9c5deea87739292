"""All planes side by side in one run: each case's rooms stand on every plane, and measurements take turns."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from loadtest import orderly
from loadtest.course import Course
from loadtest.cpu import allow_sockets, move, on_core, two_cores
from loadtest.relay import cases, figures, janus, measure
from loadtest.relay.cases import Case
from loadtest.relay.figures import Sample
from loadtest.relay.floor import Floor
from loadtest.relay.forwarder import LARGE, Forwarder, Rooms
from loadtest.relay.janus_process import FIRST_PARTICIPANT, add_interface
from loadtest.relay.measure import Bench
from loadtest.relay.product import Product
from loadtest.relay.strangers import Strangers
from loadtest.report import Report, machine
from loadtest.server_process import ServerFailedError
from loadtest.traffic.engine import BASE_IP, TrafficEngine
from loadtest.traffic.transport import Hub

Progress = Callable[[str], None]
AGAIN_MOST = 5
"""Turns of a case and size that are made again because strangers were on the cores; then they count."""
PAUSE_S = 2.0
"""Before a turn is made again: strangers may be gone by then."""
WARM_UP_RATE = 10_000
"""Packets a second to all receivers together: none of the planes is busy with it."""


def run(
    report: Report,
    wanted: Sequence[Case],
    planes: Sequence[str],
    runs: int,
    conditions: dict[str, Any],
    progress: Progress,
) -> None:
    """Fill ``report``; run in a network namespace of its own."""
    cores = server_core, traffic_core = two_cores()
    report.conditions |= machine() | {
        "runs": runs,
        "planes": list(planes),
        "cores": f"server on {server_core}, traffic on {traffic_core}",
        "network": "loopback in a namespace of its own",
        "switched_on": "RTCP reports, transport-wide feedback of both sides, NACK and RTX history, header "
        "extensions (mid, abs-send-time, transport-wide numbers, audio level), VP8 picture ids, statistics; "
        "the floor has none of it",
        "traffic": "pictures of 5 packets (3 in the rooms case), sounds of 1; receivers check numbers of all "
        f"packets, and content of all at half load, of one in {measure.CHECK_EVERY} at saturation",
        "cpu": "user and system of the server's processes with all threads (/proc/PID/task/*/schedstat), for "
        "each packet that arrived",
        "delay": "from the sender's clock before its system call to the kernel's timestamp at the receiver",
        **(janus.versions() | conditions if cases.JANUS in planes else conditions),
    }
    allow_sockets()
    report.figures["cases"] = []
    parts = [(case.name, cases.expected_s(case, len(planes), runs)) for case in wanted]
    course = Course(report, parts, progress)

    def done(found: list[dict[str, Any]]) -> None:
        report.figures["cases"] += found
        figures.judge(report, found)
        for one in found:
            progress(_line(one))
        course.done()

    with on_core(traffic_core):
        report.shortfalls += orderly.run(_run(wanted, planes, runs, cores, progress, done, report.conditions))


async def _run(
    wanted: Sequence[Case],
    planes: Sequence[str],
    runs: int,
    cores: tuple[int, int],
    progress: Progress,
    done: Callable[[list[dict[str, Any]]], None],
    conditions: dict[str, Any],
) -> list[str]:
    """Each case's objects go to ``done``, what really runs to ``conditions``.

    Returns a sentence for each plane that could not be had.
    """
    engine = TrafficEngine(_first_address(planes))
    hub = Hub(engine)
    forwarders: list[Forwarder] = []
    bench = Bench(
        engine, Strangers(cores, lambda: [os.getpid(), *(pid for one in forwarders for pid in one.pids())])
    )
    missing: list[str] = []
    try:
        for plane in planes:
            try:
                made = _forwarder(plane, hub, cores[0])
                forwarders.append(made)
                if isinstance(made, Product):
                    conditions.setdefault("running", {})[plane] = made.running
            except ServerFailedError as error:
                missing.append(f"the {plane} plane did not start: {str(error).splitlines()[-1]}")
                progress(missing[-1])
        for case in wanted:
            began = time.monotonic()
            samples, disturbed = await _case(case, forwarders, bench, runs, cores, progress)
            done(figures.of_case(case, samples, disturbed))
            progress(f"{case.name}: {time.monotonic() - began:.0f} s")
    finally:
        for forwarder in forwarders:
            forwarder.close()
        hub.close()
        engine.close()
    return missing


def _first_address(planes: Sequence[str]) -> str:
    if cases.JANUS not in planes:
        return BASE_IP
    add_interface()
    return FIRST_PARTICIPANT


def _forwarder(plane: str, hub: Hub, core: int) -> Forwarder:
    if plane == cases.FLOOR:
        return Floor(hub, core)
    if plane == cases.JANUS:
        return janus.Janus(hub, core)
    return Product(hub, plane, core)


async def _case(
    case: Case,
    forwarders: Sequence[Forwarder],
    bench: Bench,
    runs: int,
    cores: tuple[int, int],
    progress: Progress,
) -> tuple[list[Sample], list[Sample]]:
    """Samples that count, and those of turns that strangers disturbed and that were made again."""
    rooms: dict[str, Rooms] = {}
    samples: list[Sample] = []
    disturbed: list[Sample] = []
    try:
        for forwarder in forwarders:
            rooms[forwarder.name] = await forwarder.open_rooms(
                case.profile, case.rooms, case.fan_out, case.frame_packets
            )
            progress(f"{case.name}: {case.rooms} rooms stand on {forwarder.name}")
        for size in case.sizes:
            for forwarder in forwarders:
                _make_room(forwarder, forwarders, cores)
                await _warm_up(case, size, forwarder, bench, rooms[forwarder.name], progress)
            again = AGAIN_MOST
            for number in range(runs):
                while True:
                    turn: list[Sample] = []
                    for forwarder in forwarders:
                        _make_room(forwarder, forwarders, cores)
                        turn += await _samples(case, size, forwarder, bench, rooms[forwarder.name], number)
                    if not again or figures.is_quiet(turn):
                        break
                    again -= 1
                    disturbed += turn
                    progress(f"{case.name}: strangers disturbed turn {number}, which is made again")
                    await asyncio.sleep(PAUSE_S)
                samples += turn
    finally:
        for forwarder in forwarders:
            await forwarder.close_rooms()
    return samples, disturbed


def _make_room(measured: Forwarder, forwarders: Sequence[Forwarder], cores: tuple[int, int]) -> None:
    """The core is the measured one's alone: what the others do meanwhile they do on the traffic's."""
    for forwarder in forwarders:
        here = forwarder is measured
        move(forwarder.pids(), cores[0] if here else cores[1], aside=not here)


def _tracks(rooms: Rooms, size: int) -> list[int]:
    return rooms.pictures if size == LARGE else rooms.sounds


def _frame_packets(case: Case, size: int) -> int:
    return case.frame_packets if size == LARGE else 1


async def _warm_up(
    case: Case, size: int, forwarder: Forwarder, bench: Bench, rooms: Rooms, progress: Progress
) -> None:
    tracks = _tracks(rooms, size)
    rate = case.packets_per_second or WARM_UP_RATE / (len(tracks) * case.fan_out)
    frame = _frame_packets(case, size)
    await measure.warm_up(bench, tracks, frame / rate)
    if not case.packets_per_second:
        sample = await measure.settled(forwarder, bench, tracks, frame * case.fan_out, size, frame / rate)
        progress(f"{case.name}: {forwarder.name} settled at {sample.rate:.0f}/s, left out {sample.left_out}")


async def _samples(
    case: Case, size: int, forwarder: Forwarder, bench: Bench, rooms: Rooms, number: int
) -> list[Sample]:
    tracks, packets = _tracks(rooms, size), _frame_packets(case, size)
    if case.packets_per_second:
        frame_s = packets / case.packets_per_second
        return [await measure.paced(forwarder, bench, tracks, frame_s, size, "paced", number)]
    full = await measure.saturated(forwarder, bench, tracks, packets * case.fan_out, size, number)
    frame_s = packets * len(tracks) * case.fan_out / max(full.rate / 2, 1.0)
    return [full, await measure.paced(forwarder, bench, tracks, frame_s, size, "half", number)]


def _line(one: dict[str, Any]) -> str:
    return (
        f"{one['case']:>10} {one['packet_bytes']:>5} B {one['plane']:>7}:"
        f" {one['us_per_egress_packet']:6.2f} us"
        f" ({one['ratio_to_floor']} of floor, {one['ratio_to_janus']} of Janus),"
        f" {one['egress_packets_per_second']:>7} /s at {one['cpu_percent']:.0f} %,"
        f" lost {one['lost_packets']},"
        f" delay {one['added_delay_p50_ms']:.2f} / {one['added_delay_p99_ms']:.2f} ms"
    )
