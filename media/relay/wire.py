"""What the relay asks of the media socket below it; `media.transport` and `media.relay.testing` fulfil it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from media.transport.parameters import DtlsParameters, IceCandidate, IceParameters

if TYPE_CHECKING:
    from media._native import RulePeer
    from media.transport import TransportHandlers


class Wire(Protocol):
    """What the relay uses of `media.transport.PeerTransport`."""

    id: str
    handlers: TransportHandlers
    ice_candidates: tuple[IceCandidate, ...]
    dtls_parameters: DtlsParameters
    sctp_parameters: dict[str, Any]

    @property
    def ice_parameters(self) -> IceParameters: ...
    def connect(self, remote: DtlsParameters) -> None: ...
    def send_rtp(self, packet: bytes | bytearray | memoryview) -> bool: ...
    def send_rtcp(self, packet: bytes | bytearray | memoryview) -> bool: ...
    def open_data_stream(
        self,
        stream_id: int,
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_packet_life_time: int | None = None,
        label: str = "",
        protocol: str = "",
    ) -> None: ...
    def close_data_stream(self, stream_id: int) -> None: ...
    def send_data(self, stream_id: int, payload: str | bytes) -> bool: ...
    def restart_ice(self) -> IceParameters: ...
    def attach(self, peer: RulePeer) -> None:
        """Its packets are that peer's of the compiled rule; only where an engine moves them."""

    def close_now(self) -> None: ...


class WireSocket(Protocol):
    """What the relay uses of `media.transport.MediaSocket`."""

    def create_transport(self, handlers: TransportHandlers | None = None) -> Wire: ...
