"""How the media thread comes by its core: short slices, first while it may be, nothing of it inherited."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from media import native
from tests.media.native.test_engine import MOST_LOOKS, Bench, bench

__all__ = ["bench"]

pytestmark = pytest.mark.skipif(not native.available(), reason=f"compiled module: {native.problem()}")

PYTHON_SLICE_NS = 200_000
"""ENGINE_PYTHON_SLICE_NS of engine.h."""


def slice_of(status: str) -> int | None:
    """Of a thread's turns on its core, ns; None where the kernel does not tell or has none."""
    found = re.search(r"^se\.slice\s*:\s*(\d+)$", status, re.MULTILINE)
    return int(found.group(1)) if found else None


def test_what_we_start_has_the_systems_own_slices(bench: Bench) -> None:
    """A browser or an encoder with the event loop's would be broken off five thousand times a second."""
    sched = Path("/proc/thread-self/sched")
    if not sched.exists() or slice_of(sched.read_text()) is None:
        pytest.skip("this kernel has no slices")
    assert slice_of(sched.read_text()) == PYTHON_SLICE_NS
    child = subprocess.run(["/bin/cat", "/proc/self/sched"], capture_output=True, text=True, check=True)
    assert slice_of(child.stdout) != PYTHON_SLICE_NS
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(sched.read_text()))
    thread.start()
    thread.join()
    assert slice_of(found[0]) != PYTHON_SLICE_NS
    assert bench.engine.counters["garbage"] == 0


def may_be_first() -> bool:
    """Whether this process may have real-time threads; tried in a thread, which then goes."""

    def attempt() -> None:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            found.append(True)

    found: list[bool] = []
    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return bool(found)


def media_thread() -> int:
    tasks = Path("/proc/self/task").iterdir()
    return next(int(one.name) for one in tasks if (one / "comm").read_text().strip() == "huizhen-media")


def test_the_thread_comes_first_where_it_may_and_leaves_an_operators_policy(bench: Bench) -> None:
    if not may_be_first():
        pytest.skip("no right to real-time threads")
    thread = media_thread()

    def turns_until(policy: int) -> None:
        for _ in range(MOST_LOOKS):
            bench.settle()
            if os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK == policy:
                return
        raise AssertionError(policy)

    turns_until(os.SCHED_FIFO)
    os.sched_setscheduler(thread, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    turns_until(os.SCHED_FIFO)  # what is ordinary is its own to change
    os.sched_setscheduler(thread, os.SCHED_BATCH | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    begun = time.monotonic()
    while time.monotonic() - begun < 0.05:  # some of its stretches
        bench.settle()
    assert os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK == os.SCHED_BATCH


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_it_comes_first_only_while_it_leaves_something_of_the_core(tmp_path: Path) -> None:
    library = tmp_path / "prompt.so"
    source = Path(native.__file__).with_name("prompt.c")
    subprocess.run(["cc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    may = ctypes.CDLL(str(library)).prompt_may_be_first
    may.argtypes, may.restype = (ctypes.c_int64, ctypes.c_int64), ctypes.c_bool
    stretch = 10_000_000
    assert [may(slept * stretch // 100, stretch) for slept in (0, 59, 60, 100)] == [False, False, True, True]
