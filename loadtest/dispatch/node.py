"""One node of the drill as a process: commands in, replies out; it may be killed at any moment."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

START_SECONDS = 60.0
_LINE_BYTES = 1 << 24


class NodeGoneError(Exception):
    """The process ended before it replied; what it had to do may be done or not."""


class Node:
    """A ``huizhen drill`` on a database. Made by `start`."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self._url = url
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last = 0
        self._up = asyncio.Event()  # it replies; whoever asks while it starts again waits for that

    async def start(self, now: float) -> None:
        """Start it, or again after its end; returns when it has put right what it found."""
        command = [sys.executable, "-m", "server.cli", "drill", "--data", str(self.directory)]
        command += ["--now", repr(now), "--database-url", self._url]
        with (self.directory / "drill.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LINE_BYTES,
                start_new_session=True,  # a terminal's Ctrl-C is the driver's, who lets it finish
            )
        ready = self._expect(0)
        self._reading = asyncio.create_task(self._read(), name="drill-output")
        await asyncio.wait_for(ready, START_SECONDS)
        self._up.set()

    async def ask(self, now: float, do: str, **what: Any) -> dict[str, Any]:
        """The reply. Raises NodeGoneError."""
        await asyncio.wait_for(self._up.wait(), START_SECONDS)
        self._last += 1
        number = self._last
        reply = self._expect(number)
        assert self._process is not None
        assert self._process.stdin is not None
        line = json.dumps({"id": number, "now": now, "do": do, **what}) + "\n"
        self._process.stdin.write(line.encode())
        return await reply

    def _expect(self, number: int) -> asyncio.Future[dict[str, Any]]:
        self._waiting[number] = asyncio.get_running_loop().create_future()
        return self._waiting[number]

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if not line.endswith(b"\n"):
                break  # killed while it wrote
            reply = json.loads(line)
            waiting = self._waiting.pop(reply["id"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(reply)
        self._up.clear()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(NodeGoneError("the node ended"))
        self._waiting.clear()

    async def kill(self) -> None:
        """SIGKILL, now."""
        assert self._process is not None
        self._up.clear()
        if self._process.returncode is None:
            self._process.kill()
        await self._end()

    async def stop(self) -> int:
        """Let it finish and end by itself; its exit status."""
        if self._process is None:
            return 0
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._end()
        return self._process.returncode or 0

    async def _end(self) -> None:
        assert self._process is not None
        await self._process.wait()
        if self._reading is not None:
            await self._reading
            self._reading = None
