"""All rooms of this process. What the application calls, and what the gateways stand on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from media.clock import Clock
from media.errors import NOT_FOUND, LocalProtocolError, RemoteProtocolError
from media.signals import SignalStore
from media.signals.analysis.alarms import PRESETS, AlarmLimits
from media.transport import IceCandidate, MediaSocket
from signaling.access import RoomClaims, verify_room_token
from signaling.errors import ROOM_CLOSED, ROOM_ELSEWHERE, TOO_MANY_ROOMS
from signaling.event_queue import EventQueue
from signaling.events import RoomEvent, RoomListener
from signaling.ice_servers import IceServer, IceServers, TurnServer
from signaling.limits import CLOSED_ROOMS_REMEMBERED, IDLE_ROOM_S, ROOMS_MAX, SWEEP_S
from signaling.plane import EchoPort, MediaPlane
from signaling.real_plane import RealPlane
from signaling.room import Room, RoomContext
from signaling.rooms import RoomSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignalingConfig:
    """What the operator sets.

    :param ice_servers: given to clients as they are, ``RTCIceServer`` JSON (STUN and TURN).
    :param turn: a TURN server for which credentials are made, each time anew.
    :param allowed_origins: web origins besides our own that may connect; ``("*",)`` for any.
    :param max_rooms: open rooms at once.
    :param alarm_limits: of the analysis of all ECGs.
    """

    ice_servers: tuple[dict[str, Any], ...] = ()
    turn: TurnServer | None = None
    allowed_origins: tuple[str, ...] = ()
    max_rooms: int = ROOMS_MAX
    alarm_limits: AlarmLimits = PRESETS["adult"]


class Placement(Protocol):
    """Where several nodes share the rooms: which has which."""

    @property
    def origins(self) -> Collection[str]:
        """The other nodes' web origins: their pages enter rooms of this one."""
        ...

    async def elsewhere(self, room_id: str) -> str | None:
        """The address of the node that has the room; None when it is this one, also by taking it now."""
        ...


@dataclass(frozen=True, slots=True)
class PeerSnapshot:
    """One peer; ``sources`` are those it publishes, ``attached`` is false while its socket is lost."""

    peer_id: str
    user_id: str
    role: str
    joined_at: float
    attached: bool
    media_started: bool
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoomSnapshot:
    """A room as the application may show it."""

    room_id: str
    started_at: float
    peers: tuple[PeerSnapshot, ...]
    recording_id: str | None
    signal_sockets: int

    def has_user(self, user_id: str) -> bool:
        """Whether this user is in the room, in any tab."""
        return any(peer.user_id == user_id for peer in self.peers)


