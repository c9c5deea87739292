"""One incoming track: counts, asks again for what is lost, decodes on request to prove picture or sound."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from clients.sdk.capabilities import NUMBER_URI
from clients.sdk.limits import CONNECT_TIMEOUT_S, KEPT_BYTES, KEPT_FRAMES, MAX_MISSING_PACKETS, NACK_TRIES
from clients.sdk.media_source import SAMPLE_RATE, Picture
from media.clock import Clock
from media.errors import RemoteProtocolError
from media.rtp.clocks import ntp_middle
from media.rtp.depacketize import EncodedFrame, depacketizer_for
from media.rtp.numbers import Unwrapper
from media.rtp.packet import RtpPacket
from media.rtp.rtcp import Nack, PictureLoss, ReceiverReport, ReportBlock, RtcpPacket, SenderReport

KEY_FRAME_RETRY_S = 1.0
"""How long a video track may stay without a picture before a key frame is asked for again."""
_RECEIVER_SSRC = 1


@dataclass(slots=True)
class SinkStats:
    """What one track has received."""

    packets: int = 0
    octets: int = 0
    lost: int = 0
    """Packets that never came, retransmission included."""
    retransmitted: int = 0
    duplicates: int = 0
    frames: int = 0
    key_frames: int = 0
    malformed: int = 0


class MediaSink:
    """Receives one consumer.

    :param consumer: the consumer's JSON from the server.
    """

    def __init__(self, consumer: Mapping[str, Any], clock: Clock) -> None:
        self.id = str(consumer["id"])
        self.producer_id = str(consumer["producerId"])
        self.peer_id = str(consumer.get("peerId", ""))
        self.kind = str(consumer["kind"])
        self.source = str(consumer.get("source", ""))
        parameters = consumer["rtpParameters"]
        encoding, codec = parameters["encodings"][0], parameters["codecs"][0]
        self.mime_type = str(codec["mimeType"])
        self.ssrc = int(encoding["ssrc"])
        self.rtx_ssrc: int | None = encoding.get("rtx", {}).get("ssrc")
        self.number_id: int = next(
            (int(e["id"]) for e in parameters.get("headerExtensions", ()) if e["uri"] == NUMBER_URI), 0
        )
        """Under which its packets carry transport-wide numbers; 0 = they do not."""
        self.paused = bool(consumer.get("producerPaused", False))
        self.stats = SinkStats()
        self.first_frame = asyncio.Event()
        """Set with the first whole frame; for video that is the first key frame."""
        self.first_frame_at: float | None = None
        """The clock's monotonic seconds of the first whole frame."""
        self._frame_came = asyncio.Event()
        self.width = 0
        self.height = 0
        self._clock_rate = int(codec["clockRate"])
        self._payload_type = int(codec["payloadType"])
        self._clock = clock
        self._depacketizer = depacketizer_for(self.mime_type, self._clock_rate)
        self._unwrapper = Unwrapper(16)
        self._base = -1
        self._highest = -1
        self._missing: dict[int, int] = {}
        self._kept: deque[EncodedFrame] = deque()
        self._kept_bytes = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._report_expected = 0
        self._report_received = 0
        self._sender_report: tuple[int, float] | None = None
        self._asked_key_frame_at = float("-inf")

    # receiving

    def rtp_received(self, packet: RtpPacket, now: float) -> None:
        """Take a packet of this track or of its retransmission stream."""
        if packet.ssrc == self.rtx_ssrc:
            if len(packet.payload) <= 2:
                return  # padding that probes the line
            self.stats.retransmitted += 1
            packet.sequence = int.from_bytes(packet.payload[:2], "big")
            packet.payload = packet.payload[2:]
            packet.ssrc, packet.payload_type = self.ssrc, self._payload_type
        elif not packet.payload:
            self.stats.packets += self._number(packet)
            return
        else:
            self._measure_jitter(packet, now)
        if not self._number(packet):
            self.stats.duplicates += 1
            return
        self.stats.packets += 1
        self.stats.octets += len(packet.payload)
        try:
            frames = self._depacketizer.push(packet)
        except RemoteProtocolError:
            self.stats.malformed += 1
            return
        for frame in frames:
            self._keep(frame, now)

    def sender_report(self, report: SenderReport, now: float) -> None:
        """Remember the last report, to be answered in ours."""
        if report.ssrc == self.ssrc:
            self._sender_report = (ntp_middle(report.ntp), now)

    def _number(self, packet: RtpPacket) -> bool:
        """Book the sequence number; False for one that was there before."""
        number = self._unwrapper.unwrap(packet.sequence)
        if self._highest < 0:
            self._base = self._highest = number
            return True
        if number > self._highest:
            gap = range(self._highest + 1, number)
            if len(gap) + len(self._missing) <= MAX_MISSING_PACKETS:
                self._missing |= dict.fromkeys(gap, 0)
            else:
                self.stats.lost += len(gap)
            self._highest = number
            return True
        return self._missing.pop(number, None) is not None

    def _keep(self, frame: EncodedFrame, now: float) -> None:
        """Keep frames from the last key frame on that fits, so that what is kept can be decoded."""
        self.stats.frames += 1
        self._frame_came.set()
        if self.kind == "video" and frame.keyframe:
            self.stats.key_frames += 1
            self._kept.clear()
            self._kept_bytes = 0
        if frame.width:
            self.width, self.height = frame.width, frame.height
        if self.kind == "audio" and len(self._kept) >= KEPT_FRAMES:
            self._kept_bytes -= len(self._kept.popleft().data)
        if len(self._kept) < KEPT_FRAMES and self._kept_bytes + len(frame.data) <= KEPT_BYTES:
            self._kept.append(frame)
            self._kept_bytes += len(frame.data)
        if self.first_frame_at is None:
            self.first_frame_at = now
            self.first_frame.set()

    def _measure_jitter(self, packet: RtpPacket, now: float) -> None:
        """RFC 3550 section 6.4.1."""
        transit = now * self._clock_rate - packet.timestamp
        if self._transit is not None:
            step = abs(transit - self._transit)
            if step < self._clock_rate:  # not across a wrap or a restart of the timestamp
                self._jitter += (step - self._jitter) / 16
        self._transit = transit

    async def wait_frames(self, more: int, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Wait until ``more`` further whole frames have come; raises TimeoutError."""
        wanted = self.stats.frames + more
        async with asyncio.timeout(timeout_s):
            while self.stats.frames < wanted:
                self._frame_came.clear()
                await self._frame_came.wait()

    # answering

    def feedback(self, now: float) -> list[RtcpPacket]:
        """What to tell the sender now: a report, requests for lost packets, a request for a key frame."""
        if self._highest < 0:
            return []
        packets: list[RtcpPacket] = [ReceiverReport(_RECEIVER_SSRC, (self._report(now),))]
        wanted = self._wanted_again()
        if wanted:
            packets.append(Nack(_RECEIVER_SSRC, self.ssrc, tuple(number & 0xFFFF for number in wanted)))
        if self._needs_key_frame(now):
            self._asked_key_frame_at = now
            packets.append(PictureLoss(_RECEIVER_SSRC, self.ssrc))
        return packets

    def _wanted_again(self) -> list[int]:
        """Packets to ask for; those asked for often enough are lost."""
        given_up = [number for number, tries in self._missing.items() if tries >= NACK_TRIES]
        for number in given_up:
            del self._missing[number]
        self.stats.lost += len(given_up)
        for number in self._missing:
            self._missing[number] += 1
        return list(self._missing) if self.rtx_ssrc is not None else []

    def _needs_key_frame(self, now: float) -> bool:
        waiting = self.kind == "video" and not self.stats.key_frames
        return waiting and now - self._asked_key_frame_at >= KEY_FRAME_RETRY_S

    def _report(self, now: float) -> ReportBlock:
        expected = self._highest - self._base + 1
        received = self.stats.packets
        expected_now, received_now = expected - self._report_expected, received - self._report_received
        self._report_expected, self._report_received = expected, received
        lost_now = max(0, expected_now - received_now)
        ntp, at = self._sender_report or (0, now)
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min(255, lost_now * 256 // expected_now) if expected_now > 0 else 0,
            cumulative_lost=max(0, expected - received),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=int(self._jitter),
            last_sr=ntp,
            delay_since_last_sr=int((now - at) * 65536) & 0xFFFFFFFF if ntp else 0,
        )

    # proving

    def decode_pictures(self) -> list[Picture]:
        """Decode what is kept, from the last key frame on; RGB pictures in order."""
        name = self.mime_type.partition("/")[2].lower()
        decoder = cast(VideoCodecContext, av.CodecContext.create(name, "r"))
        pictures: list[Picture] = []
        for frame in self._kept:
            pictures += [_rgb(decoded) for decoded in decoder.decode(av.Packet(frame.data))]
        return pictures + [_rgb(decoded) for decoded in decoder.decode(None)]

    def decode_level(self) -> float:
        """Root mean square of the sound that is kept; 1 is full scale, 0 silence or nothing."""
        decoder = av.CodecContext.create("opus", "r")
        decoder.sample_rate = SAMPLE_RATE
        total, count = 0.0, 0
        for frame in self._kept:
            for decoded in decoder.decode(av.Packet(frame.data)):
                samples = decoded.to_ndarray().astype(np.float64)
                if decoded.format.name.startswith("s16"):
                    samples = samples / 32768
                total += float(np.sum(samples * samples))
                count += samples.size
        return float(np.sqrt(total / count)) if count else 0.0

    @property
    def missing(self) -> int:
        """Packets that are waited for at present."""
        return len(self._missing)


def _rgb(frame: av.VideoFrame) -> Picture:
    return frame.to_ndarray(format="rgb24").astype(np.uint8)
