"""One transport's side of the plane: its SSRCs coming in, its way out.

A router's `Tables` are all of one plane: the plain one here, or the compiled one of
`media.relay.native_tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from media.errors import RemoteProtocolError
from media.limits import RELAY_PACKET_BYTES
from media.relay.demux import Demultiplexer, Route
from media.relay.layer import Layer, PlainLayer
from media.relay.path import Path, PlainPath
from media.relay.reports import make_reports
from media.relay.subscription import Outlet, PlainSubscription, Subscription
from media.relay.tap import PacketSink, PlainTapOutlet
from media.relay.upstream import PlainUpstream, Upstream
from media.relay.wire import Wire
from media.rtp.packet import parse_header

if TYPE_CHECKING:
    from media.relay.producer import Producer


class Lane(Protocol):
    """Made by `Tables.lane`, one for each transport."""

    @property
    def upstream(self) -> Upstream:
        """What the publisher is told of its uplink."""

    @property
    def path(self) -> Path:
        """The way out."""

    @property
    def malformed(self) -> int:
        """Packets that could not be read."""

    @property
    def unrouted(self) -> int:
        """Packets that belong to no track."""

    def layers(self, producer: Producer, asks_again: bool) -> list[Layer]:
        """A producer's layers, by its encodings; asked for once, while it is made."""

    def add(self, producer: Producer) -> None:
        """:raises RemoteProtocolError: ``duplicate_ssrc``; then nothing was added."""

    def remove(self, producer: Producer) -> None: ...
    def pause_changed(self, producer: Producer) -> None: ...
    def hear_levels(self) -> None:
        """It is about to be judged who speaks: tell of all levels that came."""

    def route(self, ssrc: int) -> Route | None:
        """Whose packets have this SSRC."""

    def received(self, packet: bytearray, now: float) -> None:
        """Take one packet of the peer; what cannot be read or routed is counted and dropped.

        The compiled plane's packets do not come this way, but for those of TCP.
        """

    def rtcp_received(self, packet: bytes, now: float) -> bool:
        """Whether the plane took it: transport-wide feedback alone, of which `Path.hearing` then tells, or
        reports alone, of which layers and subscriptions do.
        """

    def report(
        self,
        producers: Iterable[Producer],
        subscriptions: Iterable[Subscription],
        connected: bool,
        now: float,
        wall: float,
    ) -> Sequence[bytes]:
        """Once in a report interval: RTCP packets for publisher and receiver that are still to be sent.

        :param producers: those that come by it.
        :param subscriptions: those that leave by it.
        :param connected: whether anything can be sent.
        """

    def close(self) -> None:
        """Everything on it is closed. Idempotent."""


class Tables(Protocol):
    """A plane, as a router uses it."""

    def lane(
        self, wire: Wire, wake: Callable[[float], None], heard: Callable[[], None], local_ssrc: int
    ) -> Lane:
        """One transport's.

        :param wake: is told when something of it is due earlier than thought.
        :param heard: is called when the plane took feedback that is to be looked at (`Path.hearing`).
        :param local_ssrc: whose words the publisher is told.
        """

    def tap(self, sink: PacketSink) -> Outlet:
        """Where a tap's packets go."""


class PlainLane:
    """The plain plane's."""

    def __init__(
        self,
        send_rtp: Callable[[bytes | bytearray], bool],
        wake: Callable[[float], None],
        local_ssrc: int,
    ) -> None:
        self.upstream = PlainUpstream(local_ssrc)
        self.path = PlainPath(send_rtp, wake)
        self.malformed = 0
        self.unrouted = 0
        self._local_ssrc = local_ssrc
        self._demux = Demultiplexer()
        self._wake = wake

    def layers(self, producer: Producer, asks_again: bool) -> list[Layer]:
        rate, keyed = producer.codec.clock_rate, producer.kind == "video"
        return [
            PlainLayer(index, e.rid, e.ssrc, e.rtx_ssrc, rate, asks_again, keyed)
            for index, e in enumerate(producer.parameters.encodings)
        ]

    def add(self, producer: Producer) -> None:
        self._demux.add(producer)

    def remove(self, producer: Producer) -> None:
        self._demux.remove(producer)

    def pause_changed(self, producer: Producer) -> None:
        """`Producer.receive` looks for itself."""

    def hear_levels(self) -> None:
        """Each was told as it came."""

    def route(self, ssrc: int) -> Route | None:
        return self._demux.get(ssrc)

    def received(self, packet: bytearray, now: float) -> None:
        try:
            self._receive(packet, now)
        except RemoteProtocolError:
            self.malformed += 1

    def _receive(self, packet: bytearray, now: float) -> None:
        if len(packet) > RELAY_PACKET_BYTES:
            self.malformed += 1
            return
        header = parse_header(packet)
        upstream = self.upstream
        if upstream.extension_id and upstream.received(packet, header, now):
            self._wake(upstream.due)
        route = self._demux.get(header.ssrc)
        if route is None:
            route = self._demux.learn(packet, header, now)
            if route is None:
                self.unrouted += 1
                return
            route.producer.wake()
        route.producer.receive(route.layer, route.is_rtx, packet, header, now)

    def rtcp_received(self, packet: bytes, now: float) -> bool:
        return False

    def report(
        self,
        producers: Iterable[Producer],
        subscriptions: Iterable[Subscription],
        connected: bool,
        now: float,
        wall: float,
    ) -> Sequence[bytes]:
        layers = (la for one in producers for la in one.layers if isinstance(la, PlainLayer))
        leaving = (one for one in subscriptions if isinstance(one, PlainSubscription))
        return make_reports(self._local_ssrc, layers, leaving, connected, now, wall)

    def close(self) -> None:
        """Nothing is held outside of it."""


class PlainTables:
    """The plain plane: correct everywhere, and the reference of every other."""

    def lane(
        self, wire: Wire, wake: Callable[[float], None], heard: Callable[[], None], local_ssrc: int
    ) -> Lane:
        return PlainLane(wire.send_rtp, wake, local_ssrc)

    def tap(self, sink: PacketSink) -> Outlet:
        return PlainTapOutlet(sink)
