"""The client's end: sockets of its own and the controlling side of ICE; the sdk is built on it.

UDP is tried first and TCP half a second later, so that a network which passes no UDP costs half a second.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from media.clock import Clock
from media.errors import RemoteProtocolError
from media.limits import MAX_DATAGRAM, MAX_DATAGRAMS_PER_WAKE
from media.transport.addresses import bind_udp, ip_family
from media.transport.certificate import DtlsCertificate
from media.transport.demux import DatagramKind, classify
from media.transport.errors import ICE_PARAMETERS_INVALID, TRANSPORT_FAILED
from media.transport.framed_stream import FramedStream
from media.transport.ice import IceState, new_ice_parameters
from media.transport.ice_controlling import IceControllingAgent
from media.transport.parameters import DtlsParameters, IceCandidate, IceParameters
from media.transport.secure import SecureTransport, TransportHandlers
from media.transport.srtp import PacketBuffer
from media.transport.stun import PeerAddress, TcpAddress, parse

_RECONNECT_S = 0.2
"""Before a lost TCP connection is made again: a server that closes at once must not be hammered."""


class ClientTransport(SecureTransport):
    """One transport to a server. Must be made on a running event loop.

    `dtls_parameters` tells the server our role and fingerprint, and may be sent before `connect`.

    :param role: our DTLS role; the client sends the first flight.
    :param certificate: ours; a new one is made when None. Several transports may share one.
    :param protocols: of the server's candidates to try, ``udp`` and ``tcp``.
    """

    def __init__(
        self,
        clock: Clock,
        handlers: TransportHandlers | None = None,
        role: Literal["client", "server"] = "client",
        certificate: DtlsCertificate | None = None,
        protocols: Sequence[str] = ("udp", "tcp"),
    ) -> None:
        certificate = certificate or DtlsCertificate(clock.wall())
        super().__init__(certificate, PacketBuffer(), PacketBuffer(), clock, handlers)
        self.ice_parameters = new_ice_parameters(ice_lite=False)
        self.dtls_parameters = replace(self.dtls_parameters, role=role)
        self._role = role
        self._protocols = tuple(protocols)
        self._udp: socket.socket | None = None
        self._streams: dict[TcpAddress, FramedStream] = {}
        self._agent: IceControllingAgent | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()

    async def connect(
        self, ice: IceParameters, candidates: Sequence[IceCandidate], dtls: DtlsParameters
    ) -> None:
        """Reach the server and complete the handshake.

        :raises RemoteProtocolError: ice_parameters_invalid (no candidate we can use), transport_connected,
            transport_failed (nobody answered, or DTLS failed).
        """
        addresses = _usable(candidates, self._protocols)
        self._require_open()
        if self._udp is None and len(addresses[0]) == 2:
            any_ip = "0.0.0.0" if ipaddress.ip_address(addresses[0][0]).version == 4 else "::"  # noqa: S104
            self._udp = bind_udp(any_ip, 0)
            self._loop.add_reader(self._udp, self._readable)
        now = self._clock.monotonic()
        self._agent = self._agent or IceControllingAgent(self.ice_parameters, ice, addresses, now)
        self._start_dtls(dtls, is_client=self._role == "client")
        self._drive()
        await self._settle()

    async def restart_ice(self, ice: IceParameters) -> None:
        """Check the server anew with its new credentials, from a new local port, and wait for the outcome."""
        self._require_open()
        if self._agent is None:
            raise RemoteProtocolError(TRANSPORT_FAILED, "never connected")
        self.change_network()
        self._agent.restart(ice, self._clock.monotonic())
        self._update_state()
        self._drive()
        await self._settle()

    def change_network(self) -> None:
        """Go on from another local port, as a phone does that moves from Wi-Fi to the mobile network."""
        if self._udp is not None:
            any_ip = self._udp.getsockname()[0]
            self._loop.remove_reader(self._udp)
            self._udp.close()
            self._udp = bind_udp(any_ip, 0)
            self._loop.add_reader(self._udp, self._readable)
        self._close_streams()
        if self._agent is not None:
            self._agent.check_now(self._clock.monotonic())
            self._drive()

    async def close(self) -> None:
        """Close; idempotent, and waits for nobody."""
        self._shut()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._udp is not None:
            self._loop.remove_reader(self._udp)
            self._udp.close()
            self._udp = None
        self._close_streams(after_sending=True)
        self._settled.set()

    async def _settle(self) -> None:
        while self.state not in ("connected", "failed", "closed"):
            self._settled.clear()
            await self._settled.wait()
        if self.state != "connected":
            raise RemoteProtocolError(TRANSPORT_FAILED, self.failure or self.state)

    def _update_state(self) -> None:
        super()._update_state()
        self._settled.set()

    @property
    def _ice_state(self) -> IceState:
        return "new" if self._agent is None else self._agent.state

    @property
    def _label(self) -> str:
        return self.ice_parameters.username_fragment

    def _readable(self) -> None:
        now = self._clock.monotonic()
        view = self._incoming.view[:MAX_DATAGRAM]
        for _ in range(MAX_DATAGRAMS_PER_WAKE):
            if self._udp is None:
                return
            try:
                length, source = self._udp.recvfrom_into(view)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error about an earlier datagram
            self._received(length, source[:2], now)

    def _received(self, length: int, source: PeerAddress, now: float) -> None:
        agent = self._agent
        kind = classify(self._incoming.view, length)
        if agent is None or kind is DatagramKind.GARBAGE:
            return
        if kind is not DatagramKind.STUN:
            self.datagram_received(kind, length, now)
            return
        try:
            message = parse(bytes(self._incoming.view[:length]))
        except RemoteProtocolError:
            return
        agent.receive(message, source, now)
        self._drive()

    def _drive(self) -> None:
        """Send the checks that are due and sleep until the next."""
        agent = self._agent
        if agent is None or self.state == "closed":
            return
        now = self._clock.monotonic()
        agent.tick(now)
        self._check_deadline(now)
        for datagram, address in agent.datagrams_to_send(now):
            self._send_to(datagram, address, reopen=True)
        self._ice_changed()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = agent.next_timer()
        if due is not None and self.state in ("connecting", "connected"):
            self._timer = self._loop.call_later(max(0.0, due - now), self._drive)

    def _transmit(self, datagram: bytes | memoryview) -> bool:
        address = self._agent.selected if self._agent else None
        return address is not None and self._send_to(datagram, address)

    def _send_to(self, datagram: bytes | memoryview, address: PeerAddress, reopen: bool = False) -> bool:
        """Send; over TCP only a check (``reopen``) makes a connection."""
        if len(address) == 3:
            stream = self._open_stream(address) if reopen else self._streams.get(address)
            return stream is not None and stream.send(datagram)
        if self._udp is None:
            return False
        try:
            self._udp.sendto(datagram, address)
        except OSError:
            return False  # the buffer is full or there is no route; counted by the caller
        return True

    # TCP

    def _open_stream(self, address: TcpAddress) -> FramedStream | None:
        """The connection to this candidate, begun now when there is none."""
        if address in self._streams:
            return self._streams[address]
        stream = socket.socket(ip_family(address[0]), socket.SOCK_STREAM)
        stream.setblocking(False)
        stream.connect_ex(address[:2])
        framed = FramedStream(
            stream,
            self._loop,
            lambda datagram: self._frame_received(datagram, address),
            lambda: self._stream_lost(address),
            connecting=True,
        )
        self._streams[address] = framed
        return framed

    def _frame_received(self, datagram: bytes, address: TcpAddress) -> None:
        self._incoming.view[: len(datagram)] = datagram
        self._received(len(datagram), address, self._clock.monotonic())

    def _stream_lost(self, address: TcpAddress) -> None:
        self._streams.pop(address, None)
        if self._agent is not None and self._agent.selected == address:
            self._agent.check_now(self._clock.monotonic() + _RECONNECT_S)
            self._drive()

    def _close_streams(self, after_sending: bool = False) -> None:
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            if after_sending:
                stream.close_when_sent()
            else:
                stream.close()


def _usable(candidates: Sequence[IceCandidate], protocols: Sequence[str]) -> list[PeerAddress]:
    """UDP candidates of the family of the best one, best first, then passive TCP ones."""
    known = sorted((c for c in candidates if c.protocol in protocols), key=lambda c: -c.priority)
    try:
        families = {c.ip: ipaddress.ip_address(c.ip).version for c in known}
    except ValueError:
        raise RemoteProtocolError(ICE_PARAMETERS_INVALID, "candidate address is no IP address") from None
    udp = [c for c in known if c.protocol == "udp"]
    tcp = [c for c in known if c.protocol == "tcp" and c.tcp_type == "passive"]
    if not udp and not tcp:
        raise RemoteProtocolError(ICE_PARAMETERS_INVALID, "no candidate that can be used")
    return [
        *((c.ip, c.port) for c in udp if families[c.ip] == families[udp[0].ip]),
        *((c.ip, c.port, 0) for c in tcp),
    ]
