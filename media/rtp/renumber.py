"""Payload types and extension ids of one receiver, where it chose them itself (RFC 3264 section 5.1).

Inside, all receivers share the router's numbers. A WHEP player has put its own into its offer, and what it is
sent must carry those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media.rtp.packet import ONE_BYTE_PROFILE

_ONE_BYTE_MAX = 14  # RFC 8285 section 4.2: 15 is reserved


@dataclass(frozen=True, slots=True)
class WireNumbers:
    """The router's numbers to the receiver's.

    :param payload_types: 0 to 127 each; those absent stay as they are.
    :param extension_ids: 1 to 14 each, of one-byte headers; what is absent is blanked.
    """

    payload_types: Mapping[int, int]
    extension_ids: Mapping[int, int]

    def __post_init__(self) -> None:
        if not all(0 < number <= _ONE_BYTE_MAX for number in self.extension_ids.values()):
            raise ValueError("a one-byte extension id is 1 to 14")

    def apply(self, packet: bytes | bytearray | memoryview) -> bytearray:
        """A copy of an RTP packet of ours in the receiver's numbers; its length is the same."""
        data = bytearray(packet)
        payload_type = data[1] & 0x7F
        data[1] = data[1] & 0x80 | self.payload_types.get(payload_type, payload_type)
        if data[0] & 0x10:
            self._renumber_extensions(data)
        return data

    def _renumber_extensions(self, data: bytearray) -> None:
        start = 12 + 4 * (data[0] & 0x0F)
        if int.from_bytes(data[start : start + 2], "big") != ONE_BYTE_PROFILE:
            return
        position = start + 4
        end = min(position + 4 * int.from_bytes(data[start + 2 : start + 4], "big"), len(data))
        while position < end:
            number, length = data[position] >> 4, (data[position] & 0x0F) + 1
            if number == 0:
                position += 1
                continue
            theirs = self.extension_ids.get(number)
            if theirs is None:
                data[position : min(position + 1 + length, end)] = bytes(min(1 + length, end - position))
            else:
                data[position] = theirs << 4 | length - 1
            position += 1 + length
