"""One track's file: encoded frames in, WebM or MP4 out. Runs in the mux thread only."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.stream import Stream

from media.recording import opus

OPUS, VP8, H264 = "opus", "vp8", "h264"

# What a crash may cost: clusters and fragments are closed every second and leave our buffers at once.
_WEBM = {"cluster_time_limit": "1000", "flush_packets": "1"}
# Fragments while it grows, one ordinary index when it is closed (FFmpeg's "hybrid" MP4).
_MP4 = {
    "movflags": "hybrid_fragmented+frag_keyframe",
    "frag_duration": "1000000",
    "flush_packets": "1",
}


@dataclass(frozen=True, slots=True)
class CodecFiles:
    """How a codec is kept."""

    suffix: str
    mime_type: str


FILES = {
    OPUS: CodecFiles(".webm", 'audio/webm; codecs="opus"'),
    VP8: CodecFiles(".webm", 'video/webm; codecs="vp8"'),
    H264: CodecFiles(".mp4", 'video/mp4; codecs="avc1.42e01f"'),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One encoded frame on its way to the file.

    :param ticks: from the file's start, in the track's clock rate.
    :param duration: ticks; 0 when unknown.
    :param pause_before: ticks of sound missing before it, to be filled with silence.
    """

    data: bytes
    ticks: int
    keyframe: bool
    duration: int = 0
    width: int = 0
    height: int = 0
    pause_before: int = 0


class MuxFile:
    """Opens with the first sample, which for video must be a key frame.

    :param clock_rate: ticks per second of the samples.
    :param channels: of sound.
    """

    def __init__(self, path: Path, codec: str, clock_rate: int, channels: int = 2) -> None:
        self.path = path
        self._codec = codec
        self._time_base = Fraction(1, clock_rate)
        self._channels = channels
        self._container: OutputContainer | None = None
        self._stream: Stream | None = None

    def write(self, sample: Sample) -> None:
        """Append a sample.

        :raises OSError: the disk is full or gone. ``av.FFmpegError`` likewise.
        """
        if self._container is None:
            self._open(sample)
        if sample.pause_before and self._codec == OPUS:
            self._write_pause(sample)
        self._mux(sample.data, sample.ticks, sample.duration, sample.keyframe)

    def close(self) -> None:
        """Write index and duration, and make the file durable. Idempotent.

        :raises OSError: as `write`.
        """
        container, self._container = self._container, None
        if container is None:
            return
        container.close()
        with self.path.open("rb") as file:
            os.fsync(file.fileno())

    def _write_pause(self, sample: Sample) -> None:
        """Whole frames of nothing up to the sample, so that every player's clock goes on."""
        step = opus.frame_samples(sample.data[0])
        packet = opus.pause_packet(sample.data[0])
        first = sample.ticks - sample.pause_before
        for ticks in range(first, sample.ticks - step + 1, step):
            self._mux(packet, ticks, step, keyframe=True)

    def _mux(self, data: bytes, ticks: int, duration: int, keyframe: bool) -> None:
        assert self._container is not None  # opened with the first sample
        assert self._stream is not None
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.time_base = self._time_base
        packet.pts = packet.dts = ticks
        packet.duration = duration
        packet.is_keyframe = keyframe
        self._container.mux_one(packet)

    def _open(self, sample: Sample) -> None:
        if self._codec == H264:
            container = av.open(str(self.path), "w", format="mp4", options=_MP4)
            stream = _like(container, sample.data, "h264")
        else:
            container = av.open(str(self.path), "w", format="webm", options=_WEBM)
            if self._codec == OPUS:
                stream = _like(container, opus.ogg_template(self._channels), "ogg")
            else:
                stream = container.add_mux_stream("vp8", width=sample.width, height=sample.height)
        stream.time_base = self._time_base
        self._container, self._stream = container, stream


def _like(container: OutputContainer, example: bytes, form: str) -> Stream:
    """A stream with the codec parameters that ``example`` shows (Opus head, H.264 parameter sets)."""
    with av.open(io.BytesIO(example), format=form) as source:
        return container.add_stream_from_template(source.streams[0], opaque=True)
