"""The compiled module's own SRTP, against pylibsrtp."""

from __future__ import annotations

import struct

import pytest

from media import native
from media.limits import MAX_DATAGRAM
from media.transport.srtp import SRTP_PROFILES, PacketBuffer, SrtpContext, SrtpProfile

pytestmark = pytest.mark.skipif(not native.available(), reason=f"compiled module: {native.problem()}")

REPORT = bytes.fromhex("80c8000611223344") + bytes(20)


def rtp(sequence: int, payload: bytes = b"x" * 100) -> bytes:
    return struct.pack("!BBHII", 0x80, 0xE0, sequence, 90 * sequence, 0x11223344) + payload


def key_of(profile: SrtpProfile) -> bytes:
    return bytes(range(profile.key_length + profile.salt_length))


@pytest.mark.parametrize("profile", SRTP_PROFILES, ids=lambda profile: profile.name)
def test_gives_the_bytes_that_the_python_plane_gives(profile: SrtpProfile) -> None:
    ours = native.srtp(profile, key_of(profile), True)
    theirs = SrtpContext(profile, key_of(profile), True, PacketBuffer())
    back = native.srtp(profile, key_of(profile), False)
    for sequence in (1, 2, 5, 65535, 0, 3):
        protected = theirs.rtp(rtp(sequence % 65536))
        assert protected is not None
        assert ours.rtp(rtp(sequence % 65536)) == bytes(protected)
        assert back.rtp(bytes(protected)) == rtp(sequence % 65536)
    assert back.rtcp(ours.rtcp(REPORT) or b"") == REPORT


@pytest.mark.parametrize("packet", [b"", b"\x80", bytes(MAX_DATAGRAM + 1), b"\x80" * 12], ids=len)
def test_refuses_what_is_no_packet(packet: bytes) -> None:
    profile = SRTP_PROFILES[0]
    assert native.srtp(profile, key_of(profile), False).rtp(packet) is None
    assert native.srtp(profile, key_of(profile), False).rtcp(packet) is None


def test_a_replayed_or_changed_packet_is_refused() -> None:
    profile = SRTP_PROFILES[0]
    protected = native.srtp(profile, key_of(profile), True).rtp(rtp(1)) or b""
    back = native.srtp(profile, key_of(profile), False)
    assert back.rtp(protected[:-1] + b"?") is None
    assert back.rtp(protected) == rtp(1)
    assert back.rtp(protected) is None
