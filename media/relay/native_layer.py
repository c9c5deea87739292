"""A layer whose tables are the compiled plane's (`media/native/rule_layer.c`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from media.relay.feedback import Reception, ReceptionCounts
from media.relay.layer import Layer
from media.relay.meter import Meter
from media.rtp.clocks import ClockMap

if TYPE_CHECKING:
    from media._native import RulePeer, RuleProducer
    from media.relay.producer import Producer


class LayerTable(Protocol):
    """What is read of a layer: of an open `media._native.RuleProducer`, or of a closed one as it was."""

    def state(self, layer: int) -> tuple[bool, float, int, int, int, int, int]: ...
    def reception(self, layer: int) -> tuple[int, int, int, int, float, int, int, float, int]: ...
    def frames(self, layer: int) -> tuple[tuple[int, int, int, int], float, float, int]: ...
    def clock(self, layer: int) -> tuple[int, int, float | None]: ...
    def missing(self, layer: int) -> tuple[float, int, float, int]: ...
    def bitrate(self, layer: int) -> int: ...


class ClosedTable:
    """The last words of a producer's tables."""

    def __init__(self, table: LayerTable, layers: int) -> None:
        self._told: dict[str, list[Any]] = {
            name: [getattr(table, name)(index) for index in range(layers)]
            for name in ("state", "reception", "frames", "clock", "missing", "bitrate")
        }

    def __getattr__(self, name: str) -> Any:
        try:
            return self._told[name].__getitem__
        except KeyError:
            raise AttributeError(name) from None


class _Frames:
    """See `media.relay.meter.Frames`."""

    __slots__ = ("_layer",)

    def __init__(self, layer: NativeLayer) -> None:
        self._layer = layer

    @property
    def spread(self) -> Sequence[int]:
        return self._layer.table.frames(self._layer.index)[0]

    @property
    def key_at(self) -> float:
        return self._layer.table.frames(self._layer.index)[1]

    @property
    def key_gap(self) -> float:
        return self._layer.table.frames(self._layer.index)[2]

    @property
    def key_octets(self) -> int:
        return self._layer.table.frames(self._layer.index)[3]


class _Gaps:
    """See `media.relay.layer.Gaps`."""

    __slots__ = ("_layer",)

    def __init__(self, layer: NativeLayer) -> None:
        self._layer = layer

    @property
    def due(self) -> float:
        return self._layer.table.missing(self._layer.index)[0]

    @property
    def requested(self) -> int:
        return self._layer.table.missing(self._layer.index)[1]

    @property
    def round_trip(self) -> float:
        return self._layer.table.missing(self._layer.index)[2]

    def take(self, now: float) -> Sequence[int]:
        layer = self._layer
        return () if layer.open is None else layer.open.take_missing(layer.index, now)

    def forgive(self) -> bool:
        layer = self._layer
        return layer.open is not None and layer.open.forgive(layer.index)


class _Reception(Reception):
    __slots__ = ("_layer",)

    def __init__(self, layer: NativeLayer) -> None:
        self._layer = layer

    @property
    def counts(self) -> ReceptionCounts:
        return ReceptionCounts(*self._layer.table.reception(self._layer.index)[:8])


class NativeLayer(Layer):
    """Python says whether it is alive and which SSRC it has; the rest is counted in C."""

    __slots__ = (
        "_reception",
        "_restarts",
        "alive",
        "meter",
        "missing",
        "open",
        "peer",
        "producer",
        "rtx_ssrc",
        "ssrc",
        "table",
    )
    ssrc: int | None
    rtx_ssrc: int | None
    alive: bool
    meter: Meter
    missing: _Gaps
    table: LayerTable
    open: RuleProducer | None

    def __init__(
        self, producer: Producer, index: int, peer: RulePeer, table: RuleProducer, asks_again: bool
    ) -> None:
        encoding = producer.parameters.encodings[index]
        super().__init__(index, encoding.rid, producer.codec.clock_rate, asks_again, producer.kind == "video")
        self.producer = producer
        self.peer = peer
        self.table = table
        self.open = table
        self.ssrc = encoding.ssrc
        self.rtx_ssrc = encoding.rtx_ssrc
        self.alive = False
        self.meter = Meter(_Frames(self))
        self.missing = _Gaps(self)
        self._reception = _Reception(self)
        self._restarts = 0

    @property
    def last_at(self) -> float:
        return self.table.state(self.index)[1]

    @property
    def size(self) -> tuple[int, int] | None:
        _, _, width, height, *_ = self.table.state(self.index)
        return (width, height) if width or height else None

    @property
    def recovered(self) -> int:
        return self.table.state(self.index)[4]

    @property
    def probes(self) -> int:
        return self.table.state(self.index)[5]

    @property
    def clock(self) -> ClockMap:
        clock = ClockMap(self.clock_rate)
        clock.ntp, clock.rtp_timestamp, clock.received_at = self.table.clock(self.index)
        return clock

    @property
    def octets(self) -> int:
        return self.table.reception(self.index)[3]

    @property
    def bits_per_second(self) -> int:
        return self.table.bitrate(self.index)

    @property
    def reception(self) -> Reception:
        restarts = self.table.state(self.index)[6]
        if restarts != self._restarts:
            self._restarts = restarts
            self._reception = _Reception(self)
        return self._reception

    def set_alive(self, alive: bool) -> None:
        self.alive = alive
        if self.open is not None:
            self.open.set_alive(self.index, alive)

    def wake(self, now: float) -> None:
        """A packet of it came at ``now``: it is not dead."""
        if self.open is not None:
            self.open.touch(self.index, now)
        self.producer.layer_woke(self, now)

    def learn_clock(self, ntp: int, rtp_timestamp: int, now: float) -> None:
        if self.open is not None:
            self.open.learn_clock(self.index, ntp, rtp_timestamp, now)

    def bind(self, ssrc: int, is_rtx: bool) -> None:
        old = self.rtx_ssrc if is_rtx else self.ssrc
        if old is not None and old != ssrc:
            self.peer.unbind(old)
        if is_rtx:
            self.rtx_ssrc = ssrc
        else:
            self.ssrc = ssrc
        if self.open is not None:
            self.open.bind(self.index, ssrc, is_rtx)

    def replaced(self, now: float) -> None:
        if self.open is None:
            return
        if not self.open.replaced(self.index):
            self.keyframes.satisfied()  # nobody takes it any more
        elif self.keyed:
            self.keyframes.want(now)

    def close(self, last: ClosedTable) -> None:
        self.table = last
        self.open = None
