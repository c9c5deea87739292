"""RFC 4571 framing: any cut of the stream gives the same datagrams; what cannot be one is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.limits import MAX_DATAGRAM
from media.transport.framing import Deframer, frame_header


@given(st.lists(st.binary(max_size=300), max_size=12), st.lists(st.integers(1, 90), min_size=1, max_size=9))
def test_however_the_stream_is_cut_the_datagrams_are_the_same(
    datagrams: list[bytes], steps: list[int]
) -> None:
    stream = b"".join(frame_header(len(datagram)) + datagram for datagram in datagrams)
    deframer, found, position, turn = Deframer(), [], 0, 0
    while position < len(stream):
        step = steps[turn % len(steps)]
        found += deframer.feed(stream[position : position + step])
        position, turn = position + step, turn + 1
    assert found == [datagram for datagram in datagrams if datagram]


def test_the_longest_is_taken_and_a_longer_one_is_refused_before_it_is_read() -> None:
    deframer = Deframer()
    assert deframer.feed(frame_header(MAX_DATAGRAM) + bytes(MAX_DATAGRAM)) == [bytes(MAX_DATAGRAM)]
    with pytest.raises(RemoteProtocolError) as caught:
        deframer.feed(frame_header(MAX_DATAGRAM + 1))
    assert caught.value.code.code == "frame_too_long"


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_are_cut_or_refused_and_little_is_kept(chunks: list[bytes]) -> None:
    deframer = Deframer()
    with contextlib.suppress(RemoteProtocolError):
        for chunk in chunks:
            deframer.feed(chunk)
            assert len(deframer._rest) <= MAX_DATAGRAM + 2
