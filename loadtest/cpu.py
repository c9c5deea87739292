"""What processes use, from /proc: CPU time in nanoseconds, wake-ups, memory; and the core they run on."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class OneCoreError(Exception):
    """Server and traffic cannot be kept apart."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Of some processes with all their threads, since they began.

    :param cpu_ns: user and system time.
    :param wakeups: voluntary context switches: how often a thread went to sleep and came back.
    :param memory_bytes: resident.
    """

    cpu_ns: int
    wakeups: int
    memory_bytes: int

    def __sub__(self, earlier: Usage) -> Usage:
        """CPU and wake-ups in between; the memory as it is now."""
        return Usage(self.cpu_ns - earlier.cpu_ns, self.wakeups - earlier.wakeups, self.memory_bytes)


def usage(pids: Iterable[int]) -> Usage:
    """Of these processes together; threads that ended meanwhile are not in it."""
    cpu = wakeups = memory = 0
    for pid in pids:
        process = Path("/proc") / str(pid)
        for task in (process / "task").iterdir():
            try:
                cpu += int((task / "schedstat").read_text().split()[0])
                wakeups += _switches((task / "status").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
        memory += int((process / "statm").read_text().split()[1]) * resource.getpagesize()
    return Usage(cpu, wakeups, memory)


def _switches(status: str) -> int:
    line = next(line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches"))
    return int(line.split()[1])


def two_cores() -> tuple[int, int]:
    """(the server's core, the traffic's core) of those this process may use.

    :raises OneCoreError: there is only one.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise OneCoreError("this scenario needs two cores: one for the server, one for the traffic")
    return cores[0], cores[1]


def move(pids: Iterable[int], core: int) -> None:
    """Let these processes run on this core alone, with all threads they have."""
    for pid in pids:
        for task in (Path("/proc") / str(pid) / "task").iterdir():
            try:
                os.sched_setaffinity(int(task.name), {core})
            except ProcessLookupError:
                continue  # it ended meanwhile


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started inside runs on this core alone, and so do we meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
