"""Redundant audio: one packet with the newest block and copies of earlier ones (RFC 2198).

::

    |1|  block PT   |  timestamp offset (14)  | length (10) |   of each earlier block
    |0|  block PT   |                                           of the newest, the primary; then the data
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from media.errors import RemoteProtocolError
from media.rtp.errors import MALFORMED_PAYLOAD
from media.rtp.packet import Buffer

MAX_BLOCKS = 16  # in one packet: Chromium sends at most nine


def primary_start(data: Buffer, start: int, end: int) -> int:
    """Where the primary block's data begin in the payload ``start..end``.

    :raises RemoteProtocolError: ``malformed_payload`` when the blocks run over the end.
    """
    return _walk(data, start, end)[1]


def _walk(data: Buffer, start: int, end: int) -> tuple[list[int], int]:
    """(where each block's header is, where the primary data begin)."""
    headers: list[int] = []
    position, earlier = start, 0
    while position + 4 <= end and data[position] & 0x80:
        if len(headers) == MAX_BLOCKS:
            raise RemoteProtocolError(MALFORMED_PAYLOAD, "too many RED blocks")
        headers.append(position)
        earlier += (data[position + 2] & 0x03) << 8 | data[position + 3]
        position += 4
    if position >= end or data[position] & 0x80 or position + 1 + earlier > end:
        raise RemoteProtocolError(MALFORMED_PAYLOAD, "RED blocks run over the end")
    headers.append(position)
    return headers, position + 1 + earlier


def renumber(data: bytearray, start: int, end: int, payload_types: Mapping[int, int]) -> int:
    """Write other payload types into the block headers, in place; where the primary data begin.

    :raises RemoteProtocolError: ``malformed_payload``, also for a block of another type; nothing is changed.
    """
    headers, primary = _walk(data, start, end)
    ours = [payload_types.get(data[at] & 0x7F) for at in headers]
    for at, number in zip(headers, ours, strict=True):
        if number is None:
            raise RemoteProtocolError(MALFORMED_PAYLOAD, "a RED block of another codec")
        data[at] = data[at] & 0x80 | number
    return primary


def plain(data: Buffer, payload_start: int, primary: int, payload_type: int) -> bytearray:
    """A copy of a RED packet with the primary block alone, under that block's payload type."""
    copy = bytearray(data[:payload_start])
    copy += data[primary:]
    copy[1] = copy[1] & 0x80 | payload_type
    return copy


def pack(primary: bytes, payload_type: int, earlier: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """A RED payload.

    :param earlier: (timestamp offset, data), the oldest first; offsets below 2^14, data below 2^10 bytes.
    """
    headers = b"".join(
        bytes((0x80 | payload_type,)) + (offset << 10 | len(block)).to_bytes(3, "big")
        for offset, block in earlier
    )
    return headers + bytes((payload_type,)) + b"".join(block for _, block in earlier) + primary
