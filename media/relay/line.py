"""What a transport's counters say of the last few seconds of its line: samples for `media.relay.quality`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media.relay.consumer import Consumer
from media.relay.feedback import Reception
from media.relay.layer import Layer
from media.relay.layers import KEY_FRAMES
from media.relay.producer import STILL_SOURCES, Producer
from media.relay.samples import LineSample, TrackIn, TrackOut

_KEY_FRAME_SHARE = 0.03  # one frame in thirty


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counters of one incoming layer at a reading."""

    reception: Reception  # its identity: another stream begins at nothing
    expected: int
    packets: int
    bursts: int
    recovered: int
    frames: int
    frozen_s: float


class LineWatch:
    """Remembers one transport's counters from sample to sample; holds no more entries than it has tracks."""

    def __init__(self, producers: Mapping[str, Producer], consumers: Mapping[str, Consumer]) -> None:
        self._producers = producers
        self._consumers = consumers
        self._layers: dict[tuple[str, int], _Counts] = {}
        self._reports: dict[str, tuple[int, int]] = {}
        self._since: dict[str, float] = {}
        self._sampled_at: float | None = None

    def sample(self, now: float, available_bps: int | None) -> LineSample:
        """What happened since the last call; ``now`` is monotonic seconds."""
        elapsed = 0.0 if self._sampled_at is None else now - self._sampled_at
        self._sampled_at = now
        layers = {(p.id, la.index): _read(la) for p in self._producers.values() for la in p.layers}
        reports = {c.id: c.received_until for c in self._consumers.values()}
        running = [producer for producer in self._producers.values() if not producer.paused]
        self._since = {one.id: self._since.get(one.id, now) for one in running}
        incoming = tuple(self._track_in(producer, layers, elapsed, now) for producer in running)
        outgoing = tuple(
            self._track_out(consumer, reports[consumer.id])
            for consumer in self._consumers.values()
            if consumer.wanted
        )
        trips = [trip for c in self._consumers.values() if (trip := c.round_trip_s) is not None]
        self._layers, self._reports = layers, reports
        return LineSample(incoming, outgoing, max(trips, default=None), available_bps)

    def _track_in(
        self, producer: Producer, layers: Mapping[tuple[str, int], _Counts], elapsed: float, now: float
    ) -> TrackIn:
        live = [layer for layer in producer.layers if layer.alive] or producer.layers[:1]
        expected = packets = recovered = bursts = 0
        for layer in live:
            after = layers[producer.id, layer.index]
            before = self._before(producer.id, layer.index, after)
            expected += after.expected - before.expected
            packets += after.packets - before.packets
            recovered += after.recovered - before.recovered
            bursts += after.bursts - before.bursts
        best = live[-1]
        after = layers[producer.id, best.index]
        before = self._before(producer.id, best.index, after)
        lost = max(0, expected - packets)
        loss = lost / expected if expected > 0 else 0.0
        frozen = 0.0 if producer.source in STILL_SOURCES else after.frozen_s - before.frozen_s
        last_at = max(self._since[producer.id], *(layer.last_at for layer in producer.layers))
        return TrackIn(
            producer.kind,
            producer.source,
            loss,
            max(0, lost - recovered) / expected if expected > 0 else 0.0,
            max(1.0, lost / bursts * (1 - loss)) if bursts else 1.0,
            best.reception.counts.jitter / best.clock_rate,
            now - last_at,
            (after.frames - before.frames) / elapsed if elapsed else 0.0,
            min(1.0, frozen / elapsed) if elapsed else 0.0,
            best.size[1] if best.size else None,
            len(producer.layers),
            len(live),
        )

    def _before(self, producer_id: str, index: int, after: _Counts) -> _Counts:
        before = self._layers.get((producer_id, index))
        if before is None or before.reception is not after.reception:
            return _Counts(after.reception, 0, 0, 0, 0, 0, 0.0)
        return before

    def _track_out(self, consumer: Consumer, report: tuple[int, int]) -> TrackOut:
        lost_before, highest_before = self._reports.get(consumer.id, (0, 0))
        lost, highest = report
        expected = highest - highest_before
        counted = highest_before > 0 and expected > 0
        loss = min(1.0, max(0.0, (lost - lost_before) / expected)) if counted else 0.0
        frames, size = _shares(consumer) if consumer.allotted == "reduced" else (1.0, 1.0)
        return TrackOut(consumer.kind, loss, consumer.jitter_s, consumer.allotted, frames, size)


def _shares(consumer: Consumer) -> tuple[float, float]:
    """Of frames and of lines, what a reduced consumer is sent; each temporal layer doubles the frame rate."""
    temporal, top = consumer.subscription.temporal, consumer.producer.temporal_layers - 1
    frames = _KEY_FRAME_SHARE if temporal == KEY_FRAMES else 0.5 ** max(0, top - temporal)
    current = consumer.subscription.current
    best = max((layer.size[1] for layer in consumer.producer.layers if layer.alive and layer.size), default=0)
    lines = current.size[1] if current is not None and current.size else best
    return frames, min(1.0, lines / best) if best else 1.0


def _read(layer: Layer) -> _Counts:
    reception = layer.reception
    one = reception.counts
    return _Counts(
        reception, one.expected, one.packets, one.bursts, layer.recovered, one.frames, one.frozen_s
    )
