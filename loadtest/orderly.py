"""`asyncio.run` with an orderly end when the process is told to end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run ``main``; SIGTERM cancels it as Ctrl-C does, so that its own ``finally`` may still wait for things.

    An exception out of a signal's handler would end the loop between any two lines instead: what still runs
    then meets what was closed already.

    :raises SystemExit: 143, once ``main`` has ended because of SIGTERM.
    """
    before = signal.getsignal(signal.SIGTERM)
    told = False

    async def cancelled_when_told() -> Result:
        nonlocal told
        task = asyncio.current_task()
        assert task is not None

        def end() -> None:
            nonlocal told
            told = True
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        return await main

    try:
        return asyncio.run(cancelled_when_told())
    except asyncio.CancelledError:
        if told:
            sys.exit(128 + signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
