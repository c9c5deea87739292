"""One track being recorded: packets from the router in, samples to the mux thread out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from media.errors import RemoteProtocolError
from media.limits import (
    RECORD_KEY_FRAME_RETRY_S,
    RECORD_KEY_FRAME_S,
    RECORD_MAX_FILL_S,
    RECORD_MAX_GAPS,
)
from media.recording import opus
from media.recording.manifest import TrackEntry
from media.recording.mux_file import FILES, OPUS, MuxFile, Sample
from media.recording.mux_thread import MuxThread, MuxTrack
from media.recording.timeline import PeerClock, TrackTimeline
from media.rtp.depacketize import EncodedFrame, depacketizer_for

SENDER_CLOCK_S = 2.0  # how often the router is asked what sender reports say
GAP_MS = 200  # a shorter hole in video is jitter of the camera; in sound every hole counts


class TappedConsumer(Protocol):
    """What the recorder needs of `Router.tap`'s consumer."""

    def request_key_frame(self) -> None: ...

    def clock_now(self, now: float) -> tuple[int, int] | None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """Who and what.

    :param codec: ``opus``, ``vp8`` or ``h264``.
    """

    track_id: str
    peer_id: str
    kind: str
    source: str
    codec: str
    clock_rate: int
    channels: int

    @classmethod
    def of(cls, track_id: str, peer_id: str, source: str, codec: Mapping[str, Any]) -> TrackInfo:
        """:param codec: the first of a producer's RTP codec parameters.

        :raises KeyError: a codec that has no file form here.
        """
        kind, name = str(codec["mimeType"]).lower().split("/")
        if name not in FILES:
            raise KeyError(name)
        channels = int(codec.get("channels") or 1)
        return cls(track_id, peer_id, kind, source, name, int(codec["clockRate"]), channels)

    @property
    def file(self) -> str:
        return f"{self.track_id}-{self.source or self.kind}{FILES[self.codec].suffix}"


class TrackRecorder:
    """A sink of `Router.tap`. All times are seconds from the recording's start unless named ``now``.

    :param started: the recording's start on the monotonic clock.
    """

    def __init__(
        self, info: TrackInfo, directory: Path, mux: MuxThread, peer: PeerClock, started: float
    ) -> None:
        self.info = info
        self.consumer: TappedConsumer | None = None
        self._mux = mux
        self._started = started
        self._depacketizer = depacketizer_for(f"{info.kind}/{info.codec}", info.clock_rate)
        self._timeline = TrackTimeline(info.clock_rate, info.codec == OPUS, peer)
        file = MuxFile(directory / info.file, info.codec, info.clock_rate, info.channels)
        self._track = MuxTrack(file, info.kind == "video", waits_for_key=info.kind == "video")
        self._first: int | None = None
        self._end = 0
        self._packets = 0
        self._lost_seen = 0
        self._gaps: list[tuple[int, int]] = []
        self._size = (0, 0)
        self._key_wanted = info.kind == "video"
        self._key_at = -RECORD_KEY_FRAME_S
        self._key_asked_at = -RECORD_KEY_FRAME_S
        self._clock_at = 0.0
        self._closed = False

    # -- PacketSink --------------------------------------------------------------------------------------

    def packet(self, packet: bytes, now: float) -> None:
        """An RTP packet; one that cannot be read is as good as lost."""
        if self._closed:
            return
        self._packets += 1
        try:
            frames = self._depacketizer.push(packet)
        except RemoteProtocolError:
            return
        for frame in frames:
            self._write(frame, now - self._started)
        if self._depacketizer.lost_packets != self._lost_seen:
            self._lost_seen = self._depacketizer.lost_packets
            self._key_wanted = self.info.kind == "video"
            self.tick(now)

    def closed(self) -> None:
        """The producer is gone: write what waited for a missing packet, close the file. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for frame in self._depacketizer.flush():
            self._put(frame, self._timeline.place(frame.timestamp, self._end / self.info.clock_rate))
        self._mux.close(self._track)

    # -- the recorder ------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Learn the sender's clock; ask for a key frame when one is wanted."""
        if self._closed or self.consumer is None:
            return
        at = now - self._started
        if at - self._clock_at >= SENDER_CLOCK_S:
            self._clock_at = at
            clock = self.consumer.clock_now(now)
            if clock is not None:
                self._timeline.sender_report(*clock)
        if self.info.kind == "video":
            self._ask_key_frame(at)

    def _ask_key_frame(self, at: float) -> None:
        """To start, after a loss, and now and then so that seeking lands close."""
        due = self._key_wanted or (self._first is not None and at - self._key_at >= RECORD_KEY_FRAME_S)
        if due and at - self._key_asked_at >= RECORD_KEY_FRAME_RETRY_S and self.consumer is not None:
            self._key_asked_at = at
            self.consumer.request_key_frame()

    def stop(self) -> None:
        """Take no more packets. Idempotent."""
        if self.consumer is not None:
            self.consumer.close()
        self.closed()

    @property
    def has_media(self) -> bool:
        return self._first is not None

    def entry(self) -> TrackEntry:
        """What the manifest says of this track, so far."""
        info = self.info
        return TrackEntry(
            track_id=info.track_id,
            peer_id=info.peer_id,
            kind=info.kind,
            source=info.source,
            codec=info.codec,
            file=info.file,
            mime_type=FILES[info.codec].mime_type,
            start_ms=self._ms(self._first or 0),
            end_ms=self._ms(self._end),
            packets=self._packets,
            lost_packets=self._depacketizer.lost_packets,
            dropped_frames=self._track.dropped,
            width=self._size[0],
            height=self._size[1],
            gaps=tuple(self._gaps),
            error=self._track.error,
        )

    # -- inside ------------------------------------------------------------------------------------------

    def _write(self, frame: EncodedFrame, at: float) -> None:
        ticks = self._timeline.place(frame.timestamp, at)
        if frame.keyframe:
            self._key_wanted = False
            self._key_at = at
            self._size = max(self._size, (frame.width, frame.height))
        self._put(frame, ticks)

    def _put(self, frame: EncodedFrame, ticks: int) -> None:
        if self._first is None:
            self._first = self._end = ticks
        is_audio = self.info.codec == OPUS
        duration = opus.packet_samples(frame.data) if is_audio else 0
        pause = max(0, ticks - self._end) if is_audio else 0
        if pause > RECORD_MAX_FILL_S * self.info.clock_rate:
            pause = 0
        sample = Sample(
            frame.data,
            ticks - self._first,
            frame.keyframe,
            duration,
            frame.width,
            frame.height,
            pause,
        )
        if self._mux.put(self._track, sample):
            self._note_gap(ticks, is_audio)
            self._end = max(self._end, ticks + duration)
        elif not is_audio:
            self._key_wanted = True

    def _note_gap(self, ticks: int, is_audio: bool) -> None:
        gap = (self._ms(self._end), self._ms(ticks))
        if gap[1] - gap[0] > (0 if is_audio else GAP_MS) and len(self._gaps) < RECORD_MAX_GAPS:
            self._gaps.append(gap)

    def _ms(self, ticks: int) -> int:
        return round(ticks * 1000 / self.info.clock_rate)
