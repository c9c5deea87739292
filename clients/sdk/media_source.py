"""Where a client's media comes from: pictures and samples encoded with PyAV as VP8 and Opus.

A test picture and a tone stand in where there is no camera. Only libvpx and libopus are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Literal, Protocol

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from numpy.typing import NDArray

MediaKind = Literal["audio", "video"]
Picture = NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""
Samples = NDArray[np.int16]
"""One channel, shape (count,)."""

SAMPLE_RATE = 48_000
FRAME_SAMPLES = 960
"""20 ms, the usual Opus frame."""


class EncodedSource(Protocol):
    """One track's encoded frames, drawn by a `TrackSender` at its own pace."""

    @property
    def kind(self) -> MediaKind: ...

    @property
    def mime_type(self) -> str: ...

    @property
    def clock_rate(self) -> int: ...

    @property
    def frame_interval_s(self) -> float: ...

    def next_frame(self, key_frame: bool) -> bytes:
        """The next encoded frame; empty when the encoder has none for this turn."""


class Vp8Source:
    """Pictures encoded as VP8 in real time.

    :param pictures: gives the RGB picture of a frame number; all of one size, both sides even.
    :param bitrate: bits per second aimed at.
    """

    kind: MediaKind = "video"
    mime_type = "video/VP8"
    clock_rate = 90_000

    def __init__(
        self,
        pictures: Callable[[int], Picture],
        frames_per_second: float = 15.0,
        bitrate: int = 600_000,
    ) -> None:
        self.frame_interval_s = 1.0 / frames_per_second
        self._pictures = pictures
        self._number = 0
        height, width = pictures(0).shape[:2]
        self._encoder = _vp8_encoder(width, height, frames_per_second, bitrate)

    def next_frame(self, key_frame: bool) -> bytes:
        """Encode the next picture, as a key frame when asked; the first one always is."""
        frame = av.VideoFrame.from_ndarray(self._pictures(self._number), format="rgb24")
        frame.pts = round(self._number * self.frame_interval_s * self.clock_rate)
        frame.time_base = Fraction(1, self.clock_rate)
        frame.pict_type = PictureType.I if key_frame else PictureType.NONE
        self._number += 1
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))


class OpusSource:
    """Samples encoded as Opus, 20 ms a frame.

    :param samples: gives `FRAME_SAMPLES` samples from a sample number on, at 48 kHz.
    """

    kind: MediaKind = "audio"
    mime_type = "audio/opus"
    clock_rate = SAMPLE_RATE
    frame_interval_s = FRAME_SAMPLES / SAMPLE_RATE

    def __init__(self, samples: Callable[[int], Samples], bitrate: int = 32_000) -> None:
        self._samples = samples
        self._position = 0
        self._encoder = _opus_encoder(bitrate)

    def next_frame(self, key_frame: bool) -> bytes:
        """Encode the next 20 ms; every audio frame is a key frame."""
        mono = self._samples(self._position)
        stereo = np.repeat(mono, 2).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(stereo, format="s16", layout="stereo")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._position
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._position += FRAME_SAMPLES
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame)[:1])


def moving_picture(width: int = 320, height: int = 240) -> Callable[[int], Picture]:
    """A colour ramp with a bright bar that moves from frame to frame, so that a still picture is noticed."""
    ramp = np.linspace(0, 160, width, dtype=np.uint8)
    base = np.stack(
        [
            np.tile(ramp, (height, 1)),
            np.tile(ramp[::-1], (height, 1)),
            np.full((height, width), 60, np.uint8),
        ],
        axis=2,
    )

    def picture(number: int) -> Picture:
        frame = base.copy()
        left = number * 4 % (width - 16)
        frame[:, left : left + 16] = 235
        return frame

    return picture


def tone(frequency_hz: float = 440.0, level: float = 0.25) -> Callable[[int], Samples]:
    """A steady sine; ``level`` is its peak, 1 being full scale."""

    def samples(position: int) -> Samples:
        times = (np.arange(FRAME_SAMPLES) + position) / SAMPLE_RATE
        return (np.sin(2 * math.pi * frequency_hz * times) * level * 32767).astype(np.int16)

    return samples


def _vp8_encoder(width: int, height: int, frames_per_second: float, bitrate: int) -> VideoCodecContext:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, 90_000)
    encoder.framerate = Fraction(frames_per_second).limit_denominator(1000)
    encoder.bit_rate = bitrate
    # No lag and no key frames of its own: they are made when a receiver needs one.
    encoder.options = {
        "deadline": "realtime",
        "cpu-used": "8",
        "lag-in-frames": "0",
        "kf-max-dist": "9999",
        "threads": "1",
    }
    return encoder


def _opus_encoder(bitrate: int) -> AudioCodecContext:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate = SAMPLE_RATE
    encoder.layout = "stereo"
    encoder.format = "s16"
    encoder.bit_rate = bitrate
    encoder.options = {"application": "voip", "frame_duration": "20"}
    return encoder
