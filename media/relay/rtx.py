"""Retransmission format: a packet inside another (RFC 4588 section 4)."""

from __future__ import annotations

from media.rtp.packet import FIXED_HEADER, RtpHeader, RtpPacket


def original_of_rtx(data: bytearray, header: RtpHeader, ssrc: int, payload_type: int) -> bytearray | None:
    """The packet inside an RTX packet; None for padding and probes without one."""
    start, end = header.payload_start, header.payload_end
    if end - start <= 2:
        return None
    original = data[:start] + data[start + 2 : end]
    original[0] &= 0xDF  # the padding went away with the rest
    original[1] = original[1] & 0x80 | payload_type
    original[2:4] = data[start : start + 2]
    original[8:12] = ssrc.to_bytes(4, "big")
    return original


def as_rtx(data: bytearray, payload_start: int, payload_type: int, ssrc: int, sequence: int) -> bytearray:
    """``data`` (already the consumer's) wrapped for retransmission (RFC 4588 section 4)."""
    packet = data[:payload_start] + data[2:4] + data[payload_start:]
    packet[1] = packet[1] & 0x80 | payload_type
    packet[2:4] = sequence.to_bytes(2, "big")
    packet[8:12] = ssrc.to_bytes(4, "big")
    return packet


def padding(
    payload_type: int, ssrc: int, sequence: int, timestamp: int, number_id: int
) -> tuple[bytearray, int]:
    """A packet of padding alone, as long as one can be, and where its transport-wide number stands."""
    number = ((number_id, bytes(2)),)
    packet = RtpPacket(payload_type, sequence, timestamp, ssrc, extensions=number, padding=255)
    return packet.serialize(), FIXED_HEADER + 5
