"""The part of a light participant's transport that needs no speed: ICE and DTLS, over the engine's socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from loadtest.traffic.engine import SrtpPair, TrafficEngine
from media.errors import RemoteProtocolError
from media.transport.certificate import DtlsCertificate
from media.transport.dtls import DtlsEndpoint
from media.transport.ice import new_ice_parameters
from media.transport.ice_controlling import IceControllingAgent
from media.transport.parameters import DtlsParameters, IceParameters
from media.transport.srtp import SRTP_PROFILES, SrtpProfile
from media.transport.stun import MessageType, StunMessage, build, parse, xor_mapped_address

CONNECT_S = 20.0


class NotConnectedError(Exception):
    """A transport did not come up."""


def certificate_for(profile: SrtpProfile | None) -> DtlsCertificate:
    """A certificate whose handshakes offer this SRTP profile alone (None: all); it may be shared."""
    certificate = DtlsCertificate(time.time())
    if profile is not None:
        certificate.context.set_tlsext_use_srtp(profile.openssl_name)
    return certificate


def profile_named(name: str) -> SrtpProfile:
    """One of media.transport's profiles by its name."""
    return next(profile for profile in SRTP_PROFILES if profile.name == name)


class Hub:
    """Brings the engine's STUN and DTLS datagrams to their transports; one for each engine and loop."""

    def __init__(self, engine: TrafficEngine) -> None:
        self.engine = engine
        self._loop = asyncio.get_running_loop()
        self._takers: dict[int, Callable[[bytes], None]] = {}
        self._loop.add_reader(engine.event_fd, self._readable)

    def add(self, taker: Callable[[bytes], None]) -> int:
        """A new transport of the engine, whose other end is not known yet; its number."""
        number = self.engine.add_transport("0.0.0.0", 0)  # noqa: S104 - no address to bind, but none at all
        self._takers[number] = taker
        return number

    def remove(self, number: int) -> None:
        if self._takers.pop(number, None) is not None:
            self.engine.remove_transport(number)

    def close(self) -> None:
        self._loop.remove_reader(self.engine.event_fd)

    def _readable(self) -> None:
        while (taken := self.engine.take()) is not None:
            taker = self._takers.get(taken[0])
            if taker is not None:
                taker(taken[1])


class LightTransport:
    """One ICE-controlling, DTLS-active transport to a lite server."""

    def __init__(self, hub: Hub, certificate: DtlsCertificate) -> None:
        self.ice_parameters = new_ice_parameters(ice_lite=False)
        self.fingerprint = certificate.fingerprint
        self.number = hub.add(self._received)
        self.profile = ""
        self._hub = hub
        self._remote: tuple[str, int] = ("", 0)
        self._certificate = certificate
        self._loop = asyncio.get_running_loop()
        self._agent: IceControllingAgent | None = None
        self._dtls: DtlsEndpoint | None = None
        self._started = False
        self._timer: asyncio.TimerHandle | None = None
        self._dtls_timer: asyncio.TimerHandle | None = None
        self._up: asyncio.Future[None] = self._loop.create_future()

    async def connect(
        self, remote: tuple[str, int], ice: IceParameters, dtls: DtlsParameters, number_id: int
    ) -> None:
        """Check, shake hands, give the engine its keys.

        :param remote: where the server's media socket is.
        :param number_id: extension id of the transport-wide numbers we shall tell of, 0 for none.
        :raises NotConnectedError: not within `CONNECT_S`, or DTLS failed.
        """
        self._remote = remote
        self._hub.engine.set_remote(self.number, *remote)
        self._dtls = DtlsEndpoint(self._certificate, True, dtls)
        self._agent = IceControllingAgent(self.ice_parameters, ice, [self._remote], time.monotonic())
        self._drive()
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._up
        except TimeoutError:
            state = f"ICE {self._agent.state}, DTLS {self._dtls.state}"
            raise NotConnectedError(f"no connection within {CONNECT_S:g} s: {state}") from None
        keys = self._dtls.srtp_keys
        assert keys is not None
        self.profile = keys.profile.name
        pair = SrtpPair(keys.profile.libsrtp_id, keys.local, keys.remote)
        self._hub.engine.set_keys(self.number, pair, number_id)

    def close(self) -> None:
        """Say goodbye; idempotent."""
        for timer in (self._timer, self._dtls_timer):
            if timer is not None:
                timer.cancel()
        if self._dtls is not None:
            self._dtls.close()
            for datagram in self._dtls.datagrams_to_send():
                self._hub.engine.send(self.number, datagram)
            self._dtls = None
        self._agent = None
        self._hub.remove(self.number)

    def _received(self, datagram: bytes) -> None:
        agent, dtls = self._agent, self._dtls
        if agent is None or dtls is None or not datagram:
            return
        if datagram[0] < 4:
            try:
                message = parse(datagram)
            except RemoteProtocolError:
                return
            if message.kind is MessageType.BINDING_REQUEST:
                self._answer(message)
                return
            agent.receive(message, self._remote, time.monotonic())
            self._drive()
        elif 20 <= datagram[0] <= 63:
            dtls.receive(datagram)
            self._flush(dtls)

    def _answer(self, request: StunMessage) -> None:
        """Of full ICE: a check of the other end's, which Janus makes even when it is lite."""
        if not request.has_integrity(self.ice_parameters.password):
            return
        mapped = xor_mapped_address(self._remote, request.transaction_id)
        kind, password = MessageType.BINDING_RESPONSE, self.ice_parameters.password
        self._hub.engine.send(self.number, build(kind, request.transaction_id, [mapped], password))

    def _drive(self) -> None:
        agent = self._agent
        if agent is None:
            return
        now = time.monotonic()
        agent.tick(now)
        for datagram, _ in agent.datagrams_to_send(now):
            self._hub.engine.send(self.number, datagram)
        if agent.state == "connected" and not self._started and self._dtls is not None:
            self._started = True
            self._dtls.start()
            self._flush(self._dtls)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = agent.next_timer()
        if due is not None:
            self._timer = self._loop.call_later(max(0.0, due - now), self._drive)

    def _flush(self, dtls: DtlsEndpoint) -> None:
        for datagram in dtls.datagrams_to_send():
            self._hub.engine.send(self.number, datagram)
        if self._dtls_timer is not None:
            self._dtls_timer.cancel()
            self._dtls_timer = None
        if dtls.state == "connected" and not self._up.done():
            self._up.set_result(None)
        elif dtls.state == "failed" and not self._up.done():
            self._up.set_exception(NotConnectedError(f"DTLS: {dtls.failure}"))
        delay = dtls.timeout()
        if delay is not None:
            self._dtls_timer = self._loop.call_later(delay, self._dtls_timed_out)

    def _dtls_timed_out(self) -> None:
        if self._dtls is not None:
            self._dtls.handle_timeout()
            self._flush(self._dtls)
