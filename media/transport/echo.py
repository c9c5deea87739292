"""A transport that sends data messages back, for a client that asks what its network lets through."""

from __future__ import annotations

from typing import Any, Literal

from media.clock import Clock
from media.limits import ECHO_BYTES_MAX, ECHO_MESSAGES_MAX
from media.transport.media_socket import MediaSocket
from media.transport.parameters import DtlsParameters

ECHO_STREAM = 0
"""The pre-negotiated stream that is echoed."""


class EchoTransport:
    """One transport that is told to its peer with the candidates of one protocol alone.

    :param protocol: which candidates it announces.
    :raises LocalProtocolError: closed, or limit_reached.
    """

    def __init__(self, socket: MediaSocket, protocol: Literal["udp", "tcp"], clock: Clock) -> None:
        self.echoed = 0
        """Messages sent back, at most `ECHO_MESSAGES_MAX`."""
        self.connected_at: float | None = None
        self._clock = clock
        self._begun_at = clock.monotonic()
        candidates = tuple(c for c in socket.candidates if c.protocol == protocol)
        self._transport = socket.create_transport(self, candidates)
        self._transport.open_data_stream(ECHO_STREAM)

    def as_json(self) -> dict[str, Any]:
        """mediasoup's transport options."""
        transport = self._transport
        return {
            "id": transport.id,
            "iceParameters": transport.ice_parameters.as_json(),
            "iceCandidates": [candidate.as_json() for candidate in transport.ice_candidates],
            "dtlsParameters": transport.dtls_parameters.as_json(),
            "sctpParameters": transport.sctp_parameters,
        }

    def connect(self, dtls_parameters: object) -> None:
        """Begin the handshake; returns at once. :raises RemoteProtocolError: as `PeerTransport.connect`."""
        self._transport.connect(DtlsParameters.from_json(dtls_parameters))

    def report(self) -> dict[str, Any]:
        """How far it came: state, protocol in use, milliseconds until connected, messages echoed."""
        took = None if self.connected_at is None else round((self.connected_at - self._begun_at) * 1000)
        return {
            "state": self._transport.state,
            "protocol": self._transport.protocol,
            "connectedMs": took,
            "echoed": self.echoed,
        }

    def close(self) -> None:
        """Idempotent."""
        self._transport.close_now()

    # handlers of the transport

    def rtp_received(self, packet: bytearray, now: float) -> None:
        """No media belongs here."""

    def rtcp_received(self, packet: bytes, now: float) -> None:
        """No media belongs here."""

    def state_changed(self, state: str) -> None:
        if state == "connected" and self.connected_at is None:
            self.connected_at = self._clock.monotonic()

    def data_received(self, stream_id: int, payload: str | bytes) -> None:
        if self.echoed < ECHO_MESSAGES_MAX and len(payload) <= ECHO_BYTES_MAX:
            self.echoed += self._transport.send_data(stream_id, payload)
