"""What both ends of a media transport have in common once ICE has found an address: DTLS, SRTP, data.

State, told to the handlers as one word::

    new ──> connecting ──> connected ──> closed
                │  ^           │
                v  │           v
               failed <────────┘        (back again when ICE finds the peer again; never when DTLS failed)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from media.clock import Clock
from media.errors import CLOSED, LocalProtocolError, RemoteProtocolError
from media.limits import MAX_EARLY_DTLS_DATAGRAMS, TRANSPORT_CONNECT_TIMEOUT_S
from media.transport.certificate import DtlsCertificate
from media.transport.data import DataEndpoint
from media.transport.demux import DatagramKind
from media.transport.dtls import DtlsEndpoint
from media.transport.errors import TRANSPORT_CONNECTED
from media.transport.ice import IceState
from media.transport.parameters import DtlsParameters
from media.transport.srtp import PacketBuffer, SrtpContext, SrtpKeys

logger = logging.getLogger(__name__)

TransportState = Literal["new", "connecting", "connected", "failed", "closed"]


class Protector(Protocol):
    """Protects what is sent; a view or bytes that hold until the next call, None when it was refused."""

    def rtp(self, packet: bytes | bytearray | memoryview, /) -> bytes | memoryview | None: ...
    def rtcp(self, packet: bytes | bytearray | memoryview, /) -> bytes | memoryview | None: ...


class TransportHandlers(Protocol):
    """Takes what a transport receives. Called on the event loop's thread; must not block.

    ``now`` is the clock's monotonic reading in seconds, read once for a batch of datagrams.
    """

    def rtp_received(self, packet: bytearray, now: float) -> None:
        """A whole RTP packet, authentic and decrypted; the bytearray is the handler's own."""

    def rtcp_received(self, packet: bytes, now: float) -> None:
        """A compound RTCP packet, authentic and decrypted."""

    def state_changed(self, state: str) -> None:
        """The transport's state is now this one."""

    def data_received(self, stream_id: int, payload: str | bytes) -> None:
        """A message on a data stream that was opened."""


class IgnoringHandlers:
    """Handlers of a transport that nobody listens to yet."""

    def rtp_received(self, packet: bytearray, now: float) -> None:
        """Dropped."""

    def rtcp_received(self, packet: bytes, now: float) -> None:
        """Dropped."""

    def state_changed(self, state: str) -> None:
        """Ignored; `SecureTransport.state` tells it."""

    def data_received(self, stream_id: int, payload: str | bytes) -> None:
        """Dropped."""


@dataclass(slots=True)
class TransportCounters:
    """What one transport did; bytes are UDP payload, protection included."""

    packets_received: int = 0
    bytes_received: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    packets_refused: int = 0
    """SRTP or SRTCP that was not authentic or was replayed, or came before the keys."""
    packets_dropped: int = 0
    """Not sent: not connected, or the socket's buffer was full."""


