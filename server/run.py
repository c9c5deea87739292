"""Running a server in the foreground: from start to a signal, then an orderly stop."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from media.clock import SystemClock
from media.errors import LocalProtocolError
from server.app import Server
from server.config import Config
from server.errors import PORT_TAKEN

Running = Callable[[Server], AbstractAsyncContextManager[None]]
"""What stands on a running server: entered when it answers, left before it stops."""


async def serve(config: Config, running: Running) -> None:
    """Start, enter ``running``, wait for SIGTERM or SIGINT, leave it, stop;

    recordings are finalised on the way.

    A signal that comes while things still start ends the start.

    :raises LocalProtocolError: port_taken; which ones were wanted is said.
    """
    work = asyncio.current_task()
    assert work is not None
    stopping = asyncio.Event()

    def stop() -> None:
        if not stopping.is_set():
            stopping.set()
            work.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await _serve(config, running)
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise


async def _serve(config: Config, running: Running) -> None:
    server = await _started(config)
    try:
        async with running(server):
            # Until cancelled: the signal is the only way out.
            await asyncio.Event().wait()
    finally:
        await server.stop()


async def _started(config: Config) -> Server:
    try:
        return await Server.start(config, SystemClock())
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        http, media = config.http, config.media
        web = f"[http] {http.host} {http.port} {http.https_port}"
        wanted = f"{web}, [media] {media.listen_ip} {media.port} {media.tcp_port}"
        raise LocalProtocolError(PORT_TAKEN, wanted) from error
