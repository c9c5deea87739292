"""What the first byte of an Opus packet says, and how to write a pause (RFC 6716 section 3)."""

from __future__ import annotations

SAMPLE_RATE = 48_000  # RFC 7587 section 4.1: the RTP clock, whatever was encoded
_SILK = (480, 960, 1920, 2880)  # 10, 20, 40, 60 ms
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)  # 2.5, 5, 10, 20 ms
_MAX_PACKET = 5760  # 120 ms, RFC 6716 section 3.2.5, rule R5


def frame_samples(toc: int) -> int:
    """Samples (48 kHz) of one frame, from the table-of-contents byte (RFC 6716 table 2)."""
    config = toc >> 3
    if config < 12:
        return _SILK[config & 3]
    if config < 16:
        return _HYBRID[config & 1]
    return _CELT[config & 3]


def packet_samples(packet: bytes) -> int:
    """Samples (48 kHz) that ``packet`` decodes to; 0 when it is no Opus packet."""
    if not packet:
        return 0
    code = packet[0] & 3
    if code == 3 and len(packet) < 2:
        return 0
    frames = (1, 2, 2, packet[1] & 0x3F if code == 3 else 0)[code]
    samples = frames * frame_samples(packet[0])
    return samples if samples <= _MAX_PACKET else 0


def pause_packet(toc: int) -> bytes:
    """One frame of nothing, as a sender in DTX or a lost packet leaves it (section 3.2.1, zero-length frame).

    Players keep their clock through it; the gap itself stands in the manifest.
    """
    return bytes([toc & 0xFC])


def head(channels: int) -> bytes:
    """The identification header (RFC 7845 section 5.1); pre-skip 0, so that no sample moves."""
    return b"OpusHead" + bytes([1, channels, 0, 0]) + SAMPLE_RATE.to_bytes(4, "little") + bytes(3)


def ogg_template(channels: int) -> bytes:
    """The shortest Ogg Opus stream (RFC 7845), from which FFmpeg learns the codec's parameters."""
    tags = b"OpusTags" + bytes(8)
    return b"".join(
        (
            _page(2, 0, 0, head(channels)),
            _page(0, 1, 0, tags),
            _page(4, 2, 960, pause_packet(0xFC if channels == 2 else 0xF8)),
        )
    )


def _page(flags: int, number: int, position: int, body: bytes) -> bytes:
    """An Ogg page with one packet of fewer than 255 bytes (RFC 3533 section 6)."""
    serial = 1
    parts = (position.to_bytes(8, "little"), serial.to_bytes(4, "little"), number.to_bytes(4, "little"))
    start = b"OggS" + bytes([0, flags]) + b"".join(parts)
    rest = bytes([1, len(body)]) + body
    crc = _ogg_crc(start + bytes(4) + rest)
    return start + crc.to_bytes(4, "little") + rest


def _ogg_crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x8000_0000 else 0)
        crc &= 0xFFFF_FFFF
    return crc
