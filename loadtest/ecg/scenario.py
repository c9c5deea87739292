"""Goes through the cases: the record, the screen, three hundred streams."""

from __future__ import annotations

import subprocess
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from clients.sdk.errors import SdkError
from loadtest.course import Course
from loadtest.ecg.cases import (
    SCREEN,
    STORED,
    STREAMS,
    WIRE,
    Case,
    ScreenCase,
    expected_s,
    limits_of,
    shortfalls,
)
from loadtest.ecg.screen import PEER as SCREEN_PEER
from loadtest.ecg.screen import SCREEN_S, run_screens
from loadtest.ecg.stored import PEER, STEADY_S, run_stored
from loadtest.ecg.wire import wire_cost
from loadtest.impair_network import Network
from loadtest.report import Report, machine
from loadtest.rooms import scenario as rooms_scenario
from loadtest.rooms import scenario_file
from loadtest.rooms.scenario_file import Scenario
from loadtest.server_process import ServerFailedError

Progress = Callable[[str], None]
FAILURES = (TimeoutError, OSError, ServerFailedError, SdkError, subprocess.SubprocessError)
"""That a case of the record may end with. Each has a server and gateways of its own, so the next goes on."""
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
    report.figures["cases"] = []
    streams = scenario_file.read("consults").scaled(rooms, None)
    streams_s = streams.rooms / streams.rooms_per_second + streams.hold_seconds
    parts = [(name, expected_s(name, STEADY_S, SCREEN_S, streams_s)) for name in names]
    going = _Going(report, Course(report, parts, progress), progress)
    with tempfile.TemporaryDirectory(prefix="huizhen-ecg-") as place:
        directory = Path(place)
        if PEER == SCREEN_PEER and not set(names) <= {STREAMS, WIRE}:
            with Network((PEER,)) as network:
                for case in [case for case in STORED if case.name in names]:
                    going.stored(case, network, directory)
                screens = [case for case in SCREEN if case.name in names]
                if screens:
                    run_screens(screens, network, directory, going.screen)
    if WIRE in names:
        going.found(*wire_cost())
    if STREAMS in names:
        going.streams(streams)


class _Going:
    """A run as it goes: what each case gave, into the report."""

    def __init__(self, report: Report, course: Course, progress: Progress) -> None:
        self._report = report
        self._course = course
        self._progress = progress

    def found(self, *figures: dict[str, Any]) -> None:
        """A case is measured."""
        self._report.figures["cases"] += figures
        for one in figures:
            self._progress(f"{one}")
        self._course.done()

    def screen(self, case: ScreenCase, figures: dict[str, Any]) -> None:
        self._report.shortfalls += shortfalls(figures, case.limits)
        self.found(figures)

    def stored(self, case: Case, network: Network, directory: Path) -> None:
        """A case that fails is a shortfall, and the next one is run."""
        try:
            figures = run_stored(case, network, directory)
        except FAILURES as failure:
            self._progress("".join(traceback.format_exception(failure)))
            why = str(failure).strip().partition("\n")[0]
            self._report.shortfalls.append(f"{case.name}: failed by {type(failure).__name__} {why}".rstrip())
            self._course.done()
            return
        self._report.shortfalls += shortfalls(figures, limits_of(case))
        self.found(figures)

    def streams(self, wanted: Scenario) -> None:
        """Three hundred consults with an ECG of 12 leads at 500 Hz, as the scenario ``rooms`` makes them."""
        part = Report("rooms")
        figures: dict[str, Any] = {"case": STREAMS}
        try:
            rooms_scenario.run(part, wanted, rooms_scenario.Options("auto"), self._progress)
        finally:
            figures |= {
                name: value for name, value in part.figures.items() if name in _OF_STREAMS or "signal" in name
            }
            self._report.figures["cases"].append(figures)
            self._report.shortfalls += [f"{STREAMS}: {sentence}" for sentence in part.shortfalls]
        self._course.done()
