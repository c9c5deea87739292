"""What DICOM objects show, in the form that a page paints."""

from __future__ import annotations

import asyncio
import io
import json
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from media.errors import LocalProtocolError
from server.consults import material_pictures
from server.consults.errors import ActionRefused
from server.consults.limits import CLIP_PICTURES, CLIPS_WAITING
from server.consults.material_pictures import MaterialPictures, read_clip
from tests.server.consults.test_consult_api import REQUEST, people
from tests.server.consults.test_materials import picture, upload
from tests.server.running import CallerFactory


def cine() -> pydicom.Dataset:
    return pydicom.dcmread(str(get_testdata_file("examples_ybr_color.dcm")))


def written(path: Path, dataset: pydicom.Dataset) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def grey(pixels: Any, colours: str = "MONOCHROME2") -> pydicom.Dataset:
    made = cine()
    for name in ("PlanarConfiguration", "NumberOfFrames", "FrameTime", "SequenceOfUltrasoundRegions"):
        if name in made:
            del made[name]
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.set_pixel_data(pixels, colours, 8 * pixels.itemsize)
    return made


def shown(picture: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(picture)))


def refusal(path: Path) -> str:
    with pytest.raises(ActionRefused) as refused:
        read_clip(path)
    return str(refused.value.code.code)


def test_a_jpeg_clip_goes_out_as_it_came(tmp_path: Path) -> None:
    dataset = cine()
    clip = read_clip(written(tmp_path / "a", dataset))
    assert clip.pictures == tuple(generate_frames(dataset.PixelData, number_of_frames=30))
    assert (clip.width, clip.height) == (320, 240)
    assert clip.frame_ms == pytest.approx(33.33, abs=0.01)
    assert shown(clip.pictures[0]).shape == (240, 320, 3)


def test_a_scale_is_believed_inside_the_picture_alone(tmp_path: Path) -> None:
    dataset = cine()
    assert read_clip(written(tmp_path / "a", dataset)).scale is None, "its region is of another size"
    region = dataset.SequenceOfUltrasoundRegions[0]
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 300, 200
    scale = read_clip(written(tmp_path / "b", dataset)).scale
    assert scale is not None
    assert scale.region == (84, 31, 300, 200)
    assert scale.spacing_mm[0] == pytest.approx(0.51, abs=0.001)
    region.PhysicalUnitsYDirection = 4
    assert read_clip(written(tmp_path / "c", dataset)).scale is None


def test_the_packing_is_a_head_and_each_picture_after_its_length(tmp_path: Path) -> None:
    clip = read_clip(written(tmp_path / "a", cine()))
    data, parts = clip.packed(), []
    while data:
        (size,) = struct.unpack_from(">I", data)
        parts.append(data[4 : 4 + size])
        data = data[4 + size :]
    assert json.loads(parts[0])["count"] == 30
    assert tuple(parts[1:]) == clip.pictures


def test_an_unpacked_clip_loses_nothing(tmp_path: Path) -> None:
    dataset = cine()
    dataset.decompress()
    colours = [np.asarray(one) for one in iter_pixels(dataset)]
    for syntax in (ExplicitVRLittleEndian, RLELossless):
        if syntax == RLELossless:
            dataset.compress(RLELossless, generate_instance_uid=False)
        clip = read_clip(written(tmp_path / syntax, dataset))
        assert len(clip.pictures) == 30
        assert all((shown(one) == truth).all() for one, truth in zip(clip.pictures, colours, strict=True))


def test_deep_grey_is_put_through_its_window(tmp_path: Path) -> None:
    ramp = np.arange(64, dtype=np.uint16).reshape(8, 8) * 64
    clip = read_clip(written(tmp_path / "a", grey(ramp)))
    assert (clip.frame_ms, clip.scale) == (None, None)
    assert shown(clip.pictures[0]).flatten().tolist() == [round(one * 255 / 63) for one in range(64)]
    windowed = grey(ramp)
    windowed.WindowCenter, windowed.WindowWidth = 512, 1024
    flat = shown(read_clip(written(tmp_path / "b", windowed)).pictures[0]).flatten()
    assert flat[0] == 0
    assert (flat[17:] == 255).all()
    dark = grey(ramp.astype(np.uint8), "MONOCHROME1")
    assert shown(read_clip(written(tmp_path / "c", dark)).pictures[0])[0, 0] == 255


def test_what_shows_nothing_or_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(Path(str(get_testdata_file("waveform_ecg.dcm")))) == "no_pictures"
    many = cine()
    many.NumberOfFrames = CLIP_PICTURES + 1
    assert refusal(written(tmp_path / "many", many)) == "pictures_too_large"
    monkeypatch.setattr(material_pictures, "CLIP_BYTES", 1000)
    assert refusal(written(tmp_path / "a", cine())) == "pictures_too_large"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(132, 4000), at=st.integers(132, 4000), noise=st.binary(min_size=1, max_size=8))
def test_no_bytes_bring_it_down(tmp_path: Path, cut: int, at: int, noise: bytes) -> None:
    whole = bytearray(Path(str(get_testdata_file("examples_ybr_color.dcm"))).read_bytes())
    whole[at : at + len(noise)] = noise
    for data in (whole, whole[:cut]):
        (tmp_path / "broken").write_bytes(data)
        with suppress(ActionRefused):
            read_clip(tmp_path / "broken")


async def test_a_clip_over_http_is_for_whoever_may_see_the_consult(caller: CallerFactory) -> None:
    village, _ = await people(caller)
    _, made = await village.call("POST", "/consultations", REQUEST)
    path = f"/consultations/{made['id']}/materials"
    _, clip = await upload(
        village, made["id"], Path(str(get_testdata_file("examples_ybr_color.dcm"))).read_bytes()
    )
    desk, stranger = await caller("desk"), await caller("village2")
    status, packed = await desk.call("GET", f"{path}/{clip['id']}/pictures")
    assert (status, json.loads(packed[4 : 4 + struct.unpack_from(">I", packed)[0]])["count"]) == (200, 30)
    assert (await stranger.call("GET", f"{path}/{clip['id']}/pictures"))[0] == 403
    _, png = await upload(village, made["id"], picture("PNG"))
    status, problem = await village.call("GET", f"{path}/{png['id']}/pictures")
    assert (status, problem["code"]) == (422, "no_pictures")


async def test_clips_are_read_one_after_the_other_and_not_without_end(tmp_path: Path) -> None:
    pictures, path = MaterialPictures(), written(tmp_path / "clip.dcm", grey(np.zeros((4, 4), np.uint8)))
    wanted = [asyncio.create_task(pictures.packed(path)) for _ in range(CLIPS_WAITING)]
    await asyncio.sleep(0)  # all of them are in the line
    with pytest.raises(LocalProtocolError) as refused:
        await pictures.packed(path)
    assert refused.value.code.code == "busy"
    assert len(set(await asyncio.gather(*wanted))) == 1
    assert await pictures.packed(path)
