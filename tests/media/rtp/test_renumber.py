"""A receiver's own numbers: only they change, and only as agreed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.rtp.packet import iter_extensions, parse_header
from media.rtp.renumber import WireNumbers

NUMBERS = WireNumbers({101: 96, 102: 97}, {4: 2, 10: 1})


def packet(payload_type: int, extensions: bytes = b"", marker: bool = True) -> bytes:
    """12 bytes of header, a one-byte extension block when given, and a payload of three bytes."""
    padded = extensions + bytes(-len(extensions) % 4)
    block = b"\xbe\xde" + (len(padded) // 4).to_bytes(2, "big") + padded if extensions else b""
    first = 0x90 if extensions else 0x80
    return bytes([first, marker << 7 | payload_type]) + bytes(range(1, 11)) + block + b"abc"


def test_the_payload_type_changes_and_the_marker_stays() -> None:
    for marker in (True, False):
        assert NUMBERS.apply(packet(101, marker=marker)) == packet(96, marker=marker)
    assert NUMBERS.apply(packet(55)) == packet(55)


def test_extensions_get_the_receivers_ids_and_unknown_ones_are_blanked() -> None:
    before = packet(102, b"\x42\x01\x02\x03" + b"\x00" + b"\x71\xaa\xbb" + b"\xa0\x55")
    after = NUMBERS.apply(before)
    assert len(after) == len(before)
    assert after[-3:] == b"abc"
    header = parse_header(after)
    assert header.payload_type == 97
    found = {number: bytes(after[at : at + length]) for number, at, length in iter_extensions(after, header)}
    assert found == {2: b"\x01\x02\x03", 1: b"\x55"}


def test_the_packet_given_is_left_as_it_was() -> None:
    given_packet = bytearray(packet(101, b"\x42\x01\x02\x03"))
    copy = bytes(given_packet)
    NUMBERS.apply(memoryview(given_packet))
    assert given_packet == copy


def test_an_id_that_does_not_fit_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="one-byte"):
        WireNumbers({}, {4: 15})


@given(st.binary(max_size=40))
def test_any_extension_block_keeps_its_length_and_the_payload(block: bytes) -> None:
    before = packet(101, block or b"\x00")
    after = NUMBERS.apply(before)
    assert (len(after), bytes(after[-3:]), bytes(after[2:16])) == (len(before), b"abc", before[2:16])
