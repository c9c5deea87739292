"""VP8 and H.264 payloads: what the relay must see of them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.rtp import h264, vp8


def test_descriptor_with_everything() -> None:
    data = bytes.fromhex("90f0812345ab") + b"\x01data"
    d = vp8.parse_descriptor(data)
    assert (d.picture_id, d.picture_id_bits, d.picture_id_at) == (0x0123, 15, 2)
    assert (d.tl0_picture_index, d.tl0_picture_index_at) == (0x45, 4)
    assert (d.temporal_layer, d.layer_sync, d.key_index) == (2, True, 0x0B)
    assert d.start_of_partition
    assert not d.keyframe
    assert d.end == 6


def test_descriptor_with_a_short_picture_id() -> None:
    d = vp8.parse_descriptor(bytes.fromhex("80807f00"))
    assert (d.picture_id, d.picture_id_bits, d.end) == (127, 7, 3)
    assert not d.keyframe  # not the start of a partition


def test_bare_descriptor() -> None:
    d = vp8.parse_descriptor(b"\x10\x00")
    assert d.picture_id == d.tl0_picture_index == d.key_index == -1
    assert d.keyframe


def test_keyframe_resolution() -> None:
    frame = bytes.fromhex("10d0009d012a8002e041")
    payload = b"\x10" + frame
    d = vp8.parse_descriptor(payload)
    assert d.keyframe
    assert vp8.keyframe_size(payload, d.end, len(payload)) == (640, 0x01E0)
    assert vp8.keyframe_size(payload, d.end, len(payload) - 1) is None


def test_second_partition_is_not_a_key_frame() -> None:
    assert not vp8.parse_descriptor(b"\x11\x00").keyframe


@pytest.mark.parametrize("data", ["", "10", "80", "8080", "908080", "90f08123", "90f0812345", "90f0812345ab"])
def test_broken_descriptors(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        vp8.parse_descriptor(bytes.fromhex(data))


@given(
    st.booleans(),
    st.none() | st.integers(0, 0x7FFF),
    st.none() | st.integers(0, 255),
    st.none() | st.integers(0, 3),
)
def test_descriptor_round_trip(
    start: bool, picture_id: int | None, tl0: int | None, temporal: int | None
) -> None:
    data = vp8.pack_descriptor(
        start_of_partition=start,
        picture_id=picture_id,
        tl0_picture_index=tl0,
        temporal_layer=temporal,
    )
    d = vp8.parse_descriptor(data + b"\x01")
    assert d.end == len(data)
    assert d.start_of_partition == start
    assert d.picture_id == (-1 if picture_id is None else picture_id)
    assert d.tl0_picture_index == (-1 if tl0 is None else tl0)
    assert d.temporal_layer == (temporal or 0)


@given(st.integers(0, 0x7FFF), st.integers(0, 0xFFFF))
def test_picture_id_is_rewritten_in_place(old: int, new: int) -> None:
    packet = bytearray(vp8.pack_descriptor(start_of_partition=True, picture_id=old) + b"\x01rest")
    before = len(packet)
    vp8.write_picture_id(packet, 2, 15, new)
    assert vp8.parse_descriptor(packet).picture_id == new & 0x7FFF
    assert len(packet) == before
    assert packet.endswith(b"\x01rest")


def test_short_picture_id_is_rewritten_modulo_its_width() -> None:
    packet = bytearray.fromhex("80800500")
    vp8.write_picture_id(packet, 2, 7, 0x181)
    assert vp8.parse_descriptor(packet).picture_id == 1


def test_h264_key_frames() -> None:
    def starts(data: str) -> bool:
        raw = bytes.fromhex(data)
        return h264.starts_keyframe(raw, 0, len(raw))

    assert starts("6742c01e")  # SPS
    assert starts("6588")  # IDR
    assert not starts("4188")
    assert not starts("")
    assert starts("7800026742000268ce")  # STAP-A with SPS and PPS
    assert not starts("780002061000024188")
    assert starts("7c85aa")  # FU-A, start of IDR
    assert not starts("7c05aa")  # FU-A, middle of IDR
    assert not starts("7c81aa")
    assert not starts("7c")


@pytest.mark.parametrize("data", ["7800", "780000", "78000567", "780002674200"])
def test_broken_aggregates(data: str) -> None:
    raw = bytes.fromhex(data)
    with pytest.raises(RemoteProtocolError):
        list(h264.stap_units(raw, 0, len(raw)))


@given(st.binary(max_size=60))
def test_any_payload_parses_or_blames_the_peer(data: bytes) -> None:
    for parse in (
        lambda: vp8.parse_descriptor(data),
        lambda: h264.starts_keyframe(data, 0, len(data)),
        lambda: h264.picture_size(b"\x67" + data),
    ):
        with contextlib.suppress(RemoteProtocolError):
            parse()
