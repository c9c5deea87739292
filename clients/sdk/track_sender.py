"""One outgoing track: draws frames from a source at its pace, numbers the packets, answers feedback."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from clients.sdk.limits import MAX_BEHIND_S, SEND_HISTORY_PACKETS
from clients.sdk.media_source import EncodedFrame, EncodedSource
from media.clock import Clock
from media.ortc.capabilities import ABS_SEND_TIME, MID
from media.rtp.clocks import ntp_from_unix
from media.rtp.packet import RtpPacket
from media.rtp.packetize import OpusPacketizer, Vp8Packetizer
from media.rtp.rtcp import (
    FullIntraRequest,
    Nack,
    PictureLoss,
    Remb,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    pack_compound,
)

SENDER_REPORT_S = 1.0
MID_ID = 1
SEND_TIME_ID = 2
_SEND_TIME_HZ = 1 << 18  # abs-send-time: 24 bits, 6.18 fixed-point seconds

# Payload types of this sdk's senders; a producer's numbers are its own, the router maps them.
_PAYLOAD_TYPES = {"audio/opus": (111, None), "video/VP8": (96, 97)}
VIDEO_FEEDBACK = (("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("goog-remb", ""))
"""(type, parameter) of what a picture's sender answers; by REMB it learns what its line carries."""


class PacketSender(Protocol):
    """The part of a transport that a track needs."""

    def send_rtp(self, packet: bytes | bytearray | memoryview) -> bool: ...

    def send_rtcp(self, packet: bytes | bytearray | memoryview) -> bool: ...


@dataclass(slots=True)
class SenderStats:
    """What one track has sent."""

    frames: int = 0
    key_frames: int = 0
    packets: int = 0
    octets: int = 0
    retransmitted: int = 0
    nacks: int = 0
    key_frame_requests: int = 0


