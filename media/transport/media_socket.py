"""One UDP socket for every peer, and one TCP port beside it: tells datagrams apart, finds whose they are.

The socket is raw and non-blocking with ``loop.add_reader``: a datagram is read into one buffer and decrypted
there, which asyncio's own datagram transports do not allow. It works alike on asyncio and uvloop.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass
from typing import Any, Literal

from media.clock import Clock, SystemClock
from media.errors import CLOSED, LIMIT_REACHED, LocalProtocolError, RemoteProtocolError
from media.limits import (
    MAX_DATAGRAM,
    MAX_DATAGRAMS_PER_WAKE,
    MAX_TRANSPORTS,
)
from media.transport.addresses import tcp_candidates, udp_candidates
from media.transport.certificate import DtlsCertificate
from media.transport.demux import DatagramKind, classify
from media.transport.errors import NATIVE_UNAVAILABLE
from media.transport.ice import IceLiteAgent, new_ice_parameters
from media.transport.inbox import Inbox
from media.transport.media_config import MediaSocketConfig, announced_addresses, bind_sockets
from media.transport.outbox import Outbox
from media.transport.parameters import IceCandidate
from media.transport.peer import PeerTransport
from media.transport.secure import TransportHandlers
from media.transport.srtp import PacketBuffer
from media.transport.stun import PeerAddress, TcpAddress, parse
from media.transport.tcp_listener import TcpCounters, TcpListener

logger = logging.getLogger(__name__)

_TICK_S = 1.0
"""How often silent peers are looked for: a tenth of the shortest consent time."""


@dataclass(slots=True)
class SocketCounters:
    """What the socket did that belongs to no transport."""

    garbage: int = 0
    """Datagrams that are no STUN, DTLS or RTP, or are broken STUN."""
    unknown: int = 0
    """Well-formed datagrams of nobody: unknown credentials or address."""
    send_blocked: int = 0
    """Datagrams not sent because the kernel's buffer was full."""
    send_failed: int = 0
    """Datagrams the kernel refused, as when there is no route."""


