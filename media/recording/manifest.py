"""What a recording consists of: ``manifest.json`` beside its files.

Times in a recording are milliseconds from its start; the start itself is ISO 8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from media.signals.descriptor import StreamDescriptor

VERSION = 1
RUNNING = "recording"
COMPLETE = "complete"
RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class TrackEntry:
    """One track, one file.

    :param peer_id: opaque; who it was is known above.
    :param source: ``microphone``, ``camera``, ``screen``, ``ultrasound``.
    :param file: name in the recording's directory.
    :param packets: RTP packets received.
    :param lost_packets: that never came.
    :param dropped_frames: received, but not written: the disk was too slow.
    :param gaps: (start, end) of what is missing inside, ms.
    :param error: why the file ends early; empty when it does not.
    """

    track_id: str
    peer_id: str
    kind: str
    source: str
    codec: str
    file: str
    mime_type: str
    start_ms: int = 0
    end_ms: int = 0
    packets: int = 0
    lost_packets: int = 0
    dropped_frames: int = 0
    width: int = 0
    height: int = 0
    gaps: tuple[tuple[int, int], ...] = ()
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "trackId": self.track_id,
            "peerId": self.peer_id,
            "kind": self.kind,
            "source": self.source,
            "codec": self.codec,
            "file": self.file,
            "mimeType": self.mime_type,
            "startMs": self.start_ms,
            "endMs": self.end_ms,
            "packets": self.packets,
            "lostPackets": self.lost_packets,
            "droppedFrames": self.dropped_frames,
            "width": self.width,
            "height": self.height,
            "gaps": [list(gap) for gap in self.gaps],
            "error": self.error,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrackEntry:
        return cls(
            track_id=value["trackId"],
            peer_id=value["peerId"],
            kind=value["kind"],
            source=value["source"],
            codec=value["codec"],
            file=value["file"],
            mime_type=value["mimeType"],
            start_ms=value["startMs"],
            end_ms=value["endMs"],
            packets=value["packets"],
            lost_packets=value["lostPackets"],
            dropped_frames=value["droppedFrames"],
            width=value["width"],
            height=value["height"],
            gaps=tuple((start, end) for start, end in value["gaps"]),
            error=value["error"],
        )


@dataclass(frozen=True, slots=True)
class SignalEntry:
    """A signal stream that was live meanwhile; its samples are in the signal store.

    :param start_ms: of its first sample; negative when it ran before the recording began.
    """

    descriptor: StreamDescriptor
    start_ms: int

    def as_json(self) -> dict[str, Any]:
        return {**self.descriptor.as_json(), "startMs": self.start_ms}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SignalEntry:
        return cls(StreamDescriptor.from_json(dict(value)), value["startMs"])


@dataclass(frozen=True, slots=True)
class Manifest:
    """A recording.

    :param state: ``recording`` while it runs, ``complete``, or ``recovered`` after a crash.
    :param started_at: Unix seconds; ``ended_at`` likewise, 0 while it runs.
    """

    recording_id: str
    room_id: str
    started_at: float
    ended_at: float = 0.0
    duration_ms: int = 0
    state: str = RUNNING
    tracks: tuple[TrackEntry, ...] = field(default=())
    signals: tuple[SignalEntry, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "recordingId": self.recording_id,
            "roomId": self.room_id,
            "state": self.state,
            "startedAt": _iso(self.started_at),
            "endedAt": _iso(self.ended_at) if self.ended_at else None,
            "durationMs": self.duration_ms,
            "tracks": [track.as_json() for track in self.tracks],
            "signals": [signal.as_json() for signal in self.signals],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Manifest:
        """:raises KeyError, ValueError, TypeError: it is not a manifest of this version."""
        if value["version"] != VERSION:
            raise ValueError(f"manifest version {value['version']}")
        return cls(
            recording_id=value["recordingId"],
            room_id=value["roomId"],
            started_at=_unix(value["startedAt"]),
            ended_at=_unix(value["endedAt"]) if value["endedAt"] else 0.0,
            duration_ms=value["durationMs"],
            state=value["state"],
            tracks=tuple(TrackEntry.from_json(track) for track in value["tracks"]),
            signals=tuple(SignalEntry.from_json(signal) for signal in value["signals"]),
        )

    def finished(self, ended_at: float, state: str = COMPLETE) -> Manifest:
        """The same recording, closed."""
        last = max((track.end_ms for track in self.tracks), default=0)
        duration = max(last, round((ended_at - self.started_at) * 1000))
        return replace(self, ended_at=ended_at, duration_ms=duration, state=state)


def _iso(unix: float) -> str:
    text = datetime.fromtimestamp(unix, tz=UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
