"""What happens in a room, one frozen dataclass each. Names and texts of people are wrapped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from signaling.personal import Personal


@dataclass(frozen=True, slots=True)
class ProducerInfo:
    """A track that someone publishes."""

    id: str
    kind: str
    source: str
    paused: bool

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> ProducerInfo:
        return cls(str(json["id"]), str(json["kind"]), str(json["source"]), bool(json.get("paused", False)))


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """Someone in the room, as of the moment it was told."""

    id: str
    display_name: Personal[str]
    role: str
    producers: tuple[ProducerInfo, ...]

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> PeerInfo:
        producers = tuple(ProducerInfo.from_json(item) for item in json.get("producers", ()))
        return cls(str(json["id"]), Personal(str(json["displayName"])), str(json["role"]), producers)


@dataclass(frozen=True, slots=True)
class PeerJoined:
    peer: PeerInfo


@dataclass(frozen=True, slots=True)
class PeerLeft:
    peer_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProducerAdded:
    peer_id: str
    producer: ProducerInfo


@dataclass(frozen=True, slots=True)
class ProducerPaused:
    """``by`` is the peer that did it: the owner or the chair."""

    producer_id: str
    peer_id: str
    by: str


@dataclass(frozen=True, slots=True)
class ProducerResumed:
    producer_id: str
    peer_id: str
    by: str


@dataclass(frozen=True, slots=True)
class ProducerClosed:
    producer_id: str
    peer_id: str
    by: str


@dataclass(frozen=True, slots=True)
class ConsumerAdded:
    """A track is being received; its `MediaSink` is in the session's ``sinks``."""

    consumer_id: str
    producer_id: str
    peer_id: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class ConsumerClosed:
    consumer_id: str


@dataclass(frozen=True, slots=True)
class ConsumerPaused:
    consumer_id: str


@dataclass(frozen=True, slots=True)
class ConsumerResumed:
    consumer_id: str


@dataclass(frozen=True, slots=True)
class ConsumerLayers:
    """What is being sent now; both None when nothing is."""

    consumer_id: str
    spatial_layer: int | None
    temporal_layer: int | None


@dataclass(frozen=True, slots=True)
class ConsumerReduced:
    """How much of a track our line has room for: ``state`` is full, reduced or paused."""

    consumer_id: str
    reason: str
    state: str
    spatial_layer: int | None
    temporal_layer: int | None
    key_frames_only: bool


@dataclass(frozen=True, slots=True)
class ActiveSpeaker:
    """Who speaks now; None when the one who did is gone or muted."""

    peer_id: str | None


@dataclass(frozen=True, slots=True)
class PeerQuality:
    """How someone's line is: ``mos`` 1..4.5 of voice, ``score`` 1..5 of pictures, None without; and why."""

    peer_id: str
    mos: float | None
    score: float | None
    cause: str
    values: Mapping[str, int]

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> PeerQuality:
        audio, video, cause = json["audio"], json["video"], json["cause"]
        return cls(
            str(json["peerId"]),
            None if audio is None else float(audio["mos"]),
            None if video is None else float(video["score"]),
            str(cause["code"]),
            {str(name): int(value) for name, value in cause["values"].items()},
        )


@dataclass(frozen=True, slots=True)
class QualityChanged:
    """Those whose line has changed."""

    peers: tuple[PeerQuality, ...]


@dataclass(frozen=True, slots=True)
class DataStreamAdded:
    data_consumer_id: str
    peer_id: str
    label: str


@dataclass(frozen=True, slots=True)
class DataStreamClosed:
    data_consumer_id: str


@dataclass(frozen=True, slots=True)
class DataReceived:
    data_consumer_id: str
    peer_id: str
    label: str
    payload: str | bytes


@dataclass(frozen=True, slots=True)
class ChatReceived:
    """``at`` is Unix seconds."""

    id: str
    sender: str
    display_name: Personal[str]
    text: Personal[str]
    at: float


@dataclass(frozen=True, slots=True)
class RecordingChanged:
    """``state`` is ``on`` or ``off``; ``started_at`` is Unix seconds."""

    state: str
    started_at: float | None
    recording_id: str | None