class RoomService:
    """Opens, finds, sweeps and closes rooms.

    :param secrets: token secrets, the newest first.
    :param listener: told every `RoomEvent`, in order.
    :param recordings_dir: each recording makes a folder of its id in it.
    :param plane: the media plane; the real one on ``socket`` unless given (tests).
    :param placement: which node has which room; None where there is one node.
    """

    def __init__(
        self,
        config: SignalingConfig,
        socket: MediaSocket | None,
        clock: Clock,
        secrets: Sequence[str],
        listener: RoomListener,
        signal_store: SignalStore,
        recordings_dir: Path,
        plane: MediaPlane | None = None,
        placement: Placement | None = None,
    ) -> None:
        if plane is None:
            if socket is None:
                raise LocalProtocolError(NOT_FOUND, "a media socket or a media plane is needed")
            plane = RealPlane(socket, clock)
        self.config = config
        self.clock = clock
        self.signal_store = signal_store
        self.placement = placement
        self._secrets = tuple(secrets)
        self._plane = plane
        self._events = EventQueue(listener)
        self._rooms: dict[str, Room] = {}
        self._closed_rooms: OrderedDict[str, None] = OrderedDict()
        self._sweeper: asyncio.Task[None] | None = None
        self._ice_servers = IceServers(config.ice_servers, config.turn)
        self._context = RoomContext(plane, clock, recordings_dir, self._events.put, self.ice_servers_for)

    @property
    def router_rtp_capabilities(self) -> dict[str, Any]:
        """The same for every room; may be given with the token so that a client loads its device early."""
        return self._plane.router_rtp_capabilities

    def ice_servers_for(self, word: str) -> list[IceServer]:
        """STUN and TURN servers for one client.

        :param word: its peer or session id, for the TURN server's log.
        """
        return self._ice_servers.for_client(word, self.clock.wall())

    @property
    def candidates(self) -> tuple[IceCandidate, ...]:
        """Where media is reached."""
        return self._plane.candidates

    def create_echo(self, protocol: Literal["udp", "tcp"]) -> EchoPort:
        """A transport that sends data messages back; the caller closes it.

        :raises LocalProtocolError: limit_reached.
        """
        return self._plane.create_echo(protocol)

    # -- life ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to sweep and to tell the listener. Idempotent."""
        self._events.start()
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep_always(), name="room sweep")

    async def close(self) -> None:
        """Close all rooms (recordings are finalised), tell the listener the rest, stop. Idempotent."""
        sweeper, self._sweeper = self._sweeper, None
        if sweeper is not None:
            sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeper
        for room_id in list(self._rooms):
            await self.close_room(room_id, "server_stopped")
        await self._plane.close()
        await self._events.close()

    async def _sweep_always(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            await self.sweep(self.clock.monotonic())

    async def sweep(self, now: float) -> None:
        """Take out lost peers; close rooms that nobody needs. ``now``: monotonic seconds."""
        for room in list(self._rooms.values()):
            room.sweep(now)
            if not room.kept and room.idle_for(now) >= IDLE_ROOM_S:
                del self._rooms[room.id]
                await room.close("idle")

    # -- for the application -------------------------------------------------------------------------------

    def open_room(self, room_id: str, settings: RoomSettings) -> None:
        """Open a room, or give an open one new settings; a closed one may be opened again.

        :raises RemoteProtocolError: too_many_rooms.
        """
        self._closed_rooms.pop(room_id, None)
        room = self._rooms.get(room_id)
        if room is None:
            room = self._open(room_id, settings, kept=True)
        room.configure(settings)

    async def close_room(self, room_id: str, reason: str) -> None:
        """Send everyone out and wait for the recording's files. Tokens do not open it again. Idempotent."""
        self._remember_closed(room_id)
        room = self._rooms.get(room_id)
        if room is not None:
            await room.close(reason)
            if self._rooms.get(room_id) is room:
                del self._rooms[room_id]

    async def start_recording(self, room_id: str) -> str:
        """Record the room: the recording's id.

        :raises LocalProtocolError: not_found.
        :raises RemoteProtocolError: recording_not_allowed, wrong_state.
        """
        recording_id: str = self._existing(room_id).start_recording(by=None)["recordingId"]
        return recording_id

    async def stop_recording(self, room_id: str) -> None:
        """Stop and wait until the files are closed. Harmless when the room or the recording is gone."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.stop_recording()
            await room.recording_closed()

    async def remove_peers(
        self, room_id: str, *, user_id: str | None = None, token_id: str | None = None, reason: str
    ) -> None:
        """Send out everyone with this user and/or token and end the tokens; a later room forgets it."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.remove_matching(user_id, token_id, reason)

    def snapshot(self, room_id: str) -> RoomSnapshot | None:
        """The room as it is now, None when it is not open."""
        room = self._rooms.get(room_id)
        return _snapshot(room) if room is not None else None

    # -- for the gateways ----------------------------------------------------------------------------------

    def verify(self, token: object) -> RoomClaims:
        """:raises RemoteProtocolError: token_missing, token_invalid, token_expired, token_foreign."""
        return verify_room_token(self._secrets, token, self.clock.wall())

    def publish_event(self, event: RoomEvent) -> None:
        """Tell the application."""
        self._events.put(event)

    async def place(self, claims: RoomClaims) -> None:
        """Make sure that this node may hold the token's room. Before `room_for`, where somebody comes in.

        :raises RemoteProtocolError: room_elsewhere, with the other node's address as detail.
        """
        if self.placement is None or claims.room_id in self._rooms:
            return
        url = await self.placement.elsewhere(claims.room_id)
        if url is not None:
            raise RemoteProtocolError(ROOM_ELSEWHERE, url)

    @property
    def open_rooms(self) -> frozenset[str]:
        return frozenset(self._rooms)

    def room_for(self, claims: RoomClaims) -> Room:
        """The open room of a verified token; opened now when it is not.

        :raises RemoteProtocolError: room_closed, token_revoked, too_many_rooms.
        """
        room = self._rooms.get(claims.room_id)
        if room is None:
            if claims.room_id in self._closed_rooms:
                raise RemoteProtocolError(ROOM_CLOSED)
            room = self._open(claims.room_id, RoomSettings(), kept=False)
        room.check(claims)
        return room

    def _open(self, room_id: str, settings: RoomSettings, kept: bool) -> Room:
        if len(self._rooms) >= self.config.max_rooms:
            raise RemoteProtocolError(TOO_MANY_ROOMS)
        room = Room(room_id, settings, self._context, kept)
        self._rooms[room_id] = room
        return room

    def _existing(self, room_id: str) -> Room:
        room = self._rooms.get(room_id)
        if room is None:
            raise LocalProtocolError(NOT_FOUND, "room")
        return room

    def _remember_closed(self, room_id: str) -> None:
        self._closed_rooms[room_id] = None
        self._closed_rooms.move_to_end(room_id)
        while len(self._closed_rooms) > CLOSED_ROOMS_REMEMBERED:
            self._closed_rooms.popitem(last=False)


def _snapshot(room: Room) -> RoomSnapshot:
    peers = tuple(
        PeerSnapshot(
            peer.id,
            peer.claims.user_id,
            peer.claims.role,
            peer.joined_at,
            peer.detached_at is None,
            peer.media_started,
            tuple(producer.source for producer in peer.producers.values()),
        )
        for peer in room.state.peers.values()
    )
    recording_id, sockets = room.state.recording_id, len(room.attachments)
    return RoomSnapshot(room.id, room.state.started_at, peers, recording_id, sockets)
