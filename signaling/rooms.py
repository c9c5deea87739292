"""One room as pure state: who is in it, who must be told what.

Each method is one change. It returns what follows from it, in order: `Tell` for peers, `RoomEvent` for the
application. Nothing here sends, waits or reads a clock: ``now`` is monotonic seconds (for intervals), ``at``
is Unix seconds (for people). Media objects are known here by their ids alone.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from media.errors import LIMIT_REACHED, NOT_FOUND, WRONG_STATE, RemoteProtocolError
from signaling.access import RoomClaims, may_chair, may_chat
from signaling.errors import RATE_LIMITED, ROOM_FULL, TOKEN_REVOKED
from signaling.events import ChatSent, MediaStarted, PeerJoined, PeerLeft, PeerRemoved, RoomEvent
from signaling.limits import (
    CHAT_BURST,
    CHAT_KEPT_MAX,
    CHAT_PER_SECOND,
    DETACHED_PEER_S,
    PEERS_MAX,
    PEERS_PER_USER_MAX,
    PRODUCERS_PER_PEER_MAX,
    REVOKED_TOKENS_MAX,
)
from signaling.rates import TokenBucket


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """What the application decides for a room.

    :param record_allowed: the patient consented to recording.
    :param max_peers: people and devices at once.
    """

    record_allowed: bool = False
    max_peers: int = PEERS_MAX


@dataclass(frozen=True, slots=True)
class Tell:
    """Send ``event`` with ``payload`` to these peers; one without a socket reads it all when it resumes."""

    to: tuple[str, ...]
    event: str
    payload: dict[str, Any]


Output = Tell | RoomEvent


@dataclass(slots=True)
class ProducerInfo:
    """A published track as others see it."""

    id: str
    kind: str
    source: str
    paused: bool

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "kind": self.kind, "source": self.source, "paused": self.paused}


@dataclass(slots=True)
class Peer:
    """One presence in the room: a tab, a phone, a device, a player.

    :param place: what a user may be in the room as, side by side: ``""`` for a page, ``whip:STREAM``,
        ``whep:SESSION``.
    """

    id: str
    claims: RoomClaims
    joined_at: float
    resume_token: str
    chat_bucket: TokenBucket
    producers: dict[str, ProducerInfo] = field(default_factory=dict)
    detached_at: float | None = None
    media_started: bool = False
    paths: dict[str, bool] = field(default_factory=dict)
    place: str = ""

    @property
    def silent(self) -> bool:
        """Media had come, and none of its transports has a path any more."""
        return bool(self.paths) and not any(self.paths.values())

    def as_json(self) -> dict[str, Any]:
        """What the others know of it."""
        return {
            "id": self.id,
            "displayName": self.claims.identity.display_name.reveal(),
            "role": self.claims.role,
            "producers": [producer.as_json() for producer in self.producers.values()],
        }


class RoomState:
    """The state of one room.

    :param at: Unix seconds of its opening.
    """

    def __init__(self, room_id: str, settings: RoomSettings, at: float) -> None:
        self.room_id = room_id
        self.settings = settings
        self.started_at = at
        self.peers: dict[str, Peer] = {}
        self.chat_log: deque[dict[str, Any]] = deque(maxlen=CHAT_KEPT_MAX)
        self._speaker: str | None = None
        self._recording: tuple[str, float] | None = None
        self._revoked: OrderedDict[tuple[str, str], None] = OrderedDict()

    # -- who is here ---------------------------------------------------------------------------------------

    def peer(self, peer_id: str) -> Peer:
        """:raises RemoteProtocolError: not_found."""
        try:
            return self.peers[peer_id]
        except KeyError:
            raise RemoteProtocolError(NOT_FOUND, "peer") from None

    def admit(self, claims: RoomClaims, place: str = "") -> list[str]:
        """Whether these claims may join now, and the peers that they replace, of the same user and place.

        :raises RemoteProtocolError: token_revoked, room_full.
        """
        if self.is_revoked(claims):
            raise RemoteProtocolError(TOKEN_REVOKED)
        replaced = self._replaced_by(claims, place)
        if len(self.peers) - len(replaced) >= self.settings.max_peers:
            raise RemoteProtocolError(ROOM_FULL)
        return replaced

    def _replaced_by(self, claims: RoomClaims, place: str) -> list[str]:
        """A reload brings the same token or left a closed socket; else the oldest beyond the bound goes."""
        who = (claims.user_id, place)
        mine = [peer for peer in self.peers.values() if (peer.claims.user_id, peer.place) == who]
        replaced = [
            peer.id
            for peer in mine
            if peer.detached_at is not None or peer.claims.token_id == claims.token_id
        ]
        others = [peer.id for peer in mine if peer.id not in replaced]
        return replaced + others[: max(0, len(others) + 1 - PEERS_PER_USER_MAX)]

    def join(
        self, peer_id: str, claims: RoomClaims, resume_token: str, now: float, at: float, place: str = ""
    ) -> tuple[Peer, list[Output]]:
        """Add a peer that `admit` let in."""
        peer = Peer(peer_id, claims, at, resume_token, TokenBucket(CHAT_PER_SECOND, CHAT_BURST, now))
        peer.place = place
        outputs: list[Output] = [
            Tell(self._everyone(), "peerJoined", {"peer": peer.as_json()}),
            PeerJoined(self.room_id, claims.user_id, claims.role, at, peer_id),
        ]
        self.peers[peer_id] = peer
        return peer, outputs

    def leave(self, peer_id: str, reason: str, at: float) -> list[Output]:
        """A peer is gone; harmless when it was gone already."""
        peer = self.peers.pop(peer_id, None)
        if peer is None:
            return []
        return [
            Tell(self._everyone(), "peerLeft", {"peerId": peer_id, "reason": reason}),
            PeerLeft(self.room_id, peer.claims.user_id, peer.claims.role, reason, at, peer_id),
        ]

    def detach(self, peer_id: str, now: float) -> None:
        """Its socket is lost; it stays for a while."""
        peer = self.peers.get(peer_id)
        if peer is not None:
            peer.detached_at = now

    def resume(self, claims: RoomClaims, resume_token: str, next_token: str) -> Peer | None:
        """The peer that this token resumes, attached again; None when there is none. A token works once."""
        for peer in self.peers.values():
            if hmac.compare_digest(peer.resume_token.encode(), resume_token.encode()):
                if peer.claims.user_id != claims.user_id:
                    return None
                peer.resume_token = next_token
                peer.detached_at = None
                return peer
        return None

    def lost(self, now: float) -> list[str]:
        """Peers whose socket has been gone for too long, or whose media went after it."""
        return [
            peer.id
            for peer in self.peers.values()
            if peer.detached_at is not None and (peer.silent or now - peer.detached_at >= DETACHED_PEER_S)
        ]

    def path_changed(self, peer_id: str, transport_id: str, state: str) -> None:
        """A transport is ``connected``, or it is ``failed``: without consent for its time."""
        peer = self.peers.get(peer_id)
        if peer is not None:
            peer.paths[transport_id] = state == "connected"

    # -- tokens that were ended ----------------------------------------------------------------------------

    def is_revoked(self, claims: RoomClaims) -> bool:
        return (claims.token_id, claims.user_id) in self._revoked or (claims.token_id, "") in self._revoked

    def revoke(self, token_id: str, user_id: str = "") -> None:
        """End a token here: for one user, or (no user) for all who hold it, as guests of one link do."""
        self._revoked[(token_id, user_id)] = None
        while len(self._revoked) > REVOKED_TOKENS_MAX:
            self._revoked.popitem(last=False)

    def matching(self, user_id: str | None, token_id: str | None) -> list[str]:
        """Peers of this user and/or token (both None: nobody)."""
        if user_id is None and token_id is None:
            return []
        return [
            peer.id
            for peer in self.peers.values()
            if user_id in (None, peer.claims.user_id) and token_id in (None, peer.claims.token_id)
        ]

    def removal(self, chair_id: str, peer_id: str, at: float) -> list[Output]:
        """The chair sends somebody out: checks, ends the token. The caller then makes the peer leave.

        :raises RemoteProtocolError: not_granted, not_found, wrong_state (oneself).
        """
        chair = self.peer(chair_id)
        may_chair(chair.claims.grant)
        peer = self.peer(peer_id)
        if peer is chair:
            raise RemoteProtocolError(WRONG_STATE, "the chair cannot remove itself")
        self.revoke(peer.claims.token_id, peer.claims.user_id)
        return [PeerRemoved(self.room_id, peer.claims.user_id, peer.claims.role, at, chair.claims.user_id)]

    # -- what is published ---------------------------------------------------------------------------------

    def check_new_producer(self, peer_id: str, kind: str, source: str) -> None:
        """:raises RemoteProtocolError: limit_reached, wrong_state (this source is open already)."""
        producers = self.peer(peer_id).producers.values()
        if len(producers) >= PRODUCERS_PER_PEER_MAX:
            raise RemoteProtocolError(LIMIT_REACHED, "producers")
        if any(producer.source == source and producer.kind == kind for producer in producers):
            raise RemoteProtocolError(WRONG_STATE, f"{source} is published already")

    def add_producer(self, peer_id: str, producer: ProducerInfo) -> list[Output]:
        self.peer(peer_id).producers[producer.id] = producer
        payload = {"peerId": peer_id, "producer": producer.as_json()}
        return [Tell(self._everyone(but=peer_id), "producerAdded", payload)]

    def set_producer_paused(self, peer_id: str, producer_id: str, paused: bool, by: str) -> list[Output]:
        """:raises RemoteProtocolError: not_found."""
        producer = self.producer(peer_id, producer_id)
        if producer.paused == paused:
            return []
        producer.paused = paused
        return [
            self._producer_event("producerPaused" if paused else "producerResumed", peer_id, producer_id, by)
        ]

    def remove_producer(self, peer_id: str, producer_id: str, by: str) -> list[Output]:
        """Harmless when the peer or producer is gone already."""
        peer = self.peers.get(peer_id)
        if peer is None or peer.producers.pop(producer_id, None) is None:
            return []
        return [self._producer_event("producerClosed", peer_id, producer_id, by)]

    def producer(self, peer_id: str, producer_id: str) -> ProducerInfo:
        """:raises RemoteProtocolError: not_found."""
        producer = self.peer(peer_id).producers.get(producer_id)
        if producer is None:
            raise RemoteProtocolError(NOT_FOUND, "producer")
        return producer

    def to_mute(self, chair_id: str, peer_id: str, source: str) -> list[str]:
        """Producer ids that `mutePeer` pauses.

        :raises RemoteProtocolError: not_granted, not_found.
        """
        may_chair(self.peer(chair_id).claims.grant)
        producers = [entry.id for entry in self.peer(peer_id).producers.values() if entry.source == source]
        if not producers:
            raise RemoteProtocolError(NOT_FOUND, f"{source} of this peer")
        return producers

    def _producer_event(self, event: str, peer_id: str, producer_id: str, by: str) -> Tell:
        return Tell(self._everyone(but=by), event, {"producerId": producer_id, "peerId": peer_id, "by": by})

    # -- talk, recording, end ------------------------------------------------------------------------------

    def chat(self, peer_id: str, message_id: str, text: str, now: float, at: float) -> list[Output]:
        """:raises RemoteProtocolError: not_granted, rate_limited."""
        peer = self.peer(peer_id)
        may_chat(peer.claims.grant)
        if not peer.chat_bucket.take(now):
            raise RemoteProtocolError(RATE_LIMITED, "chat")
        message = {
            "id": message_id,
            "from": peer_id,
            "displayName": peer.claims.identity.display_name.reveal(),
            "text": text,
            "at": at,
        }
        self.chat_log.append(message)
        return [Tell(self._everyone(), "chat", message), ChatSent(self.room_id, peer.claims.user_id, at)]

    def media_started(self, peer_id: str, at: float) -> list[Output]:
        """The first connected transport of a peer is told once."""
        peer = self.peers.get(peer_id)
        if peer is None or peer.media_started:
            return []
        peer.media_started = True
        return [MediaStarted(self.room_id, peer.claims.user_id, peer.claims.role, at, peer_id)]

    def set_speaker(self, peer_id: str | None) -> list[Output]:
        """Who is heard most now; told to everyone when it is another."""
        if peer_id == self._speaker:
            return []
        self._speaker = peer_id
        return [Tell(self._everyone(), "activeSpeaker", {"peerId": peer_id})]

    def set_recording(self, recording_id: str | None, at: float) -> list[Output]:
        """The mark that everyone sees, on (an id) or off (None)."""
        self._recording = None if recording_id is None else (recording_id, at)
        return [Tell(self._everyone(), "recording", self.recording_json())]

    @property
    def recording_id(self) -> str | None:
        return self._recording[0] if self._recording else None

    def recording_json(self) -> dict[str, Any]:
        if self._recording is None:
            return {"state": "off", "startedAt": None, "recordingId": None}
        recording_id, started_at = self._recording
        return {"state": "on", "startedAt": started_at, "recordingId": recording_id}

    def closing(self, reason: str) -> Tell:
        """The last word to everyone."""
        return Tell(self._everyone(), "roomClosed", {"reason": reason})

    def as_json(self, for_peer: str) -> dict[str, Any]:
        """The room's part of the join reply."""
        return {
            "peers": [peer.as_json() for peer in self.peers.values() if peer.id != for_peer],
            "chat": list(self.chat_log),
            "recording": self.recording_json(),
            "activeSpeaker": self._speaker,
            "startedAt": self.started_at,
        }

    def _everyone(self, but: str | None = None) -> tuple[str, ...]:
        return tuple(_without(self.peers, but))


def _without(ids: Iterable[str], but: str | None) -> Iterable[str]:
    return (peer_id for peer_id in ids if peer_id != but)
