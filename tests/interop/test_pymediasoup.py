"""The example on pymediasoup, an independent implementation: two of them meet over the real media plane."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from signaling.events import MediaStarted, RecordingStopped
from tests.interop.server import ROOM, Server, running_server

pytestmark = pytest.mark.usefixtures("each_plane")

CLIENT = Path(__file__).parents[2] / "docs" / "examples" / "pymediasoup" / "client.py"
ON_LOOPBACK = Path(__file__).with_name("on_loopback.py")
DEADLINE_S = 40.0


class Example:
    """The example as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, server: Server, user_id: str) -> Example:
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                str(ON_LOOPBACK),
                str(CLIENT),
                server.url,
                server.token(user_id),
                stdout=pipe,
                stderr=pipe,
            )
        )

    async def received(self, frames: int, messages: bool = True) -> dict[str, Any]:
        """Its first report with so many decoded frames of each source, and a message if `messages`."""
        stdout = self._process.stdout
        assert stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            while line := await stdout.readline():
                report: dict[str, Any] = json.loads(line)
                counts = report["frames"].values()
                if len(counts) >= 2 and min(counts) >= frames and (report["messages"] or not messages):
                    return report
        stderr = await self._process.stderr.read() if self._process.stderr else b""
        pytest.fail(f"the example ended: {stderr.decode()[-2000:]}")

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()


async def test_two_examples_see_hear_and_greet_each_other_and_are_recorded(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        recording_id = await server.service.start_recording(ROOM)
        first, second = await Example.start(server, "a"), await Example.start(server, "b")
        try:
            for example in (first, second):
                report = await example.received(frames=20)
                sources = {name.split(" ")[1] for name in report["frames"]}
                assert sources == {"camera", "microphone"}
                assert set(report["messages"]) == {"hello from pymediasoup"}
            await server.service.stop_recording(ROOM)
        finally:
            await first.stop()
            await second.stop()
    assert len([event for event in server.events if isinstance(event, MediaStarted)]) == 2
    stopped = [event for event in server.events if isinstance(event, RecordingStopped)]
    assert [event.recording_id for event in stopped] == [recording_id]
    manifest = json.loads(stopped[0].manifest_path.read_text())
    tracks = [(track["kind"], track["source"]) for track in manifest["tracks"]]
    assert sorted(tracks) == [("audio", "microphone")] * 2 + [("video", "camera")] * 2
    for track in manifest["tracks"]:
        with av.open(str(stopped[0].manifest_path.parent / track["file"])) as container:
            assert next(container.decode(container.streams[0]), None) is not None
