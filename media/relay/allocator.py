"""Applies `media.relay.allocation` to what one transport sends, and tells what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import inf
from typing import Protocol

from media.limits import (
    ALLOCATION_EASE,
    ALLOCATION_EASE_S,
    ALLOCATION_INTERVAL_S,
    ALLOCATION_PLAN_S,
    KEY_FRAME_GAP_MAX_S,
)
from media.relay.allocation import Allocation, Decision, Demand, Rank, Step, allocate
from media.relay.consumer import Consumer
from media.relay.ladder import LayerRate, ladder
from media.relay.layer import Layer
from media.relay.layers import ALL_TEMPORAL
from media.relay.producer import STILL_SOURCES, Producer

Available = Callable[[float], int | None]
_RANKS = {"ultrasound": Rank.ULTRASOUND, "screen": Rank.SCREEN}


class RoomView(Protocol):
    """What an allocator needs of the router."""

    signals_bps: int

    def is_speaker(self, producer: Producer) -> bool:
        """Whether this comes from the one who speaks."""

    def consumer_reduced(self, consumer: Consumer, decision: Decision) -> None: ...


class Allocator:
    """One subscriber's share of its own line; nobody else's line comes into it.

    :param consumers: the transport's, by id; looked at each time.
    :param available: bits per second that the line carries, by the estimate; None while nothing is known.
    :param prices: shared by all subscribers of a router.
    """

    def __init__(
        self, consumers: Mapping[str, Consumer], available: Available, room: RoomView, prices: Prices
    ) -> None:
        self.available = available
        self._prices = prices
        self._consumers = consumers
        self._room = room
        self.due = -inf
        """After when `tick` is wanted, at the next moment, if there is no news before; inf for never."""
        self._allocation = Allocation()
        self._changed_at = -inf  # when there was another roster
        self._planned_at = -inf  # when all steps were priced
        self.at_ease = False
        """Nothing is reduced, and there is room to spare."""
        self._least_bps = inf  # a line that carries less is news

    @property
    def wanted_bps(self) -> int:
        """What everything in full takes, and the signals beside it: the aim of probing."""
        return self._allocation.wanted_bps + self._room.signals_bps

    @property
    def is_reducing(self) -> bool:
        """Something is reduced or paused for want of bandwidth."""
        return any(consumer.allotted != "full" for consumer in self._consumers.values())

    def line_told(self, now: float) -> bool:
        """What its line carries may be another rate now; True when that is news, and `tick` is wanted."""
        available = self.available(now)
        if available is None or available >= self._least_bps:
            return False
        self.due, self.at_ease = now, False
        return True

    def look(self, now: float) -> None:
        """Decide again when `due`, if nothing else is another than the last time.

        At ease the price of the whole says that everybody is: the steps below it, and who would be served
        first, are of use to nobody.
        """
        if self.at_ease and now - self._planned_at < ALLOCATION_PLAN_S:
            prices = [self._prices.whole(one, now) for one in self._consumers.values() if one.wanted]
            wanted_bps, available = sum(prices), self.available(now)
            if available is not None and available >= ALLOCATION_EASE * wanted_bps:
                self._allocation = replace(self._allocation, wanted_bps=wanted_bps)
                self._be_at_ease(now)
                return
        self.tick(now)

    def tick(self, now: float) -> None:
        """Decide again: when anything is another than the last time."""
        if not any(consumer.kind == "video" for consumer in self._consumers.values()):
            self._rest(inf, 0.0)  # nothing could be reduced
            return
        available = self.available(now)
        if available is None and not self.is_reducing:
            self._allocation = Allocation()
            self._rest(inf, inf)
            return
        self._planned_at = now
        demands = list(self._demands(now))
        roster = self._allocation.roster
        self._allocation = allocate(available, demands, self._allocation, now)
        if self._allocation.roster != roster:
            self._changed_at = now
        for decision in self._allocation.decisions:
            consumer = self._consumers.get(decision.key)
            if consumer is not None and consumer.allot(decision):
                self._room.consumer_reduced(consumer, decision)
        if not any(one.kind == "video" and one.wanted for one in self._consumers.values()):
            self._rest(inf, 0.0)
        elif available is not None and self._is_at_ease(available, now):
            self._be_at_ease(now)
        else:
            self._rest(now, inf)

    def _be_at_ease(self, now: float) -> None:
        least_bps = ALLOCATION_EASE * self._allocation.wanted_bps
        self._rest(now + ALLOCATION_EASE_S - ALLOCATION_INTERVAL_S, least_bps)
        self.at_ease = True

    def _rest(self, due: float, least_bps: float) -> None:
        self.due, self._least_bps, self.at_ease = due, least_bps, False

    def _is_at_ease(self, available: int, now: float) -> bool:
        """Everybody is served in full, and there is room to spare.

        Prices of a track that is new are guesses: with it nobody is at ease.
        """
        if now - self._changed_at < ALLOCATION_EASE_S or self.is_reducing:
            return False
        return available >= ALLOCATION_EASE * self._allocation.wanted_bps

    def _demands(self, now: float) -> Iterable[Demand]:
        for consumer in self._consumers.values():
            if consumer.wanted:
                steps = self._prices.steps(consumer, now)
                rank = self._rank(consumer)
                consumer.subscription.prioritize(int(rank))  # what waits for the pacer goes by the same order
                if steps:
                    yield Demand(consumer.id, rank, steps)

    def _rank(self, consumer: Consumer) -> Rank:
        if consumer.kind == "audio":
            return Rank.AUDIO
        speaks = self._room.is_speaker(consumer.producer)
        return _RANKS.get(consumer.producer.source, Rank.SPEAKER if speaks else Rank.OTHERS)


class Prices:
    """The ladders of a router's tracks, each made once for all who look at it at the same moment."""

    def __init__(self) -> None:
        self._at = -1.0
        self._ladders: dict[tuple[str, int, int], tuple[Step, ...]] = {}
        self._wholes: dict[tuple[str, int], int] = {}

    def read(self, producers: Iterable[Producer], now: float) -> bool:
        """Keep the rates of cameras' layers going where nobody asks: a line that narrows asks at once.

        :returns: one of them swells, so that whoever is at ease by its price is so no more.
        """
        swells = False
        for producer in producers:
            if producer.kind == "video" and producer.consumers:
                for layer in producer.layers:
                    if layer.alive:
                        layer.meter.read(layer.octets, now)
                        swells = swells or layer.meter.swells
        return swells

    def steps(self, consumer: Consumer, now: float) -> tuple[Step, ...]:
        """The ways to send this consumer its track within its own wishes; empty while nothing comes."""
        self._begin(now)
        spatial, temporal = consumer.preferred_layers
        key = (consumer.producer.id, spatial, temporal)
        steps = self._ladders.get(key)
        if steps is None:
            steps = self._ladders[key] = _steps(consumer.producer, spatial, temporal, now)
        return steps

    def whole(self, consumer: Consumer, now: float) -> int:
        """What the last of `steps` takes, bits per second; 0 while nothing comes."""
        spatial, temporal = consumer.preferred_layers
        if temporal < ALL_TEMPORAL:
            steps = self.steps(consumer, now)
            return steps[-1].bps if steps else 0
        self._begin(now)
        key = (consumer.producer.id, spatial)
        bps = self._wholes.get(key)
        if bps is None:
            wished = _wished(consumer.producer, spatial)
            bps = self._wholes[key] = _whole(consumer.producer, wished[-1], now) if wished else 0
        return bps

    def _begin(self, now: float) -> None:
        """Prices are of one moment."""
        if now != self._at:
            self._at = now
            self._ladders.clear()
            self._wholes.clear()


