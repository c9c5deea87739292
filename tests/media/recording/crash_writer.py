"""A process that records until it is killed: ``python -m tests.media.recording.crash_writer DIRECTORY``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import av

from media.clock import CountedClock
from media.recording import Recorder
from tests.media.recording.synthetic import (
    H264,
    OPUS,
    VP8,
    FakeProducer,
    FakeRouter,
    audio_frames,
    audio_packets,
    video_frames,
    video_packets,
)


async def write(directory: Path) -> None:
    """Six seconds of three tracks, then wait for the end."""
    clock, router = CountedClock(), FakeRouter()
    recorder = Recorder(router, directory, clock, "c-1")
    recorder.start()
    recorder.add_producer(FakeProducer("a", "microphone", OPUS), "p1")
    recorder.add_producer(FakeProducer("v", "camera", VP8), "p1")
    recorder.add_producer(FakeProducer("h", "ultrasound", H264), "p2")
    tracks = {
        "a": audio_packets(audio_frames(300)),
        "v": video_packets(video_frames(180)),
        "h": video_packets(video_frames(180, "libx264"), "libx264"),
    }
    timed = sorted((packet.at, name, packet.data) for name, packets in tracks.items() for packet in packets)
    for at, name, data in timed:
        clock.advance(max(0.0, at - clock.monotonic()))
        router.sinks[name].packet(data, clock.monotonic())
    await _until(lambda: "t3" in _manifest(directory) and all(_seconds(p) > 4 for p in _files(directory)))
    print("written", flush=True)
    await asyncio.Event().wait()


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for happens on the disk
        await asyncio.sleep(0.05)


def _manifest(directory: Path) -> str:
    path = directory / "manifest.json"
    return path.read_text() if path.exists() and '"startMs"' in path.read_text() else ""


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob("t*-*"))


def _seconds(path: Path) -> float:
    """How much of a growing file could be read back."""
    try:
        with av.open(str(path)) as container:
            times = [packet.pts * packet.time_base for packet in container.demux() if packet.pts is not None]
    except av.FFmpegError:
        return 0.0
    return float(max(times, default=0))


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
