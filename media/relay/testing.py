"""A media socket without a network: for tests of the relay and of what stands on it.

`FakeWire` fulfils what the relay asks of `media.transport.PeerTransport`; what is sent lies in lists, and a
test speaks for the peer by calling the handlers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from media.transport.parameters import DtlsParameters, IceCandidate, IceParameters

if TYPE_CHECKING:
    from media._native import RulePeer
    from media.transport import TransportHandlers

_FINGERPRINT = ":".join(["AB"] * 32)


class FakeWire:
    """One peer's path; ``rtp`` and ``rtcp`` hold copies of what was sent to the peer."""

    def __init__(self, identifier: str, handlers: TransportHandlers) -> None:
        self.id = identifier
        self.handlers = handlers
        self.ice_parameters = IceParameters("frag", "p" * 22, True)
        self.ice_candidates: tuple[IceCandidate, ...] = (
            IceCandidate("1", 1_076_302_079, "127.0.0.1", 40_000),
        )
        self.dtls_parameters = DtlsParameters("auto", (("sha-256", _FINGERPRINT),))
        self.sctp_parameters: dict[str, Any] = {
            "port": 5000,
            "OS": 1024,
            "MIS": 1024,
            "maxMessageSize": 65_536,
        }
        self.state = "new"
        self.accepts = True
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.data: list[tuple[int, str | bytes]] = []
        self.streams: dict[int, tuple[bool, int | None, int | None, str, str]] = {}
        self.remote: DtlsParameters | None = None
        self.closings = 0

    def become(self, state: str) -> None:
        """The path changes its state, as ICE and DTLS would make it."""
        self.state = state
        self.handlers.state_changed(state)

    def connect(self, remote: DtlsParameters) -> None:
        self.remote = remote

    def attach(self, peer: RulePeer) -> None:
        raise AssertionError("no engine moves the packets of a wire without a network")

    def send_rtp(self, packet: bytes | bytearray | memoryview) -> bool:
        if self.state != "connected" or not self.accepts:
            return False
        self.rtp.append(bytes(packet))
        return True

    def send_rtcp(self, packet: bytes | bytearray | memoryview) -> bool:
        if self.state != "connected":
            return False
        self.rtcp.append(bytes(packet))
        return True

    def open_data_stream(
        self,
        stream_id: int,
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_packet_life_time: int | None = None,
        label: str = "",
        protocol: str = "",
    ) -> None:
        if stream_id in self.streams:
            raise ValueError("the stream is open")
        self.streams[stream_id] = (ordered, max_retransmits, max_packet_life_time, label, protocol)

    def close_data_stream(self, stream_id: int) -> None:
        self.streams.pop(stream_id, None)

    def send_data(self, stream_id: int, payload: str | bytes) -> bool:
        if not self.accepts:
            return False
        self.data.append((stream_id, payload))
        return True

    def restart_ice(self) -> IceParameters:
        self.ice_parameters = IceParameters("gark", "q" * 22, True)
        return self.ice_parameters

    def close_now(self) -> None:
        self.closings += 1
        if self.state != "closed":
            self.become("closed")


class FakeSocket:
    """Makes fake wires and keeps them in the order they were made."""

    def __init__(self) -> None:
        self.wires: list[FakeWire] = []

    def create_transport(self, handlers: TransportHandlers | None = None) -> FakeWire:
        if handlers is None:
            raise ValueError("the relay always brings its handlers")
        wire = FakeWire(f"wire-{len(self.wires)}", handlers)
        self.wires.append(wire)
        return wire