def _wished(producer: Producer, spatial: int) -> list[Layer]:
    live = [layer for layer in producer.layers if layer.alive]
    return [layer for layer in live if layer.index <= spatial] or live[:1]


def _whole(producer: Producer, layer: Layer, now: float) -> int:
    """Bits per second of a layer."""
    layer.meter.read(layer.octets, now)
    whole = layer.meter.bps
    return producer.parameters.encodings[layer.index].max_bitrate if whole is None else whole


def _steps(producer: Producer, spatial: int, temporal: int, now: float) -> tuple[Step, ...]:
    rates = [_rate(producer, layer, temporal, now) for layer in _wished(producer, spatial)]
    return ladder(rates, producer.source in STILL_SOURCES)


def _rate(producer: Producer, layer: Layer, temporal: int, now: float) -> LayerRate:
    whole = _whole(producer, layer, now)
    if producer.kind == "audio":
        return LayerRate(layer.index, (whole,))
    shares = layer.meter.cumulative(producer.temporal_layers)[: min(temporal, ALL_TEMPORAL) + 1]
    key_frames = layer.meter.key_frames_bps(KEY_FRAME_GAP_MAX_S, layer.keyframes.asked_at, now)
    return LayerRate(layer.index, tuple(round(share * whole) for share in shares), key_frames)
