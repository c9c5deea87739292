"""Recordings: who may open one, what its links give, and what they do not."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from media.signals import Frame, Lead, StreamDescriptor, decode
from media.signals.analysis.findings import Alarm
from server.app import Server
from server.archive.models import RecordingRow
from server.auth.tickets import make_ticket
from server.room_events import RoomEvents
from signaling.events import PeerJoined, RecordingStarted, RecordingStopped, SignalAlarm
from tests.server.running import Caller, CallerFactory

RECORDED_S = 13.12
MEASURED_S = 12.0
WEBM = bytes(range(256)) * 8
STREAM = StreamDescriptor(
    stream_id="0c5c6c8e-3c0f-4d0c-9a2f-6f1f3a2b4c5d",
    kind="ecg",
    label="ECG",
    sampling_rate_hz=500.0,
    leads=(Lead("I", "I", 1.25, 0), Lead("II", "II", 1.25, 0)),
)


@dataclass
class Recorded:
    """A consult of the village doctor with one recording."""

    consultation_id: str
    recording_id: str
    village: Caller


def manifest_of(recording_id: str, room_id: str, started_at: float) -> dict[str, Any]:
    track = {
        "trackId": "t-1",
        "peerId": "p-1",
        "kind": "video",
        "source": "camera",
        "codec": "video/VP8",
        "file": "t-1.webm",
        "mimeType": 'video/webm; codecs="vp8"',
        "startMs": 120,
        "endMs": 5120,
        "packets": 400,
        "lostPackets": 0,
        "width": 320,
        "height": 240,
    }
    return {
        "version": 1,
        "recordingId": recording_id,
        "roomId": room_id,
        "state": "complete",
        "startedAt": started_at,
        "endedAt": started_at + RECORDED_S,
        "durationMs": round(RECORDED_S * 1000),
        "tracks": [track],
        "signals": [],
    }


@pytest_asyncio.fixture
async def recorded(server: Server, caller: CallerFactory) -> Recorded:
    village = await caller("village")
    draft = {"kind": "urgent", "specialty": "cardiology", "patientId": "pat-demo-1", "submit": False}
    status, consultation = await village.call("POST", "/consultations", draft)
    assert status == 201, consultation
    room_id, recording_id = consultation["roomId"], "rec-test"
    # All that was measured was measured while it was recorded.
    now = server.services.clock.wall() - MEASURED_S - 0.5
    folder = server.services.recordings.directory / recording_id
    folder.mkdir(parents=True)
    (folder / "t-1.webm").write_bytes(WEBM)
    (folder / "secret.txt").write_text("not a track")
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest_of(recording_id, room_id, now)))
    await store_signal(server, room_id, now)
    async with server.services.database.write() as session:
        await server.services.recordings.started(session, RecordingStarted(room_id, recording_id, now))
    async with server.services.database.write() as session:
        await server.services.recordings.stopped(
            session, RecordingStopped(room_id, recording_id, path, now + RECORDED_S)
        )
    return Recorded(consultation["id"], recording_id, village)


async def store_signal(server: Server, room_id: str, began: float) -> None:
    log = await server.services.signals.open(room_id, STREAM)
    start_ns = round((began + 0.5) * 1e9)
    for sequence in range(120):
        samples = np.full((50, 2), sequence, dtype=np.int16)
        await log.append(Frame.of(STREAM, sequence, start_ns + sequence * 10**8, samples))
    alarm = Alarm("a-1", STREAM.stream_id, "pause", "medium", start_ns / 1e9 + 4, 0.0, {"seconds": 2.4})
    await log.alarm(alarm)
    await log.alarm(
        replace(
            alarm,
            ended_at=alarm.since + 1,
            acknowledged_at=alarm.since + 2,
            acknowledged_by="prc-cardio1",
            acknowledged_role="expert",
        )
    )
    await log.close()


async def test_a_recording_has_tracks_signals_and_times(recorded: Recorded) -> None:
    shown = await recorded.village.get(f"/recordings/{recorded.recording_id}")
    assert shown["consultationId"] == recorded.consultation_id
    assert shown["durationMs"] == 13_120
    (track,), (signal,) = shown["tracks"], shown["signals"]
    assert (track["startMs"], track["width"], track["lostPackets"]) == (120, 320, 0)
    assert (signal["frames"], signal["samplingRateHz"], len(signal["leads"])) == (120, 500.0, 2)
    assert signal["missing"] == []
    (alarm,) = signal["alarms"]
    assert (alarm["kind"], alarm["state"], alarm["over"]) == ("pause", "acknowledged", True)
    assert alarm["atMs"] == pytest.approx(4000, abs=1000)
    assert alarm["endedMs"] - alarm["atMs"] == pytest.approx(1000, abs=1)
    assert alarm["acknowledgedMs"] - alarm["atMs"] == pytest.approx(2000, abs=1)
    assert "2.4" in alarm["message"]["zh"]
    listed = await recorded.village.get(f"/consultations/{recorded.consultation_id}/recordings")
    assert [entry["id"] for entry in listed] == [recorded.recording_id]


async def record_only(server: Server, recorded: Recorded, begin: float, end: float) -> None:
    """As if the recording had run from ``begin`` to ``end`` seconds after what was measured first."""
    (stream,) = server.services.signals.streams(f"c-{recorded.consultation_id}")
    async with server.services.database.write() as session:
        row = await session.get(RecordingRow, recorded.recording_id)
        assert row is not None
        row.started_at, row.ended_at = stream.start + begin, stream.start + end


async def test_what_was_measured_outside_the_recording_is_no_part_of_it(
    server: Server, recorded: Recorded
) -> None:
    await record_only(server, recorded, 2.05, 3.05)
    shown = await recorded.village.get(f"/recordings/{recorded.recording_id}")
    (signal,) = shown["signals"]
    assert (signal["startMs"], signal["endMs"]) == (pytest.approx(50, abs=2), pytest.approx(1000, abs=1))
    assert signal["alarms"] == []
    async with recorded.village.http.get(f"{recorded.village.url}{signal['url']}") as reply:
        body = await reply.read()
    frames = []
    while body:
        (length,) = struct.unpack_from("<I", body)
        frames.append(decode(body[4 : 4 + length], STREAM).sequence)
        body = body[4 + length :]
    assert frames == list(range(21, 30))
    await record_only(server, recorded, 20, 30)
    assert (await recorded.village.get(f"/recordings/{recorded.recording_id}"))["signals"] == []


async def test_beats_and_rate_are_had_by_ticket(recorded: Recorded) -> None:
    (signal,) = (await recorded.village.get(f"/recordings/{recorded.recording_id}"))["signals"]
    url = f"{recorded.village.url}{signal['analysisUrl']}"
    async with recorded.village.http.get(url) as reply:
        assert reply.status == 200
        body = await reply.json()
    # A staircase has no beats and no rate.
    assert (body["beatsMs"], body["complete"], len(body["points"])) == ([], True, 12)
    assert {rate for _, rate, _ in body["points"]} == {None}
    # By when the frames came, so later on a machine that took its time to store them.
    assert body["points"][0][0] == pytest.approx(1500, abs=900)
    async with recorded.village.http.get(url.replace("ticket=", "ticket=1")) as reply:
        assert reply.status == 403


async def test_a_track_tells_whose_it_is(server: Server, recorded: Recorded) -> None:
    async def owner() -> Any:
        return (await recorded.village.get(f"/recordings/{recorded.recording_id}"))["tracks"][0][
            "participant"
        ]

    assert await owner() is None
    events = RoomEvents(server.services)
    room_id = f"c-{recorded.consultation_id}"
    await events.room_event(PeerJoined(room_id, "prc-cardio1", "expert", 1.0, "p-1"))
    await events.room_event(PeerJoined(room_id, "prc-cardio1", "expert", 2.0, "p-1"))
    assert await owner() == {"role": "expert", "name": "王建国", "nameEn": "Wang Jianguo"}


async def test_a_track_is_fetched_without_a_header_and_in_ranges(recorded: Recorded) -> None:
    shown = await recorded.village.get(f"/recordings/{recorded.recording_id}")
    url = recorded.village.url + shown["tracks"][0]["url"]
    async with recorded.village.http.get(url) as reply:
        assert (reply.status, reply.content_type) == (200, "video/webm")
        assert await reply.read() == WEBM
    async with recorded.village.http.get(url, headers={"Range": "bytes=256-511"}) as reply:
        assert (reply.status, await reply.read()) == (206, WEBM[256:512])
        assert reply.headers["Content-Range"] == f"bytes 256-511/{len(WEBM)}"


def frames_in(raw: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(raw):
        (length,) = struct.unpack_from("<I", raw, position)
        yield raw[position + 4 : position + 4 + length]
        position += 4 + length


async def test_a_signal_s_frames_come_whole_and_in_order(recorded: Recorded) -> None:
    shown = await recorded.village.get(f"/recordings/{recorded.recording_id}")
    async with recorded.village.http.get(recorded.village.url + shown["signals"][0]["url"]) as reply:
        assert reply.status == 200
        frames = [decode(raw, STREAM) for raw in frames_in(await reply.read())]
    assert [frame.sequence for frame in frames] == list(range(120))
    assert int(frames[7].samples[0, 0]) == 7


async def test_parts_and_an_overview_are_had_by_ticket(recorded: Recorded, server: Server) -> None:
    shown = await recorded.village.get(f"/recordings/{recorded.recording_id}")
    signal = shown["signals"][0]
    (stored,) = server.services.signals.streams(f"{shown['roomId']}")
    period = f"&from={stored.start + 1.05}&to={stored.start + 1.25}"

    async def fetched(url: str) -> tuple[int, bytes]:
        async with recorded.village.http.get(recorded.village.url + url) as reply:
            return reply.status, await reply.read()

    status, body = await fetched(signal["partUrl"] + period)
    assert status == 200
    (length,) = struct.unpack_from("<I", body)
    assert decode(body[12 : 12 + length], STREAM).sequence == 10
    status, body = await fetched(signal["overviewUrl"] + period + "&lead=0")
    assert (status, len(body)) == (200, 4 * 4)
    status, body = await fetched(signal["partUrl"] + "&from=1&to=50")
    assert (status, json.loads(body)["code"]) == (422, "signal_past_range")
    assert (await fetched(signal["partUrl"].replace("ticket=", "ticket=1") + period))[0] == 403


async def test_only_who_may_see_the_consult_sees_its_recording(
    recorded: Recorded, caller: CallerFactory
) -> None:
    for username in ("village2", "cardio1", "admin", "regulator"):
        status, body = await (await caller(username)).call("GET", f"/recordings/{recorded.recording_id}")
        assert (status, body["code"]) == (403, "forbidden")
    status, body = await recorded.village.call("GET", "/recordings/rec-none")
    assert (status, body["code"]) == (404, "not_found")


async def test_a_ticket_opens_its_recording_s_tracks_only(recorded: Recorded, server: Server) -> None:
    nobody = Caller(recorded.village.http, recorded.village.url, recorded.village.contract)
    key, now = server.services.keys.ticket_key, int(server.services.clock.wall())
    good = make_ticket(key, recorded.recording_id, now + 60)
    path = f"/recordings/{recorded.recording_id}/files"
    cases = {
        f"{path}/t-1.webm": 403,
        f"{path}/t-1.webm?ticket=": 403,
        f"{path}/t-1.webm?ticket={make_ticket(key, 'rec-other', now + 60)}": 403,
        f"{path}/t-1.webm?ticket={make_ticket(key, recorded.recording_id, now - 1)}": 403,
        f"{path}/t-1.webm?ticket={good}": 200,
        f"{path}/secret.txt?ticket={good}": 404,
        f"{path}/manifest.json?ticket={good}": 404,
        f"{path}/..%2f..%2fsecret.key?ticket={good}": 404,
        f"/recordings/{recorded.recording_id}/signals/{STREAM.stream_id}?ticket={good}": 200,
        f"/recordings/{recorded.recording_id}/signals/{'0' * 8}-0000-4000-8000-{'0' * 12}?ticket={good}": 404,
    }
    for target, expected in cases.items():
        assert (await nobody.call("GET", target))[0] == expected, target


async def test_alarms_of_the_heart_stand_in_the_trail(
    recorded: Recorded, server: Server, caller: CallerFactory
) -> None:
    events, room_id = RoomEvents(server.services), f"c-{recorded.consultation_id}"
    told = SignalAlarm(room_id, STREAM.stream_id, "a-1", "tachycardia", "medium", "raised", False, 1.0)
    for event in (
        told,
        replace(told, kind="lead_off", technical=True),
        replace(told, happened="acknowledged", user_id="prc-cardio1"),
        replace(told, happened="ended"),
    ):
        await events.room_event(event)
    page = await (await caller("regulator")).get(f"/audit?consultationId={recorded.consultation_id}")
    kept = [entry for entry in page["items"] if entry["action"].startswith("alarm.")]
    assert {entry["action"]: entry["actor"]["kind"] for entry in kept} == {
        "alarm.raise": "system",
        "alarm.acknowledge": "practitioner",
        "alarm.end": "system",
    }
    assert all(entry["detail"]["kind"] == "tachycardia" for entry in kept)


async def test_opening_a_recording_stands_in_the_trail(recorded: Recorded, caller: CallerFactory) -> None:
    await recorded.village.get(f"/recordings/{recorded.recording_id}")
    page = await (await caller("regulator")).get(f"/audit?consultationId={recorded.consultation_id}")
    assert [entry["subjectId"] for entry in page["items"] if entry["action"] == "recording.view"] == [
        recorded.recording_id
    ]


async def test_a_recording_that_a_crash_left_is_taken_up_at_the_next_start(
    recorded: Recorded, server: Server, tmp_path: Path
) -> None:
    now = server.services.clock.wall()
    folder = server.services.recordings.directory / "rec-lost"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(manifest_of("rec-lost", "c-con-x", now)))
    async with server.services.database.write() as session:
        await server.services.recordings.started(session, RecordingStarted("c-con-x", "rec-lost", now))
    async with server.services.database.write() as session:
        assert await server.services.recordings.adopt(session) == 1
    async with server.services.database.read() as session:
        row = await session.get(RecordingRow, "rec-lost")
    assert row is not None
    assert (row.duration_ms, row.manifest_path) == (13_120, "rec-lost/manifest.json")
