"""Materials are what their bytes are; a thread has its readers."""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import av
import pydicom
import pytest
from av import AudioStream
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file

from media.signals import StreamDescriptor, decode
from media.signals.formats import FORMATS, About, Gap, Source, read_file, sample_record
from server.app import Server
from server.consults.errors import ActionRefused
from server.consults.held_uploads import HeldUploads
from server.consults.limits import (
    HELD_UPLOAD_S,
    HELD_UPLOADS,
    HELD_UPLOADS_PER_PERSON,
    MATERIAL_BYTES,
    MATERIALS_PER_CONSULT,
    VOICE_NOTE_S,
)
from server.consults.material_signals import CSV, DICOM, EDF, FHIR, WFDB
from server.consults.materials import JPEG, PDF, PNG, media_type_of
from server.consults.models import ThreadMessage
from server.consults.vocabulary import Action, Kind
from server.consults.voice import MP4, OGG, WEBM
from tests.server.consults.flow import accepted, refused
from tests.server.consults.test_consult_api import REQUEST, act, people, rung
from tests.server.consults.world import World
from tests.server.running import Caller, CallerFactory


def picture(form: str, size: tuple[int, int] = (32, 24)) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(made, form)
    return made.getvalue()


def dicom() -> bytes:
    path = get_testdata_file("waveform_ecg.dcm")
    assert isinstance(path, str)
    return Path(path).read_bytes()


