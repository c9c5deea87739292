"""What a recording holds, read back with FFmpeg: frames, times, gaps, and what a crash leaves."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from media.clock import CountedClock
from media.errors import LocalProtocolError
from media.recording import Recorder, recover, recover_all
from media.signals.descriptor import Lead, StreamDescriptor
from tests.media.recording.synthetic import (
    H264,
    OPUS,
    VP8,
    FakeProducer,
    FakeRouter,
    Timed,
    audio_frames,
    audio_packets,
    video_frames,
    video_packets,
)

Tracks = dict[str, tuple[FakeProducer, list[Timed]]]


async def record(directory: Path, tracks: Tracks) -> tuple[dict[str, Any], FakeRouter]:
    """Play the packets into a recorder by a counted clock; the manifest."""
    clock, router = CountedClock(), FakeRouter()
    recorder = Recorder(router, directory, clock, "c-1", "rec-1")
    recorder.start()
    for producer, _ in tracks.values():
        recorder.add_producer(producer, "peer-1")
    events = sorted(
        (packet.at, name, packet.data) for name, (_, packets) in tracks.items() for packet in packets
    )
    for at, name, data in events:
        clock.advance(max(0.0, at - clock.monotonic()))
        router.sinks[name].packet(data, clock.monotonic())
        recorder.tick(clock.monotonic())
    path = await recorder.stop()
    return json.loads(path.read_text()), router


def decoded(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return list(container.decode(container.streams[0]))


def track(manifest: dict[str, Any], source: str) -> dict[str, Any]:
    return next(entry for entry in manifest["tracks"] if entry["source"] == source)


async def test_vp8_and_opus_play_whole_and_in_step(tmp_path: Path) -> None:
    manifest, _ = await record(
        tmp_path,
        {
            "v": (FakeProducer("v", "camera", VP8), video_packets(video_frames(90), start=0.5)),
            "a": (FakeProducer("a", "microphone", OPUS), audio_packets(audio_frames(150), start=0.25)),
        },
    )
    camera, microphone = track(manifest, "camera"), track(manifest, "microphone")
    assert (camera["startMs"], microphone["startMs"]) == (500, 250)
    assert (camera["width"], camera["height"], camera["lostPackets"]) == (320, 240, 0)
    assert camera["endMs"] == 500 + round(89 / 30 * 1000)
    assert microphone["endMs"] == 250 + 3000
    assert camera["gaps"] == microphone["gaps"] == []
    pictures = decoded(tmp_path / camera["file"])
    assert len(pictures) == 90
    assert [round(p.time * 30) for p in pictures] == list(range(90))
    sound = decoded(tmp_path / microphone["file"])
    assert sum(frame.samples for frame in sound) == 150 * 960
    assert manifest["durationMs"] == 3467
    assert manifest["state"] == "complete"


async def test_h264_is_an_ordinary_mp4_in_the_end(tmp_path: Path) -> None:
    packets = video_packets(video_frames(90, "libx264"), "libx264")
    manifest, _ = await record(tmp_path, {"h": (FakeProducer("h", "ultrasound", H264), packets)})
    entry = track(manifest, "ultrasound")
    assert entry["file"].endswith(".mp4")
    assert len(decoded(tmp_path / entry["file"])) == 90
    with av.open(str(tmp_path / entry["file"])) as container:
        assert container.duration is not None
        assert container.duration == pytest.approx(3_000_000, abs=50_000)


@pytest.mark.parametrize(("encoder", "codec"), [("libvpx", VP8), ("libx264", H264)])
async def test_files_have_a_duration_and_seek(tmp_path: Path, encoder: str, codec: dict[str, Any]) -> None:
    packets = video_packets(video_frames(240, encoder), encoder)
    manifest, _ = await record(tmp_path, {"v": (FakeProducer("v", "camera", codec), packets)})
    with av.open(str(tmp_path / manifest["tracks"][0]["file"])) as container:
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(8.0, abs=0.1)
        container.seek(5_500_000)
        first = next(container.decode(video=0))
        assert first.time == pytest.approx(5.0, abs=0.04)


async def test_lost_sound_is_a_gap_in_time_of_the_right_length(tmp_path: Path) -> None:
    packets = audio_packets(audio_frames(200))
    del packets[50:75]
    manifest, _ = await record(tmp_path, {"a": (FakeProducer("a", "microphone", OPUS), packets)})
    entry = track(manifest, "microphone")
    assert entry["lostPackets"] == 25
    assert entry["gaps"] == [[1000, 1500]]
    frames = decoded(tmp_path / entry["file"])
    sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    assert len(sound) == 200 * 960
    loud = np.abs(sound.reshape(200, 960)).max(axis=1) > 0.05
    assert not loud[56:74].any()
    assert loud[5:50].all()
    assert loud[77:].all()


async def test_lost_video_drops_to_the_next_key_frame_and_asks_for_one(tmp_path: Path) -> None:
    packets = video_packets(video_frames(90))
    timestamps = sorted({packet.at for packet in packets})
    kept = [packet for packet in packets if packet.at != timestamps[40]]
    manifest, router = await record(tmp_path, {"v": (FakeProducer("v", "camera", VP8), kept)})
    entry = track(manifest, "camera")
    times = [round(p.time * 30) for p in decoded(tmp_path / entry["file"])]
    assert times == [*range(40), *range(60, 90)]
    assert entry["lostPackets"] > 0
    assert entry["gaps"] == [[1300, 2000]]
    assert router.consumers["v"].key_frames >= 2


async def test_disorder_is_put_right(tmp_path: Path) -> None:
    packets = video_packets(video_frames(60))
    for index in range(1, len(packets) - 1, 5):
        one, other = packets[index], packets[index + 1]
        packets[index], packets[index + 1] = Timed(one.at, other.data), Timed(other.at, one.data)
    manifest, _ = await record(tmp_path, {"v": (FakeProducer("v", "camera", VP8), packets)})
    assert len(decoded(tmp_path / manifest["tracks"][0]["file"])) == 60


async def test_video_waits_for_its_first_key_frame_and_keeps_asking(tmp_path: Path) -> None:
    packets = video_packets(video_frames(90))
    start = sorted({packet.at for packet in packets})[10]
    late = [packet for packet in packets if packet.at >= start]
    manifest, router = await record(tmp_path, {"v": (FakeProducer("v", "camera", VP8), late)})
    entry = track(manifest, "camera")
    assert entry["startMs"] == pytest.approx(1000, abs=2)
    assert len(decoded(tmp_path / entry["file"])) == 60
    assert router.consumers["v"].key_frames >= 1


async def test_key_frames_are_asked_for_so_that_seeking_lands_close(tmp_path: Path) -> None:
    packets = video_packets(video_frames(700, key_every=10_000))
    _, router = await record(tmp_path, {"v": (FakeProducer("v", "camera", VP8), packets)})
    assert 2 <= router.consumers["v"].key_frames < 40


async def test_garbage_and_silence_leave_no_file(tmp_path: Path) -> None:
    garbage = [Timed(n / 10, bytes([n]) * n) for n in range(40)]
    manifest, _ = await record(
        tmp_path,
        {
            "g": (FakeProducer("g", "camera", VP8), garbage),
            "s": (FakeProducer("s", "microphone", OPUS), []),
        },
    )
    assert manifest["tracks"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json"]


async def test_unknown_codec_is_left_out(tmp_path: Path) -> None:
    codec = {"mimeType": "video/AV1", "clockRate": 90_000}
    manifest, router = await record(tmp_path, {"x": (FakeProducer("x", "screen", codec), [])})
    assert manifest["tracks"] == []
    assert router.consumers == {}


async def test_stop_closes_taps_and_is_idempotent(tmp_path: Path) -> None:
    clock, router = CountedClock(), FakeRouter()
    recorder = Recorder(router, tmp_path / "rec-9", clock, "c-1")
    with pytest.raises(LocalProtocolError, match="wrong_state"):
        recorder.add_producer(FakeProducer("a", "microphone", OPUS), "p")
    recorder.start()
    recorder.add_producer(FakeProducer("a", "microphone", OPUS), "p")
    recorder.add_producer(FakeProducer("a", "microphone", OPUS), "p")
    stream = StreamDescriptor("00112233-4455-6677-8899-aabbccddeeff", "ecg", "", 500.0, (Lead("I"),))
    recorder.add_signal(stream, clock.wall() - 2)
    first = await recorder.stop()
    assert await recorder.stop() == first
    assert router.consumers["a"].closed
    manifest = json.loads(first.read_text())
    assert manifest["recordingId"] == "rec-9"
    assert manifest["signals"][0]["startMs"] == -2000
    assert manifest["signals"][0]["streamId"] == stream.stream_id


def test_killed_recording_is_made_whole(tmp_path: Path) -> None:
    directory = tmp_path / "rec"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.media.recording.crash_writer", str(directory)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        readable, _, _ = select.select([process.stdout], [], [], 60)
        assert readable
        assert process.stdout.readline().strip() == b"written"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    manifests = list(recover_all(tmp_path))
    assert len(manifests) == 1
    assert manifests[0].state == "recovered"
    assert {entry.source for entry in manifests[0].tracks} == {"microphone", "camera", "ultrasound"}
    for entry in manifests[0].tracks:
        with av.open(str(directory / entry.file)) as container:
            assert container.duration is not None
            assert container.duration / 1e6 >= 4.0
            assert container.duration / 1e6 == pytest.approx((entry.end_ms - entry.start_ms) / 1000, abs=0.1)
            assert sum(1 for _ in container.decode(container.streams[0])) >= 120
    assert recover(directory) is None
