"""Both gateways in a real room that is recorded: gateway, relay, recorder, store and UDP on 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clients.device import ecg, faults, ultrasound
from clients.device.ecg import EcgOptions
from clients.device.ultrasound import UltrasoundOptions
from clients.sdk.media_source import OpusSource, Vp8Source, moving_picture, tone
from clients.sdk.room import RoomSession
from clients.sdk.signals import SignalViewer
from media.signals.export import to_array
from media.signals.formats import read_file, sample_record
from tests.clients.device.fake_clinic import peer_fault
from tests.clients.sdk.real_server import ROOM, RealServer, running_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    async with running_server(tmp_path) as running:
        yield running


async def ended(task: asyncio.Task[int]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def frames_of(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        assert container.duration is not None
        return list(container.decode(container.streams[0]))


async def test_ecg_is_seen_and_kept(server: RealServer, tmp_path: Path) -> None:
    token = server.token("dev-ecg-1", "device", signals=("publish",))
    options = EcgOptions(server.url, room_token=token, outbox=tmp_path / "outbox")
    viewer = await SignalViewer.connect(server.url, server.token("wang", "expert", signals=("watch",)))
    device = asyncio.create_task(ecg.run(options))
    async with asyncio.timeout(10):
        frames = [await viewer.next_frame() for _ in range(20)]
    await viewer.close()
    await ended(device)
    record = read_file(sample_record())[0].samples
    assert np.array_equal(to_array(frames), record[:1200])
    await server.gateway.close()  # viewers do not wait for the disk; this does
    (stream,) = server.rooms.signal_store.streams(ROOM)
    assert stream.frames >= 20
    assert stream.marks == ()
    kept = to_array(server.rooms.signal_store.read(ROOM, stream.descriptor.stream_id))
    assert np.array_equal(kept, record[: len(kept)])


async def test_a_recorded_room_has_every_track_and_the_ecg(server: RealServer, tmp_path: Path) -> None:
    doctor = await RoomSession.join(server.url, server.token("li", record=True))
    await doctor.publish(Vp8Source(moving_picture(), frames_per_second=30), "camera")
    await doctor.publish(OpusSource(tone()), "microphone")
    ecg_token = server.token("dev-ecg-1", "device", signals=("publish",))
    us_token = server.token("dev-us-1", "device", publish=("ultrasound",))
    devices = [
        asyncio.create_task(
            ecg.run(EcgOptions(server.url, room_token=ecg_token, outbox=tmp_path / "box", loop=True))
        ),
        asyncio.create_task(ultrasound.run(UltrasoundOptions(server.url, room_token=us_token, loop=True))),
    ]
    expert = await RoomSession.join(server.url, server.token("wang", "expert"))
    picture = await expert.wait_for_sink(lambda sink: sink.source == "ultrasound")
    await picture.wait_frames(10)
    assert picture.decode_pictures()[0].shape == (240, 320, 3)
    recording = await doctor.start_recording()
    seen = picture.stats.frames
    await picture.wait_frames(seen + 60)
    await doctor.stop_recording()
    for device in devices:
        await ended(device)
    await doctor.close()
    await expert.close()
    await server.rooms.close()
    (path,) = (tmp_path / "recordings").rglob("manifest.json")
    manifest = json.loads(path.read_text())
    assert manifest["recordingId"] == recording
    assert manifest["durationMs"] >= 2000
    tracks = {track["source"]: track for track in manifest["tracks"]}
    assert set(tracks) == {"camera", "microphone", "ultrasound"}
    assert [track["lostPackets"] for track in tracks.values()] == [0, 0, 0]
    for source, least in (("camera", 45), ("ultrasound", 45), ("microphone", 80)):
        assert len(frames_of(path.parent / tracks[source]["file"])) >= least
        assert tracks[source]["endMs"] - tracks[source]["startMs"] >= 1600
    ultrasound_pictures = frames_of(path.parent / tracks["ultrasound"]["file"])
    assert (ultrasound_pictures[0].width, ultrasound_pictures[0].height) == (320, 240)
    assert [signal["kind"] for signal in manifest["signals"]] == ["ecg"]


async def test_ultrasound_ends_with_its_cine(server: RealServer) -> None:
    token = server.token("dev-us-1", "device", publish=("ultrasound",))
    async with asyncio.timeout(20):
        assert await ultrasound.run(UltrasoundOptions(server.url, room_token=token)) == faults.EXIT_DONE


async def test_ultrasound_without_the_grant_is_refused(
    server: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    options = UltrasoundOptions(server.url, room_token=server.token("x", "device", publish=()), lang="en")
    async with asyncio.timeout(20):
        assert await ultrasound.run(options) == faults.EXIT_REFUSED
    assert "not_granted" in capsys.readouterr().err


async def test_devices_follow_their_assignments(server: RealServer, tmp_path: Path) -> None:
    """Waiting on /events; assigned: sends; released: ends; the next consult is another stream."""
    options = EcgOptions(server.url, device_token="account:dev-ecg-1", outbox=tmp_path / "box", loop=True)
    online = asyncio.Event()
    server.gateway.on_user_connected = lambda user: _note(online)
    device = asyncio.create_task(ecg.run(options))
    async with asyncio.timeout(20):
        await online.wait()
        for consultation in ("one", "two"):
            viewer = await SignalViewer.connect(
                server.url, server.token("wang", "expert", signals=("watch",))
            )
            token = server.token("dev-ecg-1", "device", signals=("publish",))
            assignment = {
                "consultationId": consultation,
                "roomId": ROOM,
                "token": token,
                "signalsPath": "/signals/publish",
                "whipPath": "/whip/dev-ecg-1",
            }
            await server.gateway.notify("dev-ecg-1", "deviceAssigned", assignment)
            await viewer.next_frame()
            await server.gateway.notify("dev-ecg-1", "deviceAssigned", assignment)
            await server.gateway.notify("dev-ecg-1", "deviceReleased", {"consultationId": consultation})
            while not await _has_ended(viewer):
                pass
            await viewer.close()
    await ended(device)
    assert len(server.rooms.signal_store.streams(ROOM)) == 2


async def test_an_unknown_device_token_is_refused(
    server: RealServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = EcgOptions(server.url, device_token="nonsense", outbox=tmp_path / "box")
    async with asyncio.timeout(20):
        assert await ecg.run(options) == faults.EXIT_REFUSED
    assert peer_fault("token_invalid").code.code in capsys.readouterr().err


async def _note(event: asyncio.Event) -> None:
    event.set()


async def _has_ended(viewer: SignalViewer) -> bool:
    return type(await viewer.receive()).__name__ == "SignalEnded"
