"""Where a client's media comes from: pictures and samples encoded with PyAV as VP8 and Opus.

VP8 is made in three temporal layers, so that a server can leave frames out where a line is thin. A test
picture and a tone stand in where there is no camera. Only libvpx and libopus are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Literal, NamedTuple, Protocol

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from numpy.typing import NDArray

from clients.sdk.rate_steps import RateSteps

MediaKind = Literal["audio", "video"]
Picture = NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""
Samples = NDArray[np.int16]
"""One channel, shape (count,)."""

SAMPLE_RATE = 48_000
FRAME_SAMPLES = 960
"""20 ms, the usual Opus frame."""


# FFmpeg's ts_layering_mode 3, whose pattern begins anew at every key frame we ask for (libvpxenc.c):
# 0 - the frame of layer 0 before; 2 - that one; 1 - that one; 2 - all of these. Y: from layer 0 alone.
_LAYERING_MODE = 3
_LAYERS = ((0, False), (2, True), (1, True), (2, False))  # (temporal layer, Y) of each frame in turn
_LAYER_SHARES = (0.15, 0.42, 1.0)  # of the rate, up to each layer: the lowest is what the thinnest line gets


class EncodedFrame(NamedTuple):
    """``temporal_layer`` is None where there are none; ``layer_sync``: decodable after layer 0 alone."""

    data: bytes
    temporal_layer: int | None = None
    layer_sync: bool = False


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

    @property
    def scalability_mode(self) -> str:
        """Its layers (W3C webrtc-svc), empty for one."""

    def next_frame(self, key_frame: bool) -> EncodedFrame | None:
        """The next encoded frame; None when the encoder has none for this turn."""

    def limit(self, bits_per_second: int) -> None:
        """The line carries no more than this."""


class Vp8Source:
    """Pictures encoded as VP8 in real time, in three temporal layers.

    :param pictures: gives the RGB picture of a frame number; all of one size, both sides even.
    :param bitrate: bits per second aimed at, where the line has room for them.
    """

    kind: MediaKind = "video"
    mime_type = "video/VP8"
    clock_rate = 90_000
    scalability_mode = "L1T3"

    def __init__(
        self,
        pictures: Callable[[int], Picture],
        frames_per_second: float = 15.0,
        bitrate: int = 600_000,
    ) -> None:
        self.frame_interval_s = 1.0 / frames_per_second
        self._frames_per_second = frames_per_second
        self._pictures = pictures
        self._number = 0
        self._turn = 0  # in the pattern of the layers
        self._rate = RateSteps(bitrate)
        self._encoder: VideoCodecContext | None = None

    @property
    def bitrate(self) -> int:
        """Bits per second aimed at now."""
        return self._rate.current

    def limit(self, bits_per_second: int) -> None:
        """Encode for a line that carries so much from the next frame on, which is then a key frame."""
        if self._rate.limited(bits_per_second):
            self._encoder = None  # FFmpeg cannot change the rate of an open one

    def next_frame(self, key_frame: bool) -> EncodedFrame | None:
        """Encode the next picture, as a key frame when asked; the first one always is."""
        picture = self._pictures(self._number)
        encoder = self._encoder
        if encoder is None:
            height, width = picture.shape[:2]
            encoder = self._encoder = _vp8_encoder(width, height, self._frames_per_second, self.bitrate)
            key_frame = True
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = round(self._number * self.frame_interval_s * self.clock_rate)
        frame.time_base = Fraction(1, self.clock_rate)
        frame.pict_type = PictureType.I if key_frame else PictureType.NONE
        self._turn = 0 if key_frame else (self._turn + 1) % len(_LAYERS)
        self._number += 1
        data = b"".join(bytes(packet) for packet in encoder.encode(frame))
        return EncodedFrame(data, *_LAYERS[self._turn]) if data else None


class OpusSource:
    """Samples encoded as Opus, 20 ms a frame.

    :param samples: gives `FRAME_SAMPLES` samples from a sample number on, at 48 kHz.
    """

    kind: MediaKind = "audio"
    mime_type = "audio/opus"
    clock_rate = SAMPLE_RATE
    frame_interval_s = FRAME_SAMPLES / SAMPLE_RATE
    scalability_mode = ""

    def __init__(self, samples: Callable[[int], Samples], bitrate: int = 32_000) -> None:
        self._samples = samples
        self._position = 0
        self._encoder = _opus_encoder(bitrate)

    def limit(self, bits_per_second: int) -> None:
        """Sound is the last to give way: it stays as it is."""

    def next_frame(self, key_frame: bool) -> EncodedFrame | None:
        """Encode the next 20 ms; every audio frame is a key frame."""
        mono = self._samples(self._position)
        stereo = np.repeat(mono, 2).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(stereo, format="s16", layout="stereo")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._position
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._position += FRAME_SAMPLES
        packets = self._encoder.encode(frame)
        return EncodedFrame(bytes(packets[0])) if packets else None


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
    # No lag and no key frames of its own: they are made when a receiver needs one. A constant rate keeps the
    # key frames small. Error resilient: else a frame that is left out takes its entropy tables along.
    kbps = [str(round(share * bitrate / 1000)) for share in _LAYER_SHARES]
    encoder.options = {
        "minrate": str(bitrate),
        "maxrate": str(bitrate),
        "error-resilient": "1",
        "ts-parameters": f"ts_layering_mode={_LAYERING_MODE}:ts_target_bitrate={','.join(kbps)}",
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
