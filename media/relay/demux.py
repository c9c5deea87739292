"""Which producer and layer a packet belongs to: by SSRC, a new SSRC by mid and rid (RFC 8843 section 9.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from media.errors import RemoteProtocolError
from media.relay.errors import DUPLICATE_SSRC
from media.relay.layer import Layer
from media.rtp.packet import RtpHeader, iter_extensions

if TYPE_CHECKING:
    from media.relay.producer import Producer


class Route:
    """Where the packets of one SSRC go."""

    __slots__ = ("is_rtx", "layer", "producer")

    def __init__(self, producer: Producer, layer: Layer, is_rtx: bool) -> None:
        self.producer = producer
        self.layer = layer
        self.is_rtx = is_rtx


class Demultiplexer:
    """The SSRCs of one transport. It grows by two for each layer of a producer, and not otherwise."""

    def __init__(self) -> None:
        self._routes: dict[int, Route] = {}
        self._producers: list[Producer] = []

    def add(self, producer: Producer) -> None:
        """:raises RemoteProtocolError: ``duplicate_ssrc``; then nothing was added."""
        declared = [s for layer in producer.layers for s in (layer.ssrc, layer.rtx_ssrc) if s is not None]
        if any(ssrc in self._routes for ssrc in declared):
            raise RemoteProtocolError(DUPLICATE_SSRC)
        self._producers.append(producer)
        for layer in producer.layers:
            if layer.ssrc is not None:
                self._routes[layer.ssrc] = Route(producer, layer, False)
            if layer.rtx_ssrc is not None:
                self._routes[layer.rtx_ssrc] = Route(producer, layer, True)

    def remove(self, producer: Producer) -> None:
        self._routes = {s: route for s, route in self._routes.items() if route.producer is not producer}
        self._producers = [one for one in self._producers if one is not producer]

    def get(self, ssrc: int) -> Route | None:
        return self._routes.get(ssrc)

    def learn(self, data: bytearray, header: RtpHeader, now: float) -> Route | None:
        """Find the layer of an unknown SSRC and remember it; None when nothing says whose it is.

        :raises RemoteProtocolError: ``malformed_rtp``.
        """
        values = {identifier: bytes(data[at : at + n]) for identifier, at, n in iter_extensions(data, header)}
        candidates = list(_candidates(self._producers, header.payload_type, values))
        named = [route for route, by_name in candidates if by_name]
        route = named[0] if named else candidates[0][0] if len(candidates) == 1 else None
        if route is not None:
            self._bind(header.ssrc, route, now)
        return route

    def _bind(self, ssrc: int, route: Route, now: float) -> None:
        layer = route.layer
        old = layer.rtx_ssrc if route.is_rtx else layer.ssrc
        if old is not None:
            self._routes.pop(old, None)
        layer.bind(ssrc, route.is_rtx)
        if old is not None and not route.is_rtx:
            layer.replaced(now)
            route.producer.wake()
        self._routes[ssrc] = route


def _candidates(
    producers: Iterable[Producer], payload_type: int, values: dict[int, bytes]
) -> Iterator[tuple[Route, bool]]:
    """Layers the packet may belong to, each with whether mid or rid names it."""
    for producer in producers:
        is_rtx = payload_type in producer.ingress.rtx_payload_types
        if not is_rtx and payload_type not in producer.ingress.payload_types:
            continue
        mid = values.get(producer.mid_id)
        if mid is not None and mid != producer.mid:
            continue
        rid = values.get(producer.repaired_rid_id if is_rtx else producer.rid_id)
        if rid is not None:
            named = (layer for layer in producer.layers if layer.rid and layer.rid.encode() == rid)
            yield from ((Route(producer, layer, is_rtx), True) for layer in named)
        elif len(producer.layers) == 1:
            layer = producer.layers[0]
            known = layer.rtx_ssrc if is_rtx else layer.ssrc
            if known is None or mid is not None:
                yield Route(producer, layer, is_rtx), mid is not None
