"""The VP8 payload descriptor: read it, and renumber it in place (RFC 7741 section 4.2).

::

     |X|R|N|S|R| PID |   X: an extension byte follows; S: first packet of a partition
     |I|L|T|K|  RSV  |   I: picture id, L: TL0PICIDX, T: temporal layer, K: key index
     |M| PictureID   |   M: fifteen bits instead of seven
     |   TL0PICIDX   |
     |TID|Y| KEYIDX  |
"""

from __future__ import annotations

from media.errors import RemoteProtocolError
from media.rtp.errors import MALFORMED_PAYLOAD
from media.rtp.packet import Buffer


class Vp8Descriptor:
    """What one packet's descriptor says; offsets are bytes from the buffer's start, -1 = absent."""

    __slots__ = (
        "end",
        "key_index",
        "keyframe",
        "layer_sync",
        "non_reference",
        "partition",
        "picture_id",
        "picture_id_at",
        "picture_id_bits",
        "start_of_partition",
        "temporal_layer",
        "tl0_picture_index",
        "tl0_picture_index_at",
    )

    start_of_partition: bool
    partition: int
    non_reference: bool
    picture_id: int  # -1 = absent
    picture_id_bits: int  # 0, 7 or 15
    picture_id_at: int
    tl0_picture_index: int  # -1 = absent
    tl0_picture_index_at: int
    temporal_layer: int  # 0 when absent
    layer_sync: bool
    key_index: int  # -1 = absent
    keyframe: bool  # this packet starts a key frame
    end: int  # where the VP8 data starts


def parse_descriptor(data: Buffer, start: int = 0, end: int | None = None) -> Vp8Descriptor:
    """Read the descriptor that begins at ``start``; the payload ends before ``end``.

    :raises RemoteProtocolError: ``malformed_payload`` when the descriptor runs over the end, or nothing
        follows it.
    """
    stop = len(data) if end is None else end
    if start >= stop:
        raise RemoteProtocolError(MALFORMED_PAYLOAD, "empty VP8 payload")
    first = data[start]
    descriptor = Vp8Descriptor()
    descriptor.non_reference = bool(first & 0x20)
    descriptor.start_of_partition = bool(first & 0x10)
    descriptor.partition = first & 0x07
    descriptor.picture_id = descriptor.tl0_picture_index = descriptor.key_index = -1
    descriptor.picture_id_at = descriptor.tl0_picture_index_at = -1
    descriptor.picture_id_bits = descriptor.temporal_layer = 0
    descriptor.layer_sync = False
    position = start + 1
    if first & 0x80:
        position = _parse_extension(data, position, stop, descriptor)
    if position >= stop:
        raise RemoteProtocolError(MALFORMED_PAYLOAD, "VP8 descriptor without data")
    descriptor.end = position
    # RFC 7741 section 4.3: the P bit of the first byte of the frame is 0 in a key frame
    descriptor.keyframe = first & 0x17 == 0x10 and not data[position] & 0x01
    return descriptor


def _parse_extension(data: Buffer, position: int, stop: int, descriptor: Vp8Descriptor) -> int:
    if position >= stop:
        raise RemoteProtocolError(MALFORMED_PAYLOAD, "VP8 extension missing")
    flags = data[position]
    position += 1
    wide = bool(flags & 0x80) and position < stop and bool(data[position] & 0x80)
    needed = bool(flags & 0x80) + wide + bool(flags & 0x40) + bool(flags & 0x30)
    if position + needed > stop:
        raise RemoteProtocolError(MALFORMED_PAYLOAD, "VP8 extension runs over the end")
    if flags & 0x80:
        descriptor.picture_id_at = position
        descriptor.picture_id_bits = 15 if wide else 7
        descriptor.picture_id = (
            (data[position] & 0x7F) << 8 | data[position + 1] if wide else data[position] & 0x7F
        )
        position += 1 + wide
    if flags & 0x40:
        descriptor.tl0_picture_index_at = position
        descriptor.tl0_picture_index = data[position]
        position += 1
    if flags & 0x30:
        if flags & 0x20:
            descriptor.temporal_layer = data[position] >> 6
            descriptor.layer_sync = bool(data[position] & 0x20)
        if flags & 0x10:
            descriptor.key_index = data[position] & 0x1F
        position += 1
    return position


def keyframe_size(data: Buffer, start: int, end: int) -> tuple[int, int] | None:
    """(width, height) of the key frame whose VP8 data begins at ``start`` (RFC 6386 section 9.1).

    None when the first packet is too short to say, or the start code is wrong.
    """
    if start + 10 > end or bytes(data[start + 3 : start + 6]) != b"\x9d\x01\x2a":
        return None
    width = int.from_bytes(data[start + 6 : start + 8], "little") & 0x3FFF
    height = int.from_bytes(data[start + 8 : start + 10], "little") & 0x3FFF
    return width, height


def write_picture_id(packet: bytearray, at: int, bits: int, value: int) -> None:
    """Overwrite a picture id of the same width in place; ``value`` is taken modulo the width."""
    if bits == 15:
        packet[at] = 0x80 | (value >> 8) & 0x7F
        packet[at + 1] = value & 0xFF
    else:
        packet[at] = value & 0x7F


def pack_descriptor(
    *,
    start_of_partition: bool,
    picture_id: int | None = None,
    tl0_picture_index: int | None = None,
    temporal_layer: int | None = None,
    layer_sync: bool = False,
    non_reference: bool = False,
) -> bytes:
    """A descriptor as a sender writes it; picture ids always take fifteen bits."""
    extended = picture_id is not None or tl0_picture_index is not None or temporal_layer is not None
    first = (0x80 if extended else 0) | (0x20 if non_reference else 0) | (0x10 if start_of_partition else 0)
    if not extended:
        return bytes((first,))
    flags = 0
    fields = bytearray()
    if picture_id is not None:
        flags |= 0x80
        fields += (0x8000 | picture_id & 0x7FFF).to_bytes(2, "big")
    if tl0_picture_index is not None:
        flags |= 0x40
        fields.append(tl0_picture_index & 0xFF)
    if temporal_layer is not None:
        flags |= 0x20
        fields.append(temporal_layer << 6 | (0x20 if layer_sync else 0))
    return bytes((first, flags)) + bytes(fields)
