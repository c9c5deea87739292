"""The media socket on the compiled plane: its thread reads and sends media, Python does all the rest.

Checks, handshakes, RTCP and what leaves by TCP come up through the engine's buffer. Everything above sees the
same `MediaSocket` and `PeerTransport` as on the Python plane.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from media import _native, native
from media.limits import ENGINE_PEERS, ENGINE_UP_BYTES, MAX_DATAGRAMS_PER_WAKE
from media.transport.demux import DatagramKind
from media.transport.media_socket import MediaSocket, SocketCounters
from media.transport.parameters import IceParameters
from media.transport.peer import PeerTransport
from media.transport.secure import TransportCounters
from media.transport.srtp import SrtpKeys, new_session
from media.transport.stun import PeerAddress, StunMessage

if TYPE_CHECKING:
    from media._native import Engine, EnginePeer, Rule, RulePeer

_UDP_ADDRESS = 2
"""Parts of a UDP address; a TCP connection's has a third."""

Way = tuple[int, str, int]

_NO_CONSENT = ("", "", False)
"""Our ufrag and password, whether the pair is nominated: every check comes up."""


class Receiver(Protocol):
    """Whom the engine tells: a transport, or a tap."""

    def came_up(self, kind: int, packet: bytes, now: float) -> None: ...


class NativePeerTransport(PeerTransport):
    """A peer whose media the engine moves; made by `NativeMediaSocket`."""

    def __init__(self, engine: Engine, **parts: Any) -> None:
        super().__init__(**parts)
        self._link: EnginePeer | None = engine.peer(self)
        self._told_way: Way = (_native.WAY_NONE, "", 0)
        self._told_consent = _NO_CONSENT
        self._carried = TransportCounters()  # by the engine, once it is no longer linked

    def attach(self, peer: RulePeer) -> None:
        """Its packets are the rule's from now on, until it is closed."""
        if self._link is not None:
            self._link.attach(peer)

    @property
    def counters(self) -> TransportCounters:
        carried = self._carried if self._link is None else TransportCounters(*self._link.counters)
        own = self._counts
        return TransportCounters(
            own.packets_received + carried.packets_received,
            own.bytes_received + carried.bytes_received,
            own.packets_sent + carried.packets_sent,
            own.bytes_sent + carried.bytes_sent,
            own.packets_refused + carried.packets_refused,
            own.packets_dropped + carried.packets_dropped,
        )

    # what the engine tells

    def came_up(self, kind: int, packet: bytes, now: float) -> None:
        """One thing that the engine leaves to Python."""
        if kind == _native.UP_DTLS:
            self._receive_dtls(packet, now)
        elif kind == _native.UP_RTCP:
            self.handlers.rtcp_received(packet, now)
        elif kind == _native.UP_RTP:
            self.handlers.rtp_received(bytearray(packet), now)
        elif kind == _native.UP_OUT:
            self.send_rtp(packet)
        elif kind == _native.UP_CONTROL:
            self.send_rtcp(packet)

    def datagram_received(self, kind: DatagramKind, length: int, now: float) -> None:
        """What came by TCP."""
        if kind is DatagramKind.DTLS or self._link is None:
            super().datagram_received(kind, length, now)
        else:
            self._link.receive(self._incoming.view[:length])

    # what the engine is told

    def follow(self, address: PeerAddress) -> None:
        """What comes from there is this peer's."""
        if self._link is not None and len(address) == _UDP_ADDRESS:
            self._link.add_address(*address)

    def unfollow(self, address: PeerAddress) -> None:
        """It is not any more."""
        if self._link is not None and len(address) == _UDP_ADDRESS:
            self._link.remove_address(*address)

    def tick(self, now: float) -> None:
        if self._link is not None:
            self._agent.heard_at_least(self._link.heard)
        super().tick(now)
        self._choose_way()
        self._tell_consent()

    def stun_received(self, message: StunMessage, source: PeerAddress, now: float) -> None:
        super().stun_received(message, source, now)
        self._tell_consent()

    def restart_ice(self) -> IceParameters:
        parameters = super().restart_ice()
        self._tell_consent()
        return parameters

    def _tell_consent(self) -> None:
        """Checks that change nothing are answered by the engine: most of those of a connected peer."""
        agent = self._agent
        consent, told = agent.consent, _NO_CONSENT
        if consent is not None:
            told = (consent.username_fragment, consent.password, agent.nominated)
        if told != self._told_consent and self._link is not None:
            self._told_consent = told
            self._link.set_consent(*told)

    def _choose_way(self) -> None:
        """Media leaves from the engine, or through us: by TCP, and to a receiver with numbers of its own."""
        address = self._agent.selected
        if address is None or self._agent.state == "failed":
            way: Way = (_native.WAY_NONE, "", 0)
        elif len(address) == _UDP_ADDRESS and self.renumber is None:
            way = (_native.WAY_UDP, *address)
        else:
            way = (_native.WAY_UP, "", 0)
        if way != self._told_way and self._link is not None:
            self._told_way = way
            self._link.set_way(*way)

    def _use_keys(self, keys: SrtpKeys) -> None:
        if self._link is None:
            return
        outbound = new_session(keys.profile, keys.local, True)
        inbound = new_session(keys.profile, keys.remote, False)
        addresses = native.context_address(outbound), native.context_address(inbound)
        self._link.set_keys(*addresses, (outbound, inbound))
        self._protect = self._link

    def _release(self) -> None:
        super()._release()
        if self._link is not None:
            self._carried = TransportCounters(*self._link.counters)
            self._link.close()
            self._link = None


