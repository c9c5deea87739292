"""How far a run is: what it measured is kept as it comes, and when it will end is said."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence

from loadtest.html_report import page
from loadtest.report import Report
from media.clock import Clock, SystemClock

UNFINISHED = "unfinished"
"""The condition of a report that is of a part of a run alone."""
_TOLD = {128 + number: number.name for number in (signal.SIGTERM, signal.SIGHUP)}
"""What `orderly` makes of a signal."""


class Course:
    """The parts of a run, one after the other.

    :param parts: name and expected seconds of each. What the first ones really took stretches the rest.
    :param say: takes a line for whoever waits.
    """

    def __init__(
        self,
        report: Report,
        parts: Sequence[tuple[str, float]],
        say: Callable[[str], None],
        clock: Clock | None = None,
    ) -> None:
        self._report = report
        self._parts = parts
        self._say = say
        self._clock = clock or SystemClock()
        self._began = self._clock.monotonic()
        self._done = 0
        self._tell()

    def done(self) -> None:
        """One more part is measured and stands in the report, which is kept."""
        self._done = min(self._done + 1, len(self._parts))
        self._tell()
        keep(self._report)

    def cut_short(self) -> None:
        """What was looked for is found: the other parts are not needed."""
        self._done = len(self._parts)
        self._report.conditions.pop(UNFINISHED, None)

    def _tell(self) -> None:
        passed, count = self._done, len(self._parts)
        if passed == count:
            self._report.conditions.pop(UNFINISHED, None)
            return
        self._report.conditions[UNFINISHED] = f"{passed} of {count} parts were gone through"
        left = self.seconds_left()
        ends = time.strftime("%H:%M:%S", time.localtime(self._clock.wall() + left))
        self._say(
            f"{passed} of {count} done, next {self._parts[passed][0]}; {span(left)} to go, ends about {ends}"
        )

    def seconds_left(self) -> float:
        """By what was expected, and by how much longer than that it took so far."""
        seconds = [one for _, one in self._parts]
        expected, ahead = sum(seconds[: self._done]), sum(seconds[self._done :])
        took = self._clock.monotonic() - self._began
        return ahead * took / expected if expected else ahead


def span(seconds: float) -> str:
    """``0:42``, ``12:05``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def keep(report: Report) -> int:
    """Write the report's file and its page, where one was asked for; the exit status of a whole run."""
    status = report.write(report.path)
    if report.path is not None:
        report.path.with_suffix(".html").write_text(page(report), encoding="utf-8")
    return status


def followed(report: Report, fill: Callable[[Report], None]) -> int:
    """Let ``fill`` fill the report. Whatever ends it, what was measured until then is kept.

    Returns the exit status: 1 with a shortfall, 130 after Ctrl-C, 129 or 143 after SIGHUP or SIGTERM. What
    ``fill`` raises otherwise is raised when the report is written.
    """
    try:
        fill(report)
    except KeyboardInterrupt:
        return _ended(report, "Ctrl-C", 128 + signal.SIGINT)
    except SystemExit as told:
        status = told.code if isinstance(told.code, int) else 0
        if status not in _TOLD:
            raise
        return _ended(report, _TOLD[status], status)
    except Exception as failure:
        _ended(report, f"{type(failure).__name__}: {str(failure).strip().partition(chr(10))[0]}", 1)
        raise
    return keep(report)


def _ended(report: Report, why: str, status: int) -> int:
    how_far = report.conditions.get(UNFINISHED)
    report.shortfalls.append(f"ended early by {why}" + (f": {how_far}" if how_far else ""))
    keep(report)
    return status
