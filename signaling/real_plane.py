"""The media plane as it is: routers of `media.relay` on one UDP socket, recorders of `media.recording`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from media.clock import Clock
from media.recording import Recorder
from media.relay import RelayTimer, Router, WebRtcTransport, router_rtp_capabilities
from media.relay.planes import tables_of
from media.rtp.renumber import WireNumbers
from media.transport import EchoTransport, IceCandidate, MediaSocket, PeerTransport, TransportHandlers
from signaling.plane import RecorderPort, RouterEvents, RouterPort


class _RenumberingSocket:
    """The media socket for one receiver that has numbers of its own."""

    def __init__(self, socket: MediaSocket, numbers: WireNumbers) -> None:
        self._socket = socket
        self._numbers = numbers

    def create_transport(self, handlers: TransportHandlers | None = None) -> PeerTransport:
        transport = self._socket.create_transport(handlers)
        transport.renumber = self._numbers.apply
        return transport


class RoomRouter:
    """A `Router` that makes its transports on the process's socket."""

    def __init__(self, router: Router, socket: MediaSocket) -> None:
        self.router = router
        self._socket = socket

    def create_transport(self, numbers: WireNumbers | None = None) -> WebRtcTransport:
        if numbers is None:
            return self.router.create_transport(self._socket)
        return self.router.create_transport(_RenumberingSocket(self._socket, numbers))

    def can_consume(self, producer_id: str, rtp_capabilities: dict[str, Any]) -> bool:
        return self.router.can_consume(producer_id, rtp_capabilities)

    def keep_free(self, bits_per_second: int) -> None:
        self.router.signals_bps = bits_per_second

    def close(self) -> None:
        self.router.close()


class RealPlane:
    """See `signaling.plane.MediaPlane`. It does not own the socket."""

    def __init__(self, socket: MediaSocket, clock: Clock) -> None:
        self._socket = socket
        self._clock = clock
        self._timer = RelayTimer(clock)
        self._tables = tables_of(socket)
        self._capabilities = router_rtp_capabilities()

    @property
    def router_rtp_capabilities(self) -> dict[str, Any]:
        return self._capabilities

    @property
    def candidates(self) -> tuple[IceCandidate, ...]:
        return self._socket.candidates

    def create_echo(self, protocol: Literal["udp", "tcp"]) -> EchoTransport:
        return EchoTransport(self._socket, protocol, self._clock)

    def create_router(self, room_id: str, events: RouterEvents) -> RouterPort:
        phase = crc32(room_id.encode()) / 2**32
        router = Router(room_id, self._clock, events, self._timer, tables=self._tables, phase=phase)
        return RoomRouter(router, self._socket)

    def create_recorder(
        self, router: RouterPort, directory: Path, room_id: str, recording_id: str
    ) -> RecorderPort:
        assert isinstance(router, RoomRouter)  # we made it
        return Recorder(router.router, directory / recording_id, self._clock, room_id, recording_id)

    async def close(self) -> None:
        self._timer.close()
