"""A stranger at the other end: FFmpeg's own WHIP client publishes H.264 into a room, in both DTLS roles."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from clients.sdk.room import RoomSession
from clients.sdk.room_events import ConsumerAdded
from tests.clients.sdk.real_server import running_server

PUBLISHER = Path(__file__).with_name("ffmpeg_publisher.py")
START_S = 30.0


@pytest.mark.parametrize("flags", ["-", "dtls_active"], ids=["dtls-passive", "dtls-active"])
async def test_ffmpeg_publishes_by_whip(tmp_path: Path, flags: str) -> None:
    async with running_server(tmp_path) as server:
        doctor = await RoomSession.join(server.url, server.token("wang", "expert"))
        token = server.token("dev-us-1", "device", publish=("ultrasound",))
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(PUBLISHER), f"{server.url}/whip/dev-us-1", token, flags
        )
        try:
            await doctor.wait_for(ConsumerAdded, timeout_s=START_S)
            sink = await doctor.wait_for_sink(lambda sink: sink.source == "ultrasound", START_S)
            await sink.wait_frames(20)
            assert sink.mime_type == "video/H264"
            assert sink.decode_pictures()[0].shape == (240, 320, 3)
            assert sink.stats.lost == 0
        finally:
            process.terminate()
            await process.wait()
            await doctor.close()
