"""Real VP8, H.264 and Opus packets, made on the spot, and a router that hands them to its taps."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from media.rtp.packet import RtpPacket
from media.rtp.packetize import H264Packetizer, OpusPacketizer, Vp8Packetizer

VP8 = {"mimeType": "video/VP8", "clockRate": 90_000, "payloadType": 96}
H264 = {"mimeType": "video/H264", "clockRate": 90_000, "payloadType": 97}
OPUS = {"mimeType": "audio/opus", "clockRate": 48_000, "channels": 2, "payloadType": 111}


@dataclass
class FakeProducer:
    """A producer as the recorder sees it."""

    id: str
    source: str
    codec: dict[str, Any]

    @property
    def rtp_parameters(self) -> dict[str, Any]:
        return {"codecs": [self.codec]}


@dataclass
class FakeConsumer:
    """Counts what it is asked."""

    key_frames: int = 0
    closed: bool = False

    def request_key_frame(self) -> None:
        self.key_frames += 1

    def clock_now(self, now: float) -> None:
        """No sender reports here."""

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeRouter:
    """Remembers the taps."""

    sinks: dict[str, Any] = field(default_factory=dict)
    consumers: dict[str, FakeConsumer] = field(default_factory=dict)

    def tap(self, producer_id: str, sink: Any) -> FakeConsumer:
        self.sinks[producer_id] = sink
        self.consumers[producer_id] = FakeConsumer()
        return self.consumers[producer_id]


def video_frames(count: int, encoder: str = "libvpx", key_every: int = 30) -> list[bytes]:
    """Encoded pictures, 320 x 240, 30 a second; picture n is a grey of its own."""
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = 320, 240, "yuv420p"
    context.time_base = Fraction(1, 30)
    context.gop_size = 10_000
    realtime = {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"}
    baseline = {"tune": "zerolatency", "profile": "baseline", "preset": "ultrafast"}
    context.options = realtime if encoder == "libvpx" else baseline
    frames = []
    for number in range(count):
        picture = np.full((240, 320, 3), number * 3 % 256, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        if number % key_every == 0:
            frame.pict_type = PictureType.I
        frames += [bytes(packet) for packet in context.encode(frame)]
    assert len(frames) == count
    return frames


def audio_frames(count: int) -> list[bytes]:
    """Opus packets of 20 ms with a 440 Hz tone."""
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.format = 48_000, "s16"
    context.layout = "stereo"
    frames: list[bytes] = []
    for number in range(count):
        time = np.arange(number * 960, (number + 1) * 960) / 48_000
        tone = (np.sin(2 * np.pi * 440 * time) * 8000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone.repeat(2).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, number * 960
        frames += [bytes(packet) for packet in context.encode(frame)]
    return frames


@dataclass(frozen=True)
class Timed:
    """A packet and when it arrives, seconds."""

    at: float
    data: bytes


def video_packets(frames: list[bytes], encoder: str = "libvpx", start: float = 0.0) -> list[Timed]:
    """One frame every 1/30 s, sequence numbers about to wrap."""
    packetizer = Vp8Packetizer() if encoder == "libvpx" else H264Packetizer()
    sequence, packets = 65_500, []
    for number, frame in enumerate(frames):
        payloads = packetizer.packetize(frame)
        for index, payload in enumerate(payloads):
            packet = RtpPacket(
                96,
                sequence & 0xFFFF,
                (0xFFFF_F000 + number * 3000) & 0xFFFF_FFFF,
                1234,
                payload,
                marker=index == len(payloads) - 1,
            )
            packets.append(Timed(start + number / 30, bytes(packet.serialize())))
            sequence += 1
    return packets


def audio_packets(frames: list[bytes], start: float = 0.0) -> list[Timed]:
    """One packet every 20 ms."""
    packetizer = OpusPacketizer()
    return [
        Timed(
            start + number * 0.02,
            bytes(
                RtpPacket(
                    111,
                    (65_530 + number) & 0xFFFF,
                    (0xFFFF_FE00 + number * 960) & 0xFFFF_FFFF,
                    99,
                    packetizer.packetize(frame)[0],
                ).serialize()
            ),
        )
        for number, frame in enumerate(frames)
    ]
