"""Goes through the cases: the record, the screen, three hundred streams."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from loadtest.ecg.cases import SCREEN, STORED, STREAMS, WIRE, limits_of, shortfalls
from loadtest.ecg.screen import PEER as SCREEN_PEER
from loadtest.ecg.screen import run_screens
from loadtest.ecg.stored import PEER, run_stored
from loadtest.ecg.wire import wire_cost
from loadtest.impair_network import Network
from loadtest.report import Report, machine
from loadtest.rooms import scenario as rooms_scenario
from loadtest.rooms import scenario_file

Progress = Callable[[str], None]
_OF_STREAMS = (
    "rooms",
    "server_cpu_percent",
    "ecg_frames_by_ms",
    "signal_frames_sent",
    "signal_frames_lost",
    "signal_delay_p50_ms",
    "signal_delay_p99_ms",
    "signal_age_p99_ms",
    "lost_packets",
)


def run(report: Report, names: Sequence[str], progress: Progress, rooms: int | None = None) -> None:
    """Fill ``report``; in a network namespace of its own, as root.

    :param rooms: another number than 300 for the last case.
    :raises NotRootError: lines need root.
    """
    report.conditions |= machine() | {
        "record": "pydicom's real 12-lead ECG, 1 kHz, 10 s, looped; 18 leads: six derived from it",
        "line": "10 ms each way unless the case says otherwise; a bridge between namespaces",
        "live_delay": "end of a frame's measurement to its arrival at a viewer beside the server, one clock",
        "backfill": "from the line's return, connecting again included, until the disk misses nothing",
    }
    cases: list[dict[str, object]] = []
    report.figures["cases"] = cases
    with tempfile.TemporaryDirectory(prefix="huizhen-ecg-") as place:
        directory = Path(place)
        if PEER == SCREEN_PEER and not set(names) <= {STREAMS, WIRE}:
            with Network((PEER,)) as network:
                for case in [case for case in STORED if case.name in names]:
                    found = run_stored(case, network, directory)
                    cases.append(found)
                    report.shortfalls += shortfalls(found, limits_of(case))
                    progress(f"{found}")
                screens = [case for case in SCREEN if case.name in names]
                for case_, found in zip(
                    screens, run_screens(screens, network, directory) if screens else [], strict=True
                ):
                    cases.append(found)
                    report.shortfalls += shortfalls(found, case_.limits)
                    progress(f"{found}")
    if WIRE in names:
        cases.extend(wire_cost())
    if STREAMS in names:
        _streams(report, cases, progress, rooms)


def _streams(report: Report, cases: list[dict[str, object]], progress: Progress, rooms: int | None) -> None:
    """Three hundred consults with an ECG of 12 leads at 500 Hz each, as the scenario ``rooms`` makes them."""
    part = Report("rooms")
    wanted = scenario_file.read("consults").scaled(rooms, None)
    rooms_scenario.run(part, wanted, rooms_scenario.Options("auto"), progress)
    found: dict[str, object] = {"case": STREAMS}
    found |= {name: value for name, value in part.figures.items() if name in _OF_STREAMS or "signal" in name}
    cases.append(found)
    report.shortfalls += [f"{STREAMS}: {sentence}" for sentence in part.shortfalls]
    progress(f"{found}")