class SecureTransport:
    """Base of `PeerTransport` and `ClientTransport`, which add ICE and the way out.

    :param certificate: proves this end.
    :param outgoing: work memory for packets to send; not the buffer that datagrams are read into.
    :param incoming: the buffer that the owner of the socket reads datagrams into.
    """

    def __init__(
        self,
        certificate: DtlsCertificate,
        outgoing: PacketBuffer,
        incoming: PacketBuffer,
        clock: Clock,
        handlers: TransportHandlers | None,
    ) -> None:
        self.handlers: TransportHandlers = handlers or IgnoringHandlers()
        self.state: TransportState = "new"
        self._counts = TransportCounters()
        self.srtp_profile: str | None = None
        """Name of the negotiated protection profile once connected."""
        self.failure = ""
        """Why the state is failed."""
        self.renumber: Callable[[bytes | bytearray | memoryview], bytearray] | None = None
        """Brings each RTP packet into the peer's own numbers before it is protected."""
        self.dtls_parameters = DtlsParameters("auto", (("sha-256", certificate.fingerprint),))
        self._certificate = certificate
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._outgoing = outgoing
        self._incoming = incoming
        self._data = DataEndpoint(self._send_sctp, self._data_received)
        self._dtls: DtlsEndpoint | None = None
        self._dtls_is_client = False
        self._dtls_started = False
        self._dtls_timer: asyncio.TimerHandle | None = None
        self._early_dtls: list[bytes] = []
        self._connect_deadline = float("inf")
        self._protect: Protector | None = None
        self._unprotect: SrtpContext | None = None

    @property
    def counters(self) -> TransportCounters:
        """What this transport did so far."""
        return self._counts

    # what the subclass adds

    @property
    def _ice_state(self) -> IceState:
        raise NotImplementedError

    def _transmit(self, datagram: bytes | memoryview) -> bool:
        """Send to the selected address; False when there is none or the socket would not take it."""
        raise NotImplementedError

    def _heard(self, now: float) -> None:
        """Something authentic came from the peer."""

    @property
    def _label(self) -> str:
        """Names the transport in log lines."""
        raise NotImplementedError

    # sending

    def send_rtp(self, packet: bytes | bytearray | memoryview) -> bool:
        """Protect and send one RTP packet; False when it was dropped. ``packet`` is unchanged."""
        protect = self._protect
        if protect is None:
            self._counts.packets_dropped += 1
            return False
        if self.renumber is not None:
            packet = self.renumber(packet)
        return self._sent(protect.rtp(packet))

    def send_rtcp(self, packet: bytes | bytearray | memoryview) -> bool:
        """Protect and send one compound RTCP packet; False (and counted) when it was dropped."""
        protect = self._protect
        if protect is None:
            self._counts.packets_dropped += 1
            return False
        return self._sent(protect.rtcp(packet))

    def open_data_stream(
        self,
        stream_id: int,
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_packet_life_time: int | None = None,
        label: str = "",
        protocol: str = "",
    ) -> None:
        """Agree on a data stream, to send and to receive; SCTP is started when the first one is.

        :param max_packet_life_time: milliseconds.
        :raises RemoteProtocolError: data_stream_invalid, limit_reached.
        """
        self._require_open()
        self._data.open(
            stream_id,
            ordered=ordered,
            maxRetransmits=max_retransmits,
            maxPacketLifeTime=max_packet_life_time,
            label=label,
            protocol=protocol,
        )

    def close_data_stream(self, stream_id: int) -> None:
        """Give a data stream up."""
        self._data.close_stream(stream_id)

    def send_data(self, stream_id: int, payload: str | bytes) -> bool:
        """Queue a message; False when dropped: stream not open, message too long, or too much waiting."""
        return self._data.send(stream_id, payload)

    @property
    def data_dropped(self) -> int:
        """Data messages dropped so far."""
        return self._data.dropped

    # receiving: called by the owner of the socket

    def datagram_received(self, kind: DatagramKind, length: int, now: float) -> None:
        """Take the first ``length`` bytes of the incoming buffer: DTLS, RTP or RTCP."""
        self._counts.packets_received += 1
        self._counts.bytes_received += length
        if kind is DatagramKind.DTLS:
            self._receive_dtls(bytes(self._incoming.view[:length]), now)
            return
        unprotect = self._unprotect
        is_rtp = kind is DatagramKind.RTP
        plain = None
        if unprotect is not None:
            plain = unprotect.rtp_in_place(length) if is_rtp else unprotect.rtcp_in_place(length)
        if plain is None:
            self._counts.packets_refused += 1
            return
        self._heard(now)
        if is_rtp:
            self.handlers.rtp_received(bytearray(plain), now)
        else:
            self.handlers.rtcp_received(bytes(plain), now)

    # connecting

    def _start_dtls(self, remote: DtlsParameters, is_client: bool) -> None:
        """The peer's fingerprints are known: begin, or wait for ICE to say where the peer is."""
        self._require_open()
        if self._dtls is not None:
            raise RemoteProtocolError(TRANSPORT_CONNECTED)
        self._dtls_is_client = is_client
        self._dtls = DtlsEndpoint(self._certificate, is_client, remote)
        self._connect_deadline = self._clock.monotonic() + TRANSPORT_CONNECT_TIMEOUT_S
        early, self._early_dtls = self._early_dtls, []
        for datagram in early:
            self._receive_dtls(datagram, self._clock.monotonic())
        self._ice_changed()

    def _ice_changed(self) -> None:
        """ICE found the peer, or lost it."""
        if self._dtls is not None and not self._dtls_started and self._ice_state == "connected":
            self._dtls_started = True
            self._dtls.start()
            self._flush_dtls()
        self._update_state()

    def _check_deadline(self, now: float) -> None:
        """Called now and then: a handshake that never ends is a failure."""
        if now >= self._connect_deadline and self._dtls and self._dtls.state == "connecting":
            self._dtls.state, self._dtls.failure = "failed", "no handshake in time"
            self._update_state()

    def _receive_dtls(self, datagram: bytes, now: float) -> None:
        if self._dtls is None:
            # The peer may be quicker over UDP than its own connect message over signaling.
            self._early_dtls = [*self._early_dtls, datagram][-MAX_EARLY_DTLS_DATAGRAMS:]
            return
        messages = self._dtls.receive(datagram)
        self._flush_dtls()
        if messages:
            self._heard(now)
        self._update_state()
        for message in messages:
            self._data.receive(message)

    def _flush_dtls(self) -> None:
        """Send what OpenSSL has made, and have its timer run while it waits for an answer."""
        dtls = self._dtls
        if dtls is None:
            return
        for datagram in dtls.datagrams_to_send():
            self._transmit(datagram)
        if self._dtls_timer is not None:
            self._dtls_timer.cancel()
            self._dtls_timer = None
        delay = dtls.timeout()
        if delay is not None and self.state != "closed":
            self._dtls_timer = self._loop.call_later(delay, self._dtls_timer_fired)

    def _dtls_timer_fired(self) -> None:
        self._dtls_timer = None
        if self._dtls is not None:
            self._dtls.handle_timeout()
            self._flush_dtls()
            self._update_state()

    def _take_keys(self) -> None:
        keys = self._dtls.srtp_keys if self._dtls else None
        if keys is None or self._protect is not None:
            return
        self.srtp_profile = keys.profile.name
        self._use_keys(keys)

    def _use_keys(self, keys: SrtpKeys) -> None:
        self._protect = SrtpContext(keys.profile, keys.local, True, self._outgoing)
        self._unprotect = SrtpContext(keys.profile, keys.remote, False, self._incoming)

    def _update_state(self) -> None:
        """Derive the one word from ICE and DTLS and tell it when it is another."""
        if self.state == "closed":
            return
        state = self._derived_state()
        if state == self.state:
            return
        self.state = state
        if state == "connected":
            self._take_keys()
            logger.info("transport %s connected, %s", self._label, self.srtp_profile)
            self._data.connected("client" if self._dtls_is_client else "server")
        elif state == "failed":
            self.failure = self._dtls.failure if self._dtls and self._dtls.failure else "peer silent"
            logger.warning("transport %s failed: %s", self._label, self.failure)
        self.handlers.state_changed(state)
        if state == "closed":
            self._release()

    def _derived_state(self) -> TransportState:
        ice, dtls = self._ice_state, self._dtls.state if self._dtls else None
        if dtls in ("closed", "failed"):
            return "closed" if dtls == "closed" else "failed"
        if ice == "failed":
            return "failed"
        if ice == "connected" and dtls == "connected":
            return "connected"
        return "new" if dtls is None and ice == "new" else "connecting"

    # ending

    def _shut(self) -> bool:
        """Say goodbye and release everything; waits for nobody. False when it was closed before."""
        if self.state == "closed":
            self._release()
            return False
        self._data.close()
        if self._dtls is not None:
            self._dtls.close()
            self._flush_dtls()
        self.state = "closed"
        self._release()
        logger.info("transport %s closed", self._label)
        self.handlers.state_changed("closed")
        return True

    def _release(self) -> None:
        self._data.close()
        if self._dtls_timer is not None:
            self._dtls_timer.cancel()
            self._dtls_timer = None
        self._protect = self._unprotect = None
        self._early_dtls = []

    def _require_open(self) -> None:
        if self.state == "closed":
            raise LocalProtocolError(CLOSED, "transport")

    # the ways between the parts

    def _sent(self, protected: bytes | memoryview | None) -> bool:
        if protected is None or not self._transmit(protected):
            self._counts.packets_dropped += 1
            return False
        self._counts.packets_sent += 1
        self._counts.bytes_sent += len(protected)
        return True

    def _send_sctp(self, packet: bytes) -> None:
        if self._dtls is not None:
            self._dtls.send(packet)
            self._flush_dtls()

    def _data_received(self, stream_id: int, payload: str | bytes) -> None:
        self.handlers.data_received(stream_id, payload)
