"""The form in which every scenario says what it measured."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Report:
    """What one scenario found.

    :param scenario: its name on the command line.
    :param conditions: under what the figures were taken; a figure means nothing without them.
    :param figures: unit in the name (``p99_ms``, ``lost_packets``).
    :param shortfalls: one sentence for each threshold that was missed; empty means all were met.
    :param path: of the file that was asked for; None = none was.
    """

    scenario: str
    conditions: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    shortfalls: list[str] = field(default_factory=list)
    path: Path | None = None

    def require(self, name: str, at_most: float) -> None:
        """Note a shortfall unless the figure ``name`` was taken and is <= ``at_most``."""
        value = self.figures.get(name)
        if value is None or not math.isfinite(value):
            self.shortfalls.append(f"{name} could not be measured")
        elif value > at_most:
            self.shortfalls.append(f"{name} is {value:g}, the limit is {at_most:g}")

    def write(self, path: Path | None) -> int:
        """Write the report as JSON and return the exit status: 1 when something fell short."""
        text = json.dumps(
            {
                "scenario": self.scenario,
                "conditions": self.conditions,
                "figures": _finite(self.figures),
                "shortfalls": self.shortfalls,
            },
            ensure_ascii=False,
            indent=2,
        )
        if path is not None:
            # Replaced at once: whoever is killed over it leaves the report as it was before.
            fresh = path.with_name(f"{path.name}.{os.getpid()}")
            fresh.write_text(text + "\n", encoding="utf-8")
            fresh.replace(path)
        return 1 if self.shortfalls else 0


def _finite(value: Any) -> Any:
    """JSON has no word for what could not be measured but null."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank: the smallest value that ``percent`` % of ``values`` do not exceed; NaN if empty."""
    if not values:
        return math.nan
    ordered = sorted(values)
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(rank, 1) - 1]


def machine() -> dict[str, Any]:
    """What the figures depend on and the reader cannot know."""
    return {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_1_min": round(os.getloadavg()[0], 2),
        "commit": _commit(),
    }


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


_TOO_LONG = ("timeline", "cases", "steps")
"""Lists that the file and the page show; a scenario tells them as it goes."""


def lines(report: Report) -> list[str]:
    """The report for a terminal."""
    shown = {name: value for name, value in report.figures.items() if name not in _TOO_LONG}
    rows = [f"{name:<40} {_shown(value)}" for name, value in shown.items()]
    rows += [f"! {sentence}" for sentence in report.shortfalls]
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
