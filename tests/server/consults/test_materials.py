"""Materials are what their bytes are; a thread has its readers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file

from server.consults.limits import MATERIAL_BYTES, MATERIALS_PER_CONSULT
from server.consults.materials import DICOM, JPEG, PDF, PNG, media_type_of
from server.consults.models import ThreadMessage
from server.consults.vocabulary import Action, Kind
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