class Tap:
    """Where packets of the rule go that no transport sends."""

    def __init__(self, engine: Engine, peer: RulePeer, take: Callable[[bytes, float], None]) -> None:
        self._take = take
        self._link = engine.peer(self)
        self._link.attach(peer)
        self._link.set_way(_native.WAY_UP)

    def came_up(self, kind: int, packet: bytes, now: float) -> None:
        """One packet."""
        self._take(packet, now)

    def close(self) -> None:
        """Idempotent; comes before the rule's peer is closed."""
        self._link.close()


class NativeMediaSocket(MediaSocket):
    """Made by `MediaSocket.open`.

    :ivar rule: the tables of every router whose transports are on this socket.
    :ivar on_news: called with the time when the rule has something to tell.
    """

    rule: Rule
    on_news: Callable[[float], None]
    _engine: Engine

    @property
    def plane(self) -> Literal["python", "native"]:
        return "native"

    @property
    def build(self) -> str:
        return native.build()

    @property
    def counters(self) -> SocketCounters:
        own, carried = self._counts, self._final
        if not self._closed:
            carried = self._engine.counters
        return SocketCounters(
            own.garbage + carried["garbage"],
            own.unknown + carried["unknown"],
            own.send_blocked + carried["send_blocked"],
            own.send_failed + carried["send_failed"],
        )

    @property
    def up_dropped(self) -> int:
        """What Python was too slow for."""
        return (self._final if self._closed else self._engine.counters)["up_dropped"]

    def tap(self, peer: RulePeer, take: Callable[[bytes, float], None]) -> Tap:
        """Packets that the rule sends to ``peer`` go to ``take`` with their monotonic time."""
        return Tap(self._engine, peer, take)

    def _start_reading(self) -> None:
        self._waiting: deque[tuple[int, Receiver | None, bytes, str, int, float]] = deque()
        self.rule = native.new_rule()
        self.on_news = _nobody
        self._engine = _native.Engine(self._udp.fileno(), self.rule, ENGINE_PEERS, ENGINE_UP_BYTES)
        self._final = self._engine.counters  # kept when it is closed
        self._loop.add_reader(self._engine.fileno(), self._readable)

    def _stop_reading(self) -> None:
        self._loop.remove_reader(self._engine.fileno())
        self._waiting.clear()
        self._final = self._engine.counters
        self._engine.close()

    def _new_transport(self, **parts: Any) -> PeerTransport:
        return NativePeerTransport(self._engine, **parts)

    def _readable(self) -> None:
        """Handle what came up, up to a bound; the rest in the loop's next turn."""
        if self._closed:
            return
        self.on_news(self._clock.monotonic())
        if not self._waiting:
            self._waiting.extend(self._engine.take())
        for _ in range(MAX_DATAGRAMS_PER_WAKE):
            if not self._waiting:
                return
            kind, receiver, packet, ip, port, now = self._waiting.popleft()
            if kind == _native.UP_STUN:
                self._stun_received(packet, (ip, port), now)
            elif kind == _native.UP_EARLY:
                self._incoming.view[: len(packet)] = packet
                self._received(len(packet), (ip, port), now)
            elif receiver is not None:
                receiver.came_up(kind, packet, now)
        # What is handled may have closed the socket, which empties what waits.
        if self._waiting:
            self._loop.call_soon(self._readable)

    def _map_addresses(self, transport: PeerTransport, before: tuple[PeerAddress, ...]) -> None:
        super()._map_addresses(transport, before)
        assert isinstance(transport, NativePeerTransport)  # we made it
        for address in before:
            if address not in transport.addresses:
                transport.unfollow(address)
        for address in transport.addresses:
            transport.follow(address)


def _nobody(now: float) -> None:
    """No router is on this socket yet."""
