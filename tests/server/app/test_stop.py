"""A server that stops in the middle of a consult loses nothing of it."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from clients.sdk.api import ApiClient
from clients.sdk.media_source import OpusSource, Vp8Source, moving_picture, tone
from clients.sdk.room import RoomSession
from clients.sdk.room_events import RecordingChanged
from media.clock import SystemClock
from server.app import Server
from server.archive.models import RecordingRow
from server.demo import seed
from server.demo_county import PASSWORD
from tests.server.processes import Demo, until
from tests.server.running import config_in

REQUEST = {
    "kind": "urgent",
    "specialty": "cardiology",
    "patientId": "pat-demo-1",
    "purpose": "胸痛",
    "summary": "两小时",
    "consent": {"consult": True, "recording": True, "by": "patient"},
    "submit": True,
}


async def signed_in(url: str, username: str) -> ApiClient:
    api = ApiClient(url)
    await api.login(username, PASSWORD)
    return api


@dataclass
class Session:
    """Both sides in a room that is being recorded."""

    consultation_id: str
    apis: list[ApiClient]
    rooms: list[RoomSession]

    async def close(self) -> None:
        for room in self.rooms:
            await room.close()
        for api in self.apis:
            await api.close()


async def recorded_session(url: str) -> Session:
    village = await signed_in(url, "village")
    consultation = await village.create_consultation(REQUEST)
    rung = consultation["offers"][0]["practitioner"]["id"].removeprefix("prc-")
    expert = await signed_in(url, rung)
    await expert.act(consultation["id"], "accept")
    rooms = []
    for api in (village, expert):
        token = (await api.room_token(consultation["id"]))["token"]
        room = await RoomSession.join(url, token)
        await room.publish(OpusSource(tone()), "microphone")
        await room.publish(Vp8Source(moving_picture()), "camera")
        rooms.append(room)
    await rooms[0].wait_for(RecordingChanged, lambda event: event.state == "on")
    camera = await rooms[0].wait_for_sink(lambda sink: sink.source == "camera")
    await camera.wait_frames(3)  # the recorder may hear of the first one later than the other person
    return Session(consultation["id"], [village, expert], rooms)


async def test_a_recording_is_finalised_and_the_consult_goes_on_after_the_restart(tmp_path: Path) -> None:
    config = config_in(tmp_path / "data")
    server = await Server.start(config, SystemClock())
    await seed(server.services)
    recorded = await recorded_session(server.url)
    await server.stop()
    await recorded.close()
    again = await Server.start(config, SystemClock())
    async with again.services.database.read() as session:
        row = await session.scalar(select(RecordingRow))
        assert row is not None
        assert row.ended_at is not None
        manifest = await again.services.recordings.manifest(row)
    assert {track["source"] for track in manifest["tracks"]} == {"microphone", "camera"}
    assert all(
        (again.services.recordings.file(row, manifest, t["file"])).stat().st_size for t in manifest["tracks"]
    )
    async with ApiClient(again.url) as village:
        await village.login("village", PASSWORD)
        shown = await village.consultation(recorded.consultation_id)
        assert shown["state"] in ("IN_SESSION", "SUSPENDED")
        token = (await village.room_token(recorded.consultation_id))["token"]
        back = await RoomSession.join(again.url, token)
        await back.leave()
    await again.stop()


def written(directory: Path) -> int:
    """Bytes of the longest track so far."""
    return max((path.stat().st_size for path in directory.rglob("*.webm")), default=0)


async def test_a_recording_survives_the_death_of_the_process(tmp_path: Path) -> None:
    """Whole up to what was on the disk; finished at the next start, playable, in the catalogue."""
    data = tmp_path / "county"
    command = [sys.executable, "-m", "server.cli", "demo", "--data", str(data), "--no-devices"]
    command += ["--port", "0", "--media-port", "0"]
    demo = await Demo.start(command, 60)
    recorded = await recorded_session(demo.facts["url"])
    await until(lambda: written(data / "recordings") > 20_000)
    await demo.stop(signal.SIGKILL)
    await recorded.close()
    again = await Demo.start(command, 60)
    async with ApiClient(again.facts["url"]) as village:
        await village.login("village", PASSWORD)
        (listed,) = await village.recordings(recorded.consultation_id)
        shown = await village.recording(listed["id"])
        tracks = [await village.fetch("GET", track["url"]) or b"" for track in shown["tracks"]]
    assert shown["durationMs"] > 0
    assert {track["source"] for track in shown["tracks"]} >= {"camera"}
    assert max(len(track) for track in tracks) > 10_000
    await again.stop()
