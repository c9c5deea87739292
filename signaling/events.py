"""What a room tells the application above it. Frozen, without people's words. Times are Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class RoomEvent:
    """Base of all: every event says which room and when."""

    room_id: str
    at: float


@dataclass(frozen=True)
class PeerJoined(RoomEvent):
    """A person or device is in the room (not told again when a signaling loss was mended)."""

    room_id: str
    user_id: str
    role: str
    at: float
    peer_id: str = ""


@dataclass(frozen=True)
class PeerLeft(RoomEvent):
    """Gone; ``reason`` as in the ``peerLeft`` event. Another tab of the same user may still be there."""

    room_id: str
    user_id: str
    role: str
    reason: str
    at: float
    peer_id: str = ""


@dataclass(frozen=True)
class PeerRemoved(RoomEvent):
    """The chair ``by`` (a user id) sent ``user_id`` out; a `PeerLeft` follows."""

    room_id: str
    user_id: str
    role: str
    at: float
    by: str = ""


@dataclass(frozen=True)
class MediaStarted(RoomEvent):
    """The first transport of this peer is connected: its media path works."""

    room_id: str
    user_id: str
    role: str
    at: float
    peer_id: str = ""


@dataclass(frozen=True)
class ChatSent(RoomEvent):
    """Somebody wrote; the text stays in the room."""

    room_id: str
    user_id: str
    at: float


@dataclass(frozen=True)
class RecordingStarted(RoomEvent):
    """Recording runs; ``by`` is the user id who asked, None for the application itself."""

    room_id: str
    recording_id: str
    at: float
    by: str | None = None


@dataclass(frozen=True)
class RecordingStopped(RoomEvent):
    """The recording is finalised on the disk."""

    room_id: str
    recording_id: str
    manifest_path: Path
    at: float


@dataclass(frozen=True)
class SignalStarted(RoomEvent):
    """A device sends a signal stream into the room."""

    room_id: str
    user_id: str
    stream_id: str
    at: float


@dataclass(frozen=True)
class SignalEnded(RoomEvent):
    """The stream's socket is gone, by ``end`` or by a cut."""

    room_id: str
    user_id: str
    stream_id: str
    at: float


@dataclass(frozen=True)
class SignalAlarm(RoomEvent):
    """The analysis of a stream raised an alarm, it ended, or ``user_id`` acknowledged it: ``happened``."""

    room_id: str
    stream_id: str
    alarm_id: str
    kind: str
    severity: str
    happened: str
    technical: bool
    at: float
    user_id: str | None = None


@dataclass(frozen=True)
class SignalLimits(RoomEvent):
    """``user_id`` chose the limits of a room's alarms: heart rate per minute."""

    room_id: str
    user_id: str
    patients: str
    low: int
    high: int
    at: float


@dataclass(frozen=True)
class RoomClosed(RoomEvent):
    """Nothing follows for this room."""

    room_id: str
    reason: str
    at: float


class RoomListener(Protocol):
    """The application. Called one event at a time, in order; a slow listener delays no room."""

    async def room_event(self, event: RoomEvent) -> None: ...
