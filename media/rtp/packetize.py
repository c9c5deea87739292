"""From encoded frames to RTP payloads, for clients and tests (RFC 7741, RFC 6184, RFC 7587).

A packetizer returns payloads; the caller numbers them and sets the marker on the last one.
"""

from __future__ import annotations

from media.rtp import h264, vp8

DEFAULT_MTU = 1200  # bytes of RTP payload; what WebRTC implementations use below 1500 with room for tunnels


class OpusPacketizer:
    """One frame is one payload (RFC 7587 section 4.2)."""

    def packetize(self, frame: bytes) -> list[bytes]:
        return [frame]


class Vp8Packetizer:
    """Cuts frames and writes a descriptor before each piece.

    The picture id and, when temporal layers are used, TL0PICIDX are counted here unless they are given.
    """

    def __init__(self, mtu: int = DEFAULT_MTU, picture_id: int = 0) -> None:
        self._mtu = mtu
        self._picture_id = picture_id & 0x7FFF
        self._tl0 = 0

    def packetize(
        self,
        frame: bytes,
        picture_id: int | None = None,
        *,
        temporal_layer: int | None = None,
        tl0_picture_index: int | None = None,
        layer_sync: bool = False,
        mtu: int | None = None,
    ) -> list[bytes]:
        """Payloads of one frame (at least one byte long), none longer than the MTU."""
        number = self._next_picture_id(picture_id)
        index = tl0_picture_index
        if temporal_layer is not None and index is None:
            index = self._tl0 = (self._tl0 + (temporal_layer == 0)) & 0xFF
        heads = [
            vp8.pack_descriptor(
                start_of_partition=start,
                picture_id=number,
                tl0_picture_index=index,
                temporal_layer=temporal_layer,
                layer_sync=layer_sync,
            )
            for start in (True, False)
        ]
        room = (self._mtu if mtu is None else mtu) - len(heads[0])
        return [heads[at > 0] + frame[at : at + room] for at in range(0, len(frame), room)]

    def _next_picture_id(self, given: int | None) -> int:
        number = self._picture_id if given is None else given & 0x7FFF
        self._picture_id = (number + 1) & 0x7FFF
        return number


class H264Packetizer:
    """Single NAL units and FU-A (RFC 6184 sections 5.6 and 5.8), packetization mode 1."""

    def __init__(self, mtu: int = DEFAULT_MTU) -> None:
        self._mtu = mtu

    def packetize(self, frame: bytes) -> list[bytes]:
        """Payloads of one access unit in Annex B form."""
        payloads: list[bytes] = []
        for unit in split_annex_b(frame):
            payloads += [unit] if len(unit) <= self._mtu else self._fragment(unit)
        return payloads

    def _fragment(self, unit: bytes) -> list[bytes]:
        indicator = unit[0] & 0xE0 | h264.FU_A
        room = self._mtu - 2
        pieces = [unit[at : at + room] for at in range(1, len(unit), room)]
        last = len(pieces) - 1
        return [
            bytes((indicator, (0x80 * (index == 0)) | (0x40 * (index == last)) | unit[0] & 0x1F)) + piece
            for index, piece in enumerate(pieces)
        ]


def split_annex_b(frame: bytes) -> list[bytes]:
    """The NAL units between the start codes (ITU-T H.264 annex B), without empty ones."""
    units = []
    for part in frame.split(b"\x00\x00\x01")[1:]:
        unit = part.rstrip(b"\x00")  # a trailing zero belongs to the next four-byte start code
        if unit:
            units.append(unit)
    return units