class MediaSocket:
    """Owner of the sockets, the peers' transports and their certificate. Made by `open`."""

    def __init__(
        self, udp: socket.socket, tcp: socket.socket | None, config: MediaSocketConfig, clock: Clock
    ) -> None:
        self._counts = SocketCounters()
        self.port: int = udp.getsockname()[1]
        self._udp = udp
        self._config = config
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._incoming = PacketBuffer()
        self._outgoing = PacketBuffer()
        self._inbox: Inbox | None = None
        self._outbox: Outbox | None = None
        self._certificate = DtlsCertificate(clock.wall())
        self._tcp = TcpListener(tcp, clock, self._tcp_received, self._tcp_lost) if tcp else None
        self._candidates = self._announced_candidates()
        self._transports: dict[str, PeerTransport] = {}
        self._by_ufrag: dict[str, PeerTransport] = {}
        self._by_address: dict[PeerAddress, PeerTransport] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._start_reading()
        if self._tcp is not None:
            self._timer = self._loop.call_later(_TICK_S, self._tick)

    @classmethod
    async def open(cls, config: MediaSocketConfig, clock: Clock) -> MediaSocket:
        """Bind and begin to read, on the plane that the configuration names.

        :raises OSError: the address or port cannot be had.
        :raises LocalProtocolError: native_unavailable, when ``native`` was asked for and cannot be.
        """
        made_by = cls if cls is not MediaSocket else _plane(config, clock)
        udp, tcp = bind_sockets(config)
        media_socket = made_by(udp, tcp, config, clock)
        tcp_port = media_socket.tcp_port or "none"
        logger.info(
            "media socket open on UDP port %d, TCP port %s, %s plane %s",
            *(media_socket.port, tcp_port, media_socket.plane, media_socket.build),
        )
        return media_socket

    @property
    def plane(self) -> Literal["python", "native"]:
        """What moves the packets."""
        return "python"

    @property
    def build(self) -> str:
        """Which build of the compiled module that is; empty on the Python plane."""
        return ""

    @property
    def counters(self) -> SocketCounters:
        """What the socket did that belongs to no transport."""
        return self._counts

    @property
    def tcp_port(self) -> int:
        """The TCP port, 0 without one."""
        return self._tcp.port if self._tcp else 0

    @property
    def tcp_counters(self) -> TcpCounters:
        """What the TCP port did; all zero without one."""
        return self._tcp.counters if self._tcp else TcpCounters()

    @property
    def tcp_connections(self) -> int:
        """How many TCP connections are open."""
        return self._tcp.connections if self._tcp else 0

    @property
    def candidates(self) -> tuple[IceCandidate, ...]:
        """What every peer is told, best first."""
        return self._candidates

    @property
    def transports(self) -> int:
        """How many transports are open."""
        return len(self._transports)

    def create_transport(
        self,
        handlers: TransportHandlers | None = None,
        candidates: tuple[IceCandidate, ...] | None = None,
    ) -> PeerTransport:
        """A transport for one more peer, waiting for its checks.

        :param candidates: what this peer is told, some of `candidates`; None for all.
        :raises LocalProtocolError: closed, or limit_reached.
        """
        if self._closed:
            raise LocalProtocolError(CLOSED, "media socket")
        if len(self._transports) >= MAX_TRANSPORTS:
            raise LocalProtocolError(LIMIT_REACHED, "transports")
        if self._certificate.is_stale(self._clock.wall()):
            self._certificate = DtlsCertificate(self._clock.wall())
        transport = self._new_transport(
            agent=IceLiteAgent(new_ice_parameters(ice_lite=True), self._config.consent_timeout_s),
            candidates=self._candidates if candidates is None else candidates,
            certificate=self._certificate,
            outgoing=self._outgoing,
            incoming=self._incoming,
            clock=self._clock,
            handlers=handlers,
            send=self._send,
            registered=self._credentials_changed,
            released=self._release,
            outbox=self._outbox,
        )
        self._transports[transport.id] = transport
        self._register(transport)
        if self._timer is None:
            self._timer = self._loop.call_later(_TICK_S, self._tick)
        return transport

    async def close(self) -> None:
        """Close every transport, then the socket; idempotent."""
        if self._closed:
            return
        self._closed = True
        for transport in list(self._transports.values()):
            await transport.close()
        if self._timer is not None:
            self._timer.cancel()
        self._stop_reading()
        self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        logger.info("media socket closed")

    # receiving

    def _start_reading(self) -> None:
        self._inbox = Inbox.open(self._udp)
        self._outbox = Outbox.open(self._udp, self._counts, self._loop.call_soon)
        self._loop.add_reader(self._udp, self._readable)

    def _stop_reading(self) -> None:
        if self._outbox is not None:
            self._outbox.close()
        self._loop.remove_reader(self._udp)

    def _readable(self) -> None:
        """Read what is there, up to the batch's bound; the loop calls again when more is left."""
        inbox, outbox = self._inbox, self._outbox
        if inbox is None or outbox is None:
            self._read_one_by_one()
            return
        outbox.held = True
        try:
            self._read(inbox)
        finally:
            outbox.held = False
            outbox.flush()

    def _read(self, inbox: Inbox) -> None:
        now = self._clock.monotonic()
        incoming = self._incoming
        for slot in range(inbox.read()):
            incoming.memory, incoming.view = inbox.pointers[slot], inbox.views[slot]
            self._received(inbox.length(slot), inbox.source(slot), now)
            if self._closed:
                return

    def _read_one_by_one(self) -> None:
        now = self._clock.monotonic()
        view = self._incoming.view[:MAX_DATAGRAM]
        for _ in range(MAX_DATAGRAMS_PER_WAKE):
            try:
                length, source = self._udp.recvfrom_into(view)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # An ICMP error about an earlier datagram; the peer's consent tells whether it is gone.
                continue
            self._received(length, source[:2], now)
            if self._closed:
                return

    def _received(self, length: int, source: PeerAddress, now: float) -> bool:
        """Give the datagram in the incoming buffer to whom it belongs; False when it is of no use."""
        kind = classify(self._incoming.view, length)
        if kind is DatagramKind.GARBAGE:
            self._counts.garbage += 1
            return False
        if kind is DatagramKind.STUN:
            return self._stun_received(bytes(self._incoming.view[:length]), source, now)
        transport = self._by_address.get(source)
        if transport is None:
            self._counts.unknown += 1
            return False
        transport.datagram_received(kind, length, now)
        return True

    def _stun_received(self, datagram: bytes, source: PeerAddress, now: float) -> bool:
        try:
            message = parse(datagram)
        except RemoteProtocolError:
            self._counts.garbage += 1
            return False
        transport = self._by_ufrag.get((message.username or "").partition(":")[0])
        if transport is None:
            self._counts.unknown += 1
            return False
        known, ufrags = transport.addresses, transport.username_fragments
        transport.stun_received(message, source, now)
        if transport.id not in self._transports:
            return True  # its owner closed it on hearing of the new state
        if transport.addresses != known or self._by_address.get(source) is not transport:
            self._map_addresses(transport, known)
        if transport.username_fragments != ufrags:
            self._credentials_changed(transport)
        return True

    def _map_addresses(self, transport: PeerTransport, before: tuple[PeerAddress, ...]) -> None:
        """Follow a transport's addresses; the newest owner of an address has it."""
        now = transport.addresses
        for address in before:
            if self._by_address.get(address) is transport:
                del self._by_address[address]
                if len(address) == 3 and address not in now and self._tcp is not None:
                    self._tcp.release(address)
        for address in now:
            self._by_address[address] = transport
            if len(address) == 3 and self._tcp is not None:
                self._tcp.prove(address)

    def _tcp_received(self, datagram: bytes, source: TcpAddress, now: float) -> bool:
        length = len(datagram)
        self._incoming.view[:length] = datagram
        return self._received(length, source, now)

    def _tcp_lost(self, address: TcpAddress) -> None:
        transport = self._by_address.pop(address, None)
        if transport is not None:
            transport.address_lost(address)

    # sending

    def _send(self, datagram: bytes | memoryview, address: PeerAddress) -> bool:
        if len(address) == 3:
            return self._tcp is not None and self._tcp.send(datagram, address)
        try:
            self._udp.sendto(datagram, address)
        except (BlockingIOError, InterruptedError):
            self._counts.send_blocked += 1
            return False
        except OSError:
            self._counts.send_failed += 1
            return False
        return True

    def _announced_candidates(self) -> tuple[IceCandidate, ...]:
        addresses = announced_addresses(self._config)
        udp = udp_candidates(addresses, self.port) if self._config.udp_announce else ()
        return udp + (tcp_candidates(addresses, self._tcp.port) if self._tcp else ())

    # the table of transports

    def _new_transport(self, **parts: Any) -> PeerTransport:
        """The parts are those of `PeerTransport`."""
        return PeerTransport(**parts)

    def _register(self, transport: PeerTransport) -> None:
        for ufrag in transport.username_fragments:
            self._by_ufrag[ufrag] = transport

    def _credentials_changed(self, transport: PeerTransport) -> None:
        self._by_ufrag = {u: t for u, t in self._by_ufrag.items() if t is not transport}
        self._register(transport)

    def _release(self, transport: PeerTransport) -> None:
        """Forget a closed transport."""
        if self._transports.pop(transport.id, None) is None:
            return
        for ufrag in transport.username_fragments:
            self._by_ufrag.pop(ufrag, None)
        for address in transport.addresses:
            if self._by_address.get(address) is transport:
                del self._by_address[address]
                if len(address) == 3 and self._tcp is not None:
                    self._tcp.release(address)

    def _tick(self) -> None:
        """Once a second while there is a transport or a port for strangers: let each see that time passed."""
        self._timer = None
        now = self._clock.monotonic()
        for transport in list(self._transports.values()):
            transport.tick(now)
        if self._tcp is not None:
            self._tcp.sweep(now)
        if (self._transports or self._tcp) and not self._closed:
            self._timer = self._loop.call_later(_TICK_S, self._tick)


def _plane(config: MediaSocketConfig, clock: Clock) -> type[MediaSocket]:
    """The compiled plane counts by the machine's own clock, so another clock means the Python plane."""
    if config.plane == "python":
        return MediaSocket
    # Only here: the compiled module's self-test needs the transport's SRTP.
    from media import native

    problem = native.problem()
    if problem is None and not isinstance(clock, SystemClock):
        problem = "the clock is not the machine's own"
    if problem is None:
        from media.transport.native_socket import NativeMediaSocket

        return NativeMediaSocket
    if config.plane == "native":
        raise LocalProtocolError(NATIVE_UNAVAILABLE, problem)
    logger.warning("the Python plane runs, the compiled one cannot be used: %s", problem)
    return MediaSocket
