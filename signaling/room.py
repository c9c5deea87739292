"""One live room: its pure state bound to a router, to sockets and to a recording.

Every public method but `Room.close` is one change made at once: nothing is awaited between reading and
writing the state, so a room needs no lock. What the state answers is delivered in order, to channels and the
application.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from media.clock import Clock
from media.errors import WRONG_STATE, RemoteProtocolError
from media.rtp.renumber import WireNumbers
from media.signals import SignalFanout, StreamDescriptor
from media.signals.analysis.board import AnalysisBoard
from signaling.access import RoomClaims, RoomGrant
from signaling.errors import RECORDING_NOT_ALLOWED, ROOM_CLOSED, TOKEN_REVOKED
from signaling.events import RecordingStarted, RecordingStopped, RoomClosed, RoomEvent
from signaling.limits import SIGNALS_KEPT_FREE_MAX_BPS
from signaling.plane import MediaPlane, RecorderPort
from signaling.rates import signal_bps
from signaling.room_recording import RoomRecording
from signaling.room_tracks import RoomTracks
from signaling.rooms import Output, Peer, RoomSettings, RoomState, Tell

logger = logging.getLogger(__name__)

# Reasons for which a peer needs no word of its own: it knows, or `roomClosed` said it.
_SILENT_REASONS = frozenset({"left", "room_closed"})


class Channel(Protocol):
    """The way to one peer: a Socket.IO connection, a WHIP session. Sending never waits."""

    def send(self, event: str, payload: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


class Attachment(Protocol):
    """Another connection that lives by the room: a signal socket."""

    @property
    def claims(self) -> RoomClaims: ...
    def end(self, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class RoomContext:
    """What all rooms of a process share."""

    plane: MediaPlane
    clock: Clock
    recordings_dir: Path
    publish_event: Callable[[RoomEvent], None]
    ice_servers_for: Callable[[str], list[dict[str, Any]]]


def new_id(prefix: str) -> str:
    """An identifier that cannot be guessed."""
    return f"{prefix}-{secrets.token_hex(8)}"


class Room:
    """A room with people in it.

    :param kept: the application opened it and will close it; another goes when it has been empty for a while.
    """

    def __init__(self, room_id: str, settings: RoomSettings, context: RoomContext, kept: bool) -> None:
        self.id = room_id
        self.kept = kept
        self.closed = False
        self.attachments: set[Attachment] = set()
        self.signals = SignalFanout()
        self.analysis = AnalysisBoard(lambda: new_id("a"))
        self._signal_starts: dict[str, tuple[StreamDescriptor, float]] = {}
        self.state = RoomState(room_id, settings, context.clock.wall())
        self._context = context
        self._clock = context.clock
        self._used_at = context.clock.monotonic()
        self._channels: dict[str, Channel] = {}
        self._recording = RoomRecording(self._create_recorder, self._recording_finished)
        self.tracks = RoomTracks(
            context.plane,
            self.state,
            self.deliver,
            self._channels.__contains__,
            self._recording.add,
            context.clock.wall,
        )
        logger.info("room %s open", room_id)

    def deliver(self, outputs: list[Output]) -> None:
        """Send what follows from a change, in order."""
        for output in outputs:
            if isinstance(output, Tell):
                for peer_id in output.to:
                    channel = self._channels.get(peer_id)
                    if channel is not None:
                        channel.send(output.event, output.payload)
            else:
                self._context.publish_event(output)

    # -- coming --------------------------------------------------------------------------------------------

    def join(
        self, claims: RoomClaims, resume: str | None, capabilities: dict[str, Any] | None, channel: Channel
    ) -> tuple[str, dict[str, Any]]:
        """Join, or take a lost peer up again: the peer id and the reply of ``join``.

        :raises RemoteProtocolError: token_revoked, room_full, room_closed.
        """
        self.check(claims)
        peer = self.state.resume(claims, resume, secrets.token_urlsafe(24)) if resume else None
        resumed = peer is not None
        if peer is None:
            peer = self.add_peer(claims, claims.grant, channel)
        else:
            self._replace_channel(peer.id, channel)
        media = self.tracks.of(peer.id)
        if capabilities is not None and media.recv is not None and not media.subscribed:
            self.tracks.subscribe(peer.id, capabilities)
        return peer.id, self._join_reply(peer, resumed)

    def check(self, claims: RoomClaims) -> None:
        """:raises RemoteProtocolError: room_closed, token_revoked."""
        if self.closed:
            raise RemoteProtocolError(ROOM_CLOSED)
        if self.state.is_revoked(claims):
            raise RemoteProtocolError(TOKEN_REVOKED)

    def add_peer(
        self,
        claims: RoomClaims,
        grant: RoomGrant,
        channel: Channel,
        numbers: WireNumbers | None = None,
        place: str = "",
    ) -> Peer:
        """A new peer with its transports; whom it replaces goes first.

        :param grant: which transports it gets; at most the grant of ``claims``.
        :param numbers: those in which it receives, None for the router's.
        :param place: as `RoomState.admit` has it.
        :raises RemoteProtocolError: token_revoked, room_full.
        """
        for replaced in self.state.admit(claims, place):
            self.leave(replaced, "replaced")
        peer_id = new_id("p")
        self.tracks.add_peer(peer_id, grant, numbers)
        now, at = self._clock.monotonic(), self._clock.wall()
        peer, outputs = self.state.join(peer_id, claims, secrets.token_urlsafe(24), now, at, place)
        self._channels[peer_id] = channel
        self.deliver(outputs)
        logger.info("room %s: %s joined as %s", self.id, peer_id, claims.role)
        return peer

    def _replace_channel(self, peer_id: str, channel: Channel) -> None:
        earlier = self._channels.get(peer_id)
        self._channels[peer_id] = channel
        if earlier is not None:
            earlier.close()
        logger.info("room %s: %s resumed", self.id, peer_id)

    def _join_reply(self, peer: Peer, resumed: bool) -> dict[str, Any]:
        media = self.tracks.of(peer.id)
        return {
            "peerId": peer.id,
            "resumed": resumed,
            "role": peer.claims.role,
            "grants": peer.claims.grant.as_json(),
            "routerRtpCapabilities": self._context.plane.router_rtp_capabilities,
            "sendTransport": media.send.as_json() if media.send else None,
            "recvTransport": media.recv.as_json() if media.recv else None,
            "iceServers": self._context.ice_servers_for(peer.id),
            "resumeToken": peer.resume_token,
            **self.tracks.received(peer.id),
            **self.state.as_json(peer.id),
        }

    # -- going ---------------------------------------------------------------------------------------------

    def lost(self, peer_id: str, channel: Channel) -> None:
        """Its socket is gone; the peer may resume. Harmless when another socket has taken over."""
        if self._channels.get(peer_id) is channel:
            del self._channels[peer_id]
            self.state.detach(peer_id, self._clock.monotonic())

    def leave(self, peer_id: str, reason: str, text: str | None = None) -> None:
        """Take a peer out and close its media; tell it why unless it knows. Idempotent.

        :param text: the chair's own words to it.
        """
        channel = self._channels.pop(peer_id, None)
        self.tracks.remove_peer(peer_id)
        self.deliver(self.state.leave(peer_id, reason, self._clock.wall()))
        self._used_at = self._clock.monotonic()
        if channel is None:
            return
        logger.info("room %s: %s gone (%s)", self.id, peer_id, reason)
        if reason not in _SILENT_REASONS:
            channel.send("removed", {"reason": reason, "text": text})
            channel.close()

    def remove(self, chair_id: str, peer_id: str, text: str | None) -> None:
        """The chair sends somebody out. :raises RemoteProtocolError: not_granted, not_found, wrong_state."""
        self.deliver(self.state.removal(chair_id, peer_id, self._clock.wall()))
        claims = self.state.peer(peer_id).claims
        self.leave(peer_id, "removed", text)
        self._end_attachments(claims.user_id, claims.token_id, "removed")

    def remove_matching(self, user_id: str | None, token_id: str | None, reason: str) -> None:
        """Take out everyone with this user and/or token, signal sockets too, and end their tokens."""
        if token_id is not None:
            self.state.revoke(token_id, user_id or "")
        for peer_id in self.state.matching(user_id, token_id):
            claims = self.state.peer(peer_id).claims
            self.state.revoke(claims.token_id, claims.user_id)
            self.leave(peer_id, reason)
        self._end_attachments(user_id, token_id, reason)

    def _end_attachments(self, user_id: str | None, token_id: str | None, reason: str) -> None:
        for attachment in list(self.attachments):
            claims = attachment.claims
            if user_id in (None, claims.user_id) and token_id in (None, claims.token_id):
                self.state.revoke(claims.token_id, claims.user_id)
                attachment.end(reason)

    def sweep(self, now: float) -> None:
        """Take out who has been lost for too long."""
        for peer_id in self.state.lost(now):
            logger.info("room %s: %s lost", self.id, peer_id)
            self.leave(peer_id, "lost")

    def idle_for(self, now: float) -> float:
        """Seconds that nobody has been here; 0 while somebody is."""
        return 0.0 if self.state.peers or self.attachments else now - self._used_at

    def detach(self, attachment: Attachment) -> None:
        """A signal socket is gone. Idempotent."""
        self.attachments.discard(attachment)
        self._used_at = self._clock.monotonic()

    async def close(self, reason: str) -> None:
        """Close everything and wait for the recording; DESIGN.md has the order. Idempotent."""
        if not self.closed:
            self.closed = True
            self._close_now(reason)
        await self._recording.finished()

    def _close_now(self, reason: str) -> None:
        self.stop_recording()
        self.deliver([self.state.closing(reason)])
        channels = list(self._channels.values())
        for peer_id in list(self.state.peers):
            self.leave(peer_id, "room_closed")
        self.tracks.close()
        self._end_attachments(None, None, "room_closed")
        for channel in channels:
            channel.close()
        self._context.publish_event(RoomClosed(self.id, reason, self._clock.wall()))
        logger.info("room %s closed (%s)", self.id, reason)

    # -- talk and recording --------------------------------------------------------------------------------

    def chat(self, peer_id: str, text: str) -> dict[str, Any]:
        """:raises RemoteProtocolError: not_granted, rate_limited."""
        message_id, at = new_id("m"), self._clock.wall()
        self.deliver(self.state.chat(peer_id, message_id, text, self._clock.monotonic(), at))
        return {"id": message_id, "at": at}

    def configure(self, settings: RoomSettings) -> None:
        """The application's settings; a recording that is no longer allowed stops."""
        self.state.settings = settings
        self.kept = True
        if not settings.record_allowed:
            self.stop_recording()

    def start_recording(self, by: str | None) -> dict[str, Any]:
        """Record everything from now on; ``by`` is the peer that asked, None for the application.

        :raises RemoteProtocolError: recording_not_allowed, wrong_state (it runs already), room_closed.
        """
        if self.closed:
            raise RemoteProtocolError(ROOM_CLOSED)
        if not self.state.settings.record_allowed:
            raise RemoteProtocolError(RECORDING_NOT_ALLOWED)
        if self._recording.running:
            raise RemoteProtocolError(WRONG_STATE, "recording already")
        recording_id, at = new_id("rec"), self._clock.wall()
        self._recording.start(recording_id, self.tracks.producers())
        for descriptor, started_at in self._signal_starts.values():
            self._recording.add_signal(descriptor, started_at)
        self.deliver(self.state.set_recording(recording_id, at))
        user_id = self.state.peer(by).claims.user_id if by else None
        self._context.publish_event(RecordingStarted(self.id, recording_id, at, user_id))
        return {"recordingId": recording_id, "startedAt": at}

    def signal_started(self, descriptor: StreamDescriptor, started_at: float) -> None:
        """A signal stream sends into this room; ``started_at`` is the time of its first sample, Unix
        seconds."""
        self._signal_starts[descriptor.stream_id] = (descriptor, started_at)
        self._keep_signals_free()
        self._recording.add_signal(descriptor, started_at)

    def signal_ended(self, stream_id: str) -> None:
        """Idempotent."""
        self._signal_starts.pop(stream_id, None)
        self._keep_signals_free()

    def _keep_signals_free(self) -> None:
        streams = [descriptor for descriptor, _ in self._signal_starts.values()]
        wanted = sum(signal_bps(descriptor) for descriptor in streams)
        self.tracks.router.keep_free(min(wanted, SIGNALS_KEPT_FREE_MAX_BPS))

    def stop_recording(self) -> None:
        """The mark goes off at once, the files are closed in the background. Harmless when nothing runs."""
        if self._recording.running:
            self._recording.stop()
            self.deliver(self.state.set_recording(None, self._clock.wall()))

    async def recording_closed(self) -> None:
        """Wait until stopped recordings are on the disk."""
        await self._recording.finished()

    def _create_recorder(self, recording_id: str) -> RecorderPort:
        plane, directory = self._context.plane, self._context.recordings_dir
        return plane.create_recorder(self.tracks.router, directory, self.id, recording_id)

    def _recording_finished(self, recording_id: str, manifest: Path) -> None:
        self._context.publish_event(RecordingStopped(self.id, recording_id, manifest, self._clock.wall()))
