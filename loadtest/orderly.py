"""An orderly end when the process is told to end, in `asyncio.run` and outside of it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

ENDING = (signal.SIGTERM, signal.SIGHUP)
Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run ``main``; SIGTERM and SIGHUP (a terminal that is gone) cancel it as Ctrl-C does, so that its own
    ``finally`` may still wait for things. SIGHUP is left alone where nohup has it ignored.

    An exception out of a signal's handler would end the loop between any two lines instead: what still runs
    then meets what was closed already.

    :raises SystemExit: 128 and the signal's number, once ``main`` has ended because of it.
    """
    before = {number: signal.getsignal(number) for number in ENDING}
    heeded = [number for number, how in before.items() if how is not signal.SIG_IGN]
    told = 0

    async def cancelled_when_told() -> Result:
        task = asyncio.current_task()
        assert task is not None

        def end(number: int) -> None:
            nonlocal told
            told = number
            task.cancel()

        for number in heeded:
            asyncio.get_running_loop().add_signal_handler(number, end, number)
        return await main

    try:
        return asyncio.run(cancelled_when_told())
    except asyncio.CancelledError:
        if told:
            sys.exit(128 + told)
        raise
    finally:
        for number in heeded:
            signal.signal(number, before[number])


def heed() -> None:
    """Outside of `run`: the same signals end the process by `SystemExit`, so what is open is closed."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda told, _: sys.exit(128 + told))
