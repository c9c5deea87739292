"""RTCP: golden compounds, broken ones, and our own packing."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.rtp import rtcp
from media.rtp.numbers import seq_add

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "rtcp_compounds.json").read_text())
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
BLOCKS = st.builds(
    rtcp.ReportBlock, U32, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), U32, U32, U32, U32
)
REPORTS = st.lists(BLOCKS, max_size=4).map(tuple)
PACKETS = st.one_of(
    st.builds(rtcp.SenderReport, U32, st.integers(0, 2**64 - 1), U32, U32, U32, REPORTS),
    st.builds(rtcp.ReceiverReport, U32, REPORTS),
    st.builds(
        rtcp.SourceDescription,
        st.lists(st.tuples(U32, st.text("abcdef", max_size=20)), max_size=3).map(tuple),
    ),
    st.builds(rtcp.Bye, st.lists(U32, max_size=5).map(tuple)),
    st.builds(rtcp.PictureLoss, U32, U32),
    st.builds(
        rtcp.FullIntraRequest, U32, st.lists(st.tuples(U32, st.integers(0, 255)), max_size=3).map(tuple)
    ),
)


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda v: v["name"])
def test_golden_compounds(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    packets = rtcp.parse_compound(data)
    assert [repr(packet) for packet in packets] == vector["packets"]
    if vector["canonical"]:
        assert rtcp.pack_compound(packets) == data


@pytest.mark.parametrize("vector", VECTORS["broken"], ids=lambda v: v["name"])
def test_broken_compounds(vector: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as error:
        rtcp.parse_compound(bytes.fromhex(vector["hex"]))
    assert error.value.code.code == "malformed_rtcp"


@given(st.lists(PACKETS, min_size=1, max_size=4))
def test_what_is_packed_is_what_is_read(packets: list[rtcp.RtcpPacket]) -> None:
    assert rtcp.parse_compound(rtcp.pack_compound(packets)) == packets


def test_nack_items_at_the_wrap() -> None:
    assert rtcp.nack_items([65534, 65535, 0, 14]) == [(65534, 0b1000_0000_0000_0011)]
    assert rtcp.nack_items([65534, 15]) == [(65534, 0), (15, 0)]
    assert rtcp.nack_items([2, 65535, 2, 0]) == [(65535, 0b101)]
    assert rtcp.nack_items([]) == []


@given(U16, st.sets(st.integers(-5000, 5000), min_size=1, max_size=80))
def test_nack_says_exactly_what_is_missing(base: int, offsets: set[int]) -> None:
    missing = [seq_add(base, offset) for offset in offsets]
    data = rtcp.pack(rtcp.Nack(1, 2, tuple(missing)))
    (parsed,) = rtcp.parse_compound(data)
    assert isinstance(parsed, rtcp.Nack)
    assert sorted(parsed.sequences) == sorted(missing)


@given(U32, st.integers(0, 2**40), st.lists(U32, max_size=5).map(tuple))
def test_remb_is_packed_downward(sender: int, bitrate: int, ssrcs: tuple[int, ...]) -> None:
    (parsed,) = rtcp.parse_compound(rtcp.pack(rtcp.Remb(sender, bitrate, ssrcs)))
    assert isinstance(parsed, rtcp.Remb)
    assert (parsed.sender_ssrc, parsed.ssrcs) == (sender, ssrcs)
    assert bitrate * (1 - 2**-17) <= parsed.bitrate <= bitrate


def _framed(kind: int, form: int, body: bytes) -> bytes:
    body = body[: len(body) // 4 * 4]
    return bytes((0x80 | form, kind)) + (len(body) // 4).to_bytes(2, "big") + body


GARBAGE = st.builds(_framed, st.integers(192, 223), st.integers(0, 31), st.binary(max_size=64))


@given(st.binary(max_size=100) | st.lists(GARBAGE, max_size=4).map(b"".join))
def test_any_bytes_parse_or_blame_the_peer(data: bytes) -> None:
    try:
        packets = rtcp.parse_compound(data)
    except RemoteProtocolError:
        return
    assert len(packets) <= len(data) // 4
