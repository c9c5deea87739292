"""H.264 in RTP: which packet starts a key frame, and the picture's size (RFC 6184; ITU-T H.264 7.3.2.1)."""

from __future__ import annotations

from collections.abc import Iterator

from media.errors import RemoteProtocolError
from media.rtp.errors import MALFORMED_PAYLOAD
from media.rtp.packet import Buffer

SLICE, IDR, SPS, PPS = 1, 5, 7, 8
STAP_A, FU_A = 24, 28
START_CODE = b"\x00\x00\x00\x01"

_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_MAX_SPS_BITS = 4096  # an SPS is some tens of bytes; more is an attack on our time
_MAX_REFERENCE_CYCLE = 255  # num_ref_frames_in_pic_order_cnt_cycle, H.264 7.4.2.1.1


def stap_units(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int]]:
    """(start, end) of every unit in a STAP-A whose first byte is at ``start`` (RFC 6184 section 5.7.1).

    :raises RemoteProtocolError: ``malformed_payload`` when a size does not fit.
    """
    position = start + 1
    while position < end:
        if position + 2 > end:
            raise RemoteProtocolError(MALFORMED_PAYLOAD, "STAP-A size runs over the end")
        size = data[position] << 8 | data[position + 1]
        position += 2
        if size == 0 or position + size > end:
            raise RemoteProtocolError(MALFORMED_PAYLOAD, "STAP-A unit does not fit")
        yield position, position + size
        position += size


def starts_keyframe(data: Buffer, start: int, end: int) -> bool:
    """Whether this payload begins an IDR picture or brings the parameter set before one.

    :raises RemoteProtocolError: ``malformed_payload``.
    """
    if start >= end:
        return False
    kind = data[start] & 0x1F
    if kind == STAP_A:
        return any(data[at] & 0x1F in (IDR, SPS) for at, _ in stap_units(data, start, end))
    if kind == FU_A:
        return end - start >= 2 and data[start + 1] & 0x80 != 0 and data[start + 1] & 0x1F in (IDR, SPS)
    return kind in (IDR, SPS)


def is_droppable(data: Buffer, start: int, end: int) -> bool:
    """Whether this payload is part of a slice that no other picture refers to (nal_ref_idc 0, H.264 7.4.1).

    A frame of such slices can be left out and nothing is missed. An aggregate counts as needed, since its
    header tells only the highest of its units' (RFC 6184 section 5.7.1 keeps that exact, not every sender).
    """
    if end - start < 2 or data[start] & 0x60:
        return False
    kind = data[start] & 0x1F
    return kind == SLICE or (kind == FU_A and data[start + 1] & 0x1F == SLICE)


class _Bits:
    """Reads an RBSP: emulation prevention is taken out first (H.264 7.3.1)."""

    def __init__(self, unit: bytes) -> None:
        plain = unit.replace(b"\x00\x00\x03", b"\x00\x00")[: _MAX_SPS_BITS // 8]
        self._value = int.from_bytes(plain, "big")
        self._left = 8 * len(plain)

    def read(self, count: int) -> int:
        if count > self._left:
            raise RemoteProtocolError(MALFORMED_PAYLOAD, "SPS is cut short")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def unsigned(self) -> int:
        """Exp-Golomb ue(v), H.264 9.1."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > 31:
                raise RemoteProtocolError(MALFORMED_PAYLOAD, "SPS number is too long")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self) -> int:
        value = self.unsigned()
        return (value + 1) // 2 if value % 2 else -(value // 2)


def picture_size(sps: bytes) -> tuple[int, int]:
    """(width, height) after cropping, from a sequence parameter set with its NAL header byte.

    :raises RemoteProtocolError: ``malformed_payload``.
    """
    bits = _Bits(sps[1:])
    profile = bits.read(8)
    bits.read(16)
    bits.unsigned()
    chroma = _read_high_profile(bits) if profile in _HIGH_PROFILES else 1
    bits.unsigned()
    _skip_picture_order(bits)
    bits.unsigned()
    bits.read(1)
    width = 16 * (bits.unsigned() + 1)
    map_units = bits.unsigned() + 1
    frame_only = bits.read(1)
    if not frame_only:
        bits.read(1)
    bits.read(1)
    height = 16 * map_units * (2 - frame_only)
    if bits.read(1):
        unit_x = 1 if chroma in (0, 3) else 2
        unit_y = (2 if chroma == 1 else 1) * (2 - frame_only)
        left, right, top, bottom = (bits.unsigned() for _ in range(4))
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    if not 0 < width <= 16384 or not 0 < height <= 16384:
        raise RemoteProtocolError(MALFORMED_PAYLOAD, "picture size out of range")
    return width, height


def _read_high_profile(bits: _Bits) -> int:
    chroma = bits.unsigned()
    if chroma == 3:
        bits.read(1)
    bits.unsigned()
    bits.unsigned()
    bits.read(1)
    if bits.read(1):
        for index in range(8 if chroma != 3 else 12):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _skip_picture_order(bits: _Bits) -> None:
    kind = bits.unsigned()
    if kind == 0:
        bits.unsigned()
    elif kind == 1:
        bits.read(1)
        bits.signed()
        bits.signed()
        cycle = bits.unsigned()
        if cycle > _MAX_REFERENCE_CYCLE:
            raise RemoteProtocolError(MALFORMED_PAYLOAD, "SPS cycle is too long")
        for _ in range(cycle):
            bits.signed()
