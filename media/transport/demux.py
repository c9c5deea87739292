"""What a datagram is, told by its first bytes (RFC 7983 section 7, RFC 5761 section 4)."""

from __future__ import annotations

from enum import Enum


class DatagramKind(Enum):
    """The protocols that share one UDP flow."""

    STUN = "stun"
    DTLS = "dtls"
    RTP = "rtp"
    RTCP = "rtcp"
    GARBAGE = "garbage"


_BY_FIRST_BYTE = tuple(
    DatagramKind.STUN
    if first <= 3
    else DatagramKind.DTLS
    if 20 <= first <= 63
    else DatagramKind.RTP
    if 128 <= first <= 191
    else DatagramKind.GARBAGE
    for first in range(256)
)

_MIN_RTP = 12
_MIN_RTCP = 8


def classify(datagram: bytes | bytearray | memoryview, length: int) -> DatagramKind:
    """The kind of the first ``length`` bytes of ``datagram``; anything unknown is garbage, never an error."""
    if length < _MIN_RTCP:
        return DatagramKind.GARBAGE
    kind = _BY_FIRST_BYTE[datagram[0]]
    if kind is not DatagramKind.RTP:
        return kind
    # RFC 5761: packet types 192..223 are RTCP; RTP payload types 64..95 stay unused for that.
    if 192 <= datagram[1] <= 223:
        return DatagramKind.RTCP
    return kind if length >= _MIN_RTP else DatagramKind.GARBAGE
