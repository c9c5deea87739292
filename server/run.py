"""Running a server in the foreground: from start to a signal, then an orderly stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from media.clock import SystemClock
from server.app import Server
from server.config import Config

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def serve(config: Config, ready: Callable[[Server, asyncio.Event], Awaitable[None]]) -> None:
    """Start, call ``ready``, wait for SIGTERM or SIGINT, stop; recordings are finalised on the way.

    :param ready: given the running server and the event that is set when it is to stop.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = await Server.start(config, SystemClock())
    try:
        await ready(server, stopping)
        await stopping.wait()
    finally:
        await server.stop()
