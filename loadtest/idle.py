"""What quiet rooms cost: everybody is connected, nobody sends anything."""

from __future__ import annotations

from collections.abc import Callable

from loadtest.report import Report
from loadtest.rooms import scenario as rooms
from loadtest.rooms.scenario_file import Scenario

SERVER_CPU_PERCENT = 10.0
"""Of one core, for 900 people: STUN's consent checks alone are 360 a second."""


def run(report: Report, scenario: Scenario, plane: str, progress: Callable[[str], None]) -> None:
    """Fill ``report`` with CPU, memory and wake-ups of the scenario's rooms."""
    rooms.run(report, scenario, rooms.Options(plane), progress)
    for name in list(report.figures):
        if "delay" in name or "packet" in name or "deliver" in name or name.startswith("signal_"):
            del report.figures[name]  # nothing flowed
    report.require("server_cpu_percent", SERVER_CPU_PERCENT)
