"""A scenario that is told to end closes what it opened, in order, and says so by its status."""

from __future__ import annotations

import signal
import subprocess
import sys

SCENARIO = """
import asyncio
from loadtest.orderly import run
from loadtest.relay.forwarder import in_groups

async def join():
    try:
        print("joined", flush=True)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("left", flush=True)

async def main():
    try:
        await in_groups((join() for _ in range(3)), 2)
    finally:
        await asyncio.sleep(0)
        print("closed", flush=True)

run(main())
"""


def test_sigterm_ends_a_scenario_in_order() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCENARIO], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["joined\n"] * 2
    process.send_signal(signal.SIGTERM)
    told, complained = process.communicate(timeout=30)
    assert told == "left\nleft\nclosed\n"
    assert complained == ""
    assert process.returncode == 128 + signal.SIGTERM


def test_what_it_gives_is_given() -> None:
    given = "import asyncio, signal; from loadtest.orderly import run; print(run(asyncio.sleep(0, 5)))"
    done = subprocess.run([sys.executable, "-c", given], capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"