class TrackSender:
    """Sends ``source`` under a ``mid``; `start` after the transport is connected, `stop` to end.

    :param transport: what takes the packets; they are dropped there until it is connected.
    """

    def __init__(self, source: EncodedSource, mid: str, transport: PacketSender, clock: Clock) -> None:
        self.source = source
        self.mid = mid
        self.ssrc = _random_ssrc()
        self.payload_type, self.rtx_payload_type = _PAYLOAD_TYPES[source.mime_type]
        self.rtx_ssrc = None if self.rtx_payload_type is None else _random_ssrc()
        self.cname = secrets.token_hex(8)
        self.stats = SenderStats()
        self.paused = False
        self._transport = transport
        self._clock = clock
        self._packetize = _opus_payloads if source.kind == "audio" else _vp8_payloads()
        self._sequence = secrets.randbelow(1 << 15)
        self._rtx_sequence = secrets.randbelow(1 << 15)
        self._first_timestamp = secrets.randbits(32)
        self._history: OrderedDict[int, RtpPacket] = OrderedDict()
        self._wants_key_frame = True
        self._started_at = 0.0
        self._reported_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    @property
    def feedback(self) -> tuple[tuple[str, str], ...]:
        """(type, parameter) of the RTCP feedback that is answered."""
        return () if self.source.kind == "audio" else VIDEO_FEEDBACK

    @property
    def extensions(self) -> tuple[tuple[str, int], ...]:
        """(URI, id) of the header extensions that are sent."""
        named = ((MID, MID_ID),)
        return named if self.source.kind == "audio" else (*named, (ABS_SEND_TIME, SEND_TIME_ID))

    def rtp_parameters(self) -> dict[str, Any]:
        """mediasoup's JSON of what is sent, for ``produce``."""
        is_audio = self.source.kind == "audio"
        codec: dict[str, Any] = {
            "mimeType": self.source.mime_type,
            "payloadType": self.payload_type,
            "clockRate": self.source.clock_rate,
            "parameters": {"useinbandfec": 1} if is_audio else {},
            "rtcpFeedback": [{"type": t, "parameter": p} for t, p in self.feedback],
        }
        if is_audio:
            codec["channels"] = 2
        codecs = [codec]
        encoding: dict[str, Any] = {"ssrc": self.ssrc}
        if self.rtx_payload_type is not None:
            codecs.append(
                {
                    "mimeType": "video/rtx",
                    "payloadType": self.rtx_payload_type,
                    "clockRate": self.source.clock_rate,
                    "parameters": {"apt": self.payload_type},
                    "rtcpFeedback": [],
                }
            )
            encoding["rtx"] = {"ssrc": self.rtx_ssrc}
        if self.source.scalability_mode:
            encoding["scalabilityMode"] = self.source.scalability_mode
        return {
            "mid": self.mid,
            "codecs": codecs,
            "headerExtensions": [{"uri": uri, "id": number} for uri, number in self.extensions],
            "encodings": [encoding],
            "rtcp": {"cname": self.cname, "reducedSize": True},
        }

    def start(self) -> None:
        """Begin to send; twice is harmless."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"track {self.mid}")

    async def stop(self) -> None:
        """Stop sending; idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def rtcp_received(self, packet: RtcpPacket) -> None:
        """Take feedback; what is about other tracks is ignored."""
        match packet:
            case Nack(media_ssrc=self.ssrc):
                self.stats.nacks += 1
                for sequence in packet.sequences:
                    self._retransmit(sequence)
            case PictureLoss(media_ssrc=self.ssrc):
                self._request_key_frame()
            case Remb() if self.ssrc in packet.ssrcs:
                self.source.limit(packet.bitrate)
            case FullIntraRequest() if any(ssrc == self.ssrc for ssrc, _ in packet.entries):
                self._request_key_frame()
            case _:
                pass

    def _request_key_frame(self) -> None:
        self.stats.key_frame_requests += 1
        self._wants_key_frame = True

    async def _run(self) -> None:
        """Frame by frame on the clock's grid; frames that are too late to matter are left out."""
        interval = self.source.frame_interval_s
        self._started_at = self._clock.monotonic()
        number = 0
        while True:
            late = self._clock.monotonic() - self._started_at - number * interval
            if late < 0:
                await asyncio.sleep(-late)
            elif late > MAX_BEHIND_S:
                number += int(late / interval)
            self._send_frame(number * interval)
            number += 1

    def _send_frame(self, at_s: float) -> None:
        if self.paused:
            return
        key_frame, self._wants_key_frame = self._wants_key_frame, False
        frame = self.source.next_frame(key_frame)
        if frame is None:
            return
        timestamp = self._timestamp(at_s)
        payloads = self._packetize(frame)
        for index, payload in enumerate(payloads):
            self._send_packet(payload, timestamp, index == len(payloads) - 1)
        self.stats.frames += 1
        self.stats.key_frames += key_frame
        self._report()

    def _send_packet(self, payload: bytes, timestamp: int, last: bool) -> None:
        packet = RtpPacket(
            payload_type=self.payload_type,
            sequence=self._sequence,
            timestamp=timestamp,
            ssrc=self.ssrc,
            payload=payload,
            marker=last and self.source.kind == "video",
            extensions=self._extensions(),
        )
        self._sequence = (self._sequence + 1) & 0xFFFF
        if self.rtx_ssrc is not None:
            self._history[packet.sequence] = packet
            if len(self._history) > SEND_HISTORY_PACKETS:
                self._history.popitem(last=False)
        self.stats.packets += 1
        self.stats.octets += len(payload)
        self._transport.send_rtp(packet.serialize())

    def _extensions(self) -> tuple[tuple[int, bytes], ...]:
        mid = (MID_ID, self.mid.encode())
        if self.source.kind == "audio":
            return (mid,)
        send_time = int(self._clock.monotonic() * _SEND_TIME_HZ) & 0xFFFFFF
        return (mid, (SEND_TIME_ID, send_time.to_bytes(3, "big")))

    def _retransmit(self, sequence: int) -> None:
        """RFC 4588: the original payload behind its number, on a stream of its own."""
        original = self._history.get(sequence)
        if original is None or self.rtx_ssrc is None or self.rtx_payload_type is None:
            return
        packet = RtpPacket(
            payload_type=self.rtx_payload_type,
            sequence=self._rtx_sequence,
            timestamp=original.timestamp,
            ssrc=self.rtx_ssrc,
            payload=sequence.to_bytes(2, "big") + original.payload,
            marker=original.marker,
            extensions=self._extensions(),
        )
        self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        self.stats.retransmitted += 1
        self._transport.send_rtp(packet.serialize())

    def _report(self) -> None:
        """A sender report once a second, so that receivers can align tracks."""
        now = self._clock.monotonic()
        if now - self._reported_at < SENDER_REPORT_S:
            return
        self._reported_at = now
        report = SenderReport(
            ssrc=self.ssrc,
            ntp=ntp_from_unix(self._clock.wall()),
            rtp_timestamp=self._timestamp(now - self._started_at),
            packet_count=self.stats.packets & 0xFFFFFFFF,
            octet_count=self.stats.octets & 0xFFFFFFFF,
        )
        names = SourceDescription(((self.ssrc, self.cname),))
        self._transport.send_rtcp(pack_compound([report, names]))

    def _timestamp(self, at_s: float) -> int:
        return (self._first_timestamp + round(at_s * self.source.clock_rate)) & 0xFFFFFFFF


def _opus_payloads(frame: EncodedFrame) -> list[bytes]:
    return OpusPacketizer().packetize(frame.data)


def _vp8_payloads() -> Callable[[EncodedFrame], list[bytes]]:
    packetizer = Vp8Packetizer()

    def payloads(frame: EncodedFrame) -> list[bytes]:
        layer, sync = frame.temporal_layer, frame.layer_sync
        return packetizer.packetize(frame.data, temporal_layer=layer, layer_sync=sync)

    return payloads


def _random_ssrc() -> int:
    return secrets.randbelow(0xFFFFFFFE) + 1
