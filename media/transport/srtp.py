"""SRTP and SRTCP (RFC 3711, RFC 7714) by libsrtp, on buffers of our own.

pylibsrtp's `Session` makes the keys' context; its ``protect`` copies twice and refuses packets above 1356
bytes, so the two calls that every packet pays are made in place through the same library's functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from media.limits import MAX_DATAGRAM

MAX_TRAILER = 4 + 16 + 128
"""Authentication tag, SRTCP index and MKI at their longest (libsrtp's SRTP_MAX_SRTCP_TRAILER_LEN)."""
_REPLAY_WINDOW = 1024
"""Packets: 1 s of a 10 Mbit/s picture may come late or be sent again."""
_SENT_WINDOW = 128
"""Packets: only voices go again with their own number, of the last 32; each packet moves the whole window."""


@dataclass(frozen=True, slots=True)
class SrtpProfile:
    """A protection profile (RFC 5764 section 4.1.2, RFC 7714 section 14.2); lengths in bytes."""

    name: str
    openssl_name: bytes
    libsrtp_id: int
    key_length: int
    salt_length: int


SRTP_PROFILES = (
    SrtpProfile("AEAD_AES_128_GCM", b"SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    SrtpProfile("AEAD_AES_256_GCM", b"SRTP_AEAD_AES_256_GCM", Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    SrtpProfile(
        "AES128_CM_SHA1_80", b"SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14
    ),
)
"""In our order of preference: GCM-128 costs a third of what SHA-1 does; FFmpeg speaks only the last."""


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What a DTLS handshake yields (RFC 5764 section 4.2): master key and salt of each direction."""

    profile: SrtpProfile
    local: bytes
    remote: bytes

    @classmethod
    def from_exporter(cls, profile: SrtpProfile, material: bytes, is_client: bool) -> SrtpKeys:
        """Cut the exporter's bytes: client key, server key, client salt, server salt."""
        key, salt = profile.key_length, profile.salt_length
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt : 2 * (key + salt)]
        return cls(profile, client, server) if is_client else cls(profile, server, client)


class Memory:
    """Memory that libsrtp works on in place and a socket reads or writes. It must outlive its pointers.

    :ivar address: where it begins. :ivar view: all of it.
    """

    __slots__ = ("_memory", "address", "view")

    def __init__(self, size: int) -> None:
        self._memory = ffi.new("char[]", size)
        self.view = memoryview(ffi.buffer(self._memory))
        self.address = int(ffi.cast("uintptr_t", self._memory))

    def pointer(self, at: int) -> Any:
        """For libsrtp: the memory from ``at`` on."""
        return self._memory + at


def new_length() -> Any:
    """What libsrtp reads a packet's length from, and writes it to: item 0."""
    return ffi.new("int *")


protect_in_place: Callable[[Any, Any, Any], int] = lib.srtp_protect
"""(`SrtpContext.handle`, pointer to a packet with `MAX_TRAILER` bytes of room, its length) -> 0 when done."""


class PacketBuffer:
    """Memory of one packet; one thread's alone."""

    __slots__ = ("_owner", "length", "memory", "view")

    def __init__(self) -> None:
        self._owner = Memory(MAX_DATAGRAM + MAX_TRAILER)
        self.memory = self._owner.pointer(0)
        self.view = self._owner.view
        self.length = new_length()


def new_session(profile: SrtpProfile, key: bytes, outbound: bool) -> Session:
    """libsrtp's context for one direction of one transport; freed with the `Session`.

    :param key: master key and salt.
    :param outbound: protects when True, unprotects otherwise.
    """
    ssrc_type = Policy.SSRC_ANY_OUTBOUND if outbound else Policy.SSRC_ANY_INBOUND
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=profile.libsrtp_id)
    policy.allow_repeat_tx = True
    policy.window_size = _SENT_WINDOW if outbound else _REPLAY_WINDOW
    return Session(policy)


class SrtpContext:
    """One direction of one transport.

    :param key: master key and salt.
    :param outbound: protects when True, unprotects otherwise.
    :param buffer: where packets are worked on; may be shared by all contexts of a thread.
    """

    __slots__ = ("_buffer", "_rtcp", "_rtp", "_session", "handle")

    def __init__(self, profile: SrtpProfile, key: bytes, outbound: bool, buffer: PacketBuffer) -> None:
        # libsrtp's memory is freed with the Session, so it is kept although only the handle is used.
        self._session = new_session(profile, key, outbound)
        self.handle = self._session._srtp[0]
        self._rtp: Callable[[Any, Any, Any], int] = lib.srtp_protect if outbound else lib.srtp_unprotect
        self._rtcp: Callable[[Any, Any, Any], int] = (
            lib.srtp_protect_rtcp if outbound else lib.srtp_unprotect_rtcp
        )
        self._buffer = buffer

    def rtp(self, packet: bytes | bytearray | memoryview) -> memoryview | None:
        """The packet protected or unprotected; a view that holds until the buffer's next use.

        None when libsrtp refuses: not authentic, replayed, or too long.
        """
        return self._process(self._rtp, packet)

    def rtcp(self, packet: bytes | bytearray | memoryview) -> memoryview | None:
        """As `rtp`, for a compound RTCP packet."""
        return self._process(self._rtcp, packet)

    def rtp_in_place(self, length: int) -> memoryview | None:
        """As `rtp`, for the first ``length`` bytes that already stand in the buffer."""
        return self._in_place(self._rtp, length)

    def rtcp_in_place(self, length: int) -> memoryview | None:
        """As `rtcp`, for the first ``length`` bytes that already stand in the buffer."""
        return self._in_place(self._rtcp, length)

    def _process(
        self, function: Callable[[Any, Any, Any], int], packet: bytes | bytearray | memoryview
    ) -> memoryview | None:
        length = len(packet)
        if length > MAX_DATAGRAM:
            return None
        self._buffer.view[:length] = packet
        return self._in_place(function, length)

    def _in_place(self, function: Callable[[Any, Any, Any], int], length: int) -> memoryview | None:
        buffer = self._buffer
        buffer.length[0] = length
        if function(self.handle, buffer.memory, buffer.length) != 0:
            return None
        return buffer.view[: buffer.length[0]]
