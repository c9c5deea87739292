"""The client's end: a socket of its own and the controlling side of ICE; the sdk is built on it."""

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
from media.transport.certificate import DtlsCertificate
from media.transport.demux import DatagramKind, classify
from media.transport.errors import ICE_PARAMETERS_INVALID, TRANSPORT_FAILED
from media.transport.ice import IceState, new_ice_parameters
from media.transport.ice_controlling import IceControllingAgent
from media.transport.media_socket import bind_udp
from media.transport.parameters import DtlsParameters, IceCandidate, IceParameters
from media.transport.secure import SecureTransport, TransportHandlers
from media.transport.srtp import PacketBuffer
from media.transport.stun import Address, parse


class ClientTransport(SecureTransport):
    """One transport to a server. Must be made on a running event loop.

    `dtls_parameters` tells the server our role and fingerprint, and may be sent before `connect`.

    :param role: our DTLS role; the client sends the first flight.
    :param certificate: ours; a new one is made when None. Several transports may share one.
    """

    def __init__(
        self,
        clock: Clock,
        handlers: TransportHandlers | None = None,
        role: Literal["client", "server"] = "client",
        certificate: DtlsCertificate | None = None,
    ) -> None:
        certificate = certificate or DtlsCertificate(clock.wall())
        super().__init__(certificate, PacketBuffer(), PacketBuffer(), clock, handlers)
        self.ice_parameters = new_ice_parameters(ice_lite=False)
        self.dtls_parameters = replace(self.dtls_parameters, role=role)
        self._role = role
        self._udp: socket.socket | None = None
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
        addresses = _usable(candidates)
        any_ip = "0.0.0.0" if ipaddress.ip_address(addresses[0][0]).version == 4 else "::"  # noqa: S104
        self._require_open()
        if self._udp is None:
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
        if self._agent is None or self._udp is None:
            raise RemoteProtocolError(TRANSPORT_FAILED, "never connected")
        self.change_network()
        self._agent.restart(ice, self._clock.monotonic())
        self._update_state()
        self._drive()
        await self._settle()

    def change_network(self) -> None:
        """Go on from another local port, as a phone does that moves from Wi-Fi to the mobile network."""
        if self._udp is None:
            return
        any_ip = self._udp.getsockname()[0]
        self._loop.remove_reader(self._udp)
        self._udp.close()
        self._udp = bind_udp(any_ip, 0)
        self._loop.add_reader(self._udp, self._readable)
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

    def _received(self, length: int, source: Address, now: float) -> None:
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
            self._send_to(datagram, address)
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

    def _send_to(self, datagram: bytes | memoryview, address: Address) -> bool:
        if self._udp is None:
            return False
        try:
            self._udp.sendto(datagram, address)
        except OSError:
            return False  # the buffer is full or there is no route; counted by the caller
        return True


def _usable(candidates: Sequence[IceCandidate]) -> list[Address]:
    """UDP candidates of the family of the best one, best first."""
    udp = sorted((c for c in candidates if c.protocol == "udp"), key=lambda c: -c.priority)
    try:
        families = [ipaddress.ip_address(candidate.ip).version for candidate in udp]
    except ValueError:
        raise RemoteProtocolError(ICE_PARAMETERS_INVALID, "candidate address is no IP address") from None
    if not udp:
        raise RemoteProtocolError(ICE_PARAMETERS_INVALID, "no UDP candidate")
    return [
        (candidate.ip, candidate.port)
        for candidate, family in zip(udp, families, strict=True)
        if family == families[0]
    ]
