"""One client on ``/room``: from its token to its place in a room. Knows nothing of Socket.IO."""

from __future__ import annotations

from typing import Any

from media.errors import WRONG_STATE, Fault, RemoteProtocolError
from signaling import messages
from signaling.access import RoomClaims
from signaling.errors import NOT_JOINED, RATE_LIMITED
from signaling.handlers import HANDLERS
from signaling.limits import REFUSALS_IN_A_ROW_MAX, REQUESTS_BURST, REQUESTS_PER_SECOND
from signaling.rates import TokenBucket
from signaling.room import Channel, Room
from signaling.service import RoomService


class RoomSession:
    """Handles the requests of one socket.

    :param resume: the resume token that the socket brought, if any.
    :param channel: the way back to it.
    """

    def __init__(
        self, service: RoomService, claims: RoomClaims, resume: str | None, channel: Channel
    ) -> None:
        self._service = service
        self._claims = claims
        self._resume = resume
        self._channel = channel
        self._bucket = TokenBucket(REQUESTS_PER_SECOND, REQUESTS_BURST, service.clock.monotonic())
        self._refused_in_a_row = 0
        self._place: tuple[Room, str] | None = None

    @property
    def flooding(self) -> bool:
        """It goes on and on although it is refused: disconnect it."""
        return self._refused_in_a_row >= REFUSALS_IN_A_ROW_MAX

    def request(
        self, event: str, arguments: tuple[object, ...], fault: Fault | None = None
    ) -> dict[str, Any]:
        """Handle one request: the reply's data.

        :param fault: what was wrong with it already; it still counts.
        :raises RemoteProtocolError: any code of PROTOCOL.md.
        """
        self._admit()
        if fault is not None:
            raise fault
        message = messages.parse(event, arguments)
        if isinstance(message, messages.Join):
            return self._join(message)
        if self._place is None:
            raise RemoteProtocolError(NOT_JOINED)
        room, peer_id = self._place
        if event == "leave":
            self._place = None
            room.leave(peer_id, "left")
            return {}
        return HANDLERS[event](room, peer_id, message)

    def lost(self) -> None:
        """The socket is gone. Idempotent."""
        if self._place is not None:
            room, peer_id = self._place
            self._place = None
            room.lost(peer_id, self._channel)

    def _admit(self) -> None:
        if self._bucket.take(self._service.clock.monotonic()):
            self._refused_in_a_row = 0
            return
        self._refused_in_a_row += 1
        raise RemoteProtocolError(RATE_LIMITED, "requests")

    def _join(self, message: messages.Join) -> dict[str, Any]:
        if self._place is not None:
            raise RemoteProtocolError(WRONG_STATE, "joined already")
        room = self._service.room_for(self._claims)
        resume, self._resume = self._resume, None
        peer_id, reply = room.join(self._claims, resume, message.rtp_capabilities, self._channel)
        self._place = (room, peer_id)
        return reply
