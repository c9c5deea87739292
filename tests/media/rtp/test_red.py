"""RFC 2198 blocks: read, renumbered in place, and taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.rtp import red

blocks = st.lists(st.tuples(st.integers(0, 2**14 - 1), st.binary(max_size=60)), max_size=5)


def test_golden_packet() -> None:
    payload = red.pack(b"new", 111, [(960, b"old")])
    assert payload.hex() == "ef0f00036f6f6c646e6577"
    assert red.primary_start(payload, 0, len(payload)) == len(payload) - 3


@given(st.binary(max_size=100), blocks, st.binary(max_size=20))
def test_the_primary_block_is_found_and_all_types_change(
    primary: bytes, earlier: list[tuple[int, bytes]], before: bytes
) -> None:
    payload = red.pack(primary, 111, earlier)
    data = bytearray(before + payload)
    start = red.renumber(data, len(before), len(data), {111: 100})
    assert data[start:] == primary
    assert bytes(data[len(before) :]) == red.pack(primary, 100, earlier)


@given(st.binary(max_size=200))
def test_garbage_is_parsed_or_blamed_on_the_peer(data: bytes) -> None:
    copy = bytearray(data)
    try:
        start = red.renumber(copy, 0, len(copy), {number: number for number in range(128)})
    except RemoteProtocolError:
        return
    assert 1 <= start <= len(data)
    assert copy == data


@pytest.mark.parametrize("payload", ["", "80", "ef0f0003", "ef0fffff6f00", "6e00", "ef0f0000" * 17 + "6f"])
def test_broken_packets(payload: str) -> None:
    data = bytearray.fromhex(payload)
    with pytest.raises(RemoteProtocolError):
        red.renumber(data, 0, len(data), {111: 100})
    assert data.hex() == payload
