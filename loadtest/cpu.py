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
    :param main_ns: that of each process's first thread alone; a server's Python runs there.
    :param wakeups: voluntary context switches: how often a thread went to sleep and came back.
    :param memory_bytes: resident.
    """

    cpu_ns: int
    main_ns: int
    wakeups: int
    memory_bytes: int

    def __sub__(self, earlier: Usage) -> Usage:
        """CPU and wake-ups in between; the memory as it is now."""
        return Usage(
            self.cpu_ns - earlier.cpu_ns,
            self.main_ns - earlier.main_ns,
            self.wakeups - earlier.wakeups,
            self.memory_bytes,
        )


def usage(pids: Iterable[int]) -> Usage:
    """Of these processes together; threads that ended meanwhile are not in it."""
    cpu = main = wakeups = memory = 0
    for pid in pids:
        process = Path("/proc") / str(pid)
        for task in (process / "task").iterdir():
            try:
                used = int((task / "schedstat").read_text().split()[0])
                cpu += used
                main += used if task.name == str(pid) else 0
                wakeups += _switches((task / "status").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
        memory += int((process / "statm").read_text().split()[1]) * resource.getpagesize()
    return Usage(cpu, main, wakeups, memory)


@dataclass(frozen=True, slots=True)
class CoreTime:
    """Of some cores together, since the machine began.

    :param busy_ns: with anybody's work, the kernel's own included; by the kernel's tick.
    :param stolen_ns: wanted, and given to another machine by the hypervisor.
    """

    busy_ns: int
    stolen_ns: int

    def __sub__(self, earlier: CoreTime) -> CoreTime:
        return CoreTime(self.busy_ns - earlier.busy_ns, self.stolen_ns - earlier.stolen_ns)


def core_time(cores: Iterable[int], stat: str | None = None) -> CoreTime:
    """How busy these cores were.

    :param stat: what ``/proc/stat`` says; None = it is asked.
    """
    lines = (stat if stat is not None else Path("/proc/stat").read_text()).splitlines()
    named = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in lines if line[:3] == "cpu"}
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    busy = stolen = 0
    for core in cores:
        user, nice, system, _, _, irq, softirq, steal, *_ = named[f"cpu{core}"]
        busy += user + nice + system + irq + softirq
        stolen += steal
    return CoreTime(busy * tick, stolen * tick)


def _switches(status: str) -> int:
    line = next(line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches"))
    return int(line.split()[1])


def udp_drops() -> dict[int, int]:
    """By local port: datagrams for which a socket of this network namespace had no room so far."""
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16): int(row[12]) for row in rows}


def allow_sockets() -> None:
    """Everybody is a socket here and one at the server: take as many files as we may; children inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def two_cores() -> tuple[int, int]:
    """(the server's core, the traffic's core) of those this process may use.

    :raises OneCoreError: there is only one.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise OneCoreError("this scenario needs two cores: one for the server, one for the traffic")
    return cores[0], cores[1]


def move(pids: Iterable[int], core: int, aside: bool = False) -> None:
    """Let these processes run on this core alone, with all threads they have.

    :param aside: only while nobody else wants the core.
    """
    for pid in pids:
        for task in (Path("/proc") / str(pid) / "task").iterdir():
            thread = int(task.name)
            try:
                os.sched_setaffinity(thread, {core})
                now = os.sched_getscheduler(thread)
                kept = now & os.SCHED_RESET_ON_FORK
                if aside:
                    os.sched_setscheduler(thread, os.SCHED_IDLE | kept, os.sched_param(0))
                elif now ^ kept == os.SCHED_IDLE:
                    # Nothing else: a policy that a server chose for itself is part of what is measured.
                    os.sched_setscheduler(thread, os.SCHED_OTHER | kept, os.sched_param(0))
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
