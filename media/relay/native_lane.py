"""What comes in by the compiled plane: a transport's SSRCs, its producers' tables, what Python decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from media.errors import RemoteProtocolError
from media.relay.demux import Demultiplexer, Route
from media.relay.layer import Layer
from media.relay.native_events import FEEDBACK_DUE, GAP, HEARD, HELD, KEY_CAME, KEY_WANTED, STUCK
from media.relay.native_layer import ClosedTable, NativeLayer
from media.relay.native_path import NativePath
from media.relay.native_upstream import NativeUpstream
from media.relay.subscription import Subscription
from media.relay.wire import Wire
from media.rtp.clocks import ntp_from_unix
from media.rtp.packet import parse_header

if TYPE_CHECKING:
    from media._native import RulePeer, RuleProducer
    from media.relay.native_tables import NativeTables
    from media.relay.producer import Producer


class _Track:
    """A producer's tables."""

    def __init__(self, lane: NativeLane, tables: NativeTables, producer: Producer, asks_again: bool) -> None:
        self._tables = tables
        self._producer = producer
        ingress = producer.ingress
        self.has_levels = ingress.level_id > 0
        count = len(producer.parameters.encodings)
        self._key = tables.register(self)
        reserved = [_LayerTold() for _ in range(count)]
        self._layer_keys = tuple(tables.register(told) for told in reserved)
        self.table: RuleProducer = tables.compiled.RuleProducer(
            peer=lane.peer,
            key=self._key,
            layer_keys=self._layer_keys,
            payload_types=ingress.payload_types,
            rtx_payload_types=ingress.rtx_payload_types,
            extension_ids=ingress.extension_ids,
            send_time_id=ingress.send_time_id,
            number_id=ingress.number_id,
            level_id=ingress.level_id,
            red_type=ingress.red_type,
            codec=ingress.codec,
            clock_rate=producer.codec.clock_rate,
            asks_again=asks_again,
        )
        self.table.set_paused(producer.paused)
        self.layers = [
            NativeLayer(producer, index, lane.peer, self.table, asks_again) for index in range(count)
        ]
        for told, layer in zip(reserved, self.layers, strict=True):
            told.layer = layer

    def told(self, kinds: int, now: float) -> None:
        self.hear_levels()

    def hear_levels(self) -> None:
        """What the microphone said since the last time."""
        levels = self.table.levels()
        if levels:
            self._producer.levels_heard(*levels)

    def close(self) -> None:
        self.hear_levels()
        last = ClosedTable(self.table, len(self.layers))
        for layer in self.layers:
            layer.close(last)
        self.table.close()
        for key in (self._key, *self._layer_keys):
            self._tables.forget(key)


class _LayerTold:
    layer: NativeLayer

    def told(self, kinds: int, now: float) -> None:
        layer = self.layer
        planned = layer.keyframes.due
        if kinds & KEY_CAME:
            layer.keyframes.satisfied()
        if kinds & KEY_WANTED and layer.keyed:
            layer.keyframes.want(now)
        if kinds & GAP:
            layer.producer.serve(layer, now)
        else:
            layer.producer.serve_wish(layer, planned, now)


class NativeLane:
    """See `media.relay.lane.Lane`."""

    def __init__(
        self,
        tables: NativeTables,
        wire: Wire,
        wake: Callable[[float], None],
        heard: Callable[[], None],
        local_ssrc: int,
    ) -> None:
        self._tables = tables
        self._wake = wake
        self._heard = heard
        self._key = tables.register(self)
        self.peer: RulePeer = tables.compiled.RulePeer(tables.rule, self._key)
        tables.carrier.attach(wire, self.peer)
        self.path = NativePath(tables, self.peer)
        self.upstream = NativeUpstream(self.peer, local_ssrc, tables.carrier.drains)
        self._demux = Demultiplexer()
        self._tracks: dict[str, _Track] = {}
        self._is_closed = False

    @property
    def malformed(self) -> int:
        return self.path.state[0]

    @property
    def unrouted(self) -> int:
        return self.path.state[1]

    def layers(self, producer: Producer, asks_again: bool) -> list[Layer]:
        track = self._tracks[producer.id] = _Track(self, self._tables, producer, asks_again)
        return list(track.layers)

    def add(self, producer: Producer) -> None:
        try:
            self._demux.add(producer)
        except RemoteProtocolError:
            self._tracks.pop(producer.id).close()
            raise
        for layer in producer.layers:
            for ssrc, is_rtx in ((layer.ssrc, False), (layer.rtx_ssrc, True)):
                if ssrc is not None:
                    layer.bind(ssrc, is_rtx)

    def remove(self, producer: Producer) -> None:
        self._demux.remove(producer)
        track = self._tracks.pop(producer.id, None)
        if track is not None:
            track.close()

    def pause_changed(self, producer: Producer) -> None:
        track = self._tracks[producer.id]
        track.hear_levels()
        track.table.set_paused(producer.paused)

    def hear_levels(self) -> None:
        for track in self._tracks.values():
            if track.has_levels:
                track.hear_levels()

    def route(self, ssrc: int) -> Route | None:
        return self._demux.get(ssrc)

    def received(self, packet: bytearray, now: float) -> None:
        if self._is_closed:
            return
        self._tables.starts(now)
        self.peer.receive(packet, now)
        self._tables.dispatch(now)

    def rtcp_received(self, packet: bytes, now: float) -> bool:
        if self._is_closed:
            return True
        taken = self.peer.hear(packet, now)
        self._tables.dispatch(now)
        return taken

    def report(
        self,
        producers: Iterable[Producer],
        subscriptions: Iterable[Subscription],
        connected: bool,
        now: float,
        wall: float,
    ) -> Sequence[bytes]:
        """All of it stands in the tables; where an engine runs, it sends them."""
        if self._is_closed:
            return ()
        packets = self.peer.report(connected, ntp_from_unix(wall), now)
        self._tables.dispatch(now)
        return packets

    def told(self, kinds: int, now: float) -> None:
        if kinds & STUCK:
            self._decide()
        if kinds & HEARD:
            self._heard()
        if kinds & FEEDBACK_DUE:
            self._wake(self.upstream.due)
        if kinds & HELD and not self._tables.carrier.drains:
            self._wake(self.path.due)

    def _decide(self) -> None:
        """Say whose the packets are that wait."""
        while (stuck := self.peer.stuck()) is not None:
            data, at, key = stuck
            malformed = False
            if key is not None:
                dead = self._tables.find(key)
                if isinstance(dead, _LayerTold):
                    self._tables.woke(dead.layer, at)
            else:
                malformed = not self._learn(bytearray(data), at)
            self.peer.resume(malformed)

    def _learn(self, data: bytearray, at: float) -> bool:
        try:
            route = self._demux.learn(data, parse_header(data), at)
        except RemoteProtocolError:
            return False
        if route is None:
            return True
        route.producer.wake()
        if not route.is_rtx and not route.layer.alive:
            assert isinstance(route.layer, NativeLayer)
            self._tables.woke(route.layer, at)
        return True

    def close(self) -> None:
        self._is_closed = True
        self._tables.forget(self._key)
        self.upstream.close()
        self.path.close()
