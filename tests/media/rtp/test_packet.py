"""RTP packets: golden bytes, broken bytes, and any bytes."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.rtp.packet import RtpPacket, is_rtcp, iter_extensions, parse_header

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "rtp_packets.json").read_text())

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
ELEMENTS = st.lists(st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), max_size=5)
WIDE_ELEMENTS = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=40)), max_size=5)


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda v: v["name"])
def test_golden_packets(vector: dict) -> None:  # type: ignore[type-arg]
    data = bytes.fromhex(vector["hex"])
    packet = RtpPacket.parse(data)
    assert packet.payload_type == vector["payloadType"]
    assert packet.sequence == vector["sequence"]
    assert packet.timestamp == vector["timestamp"]
    assert packet.ssrc == vector["ssrc"]
    assert packet.marker == vector["marker"]
    assert packet.payload == bytes.fromhex(vector["payload"])
    assert packet.padding == vector["padding"]
    assert list(packet.csrcs) == vector["csrcs"]
    assert [[i, v.hex()] for i, v in packet.extensions] == vector["extensions"]
    if vector["canonical"]:
        assert bytes(packet.serialize()) == data


@pytest.mark.parametrize("vector", VECTORS["broken"], ids=lambda v: v["name"])
def test_broken_packets(vector: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(RemoteProtocolError) as error:
        RtpPacket.parse(bytes.fromhex(vector["hex"]))
    assert error.value.code.code == "malformed_rtp"


@given(
    st.integers(0, 127),
    U16,
    U32,
    U32,
    st.binary(max_size=60),
    st.booleans(),
    st.lists(U32, max_size=15),
    ELEMENTS | WIDE_ELEMENTS,
    st.integers(0, 255),
)
def test_what_is_built_is_what_is_read(
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    marker: bool,
    csrcs: list[int],
    extensions: list[tuple[int, bytes]],
    padding: int,
) -> None:
    packet = RtpPacket(
        payload_type,
        sequence,
        timestamp,
        ssrc,
        payload,
        marker,
        tuple(csrcs),
        tuple(extensions),
        padding,
    )
    assert RtpPacket.parse(packet.serialize()) == packet


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda tail: b"\x90" + tail))
def test_any_bytes_parse_or_blame_the_peer(data: bytes) -> None:
    try:
        header = parse_header(data)
        elements = list(iter_extensions(data, header))
    except RemoteProtocolError:
        return
    assert 12 <= header.payload_start <= header.payload_end <= len(data)
    assert all(at + length <= header.extension_end for _, at, length in elements)


def test_rtcp_is_told_from_rtp() -> None:
    assert is_rtcp(bytes((0x80, 200, 0, 0)))
    assert is_rtcp(bytes((0x81, 206, 0, 0)))
    assert not is_rtcp(bytes((0x80, 0x80 | 96, 0, 0)))
    assert not is_rtcp(b"\x80")
