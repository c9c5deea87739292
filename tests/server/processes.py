"""Real processes with deadlines."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Sequence
from typing import Any

_LOOK_S = 0.05  # between two looks at another process


async def finished(command: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run to the end; ``(status, all output)``. Killed, and TimeoutError, when it takes too long."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, output.decode()


class Demo:
    """A demo server as ``make run`` starts it."""

    def __init__(self, process: asyncio.subprocess.Process, facts: dict[str, Any], printed: str) -> None:
        self.process = process
        self.facts = facts
        self.printed = printed

    @classmethod
    async def start(cls, command: Sequence[str], seconds: float) -> Demo:
        """Start and wait for the READY line."""
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        assert process.stdout is not None
        printed = ""
        try:
            async with asyncio.timeout(seconds):
                async for line in process.stdout:
                    if line.startswith(b"READY "):
                        return cls(process, json.loads(line.removeprefix(b"READY ")), printed)
                    printed += line.decode()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        raise AssertionError(f"ended with {await process.wait()} before it was ready: {printed}")

    async def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.process.send_signal(number)
        try:
            await asyncio.wait_for(self.process.communicate(), seconds)
        except BaseException:
            self.process.kill()
            await self.process.wait()
            raise
        return self.process.returncode or 0


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Look again and again at what another process does; TimeoutError after ``seconds``."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(_LOOK_S)
