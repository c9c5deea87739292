"""RTP packets and their header extensions (RFC 3550 section 5.1, RFC 8285).

Two ways in: `parse_header` looks at a packet in place and copies nothing (the relay), `RtpPacket` owns
its parts and can be built (clients, recording, tests).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from media.errors import RemoteProtocolError
from media.rtp.errors import MALFORMED_RTP

Buffer = bytes | bytearray | memoryview

FIXED_HEADER = 12  # bytes before CSRCs
ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000  # the low four bits are "appbits" and say nothing to us
_FIXED = Struct("!BBHII")
_EXTENSION = Struct("!HH")


def is_rtcp(data: Buffer) -> bool:
    """Tell RTCP from RTP on one port (RFC 5761 section 4): packet types 192..223."""
    return len(data) >= 2 and 192 <= data[1] <= 223


class RtpHeader:
    """Where everything is in one RTP packet; offsets are bytes from the packet's start."""

    __slots__ = (
        "extension_end",
        "extension_profile",
        "extension_start",
        "marker",
        "payload_end",
        "payload_start",
        "payload_type",
        "sequence",
        "ssrc",
        "timestamp",
    )

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    extension_profile: int  # 0 = no header extension
    extension_start: int  # first byte of the elements, after the four-byte extension header
    extension_end: int
    payload_start: int
    payload_end: int  # before any padding


def parse_header(data: Buffer) -> RtpHeader:
    """Read the header of ``data`` in place.

    :raises RemoteProtocolError: ``malformed_rtp``, whenever a length does not fit the packet.
    """
    size = len(data)
    if size < FIXED_HEADER:
        raise RemoteProtocolError(MALFORMED_RTP, "shorter than the fixed header")
    header = RtpHeader()
    first, second, header.sequence, header.timestamp, header.ssrc = _FIXED.unpack_from(data)
    if first >> 6 != 2:
        raise RemoteProtocolError(MALFORMED_RTP, "version is not 2")
    header.marker = second >= 0x80
    header.payload_type = second & 0x7F
    start = FIXED_HEADER + 4 * (first & 0x0F)
    header.extension_profile = header.extension_start = header.extension_end = 0
    if first & 0x10:
        start = _locate_extension(data, header, start)
    if start > size:
        raise RemoteProtocolError(MALFORMED_RTP, "header runs over the end")
    header.payload_start = start
    header.payload_end = size - _padding(data, start) if first & 0x20 else size
    return header


def _locate_extension(data: Buffer, header: RtpHeader, start: int) -> int:
    if start + 4 > len(data):
        raise RemoteProtocolError(MALFORMED_RTP, "extension header runs over the end")
    header.extension_profile, words = _EXTENSION.unpack_from(data, start)
    header.extension_start = start + 4
    header.extension_end = start + 4 + 4 * words
    return header.extension_end


def _padding(data: Buffer, start: int) -> int:
    size = data[-1]
    if size == 0 or size > len(data) - start:
        raise RemoteProtocolError(MALFORMED_RTP, "padding does not fit")
    return size


def iter_extensions(data: Buffer, header: RtpHeader) -> Iterator[tuple[int, int, int]]:
    """Yield (id, offset of the value, length of the value) for each element.

    Other profiles than RFC 8285's two yield nothing.

    :raises RemoteProtocolError: ``malformed_rtp`` when an element runs over the end.
    """
    if header.extension_profile == ONE_BYTE_PROFILE:
        return _one_byte(data, header.extension_start, header.extension_end)
    if header.extension_profile & 0xFFF0 == TWO_BYTE_PROFILE:
        return _two_byte(data, header.extension_start, header.extension_end)
    return iter(())


