"""A server that stops in the middle of a consult loses nothing of it."""

from __future__ import annotations

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


async def recorded_session(server: Server) -> str:
    """Both sides in a room that is being recorded; the consult's id."""
    village = await signed_in(server.url, "village")
    consultation = await village.create_consultation(REQUEST)
    rung = consultation["offers"][0]["practitioner"]["id"].removeprefix("prc-")
    expert = await signed_in(server.url, rung)
    await expert.act(consultation["id"], "accept")
    sessions = []
    for api in (village, expert):
        token = (await api.room_token(consultation["id"]))["token"]
        session = await RoomSession.join(server.url, token)
        await session.publish(OpusSource(tone()), "microphone")
        await session.publish(Vp8Source(moving_picture()), "camera")
        sessions.append(session)
    await sessions[0].wait_for(RecordingChanged, lambda event: event.state == "on")
    await sessions[0].wait_for_sink(lambda sink: sink.source == "camera")
    await server.stop()
    for session in sessions:
        await session.close()
    for api in (village, expert):
        await api.close()
    return str(consultation["id"])


async def test_a_recording_is_finalised_and_the_consult_goes_on_after_the_restart(tmp_path: Path) -> None:
    config = config_in(tmp_path / "data")
    server = await Server.start(config, SystemClock())
    await seed(server.services)
    consultation_id = await recorded_session(server)
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
        shown = await village.consultation(consultation_id)
        assert shown["state"] in ("IN_SESSION", "SUSPENDED")
        token = (await village.room_token(consultation_id))["token"]
        back = await RoomSession.join(again.url, token)
        await back.leave()
    await again.stop()
