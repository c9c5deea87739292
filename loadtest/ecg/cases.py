"""What is done to an ECG on its way, and what must come of it. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.impair_line import Conditions

BACKFILL_S = 5.0
LIVE_P99_MS = 500.0
GOOD_P50_MS, GOOD_P99_MS = 120.0, 250.0
FAR_P99_MS = 400.0
STOPPED_PERCENT = 1.0

COUNTY = Conditions(delay_ms=10)
"""A good line between township and county; every case without another line has it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way of trouble.

    :param leads: 12 as they are, 18 with the further ones derived from them.
    :param cut_s: the line carries nothing for so long.
    :param kill: ``gateway`` or ``server``, by SIGKILL; started again at once.
    :param full_s: the server's disk takes nothing for so long.
    :param line: both directions.
    """

    name: str
    leads: int = 12
    cut_s: float = 0.0
    kill: str = ""
    full_s: float = 0.0
    line: Conditions = COUNTY


@dataclass(frozen=True, slots=True)
class ScreenCase:
    """The product's page behind a line, the device at the server.

    :param limits: figure and its threshold.
    """

    name: str
    line: Conditions
    limits: tuple[tuple[str, float], ...]


STREAMS = "streams-300"
"""Three hundred rooms with an ECG each: the scenario ``rooms``."""

STORED: Sequence[Case] = (
    Case("cut-10", cut_s=10),
    Case("cut-60", cut_s=60),
    Case("cut-60-18-leads", leads=18, cut_s=60),
    Case("cut-600", cut_s=600),
    Case("loss-5", leads=18, line=Conditions(delay_ms=20, loss_percent=5)),
    Case("kill-gateway", leads=18, kill="gateway"),
    Case("kill-server", kill="server"),
    Case("disk-full", full_s=10),
)
SCREEN: Sequence[ScreenCase] = (
    ScreenCase(
        "screen-good",
        COUNTY,
        (("device_to_screen_p50_ms", GOOD_P50_MS), ("device_to_screen_p99_ms", GOOD_P99_MS)),
    ),
    ScreenCase(
        "screen-80-ms-loss-1",
        Conditions(delay_ms=40, loss_percent=1),
        (("device_to_screen_p99_ms", FAR_P99_MS),),
    ),
    ScreenCase(
        "screen-loss-3",
        Conditions(delay_ms=10, loss_percent=3),
        (("display_stopped_percent", STOPPED_PERCENT),),
    ),
)
WIRE = "wire"
"""What frames of different lengths take of a line."""
NAMES = (*(case.name for case in STORED), *(case.name for case in SCREEN), WIRE, STREAMS)


def chosen(names: str) -> tuple[str, ...]:
    """Names of cases, comma-separated, or their beginnings; all for none.

    :raises ValueError: one that there is not.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if not any(known.startswith(name) for known in NAMES):
            raise ValueError(f"there is no case {name}; there are {', '.join(NAMES)}")
    return tuple(known for known in NAMES if not wanted or any(_means(name, known) for name in wanted))


def _means(name: str, known: str) -> bool:
    """A whole name means itself alone."""
    return known == name if name in NAMES else known.startswith(name)


OVERHEAD_S = 12.0
"""About how long a case takes beside its trouble: server, gateway, three seconds of good line, the end."""


def expected_s(name: str, steady_s: float, screen_s: float, streams_s: float) -> float:
    """About how long a case takes.

    :param steady_s: how long a line that is merely bad is looked at. :param screen_s: the same of a page.
    :param streams_s: what the rooms take.
    """
    if name == STREAMS:
        return OVERHEAD_S + streams_s
    if name == WIRE:
        return 2.0
    stored = next((case for case in STORED if case.name == name), None)
    if stored is None:
        return screen_s
    trouble = stored.cut_s + stored.full_s
    return OVERHEAD_S + (trouble or (0.0 if stored.kill else steady_s))


def limits_of(case: Case) -> tuple[tuple[str, float], ...]:
    """What a case of the record must keep."""
    always = (("lost_samples", 0.0), ("duplicated_samples", 0.0), ("sha256_differs", 0.0))
    if not case.cut_s:
        return always
    late = (("live_delay_during_backfill_p99_ms", LIVE_P99_MS),)
    return (*always, *late, *((("backfill_s", BACKFILL_S),) if case.cut_s == 60 else ()))


def shortfalls(figures: dict[str, Any], limits: Sequence[tuple[str, float]]) -> list[str]:
    """A sentence for each figure above its limit, or missing."""
    found = []
    for name, limit in limits:
        value = figures.get(name)
        if value is None:
            found.append(f"{figures['case']}: {name} could not be measured")
        elif value > limit:
            found.append(f"{figures['case']}: {name} is {value:g}, the limit is {limit:g}")
    return found