def find_extension(data: Buffer, header: RtpHeader, identifier: int, length: int) -> int:
    """Where the value of the element of this id and length stands, or -1.

    :raises RemoteProtocolError: ``malformed_rtp`` when an element before it runs over the end.
    """
    if header.extension_profile != ONE_BYTE_PROFILE:
        elements = iter_extensions(data, header)
        return next((at for one, at, size in elements if (one, size) == (identifier, length)), -1)
    wanted = identifier << 4 | length - 1  # read for every packet: so without a generator
    position, end = header.extension_start, header.extension_end
    while position < end:
        byte = data[position]
        if byte == wanted and byte < 0xF0 and position + length < end:
            return position + 1
        position += (byte & 0x0F) + 2 if byte else 1
        if byte >= 0xF0:
            return -1
    if position > end:
        raise RemoteProtocolError(MALFORMED_RTP, "extension element runs over the end")
    return -1


def _one_byte(data: Buffer, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    while position < end:
        byte = data[position]
        identifier = byte >> 4
        if byte == 0:
            position += 1
            continue
        if identifier == 15:  # RFC 8285 section 4.2: stop, and ignore what follows
            return
        length = (byte & 0x0F) + 1
        if position + 1 + length > end:
            raise RemoteProtocolError(MALFORMED_RTP, "extension element runs over the end")
        if identifier:
            yield identifier, position + 1, length
        position += 1 + length


def _two_byte(data: Buffer, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    while position < end:
        identifier = data[position]
        if identifier == 0:
            position += 1
            continue
        if position + 2 > end or position + 2 + data[position + 1] > end:
            raise RemoteProtocolError(MALFORMED_RTP, "extension element runs over the end")
        length = data[position + 1]
        yield identifier, position + 2, length
        position += 2 + length


def pack_extensions(elements: tuple[tuple[int, bytes], ...]) -> bytes:
    """The whole extension block with its four-byte header; empty for no elements.

    The one-byte form is used whenever every element fits it (ids 1..14, 1..16 bytes).
    """
    if not elements:
        return b""
    body = bytearray()
    one_byte = all(1 <= identifier <= 14 and 1 <= len(value) <= 16 for identifier, value in elements)
    for identifier, value in elements:
        if one_byte:
            body.append(identifier << 4 | len(value) - 1)
        else:
            body += bytes((identifier, len(value)))
        body += value
    body += bytes(-len(body) % 4)
    profile = ONE_BYTE_PROFILE if one_byte else TWO_BYTE_PROFILE
    return _EXTENSION.pack(profile, len(body) // 4) + bytes(body)


@dataclass(slots=True)
class RtpPacket:
    """One RTP packet with its parts.

    :param payload_type: 0..127.
    :param sequence: 0..65535.
    :param timestamp: 0..2**32-1, in ticks of the codec's clock.
    :param extensions: (id, value) in the order of the wire; ids as negotiated.
    :param padding: bytes of padding after the payload, 0..255; padding only makes a probe.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extensions: tuple[tuple[int, bytes], ...] = ()
    padding: int = 0

    @classmethod
    def parse(cls, data: Buffer) -> RtpPacket:
        """:raises RemoteProtocolError: ``malformed_rtp``."""
        header = parse_header(data)
        count = data[0] & 0x0F
        csrcs = tuple(int.from_bytes(data[12 + 4 * i : 16 + 4 * i], "big") for i in range(count))
        extensions = tuple((i, bytes(data[at : at + n])) for i, at, n in iter_extensions(data, header))
        return cls(
            payload_type=header.payload_type,
            sequence=header.sequence,
            timestamp=header.timestamp,
            ssrc=header.ssrc,
            payload=bytes(data[header.payload_start : header.payload_end]),
            marker=header.marker,
            csrcs=csrcs,
            extensions=extensions,
            padding=len(data) - header.payload_end,
        )

    def serialize(self) -> bytearray:
        """The packet as it goes to the wire, in a buffer that may be changed in place."""
        block = pack_extensions(self.extensions)
        first = 0x80 | (0x20 if self.padding else 0) | (0x10 if block else 0) | len(self.csrcs)
        second = (0x80 if self.marker else 0) | self.payload_type
        data = bytearray(_FIXED.pack(first, second, self.sequence, self.timestamp, self.ssrc))
        for csrc in self.csrcs:
            data += csrc.to_bytes(4, "big")
        data += block
        data += self.payload
        if self.padding:
            data += bytes(self.padding - 1)
            data.append(self.padding)
        return data
