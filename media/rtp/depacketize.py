"""From RTP packets to encoded frames, for recording and for clients (RFC 7741, RFC 6184, RFC 7587).

Only whole frames come out. After a loss a video depacketizer stays silent until the next key frame:
what would decode into a smeared picture is worse in a medical record than a gap that is marked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

from media import limits
from media.errors import RemoteProtocolError
from media.rtp import h264, vp8
from media.rtp.errors import MALFORMED_PAYLOAD
from media.rtp.packet import Buffer, RtpPacket
from media.rtp.reorder import ReorderBuffer


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One encoded frame.

    :param data: VP8 bitstream, H.264 in Annex B form with parameter sets before an IDR, or one Opus packet.
    :param timestamp: 32-bit RTP timestamp.
    :param keyframe: decodable without any frame before it; always true for audio.
    :param width: pixels, of the last key frame; 0 for audio.
    :param complete: every packet of the frame is in ``data``; broken ones are never handed out.
    """

    data: bytes
    timestamp: int
    keyframe: bool
    width: int = 0
    height: int = 0
    complete: bool = True


class Depacketizer(Protocol):
    """What the recorder needs to know of a codec."""

    @property
    def lost_packets(self) -> int: ...

    def push(self, packet: RtpPacket | Buffer) -> list[EncodedFrame]: ...

    def flush(self) -> list[EncodedFrame]: ...


def _as_packet(packet: RtpPacket | Buffer) -> RtpPacket:
    return packet if isinstance(packet, RtpPacket) else RtpPacket.parse(packet)


class OpusDepacketizer:
    """One packet is one frame; packets come out in order (RFC 7587 section 4.2)."""

    def __init__(self, clock_rate: int = 48_000) -> None:
        self._reorder = ReorderBuffer(limits.REORDER_PACKETS, round(limits.REORDER_SECONDS * clock_rate))

    @property
    def lost_packets(self) -> int:
        """Packets that never came."""
        return self._reorder.lost

    def push(self, packet: RtpPacket | Buffer) -> list[EncodedFrame]:
        """Frames that are complete with this packet.

        :raises RemoteProtocolError: ``malformed_rtp``.
        """
        return self._frames(self._reorder.push(_as_packet(packet)))

    def flush(self) -> list[EncodedFrame]:
        """What still waited for a missing packet."""
        return self._frames(self._reorder.flush())

    def _frames(self, run: list[tuple[RtpPacket, bool]]) -> list[EncodedFrame]:
        return [EncodedFrame(packet.payload, packet.timestamp, True) for packet, _ in run if packet.payload]


class _VideoDepacketizer(ABC):
    """What VP8 and H.264 share: order, frame borders, and silence after a loss until a key frame."""

    def __init__(self, clock_rate: int = 90_000) -> None:
        self._reorder = ReorderBuffer(limits.REORDER_PACKETS, round(limits.REORDER_SECONDS * clock_rate))
        self._parts: list[bytes] = []
        self._size = 0
        self._timestamp: int | None = None
        self._broken = False
        self._needs_keyframe = True
        self._keyframe = False
        self.width = 0
        self.height = 0
        self.dropped_frames = 0

    @property
    def lost_packets(self) -> int:
        """Packets that never came."""
        return self._reorder.lost

    def push(self, packet: RtpPacket | Buffer) -> list[EncodedFrame]:
        """Frames that are complete with this packet; a broken payload breaks only its frame.

        :raises RemoteProtocolError: ``malformed_rtp`` when the RTP header itself is wrong.
        """
        return self._frames(self._reorder.push(_as_packet(packet)))

    def flush(self) -> list[EncodedFrame]:
        """What still waited for a missing packet."""
        return self._frames(self._reorder.flush())

    def _frames(self, run: list[tuple[RtpPacket, bool]]) -> list[EncodedFrame]:
        frames: list[EncodedFrame] = []
        for packet, after_hole in run:
            if after_hole:
                self._lose()
            if packet.payload:
                frames += self._take(packet)
        return frames

    def _take(self, packet: RtpPacket) -> list[EncodedFrame]:
        if packet.timestamp != self._timestamp:
            if self._timestamp is not None:  # no marker came for the frame before
                self._lose()
            self._begin(packet.timestamp)
        try:
            part = self._part(packet.payload, first=not self._parts)
        except RemoteProtocolError:
            self._broken = True
            part = b""
        self._size += len(part)
        if self._size > limits.MAX_FRAME_BYTES:
            self._broken = True
            self._parts.clear()
        elif not self._broken:
            self._parts.append(part)
        return self._finish() if packet.marker else []

    def _begin(self, timestamp: int) -> None:
        self._timestamp = timestamp
        self._parts.clear()
        self._size = 0
        self._broken = False
        self._keyframe = False

    def _lose(self) -> None:
        self._broken = True
        self._needs_keyframe = True

    def _finish(self) -> list[EncodedFrame]:
        timestamp = self._timestamp
        data = b"".join(self._parts)
        self._parts.clear()
        self._timestamp = None
        if self._broken or not data or timestamp is None:
            self._needs_keyframe = True
        elif self._keyframe:
            self._needs_keyframe = False
        if self._needs_keyframe or timestamp is None:
            self.dropped_frames += 1
            return []
        return [EncodedFrame(data, timestamp, self._keyframe, self.width, self.height)]

    @abstractmethod
    def _part(self, payload: bytes, first: bool) -> bytes:
        """What ``payload`` adds to the frame; ``first`` when nothing of it is there yet."""


