"""How ``huizhen check`` keeps and shows what it found: steps with their times, a table, the house's JSON."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError
from rich.console import Console
from rich.table import Column, Table

from clients.sdk.errors import SdkError
from media.clock import Clock
from media.errors import Fault


class CheckFailedError(Exception):
    """What was looked at is not as it should be; the text says how."""


class CheckSkippedError(Exception):
    """A step cannot be tried because an earlier one failed."""


_EXPECTED = (CheckFailedError, SdkError, Fault, ClientError, OSError, TimeoutError, KeyError)
"""What a server that does not work can make of a step.

Anything else is a mistake of ours and shows itself.
"""


Step = tuple[str, str]
"""What is looked at, in English and Chinese."""


@dataclass(slots=True)
class Outcome:
    """One thing that was looked at. ``ms`` is None when it was not reached."""

    name: str
    zh: str
    ok: bool
    ms: float | None
    detail: str


@dataclass
class Report:
    """All steps of one run, and the times that are worth keeping."""

    clock: Clock
    steps: list[Outcome] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    @asynccontextmanager
    async def step(self, name: str, zh: str, needs: bool = True) -> AsyncIterator[list[str]]:
        """Run a block as one step; the list takes what is worth saying about it.

        :param needs: False = something it stands on is missing: the step is noted as not reached.
        :raises CheckSkippedError: after a failure, so that what follows in the same flow is left out.
        """
        notes: list[str] = []
        if not needs:
            self.steps.append(Outcome(name, zh, False, None, "not reached"))
            raise CheckSkippedError(name)
        started = self.clock.monotonic()
        try:
            yield notes
        except _EXPECTED as error:
            self.steps.append(Outcome(name, zh, False, self._since(started), _sentence(error)))
            raise CheckSkippedError(name) from error
        self.steps.append(Outcome(name, zh, True, self._since(started), "; ".join(notes)))

    def time(self, figure: str, started: float) -> None:
        """Keep ``now - started`` as ``figure``, which ends in ``_ms``."""
        self.figures[figure] = self._since(started)

    def not_reached(self, names: Sequence[Step]) -> None:
        """Note steps that were never tried."""
        done = {step.name for step in self.steps}
        for name, zh in names:
            if name not in done:
                self.steps.append(Outcome(name, zh, False, None, "not reached"))

    @property
    def failed(self) -> int:
        return sum(not step.ok for step in self.steps)

    def _since(self, started: float) -> float:
        return round((self.clock.monotonic() - started) * 1000, 1)

    def as_json(self, conditions: dict[str, Any]) -> dict[str, Any]:
        """``{"scenario", "conditions", "figures", "shortfalls"}``; ``failed`` is how many checks failed."""
        return {
            "scenario": "check",
            "conditions": conditions,
            "figures": {"failed": self.failed, "checks": len(self.steps), **self.figures},
            "shortfalls": [f"{step.name}: {step.detail}" for step in self.steps if not step.ok],
        }

    def show(self, console: Console) -> None:
        """A table for people."""
        table = Table("", Column("检查 check", overflow="fold"), "ms", "")
        for step in self.steps:
            mark = "[green]✓[/green]" if step.ok else "[red]✗[/red]"
            shown = "" if step.ms is None else f"{step.ms:.0f}"
            table.add_row(mark, f"{step.zh} {step.name}", shown, step.detail)
        console.print(table)
        verdict = (
            "[green]全部正常 all well[/green]"
            if not self.failed
            else f"[red]{self.failed} 项失败 failed[/red]"
        )
        console.print(verdict)


def _sentence(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, KeyError):
        return f"the reply has no {error}"
    return str(error) or type(error).__name__


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0..1) of all do not exceed; nan without values."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
