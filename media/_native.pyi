"""The compiled part of the media plane (sources: ``media/native/*.c``). Reach it through `media.native`.

Nothing here calls back into Python, logs, or raises for what a peer sends. Every call that enters the kernel
or works on packets releases the GIL. An object is used by one thread at a time unless its text says more.
"""

from collections.abc import Sequence
from typing import Final, Literal, final

Buffer = bytes | bytearray | memoryview

ABI: Final[int]
"""Raised when this interface changes; `media.native` refuses another one."""

PLAIN: Final = 0
RTP: Final = 1
RTCP: Final = 2
"""How `Batch.send` treats a packet: as it is, by SRTP, by SRTCP."""

RECORD: Final[str]
"""`struct` format of one record of `Batch.receive`, native byte order, 48 bytes::

    tag u32, ssrc u32, sequence u16, length u16, timestamp u32, arrival_ns u64,
    payload_type u8, flags u8, payload_at u16, reserved u32, head 16 bytes
"""
FLAG_MARKER: Final = 1
FLAG_REFUSED: Final = 2
"""Not authentic or replayed: nothing but tag, length and arrival is set."""

def bind(addresses: Sequence[int]) -> None:
    """Take the addresses of libsrtp's functions: protect, unprotect, protect_rtcp, unprotect_rtcp. Once."""

def monotonic_ns() -> int:
    """CLOCK_MONOTONIC, the clock of every time here; the same as `time.monotonic_ns`."""

@final
class Srtp:
    """One direction of one SRTP session, on a context that pylibsrtp made (see `media.native.srtp_context`).

    :param handle: address of the library's context (``srtp_t``).
    :param owner: whose life the context hangs on; kept.
    """

    def __new__(cls, handle: int, owner: object, outbound: bool) -> Srtp: ...
    @property
    def outbound(self) -> bool: ...
    def rtp(self, packet: Buffer) -> bytes | None:
        """Protected or unprotected, by direction; None when libsrtp refuses."""

    def rtcp(self, packet: Buffer) -> bytes | None:
        """As `rtp` for SRTCP."""

@final
class Batch:
    """Many peers on one UDP socket, sent to and read from by batches.

    All memory is allocated here and by `add_peer`; sending and receiving allocate only what they return.

    :param fd: a bound, non-blocking UDP socket, which stays the caller's. Bound to ``0.0.0.0`` it can speak
        for many local addresses (127.0.0.0/8 of a loopback): give peers a ``local_ip``.
    :param slots: datagrams in one system call, 1 to 1024.
    :param records: media packets that one `receive` can tell of.
    """

    def __new__(cls, fd: int, slots: int = 64, records: int = 4096) -> Batch: ...
    def add_peer(self, ip: str, port: int, local_ip: str | None = None, tag: int = 0) -> int:
        """A remote address; returns its number for `send`. What comes from there bears ``tag`` (any u32).

        :param local_ip: IPv4 only: leave from, and be found by, this local address.
        :raises ValueError: no address, or known already.
        """

    def set_keys(self, peer: int, protect: Srtp | None, unprotect: Srtp | None) -> None:
        """From now on; both are kept."""

    def remove_peer(self, peer: int) -> None:
        """Forget it; its number may be given again."""

    def send(self, items: Sequence[tuple[int, Literal[0, 1, 2], Buffer]], gso: bool = False) -> int:
        """Copy, protect and send (peer, `PLAIN` | `RTP` | `RTCP`, packet) each, in order; how many left.

        Any number of items; system calls take ``slots`` each. What the kernel's buffer has no room for is
        dropped and counted. With ``gso`` neighbours for one peer of one size share a send (UDP_SEGMENT).

        :raises ValueError: an unknown peer, or a packet longer than 2048 bytes. Nothing was sent then.
        """

    def receive(self, most: int = 4096) -> tuple[int, list[tuple[int, int, bytes, str, int, int]]]:
        """Read what is there, without waiting: at most ``most`` datagrams.

        RTP of a known peer is unprotected if it has keys, and makes one record of `RECORD` in `records`.
        All else comes in the list: (peer, tag, datagram, ip, port, arrival_ns) with peer -1 for an unknown
        address; SRTCP of a peer with keys is unprotected there. arrival_ns is read once for each system call.

        :returns: (number of records, the others).
        """

    def receive_packets(self, most: int = 4096) -> list[tuple[int, int, bytes, str, int, int]]:
        """As `receive`, but RTP comes in the list too, unprotected and whole; refused ones are counted."""

    @property
    def records(self) -> memoryview:
        """Memory of the records (bytes), for ``numpy.frombuffer``; overwritten by the next `receive`."""

    @property
    def counters(self) -> dict[str, int]:
        """sent, sent_bytes, send_dropped, send_calls, received, received_bytes, receive_calls, refused,
        unknown."""
