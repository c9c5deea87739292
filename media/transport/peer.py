"""The server's end of one peer: ICE-lite on the shared socket."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from media.clock import Clock
from media.errors import LocalProtocolError
from media.transport.certificate import DtlsCertificate
from media.transport.data import sctp_parameters
from media.transport.errors import NATIVE_UNAVAILABLE
from media.transport.ice import IceLiteAgent, IceState
from media.transport.outbox import Outbox, Way
from media.transport.parameters import DtlsParameters, IceCandidate, IceParameters
from media.transport.secure import SecureTransport, TransportHandlers
from media.transport.srtp import PacketBuffer, SrtpContext, SrtpKeys
from media.transport.stun import PeerAddress, StunMessage

if TYPE_CHECKING:
    from media._native import RulePeer


class PeerTransport(SecureTransport):
    """Made by `MediaSocket.create_transport`; the socket owns it until `close`.

    :param agent: the ICE-lite state of this peer.
    :param candidates: where the socket can be reached.
    :param send: sends a datagram from the shared socket.
    :param released: told once with this transport when it is closed.
    :param registered: told with this transport when its set of ICE credentials changed.
    :param outbox: where media for UDP waits to leave together; None: each packet leaves by ``send``.
    """

    def __init__(
        self,
        agent: IceLiteAgent,
        candidates: tuple[IceCandidate, ...],
        certificate: DtlsCertificate,
        outgoing: PacketBuffer,
        incoming: PacketBuffer,
        clock: Clock,
        handlers: TransportHandlers | None,
        send: Callable[[bytes | memoryview, PeerAddress], bool],
        registered: Callable[[PeerTransport], None],
        released: Callable[[PeerTransport], None],
        outbox: Outbox | None = None,
    ) -> None:
        super().__init__(certificate, outgoing, incoming, clock, handlers)
        self.id = secrets.token_urlsafe(12)
        self.ice_candidates = candidates
        self.sctp_parameters = sctp_parameters()
        self._agent = agent
        self._send = send
        self._registered = registered
        self._released = released
        self._outbox = outbox
        self._way: Way | None = None

    @property
    def ice_parameters(self) -> IceParameters:
        """The current credentials of this end."""
        return self._agent.parameters

    @property
    def selected_address(self) -> PeerAddress | None:
        """Where the peer is reached, or None before its first check."""
        return self._agent.selected

    @property
    def protocol(self) -> Literal["udp", "tcp"] | None:
        """What the selected address speaks, None before there is one."""
        address = self._agent.selected
        return None if address is None else "udp" if len(address) == 2 else "tcp"

    def connect(self, remote: DtlsParameters) -> None:
        """Begin DTLS with the peer; returns at once and tells the outcome by `state`.

        We are the server unless the peer says that it is; ``auto`` leaves us the server's part.

        :raises RemoteProtocolError: transport_connected, when called before.
        :raises LocalProtocolError: closed.
        """
        self._start_dtls(remote, is_client=remote.role == "server")

    def send_rtp(self, packet: bytes | bytearray | memoryview) -> bool:
        way = self._way
        return way.send(packet) if way is not None else super().send_rtp(packet)

    def restart_ice(self) -> IceParameters:
        """New ICE credentials; media goes on until and while the peer moves over to them."""
        self._require_open()
        parameters = self._agent.restart()
        self._registered(self)
        return parameters

    def attach(self, peer: RulePeer) -> None:
        """Give its packets to the compiled rule; the Python plane has none."""
        raise LocalProtocolError(NATIVE_UNAVAILABLE, "transport on the Python plane")

    async def close(self) -> None:
        """Close; idempotent, and waits for nobody. Async so that an owner can await any kind of closing."""
        self.close_now()

    def close_now(self) -> None:
        """As `close`, for callers that cannot await."""
        if self._outbox is not None:
            self._outbox.flush()  # what was sent goes before the goodbye
        self._shut()
        self._released(self)

    # called by the socket

    @property
    def username_fragments(self) -> tuple[str, ...]:
        """Ours that are good at present: the current one and, in a restart, the one before."""
        known = (self._agent.parameters, self._agent.previous)
        return tuple(parameters.username_fragment for parameters in known if parameters)

    @property
    def addresses(self) -> tuple[PeerAddress, ...]:
        """Where valid checks came from."""
        return tuple(self._agent.addresses)

    def stun_received(self, message: StunMessage, source: PeerAddress, now: float) -> None:
        """Handle a check and answer it.

        The answer leaves first: what the check sets off, such as our DTLS flight, is for a peer that has it.
        """
        before = self._agent.state, self._agent.selected
        answer = self._agent.receive(message, source, now)
        if answer is not None:
            self._send(answer, source)
        if before != (self._agent.state, self._agent.selected):
            self._ice_changed()

    def address_lost(self, address: PeerAddress) -> None:
        """The TCP connection of this address has ended."""
        self._agent.forget(address)
        self._choose_way()

    def tick(self, now: float) -> None:
        """Let time pass; called about once a second."""
        before = self._agent.state
        self._agent.tick(now)
        if self._agent.state != before:
            self._ice_changed()
        self._check_deadline(now)

    def _ice_changed(self) -> None:
        self._choose_way()
        super()._ice_changed()

    def _use_keys(self, keys: SrtpKeys) -> None:
        super()._use_keys(keys)
        self._choose_way()

    def _release(self) -> None:
        super()._release()
        self._way = None

    def _choose_way(self) -> None:
        """Media leaves by the outbox, unless it goes by TCP or to a receiver with numbers of its own."""
        address, protect = self._agent.selected, self._protect
        if (
            self._outbox is None
            or address is None
            or len(address) != 2
            or self._agent.state == "failed"
            or not isinstance(protect, SrtpContext)
            or self.renumber is not None
        ):
            self._way = None
        elif self._way is None or self._way.address != address:
            self._way = self._outbox.way(address, protect, self._counts)

    @property
    def _ice_state(self) -> IceState:
        return self._agent.state

    def _transmit(self, datagram: bytes | memoryview) -> bool:
        address = self._agent.selected
        # RFC 7675 section 5.1: nothing is sent to a peer whose consent has run out.
        if address is None or self._agent.state == "failed":
            return False
        return self._send(datagram, address)

    def _heard(self, now: float) -> None:
        self._agent.heard(now)

    @property
    def _label(self) -> str:
        return self.id