@dataclass(frozen=True, slots=True)
class TransportState:
    transport_id: str
    state: str


@dataclass(frozen=True, slots=True)
class Removed:
    """We were removed; there is no coming back with this token."""

    reason: str


@dataclass(frozen=True, slots=True)
class RoomClosed:
    reason: str


@dataclass(frozen=True, slots=True)
class SignalingLost:
    """The socket was cut; media goes on, and `RoomSession.resume` brings signaling back within 10 s."""


@dataclass(frozen=True, slots=True)
class ProtocolError:
    """The server could not take something we sent that asked for no reply."""

    code: str
    blame: str
    detail: str


RoomEvent = (
    PeerJoined
    | PeerLeft
    | ProducerAdded
    | ProducerPaused
    | ProducerResumed
    | ProducerClosed
    | ConsumerAdded
    | ConsumerClosed
    | ConsumerPaused
    | ConsumerResumed
    | ConsumerLayers
    | ConsumerReduced
    | ActiveSpeaker
    | QualityChanged
    | DataStreamAdded
    | DataStreamClosed
    | DataReceived
    | ChatReceived
    | RecordingChanged
    | TransportState
    | Removed
    | RoomClosed
    | SignalingLost
    | ProtocolError
)


def chat_from_json(json: Mapping[str, Any]) -> ChatReceived:
    """A chat message of the wire."""
    return ChatReceived(
        str(json["id"]),
        str(json["from"]),
        Personal(str(json["displayName"])),
        Personal(str(json["text"])),
        float(json["at"]),
    )


def recording_from_json(json: Mapping[str, Any]) -> RecordingChanged:
    """The recording's state of the wire."""
    return RecordingChanged(str(json["state"]), json.get("startedAt"), json.get("recordingId"))


_READERS: dict[str, Callable[[Mapping[str, Any]], RoomEvent]] = {
    "peerJoined": lambda json: PeerJoined(PeerInfo.from_json(json["peer"])),
    "peerLeft": lambda json: PeerLeft(json["peerId"], json["reason"]),
    "producerAdded": lambda json: ProducerAdded(json["peerId"], ProducerInfo.from_json(json["producer"])),
    "producerPaused": lambda json: ProducerPaused(json["producerId"], json["peerId"], json["by"]),
    "producerResumed": lambda json: ProducerResumed(json["producerId"], json["peerId"], json["by"]),
    "producerClosed": lambda json: ProducerClosed(json["producerId"], json["peerId"], json["by"]),
    "consumerClosed": lambda json: ConsumerClosed(json["consumerId"]),
    "consumerPaused": lambda json: ConsumerPaused(json["consumerId"]),
    "consumerResumed": lambda json: ConsumerResumed(json["consumerId"]),
    "consumerLayers": lambda json: ConsumerLayers(
        json["consumerId"], json.get("spatialLayer"), json.get("temporalLayer")
    ),
    "consumerReduced": lambda json: ConsumerReduced(
        json["consumerId"],
        json["reason"],
        json["state"],
        json.get("spatialLayer"),
        json.get("temporalLayer"),
        json.get("keyFramesOnly", False),
    ),
    "activeSpeaker": lambda json: ActiveSpeaker(json["peerId"]),
    "quality": lambda json: QualityChanged(tuple(PeerQuality.from_json(peer) for peer in json["peers"])),
    "dataConsumerClosed": lambda json: DataStreamClosed(json["dataConsumerId"]),
    "transportState": lambda json: TransportState(json["transportId"], json["state"]),
    "chat": chat_from_json,
    "recording": recording_from_json,
    "removed": lambda json: Removed(json["reason"]),
    "roomClosed": lambda json: RoomClosed(json["reason"]),
    "protocolError": lambda json: ProtocolError(
        str(json.get("code")), str(json.get("blame")), str(json.get("detail", ""))
    ),
}


def read_event(name: str, json: Any) -> RoomEvent | None:
    """The event of the wire, or None for one that this version does not know or cannot read."""
    reader = _READERS.get(name)
    if reader is None or not isinstance(json, Mapping):
        return None
    try:
        return reader(json)
    except (KeyError, TypeError, ValueError):
        return None
