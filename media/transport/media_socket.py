"""One UDP socket for every peer: reads in bounded batches, tells datagrams apart, finds whose they are.

The socket is raw and non-blocking with ``loop.add_reader``: a datagram is read into one buffer and decrypted
there, which asyncio's own datagram transports do not allow. It works alike on asyncio and uvloop.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from dataclasses import dataclass
from typing import Any

from media.clock import Clock
from media.errors import CLOSED, LIMIT_REACHED, LocalProtocolError, RemoteProtocolError
from media.limits import (
    ICE_CONSENT_TIMEOUT_MIN_S,
    ICE_CONSENT_TIMEOUT_S,
    MAX_DATAGRAM,
    MAX_DATAGRAMS_PER_WAKE,
    MAX_TRANSPORTS,
    SOCKET_BUFFER_BYTES,
)
from media.transport.certificate import DtlsCertificate
from media.transport.demux import DatagramKind, classify
from media.transport.ice import IceLiteAgent, new_ice_parameters
from media.transport.parameters import IceCandidate
from media.transport.peer import PeerTransport
from media.transport.secure import TransportHandlers
from media.transport.srtp import PacketBuffer
from media.transport.stun import Address, candidate_priority, parse

logger = logging.getLogger(__name__)

_TICK_S = 1.0
"""How often silent peers are looked for: a tenth of the shortest consent time."""


@dataclass(frozen=True, slots=True)
class MediaSocketConfig:
    """How the media port is opened.

    :param listen_ip: address to bind; ``0.0.0.0`` or ``::`` for all.
    :param port: UDP port; 0 lets the system choose.
    :param announced_addresses: IP addresses told to peers, best first; empty: the bound one, or the one that
        this machine's default route uses.
    :param consent_timeout_s: silence after which a peer is given up, 10 to 30 s.
    """

    listen_ip: str = "0.0.0.0"  # noqa: S104 - a media port is for every interface unless told otherwise
    port: int = 0
    announced_addresses: tuple[str, ...] = ()
    consent_timeout_s: float = ICE_CONSENT_TIMEOUT_S

    def __post_init__(self) -> None:
        if not ICE_CONSENT_TIMEOUT_MIN_S <= self.consent_timeout_s <= ICE_CONSENT_TIMEOUT_S:
            raise ValueError("consent_timeout_s must be 10 to 30")
        for address in (self.listen_ip, *self.announced_addresses):
            ipaddress.ip_address(address)


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
    """Owner of the socket, the peers' transports and their certificate. Made by `open`."""

    def __init__(self, udp: socket.socket, config: MediaSocketConfig, clock: Clock) -> None:
        self.counters = SocketCounters()
        self.port: int = udp.getsockname()[1]
        self._udp = udp
        self._config = config
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._incoming = PacketBuffer()
        self._outgoing = PacketBuffer()
        self._certificate = DtlsCertificate(clock.wall())
        self._candidates = _candidates(announced_addresses(config), self.port)
        self._transports: dict[str, PeerTransport] = {}
        self._by_ufrag: dict[str, PeerTransport] = {}
        self._by_address: dict[Address, PeerTransport] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop.add_reader(udp, self._readable)

    @classmethod
    async def open(cls, config: MediaSocketConfig, clock: Clock) -> MediaSocket:
        """Bind and begin to read; raises OSError when the address or port cannot be had."""
        udp = bind_udp(config.listen_ip, config.port)
        media_socket = cls(udp, config, clock)
        logger.info("media socket open on UDP port %d", media_socket.port)
        return media_socket

    @property
    def transports(self) -> int:
        """How many transports are open."""
        return len(self._transports)

    def create_transport(self, handlers: TransportHandlers | None = None) -> PeerTransport:
        """A transport for one more peer, waiting for its checks.

        :raises LocalProtocolError: closed, or limit_reached.
        """
        if self._closed:
            raise LocalProtocolError(CLOSED, "media socket")
        if len(self._transports) >= MAX_TRANSPORTS:
            raise LocalProtocolError(LIMIT_REACHED, "transports")
        if self._certificate.is_stale(self._clock.wall()):
            self._certificate = DtlsCertificate(self._clock.wall())
        transport = PeerTransport(
            agent=IceLiteAgent(new_ice_parameters(ice_lite=True), self._config.consent_timeout_s),
            candidates=self._candidates,
            certificate=self._certificate,
            outgoing=self._outgoing,
            incoming=self._incoming,
            clock=self._clock,
            handlers=handlers,
            send=self._send,
            registered=self._register,
            released=self._release,
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
        self._loop.remove_reader(self._udp)
        self._udp.close()
        logger.info("media socket closed")

    # receiving

    def _readable(self) -> None:
        """Read what is there, up to the batch's bound; the loop calls again when more is left."""
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

    def _received(self, length: int, source: Address, now: float) -> None:
        kind = classify(self._incoming.view, length)
        if kind is DatagramKind.GARBAGE:
            self.counters.garbage += 1
        elif kind is DatagramKind.STUN:
            self._stun_received(bytes(self._incoming.view[:length]), source, now)
        else:
            transport = self._by_address.get(source)
            if transport is None:
                self.counters.unknown += 1
            else:
                transport.datagram_received(kind, length, now)

    def _stun_received(self, datagram: bytes, source: Address, now: float) -> None:
        try:
            message = parse(datagram)
        except RemoteProtocolError:
            self.counters.garbage += 1
            return
        transport = self._by_ufrag.get((message.username or "").partition(":")[0])
        if transport is None:
            self.counters.unknown += 1
            return
        known, ufrags = transport.addresses, transport.username_fragments
        transport.stun_received(message, source, now)
        if transport.id not in self._transports:
            return  # its owner closed it on hearing of the new state
        if transport.addresses != known or self._by_address.get(source) is not transport:
            self._map_addresses(transport, known)
        if transport.username_fragments != ufrags:
            self._by_ufrag = {u: t for u, t in self._by_ufrag.items() if t is not transport}
            self._register(transport)

    def _map_addresses(self, transport: PeerTransport, before: tuple[Address, ...]) -> None:
        """Follow a transport's addresses; the newest owner of an address has it."""
        for address in before:
            if self._by_address.get(address) is transport:
                del self._by_address[address]
        for address in transport.addresses:
            self._by_address[address] = transport

    # sending

    def _send(self, datagram: bytes | memoryview, address: Address) -> bool:
        try:
            self._udp.sendto(datagram, address)
        except (BlockingIOError, InterruptedError):
            self.counters.send_blocked += 1
            return False
        except OSError:
            self.counters.send_failed += 1
            return False
        return True

    # the table of transports

    def _register(self, transport: PeerTransport) -> None:
        for ufrag in transport.username_fragments:
            self._by_ufrag[ufrag] = transport

    def _release(self, transport: PeerTransport) -> None:
        """Forget a closed transport."""
        if self._transports.pop(transport.id, None) is None:
            return
        for ufrag in transport.username_fragments:
            self._by_ufrag.pop(ufrag, None)
        for address in transport.addresses:
            if self._by_address.get(address) is transport:
                del self._by_address[address]

    def _tick(self) -> None:
        """Once a second while there is a transport: let each see that time has passed."""
        self._timer = None
        now = self._clock.monotonic()
        for transport in list(self._transports.values()):
            transport.tick(now)
        if self._transports and not self._closed:
            self._timer = self._loop.call_later(_TICK_S, self._tick)


def bind_udp(ip: str, port: int) -> socket.socket:
    """A non-blocking UDP socket with large kernel buffers; raises OSError."""
    family = socket.AF_INET6 if ipaddress.ip_address(ip).version == 6 else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        udp.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        udp.bind((ip, port))
    except OSError:
        udp.close()
        raise
    return udp


def announced_addresses(config: MediaSocketConfig) -> tuple[str, ...]:
    """The addresses to tell peers: those configured, else the bound one, else the default route's."""
    if config.announced_addresses:
        return config.announced_addresses
    listen = ipaddress.ip_address(config.listen_ip)
    if not listen.is_unspecified:
        return (config.listen_ip,)
    return (_route_address(listen.version),)


def _route_address(version: int) -> str:
    """Our address towards the world. Connecting UDP sends nothing; it asks the routing table."""
    family: Any = socket.AF_INET if version == 4 else socket.AF_INET6
    beyond, loopback = ("192.0.2.1", "127.0.0.1") if version == 4 else ("2001:db8::1", "::1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((beyond, 9))
        except OSError:
            return loopback
        return str(probe.getsockname()[0])


def _candidates(addresses: tuple[str, ...], port: int) -> tuple[IceCandidate, ...]:
    """Host candidates, the first address with the highest priority."""
    return tuple(
        IceCandidate(str(index + 1), candidate_priority(126, 65535 - index), address, port)
        for index, address in enumerate(addresses)
    )