def test_what_it_is_stands_in_the_bytes() -> None:
    assert media_type_of(picture("JPEG")) == JPEG
    assert media_type_of(picture("PNG")) == PNG
    assert media_type_of(dicom()) == DICOM
    assert media_type_of(b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n") == PDF


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"%PDF-1.7 cut off",
        picture("PNG")[:60],
        picture("JPEG", (64, 64))[:200],
        picture("GIF"),
        b"\0" * 128 + b"DICM" + b"\xff" * 40,
        b"MZ" + b"\0" * 300,
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    assert media_type_of(data) is None


def test_a_picture_too_large_to_decode_is_refused() -> None:
    made = io.BytesIO()
    Image.new("1", (10_000, 6_000)).save(made, "PNG")
    assert len(made.getvalue()) < 50_000
    assert media_type_of(made.getvalue()) is None


@given(st.binary(max_size=300), st.sampled_from([b"", b"%PDF-", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"]))
def test_no_bytes_bring_it_down(data: bytes, head: bytes) -> None:
    assert media_type_of(head + data) in (None, PDF)


async def upload(who: Caller, consult: str, data: bytes, name: str = "胸片.png") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {who.token}"}
    url = f"{who.url}/api/v1/consultations/{consult}/materials"
    async with who.http.post(url, params={"name": name}, data=io.BytesIO(data), headers=headers) as reply:
        return reply.status, await reply.json(content_type=None)


async def test_materials_over_http(caller: CallerFactory) -> None:
    village, experts = await people(caller)
    _, page = await village.call("POST", "/consultations", REQUEST)
    consult, data = page["id"], picture("PNG")
    status, made = await upload(village, consult, data)
    assert (status, made["mediaType"], made["size"], made["name"]) == (201, PNG, len(data), "胸片.png")
    status, problem = await upload(village, consult, b"<html>")
    assert (status, problem["code"]) == (422, "no_known_material")
    status, problem = await upload(village, consult, b"\0" * (MATERIAL_BYTES + 1))
    assert (status, problem["code"]) == (413, "too_large")
    expert = await rung(page, experts)
    await act(expert, consult, "accept")
    [listed] = await expert.get(f"/consultations/{consult}/materials")
    status, got = await expert.call("GET", f"/consultations/{consult}/materials/{listed['id']}")
    assert (status, got) == (200, data)
    assert (await expert.call("GET", f"/consultations/{consult}/materials/mat-none"))[0] == 404
    stranger = await caller("village2")
    assert (await stranger.call("GET", f"/consultations/{consult}/materials/{listed['id']}"))[0] == 403
    assert (await upload(stranger, consult, data))[0] == 403
    events = [one["action"] for one in (await village.get(f"/consultations/{consult}"))["events"]]
    assert "attach" in events
    trail = await village.get(f"/audit?consultationId={consult}")
    assert "material.view" in {entry["action"] for entry in trail["items"]}


async def test_a_consult_takes_so_many_and_keeps_no_bytes_of_a_refused_one(world: World) -> None:
    consult = await world.request()
    add, data = world.services.consults.materials.add, picture("PNG")
    for number in range(MATERIALS_PER_CONSULT):
        await add(world.actor("village"), consult, f"{number}.png", data, world.now)
    assert await refused(add(world.actor("village"), consult, "x", data, world.now)) == "too_many_materials"
    kept = world.services.config.data_directory / "materials"
    assert len(list(kept.iterdir())) == MATERIALS_PER_CONSULT


async def test_a_thread_between_requester_and_expert(world: World) -> None:
    consult, expert = await accepted(world, kind=Kind.PICTURE_TEXT)
    threads = world.services.consults.threads
    await threads.post(world.actor("village"), consult, "请看照片上的皮疹", world.now)
    world.clock.advance(60)
    await threads.mark_read(world.actor("desk"), consult, world.now)
    assert (await thread(world, consult))[0].read_at is None, "the desk only looks on"
    await threads.mark_read(world.actor(expert), consult, world.now)
    await threads.post(world.actor(expert), consult, "有没有发热？", world.now)
    first, second = await thread(world, consult)
    assert (first.read_at, second.read_at) == (world.now, None)
    page = await world.see("village", consult)
    assert [one.action for one in page.events].count(Action.POST) == 2


async def thread(world: World, consult: str) -> list[ThreadMessage]:
    async with world.services.database.read() as session:
        return await world.services.consults.threads.listed(session, world.actor("village"), consult)


async def test_only_a_picture_and_text_consult_has_a_thread_and_strangers_none(world: World) -> None:
    consult, _ = await accepted(world)
    post = world.services.consults.threads.post
    assert await refused(post(world.actor("village"), consult, "x", world.now)) == "wrong_state"
    other, _ = await accepted(world, kind=Kind.PICTURE_TEXT)
    assert await refused(post(world.actor("village2"), other, "x", world.now)) == "forbidden"
    assert await refused(post(world.actor("desk"), other, "x", world.now)) == "forbidden"


def test_the_test_object_is_a_real_ecg() -> None:
    assert pydicom.dcmread(io.BytesIO(dicom())).Modality == "ECG"


async def checked(who: Caller, consult: str, data: bytes) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {who.token}"}
    url = f"{who.url}/api/v1/consultations/{consult}/materials/check"
    async with who.http.post(url, data=io.BytesIO(data), headers=headers) as reply:
        return reply.status, await reply.json(content_type=None)


async def kept(who: Caller, consult: str, token: str) -> tuple[int, Any]:
    body = {"upload": token, "name": "心电图"}
    return await who.call("POST", f"/consultations/{consult}/materials/keep", body)


def ecg_file(name: str) -> bytes:
    """The real record in another format, with a gap of a second in it."""
    (waveform,) = read_file(sample_record())
    gap = Gap(4000, 1000)
    source = Source.of(replace(waveform, gaps=(gap,), notes=()))
    made = io.BytesIO()
    FORMATS[name].write(source, About("test"), made)
    return made.getvalue()


ECG_FILES = {"edf": EDF, "wfdb": WFDB, "csv": CSV, "fhir": FHIR, "dicom": DICOM}


async def test_ecg_files_open_sample_for_sample(caller: CallerFactory) -> None:
    village, _ = await people(caller)
    _, page = await village.call("POST", "/consultations", REQUEST)
    for name, media_type in ECG_FILES.items():
        await opened(village, page["id"], ecg_file(name), media_type)


async def opened(village: Caller, consult: str, data: bytes, media_type: str) -> None:
    before = await village.get(f"/consultations/{consult}/materials")
    status, look = await checked(village, consult, data)
    assert (status, look["mediaType"], look["size"]) == (200, media_type, len(data))
    [signal] = look["signals"]
    assert (signal["kind"], len(signal["leads"]), signal["samplingRateHz"]) == ("ecg", 12, 1000)
    assert (signal["seconds"], signal["missingS"]) == (11, 1)
    assert await village.get(f"/consultations/{consult}/materials") == before
    status, made = await kept(village, consult, look["upload"])
    assert (status, made["mediaType"], made["name"]) == (201, media_type, "心电图")
    assert made["sha256"] == hashlib.sha256(data).hexdigest()
    assert (await kept(village, consult, look["upload"]))[1]["code"] == "upload_gone"
    [stored] = await village.get(f"/consultations/{consult}/materials/{made['id']}/signals")
    assert stored["endMs"] == 11_000
    begin = datetime.fromisoformat(stored["startedAt"]).timestamp()
    got = bytearray()
    async with village.http.get(
        f"{village.url}{stored['partUrl']}&from={begin - 1}&to={begin + 12}"
    ) as reply:
        assert reply.status == 200
        body = await reply.read()
    descriptor = StreamDescriptor.from_json(stored)
    while body:
        (length,) = struct.unpack_from("<I", body)
        got += decode(body[12 : 12 + length], descriptor).samples.tobytes()
        body = body[12 + length :]
    (waveform,) = read_file(sample_record())
    assert bytes(got) == waveform.samples.tobytes()
    async with village.http.get(
        f"{village.url}{stored['overviewUrl']}&from={begin}&to={begin + 11}&lead=1"
    ) as reply:
        assert len(await reply.read()) == 220 * 4
    async with village.http.get(
        f"{village.url}{stored['partUrl'].replace('ticket=', 'ticket=1')}&from=0&to=1"
    ) as reply:
        assert reply.status == 403


async def test_a_broken_ecg_file_says_what_is_wrong_and_keeps_nothing(
    caller: CallerFactory, server: Server
) -> None:
    village, _ = await people(caller)
    _, page = await village.call("POST", "/consultations", REQUEST)
    edf = ecg_file("edf")
    for data, code in (
        (edf[:5000], "signal_file_broken"),
        (b"PK\x03\x04" + b"\0" * 80, "signal_file_broken"),
    ):
        for send in (checked, upload):
            status, problem = await send(village, page["id"], data)
            assert (status, problem["code"]) == (422, code)
            assert problem["message"]["zh"]
    assert await village.get(f"/consultations/{page['id']}/materials") == []
    stranger = await caller("village2")
    assert (await checked(stranger, page["id"], edf))[0] == 403
    kept = server.services.config.data_directory
    assert list((kept / "materials").iterdir()) == []
    assert list((kept / "signals").glob("m-*")) == []


async def test_a_held_file_is_its_sender_s_for_its_consult_and_a_while(world: World) -> None:
    consult, other = await world.request(), await world.request()
    materials, village = world.services.consults.materials, world.actor("village")
    data = picture("PNG")

    async def held() -> str:
        return (await materials.check(village, consult, data, world.now))[1]

    token = await held()
    for actor, where, expected in (
        (world.actor("village2"), consult, "upload_gone"),
        (village, other, "upload_gone"),
        (village, "con-none", "upload_gone"),
    ):
        assert await refused(materials.add_held(actor, where, "x", token, world.now)) == expected
    late = world.now + HELD_UPLOAD_S
    assert await refused(materials.add_held(village, consult, "x", token, late)) == "upload_gone"
    assert (await materials.add_held(village, consult, "x", token, late - 1)).size == len(data)
    tokens = [await held() for _ in range(HELD_UPLOADS_PER_PERSON + 1)]
    assert await refused(materials.add_held(village, consult, "x", tokens[0], world.now)) == "upload_gone"
    await materials.add_held(village, consult, "x", tokens[1], world.now)
    materials.close()
    assert await refused(materials.add_held(village, consult, "x", tokens[2], world.now)) == "upload_gone"


async def test_the_disk_takes_so_many_held_files(tmp_path: Path) -> None:
    uploads = HeldUploads(tmp_path)
    tokens = [await uploads.hold(str(one), "con", b"file", 0.0) for one in range(HELD_UPLOADS + 1)]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ActionRefused, match="upload_gone"):
        await uploads.read(tokens[0], "0", "con", 1.0)
    assert await uploads.read(tokens[1], "1", "con", 1.0) == b"file"
    uploads.close()
    uploads.close()


async def test_a_picture_in_dicom_has_no_signals(caller: CallerFactory) -> None:
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    village, _ = await people(caller)
    _, page = await village.call("POST", "/consultations", REQUEST)
    _, made = await upload(village, page["id"], Path(path).read_bytes())
    assert made["mediaType"] == DICOM
    assert await village.get(f"/consultations/{page['id']}/materials/{made['id']}/signals") == []


def voice(seconds: float, container: str = "webm", codec: str = "libopus", *, picture: bool = False) -> bytes:
    """What a browser's recorder makes of silence."""
    made = io.BytesIO()
    with av.open(made, "w", format=container) as file:
        stream = cast(AudioStream, file.add_stream(codec, rate=48_000))
        if picture:
            file.add_stream("libvpx", rate=10, width=16, height=16, pix_fmt="yuv420p")
        for start in range(0, int(seconds * 48_000), 960):
            frame = av.AudioFrame(format="s16" if codec == "libopus" else "fltp", layout="mono", samples=960)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.rate, frame.pts = 48_000, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return made.getvalue()


def test_a_voice_note_is_known_by_its_track_and_lasts_two_minutes() -> None:
    note = voice(1)
    assert media_type_of(note) == WEBM
    assert media_type_of(voice(1, "ogg")) == OGG
    assert media_type_of(voice(1, "mp4", "aac")) == MP4
    assert media_type_of(voice(1, picture=True)) is None
    assert media_type_of(voice(1, "mp4", "libmp3lame")) is None
    assert media_type_of(note[:40]) is None
    assert media_type_of(b"OggS" + bytes(200)) is None
    assert media_type_of(voice(VOICE_NOTE_S)) == WEBM
    with pytest.raises(ActionRefused, match="voice_note_too_long"):
        media_type_of(voice(VOICE_NOTE_S + 10))