class Vp8Depacketizer(_VideoDepacketizer):
    """VP8 frames without their payload descriptors (RFC 7741)."""

    def _part(self, payload: bytes, first: bool) -> bytes:
        descriptor = vp8.parse_descriptor(payload)
        if first:
            if not descriptor.start_of_partition or descriptor.partition:
                raise RemoteProtocolError(MALFORMED_PAYLOAD, "frame does not start at its first partition")
            self._keyframe = descriptor.keyframe
            size = vp8.keyframe_size(payload, descriptor.end, len(payload)) if descriptor.keyframe else None
            if size is not None:
                self.width, self.height = size
        return payload[descriptor.end :]


class H264Depacketizer(_VideoDepacketizer):
    """H.264 access units in Annex B form (RFC 6184, packetization modes 0 and 1).

    Parameter sets are remembered and put before an IDR that came without them, so that every key frame
    can start a file.
    """

    def __init__(self, clock_rate: int = 90_000) -> None:
        super().__init__(clock_rate)
        self._fragment_open = False
        self._slice_seen = False
        self._sets: dict[int, bytes] = {}
        self._sets_in_frame: set[int] = set()

    def _begin(self, timestamp: int) -> None:
        super()._begin(timestamp)
        self._fragment_open = False
        self._slice_seen = False
        self._sets_in_frame.clear()

    def _part(self, payload: bytes, first: bool) -> bytes:
        kind = payload[0] & 0x1F
        if kind == h264.FU_A:
            return self._fragment(payload)
        if self._fragment_open:
            raise RemoteProtocolError(MALFORMED_PAYLOAD, "FU-A without its end")
        if kind == h264.STAP_A:
            return b"".join(
                self._unit(payload[start:end]) for start, end in h264.stap_units(payload, 0, len(payload))
            )
        if not 1 <= kind <= 23:
            raise RemoteProtocolError(MALFORMED_PAYLOAD, "packet type is not part of mode 1")
        return self._unit(payload)

    def _fragment(self, payload: bytes) -> bytes:
        if len(payload) < 3:
            raise RemoteProtocolError(MALFORMED_PAYLOAD, "short FU-A")
        start, end = payload[1] & 0x80, payload[1] & 0x40
        if bool(start) == self._fragment_open or (start and end):
            raise RemoteProtocolError(MALFORMED_PAYLOAD, "FU-A out of order")
        self._fragment_open = not end
        if not start:
            return payload[2:]
        return self._unit(bytes((payload[0] & 0xE0 | payload[1] & 0x1F,)) + payload[2:])

    def _unit(self, unit: bytes) -> bytes:
        """One NAL unit (or the beginning of a fragmented one) with its start code."""
        kind = unit[0] & 0x1F
        prefix = b""
        if kind in (h264.SLICE, h264.IDR):
            self._check_first_slice(unit)
        if kind in (h264.SPS, h264.PPS):
            self._sets[kind] = unit
            self._sets_in_frame.add(kind)
            if kind == h264.SPS:
                self.width, self.height = h264.picture_size(unit)
        elif kind == h264.IDR and not self._keyframe:
            self._keyframe = True
            missing = [s for s in (h264.SPS, h264.PPS) if s in self._sets and s not in self._sets_in_frame]
            prefix = b"".join(h264.START_CODE + self._sets[kind] for kind in missing)
        return prefix + h264.START_CODE + unit

    def _check_first_slice(self, unit: bytes) -> None:
        """A picture begins with macroblock 0: ue(v) 0, a single one bit (H.264 7.3.3)."""
        if not self._slice_seen and not (len(unit) > 1 and unit[1] & 0x80):
            raise RemoteProtocolError(MALFORMED_PAYLOAD, "the first slice of the picture is missing")
        self._slice_seen = True


def depacketizer_for(mime_type: str, clock_rate: int) -> Depacketizer:
    """The depacketizer of a codec.

    :param mime_type: as in RTP parameters, ``video/VP8``; case does not matter.
    :raises KeyError: for a codec that is not forwarded here.
    """
    classes: dict[str, type[OpusDepacketizer | _VideoDepacketizer]] = {
        "audio/opus": OpusDepacketizer,
        "video/vp8": Vp8Depacketizer,
        "video/h264": H264Depacketizer,
    }
    return classes[mime_type.lower()](clock_rate)
