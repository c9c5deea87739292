"""RFC 7983 by its first byte, and totality."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.transport.demux import DatagramKind, classify


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (0, 1, DatagramKind.STUN),
        (3, 0, DatagramKind.STUN),
        (4, 0, DatagramKind.GARBAGE),
        (19, 0, DatagramKind.GARBAGE),
        (20, 0, DatagramKind.DTLS),
        (63, 0, DatagramKind.DTLS),
        (64, 0, DatagramKind.GARBAGE),  # TURN channels do not come here
        (127, 0, DatagramKind.GARBAGE),
        (128, 96, DatagramKind.RTP),
        (128, 96 | 0x80, DatagramKind.RTP),  # marker bit
        (128, 191, DatagramKind.RTP),
        (128, 192, DatagramKind.RTCP),
        (129, 201, DatagramKind.RTCP),
        (129, 223, DatagramKind.RTCP),
        (129, 224, DatagramKind.RTP),
        (191, 111, DatagramKind.RTP),
        (192, 0, DatagramKind.GARBAGE),
    ],
)
def test_kinds(first: int, second: int, kind: DatagramKind) -> None:
    assert classify(bytes([first, second]) + bytes(20), 22) is kind


def test_short_datagrams_are_garbage() -> None:
    assert classify(b"", 0) is DatagramKind.GARBAGE
    assert classify(bytes([128, 96]) + bytes(9), 11) is DatagramKind.GARBAGE
    assert classify(bytes([128, 201]) + bytes(6), 8) is DatagramKind.RTCP


@given(st.binary(max_size=64))
def test_every_datagram_has_a_kind(datagram: bytes) -> None:
    assert isinstance(classify(datagram, len(datagram)), DatagramKind)
