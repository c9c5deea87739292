"""Where a consumer's packets go when there is no wire: to a recorder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from media.relay.layer import Layer
from media.relay.pacer import Pacer, Waiting
from media.relay.subscription import (
    Outlet,
    PlainSubscription,
    Subscription,
    SubscriptionEvents,
    SubscriptionValues,
)

if TYPE_CHECKING:
    from media.relay.consumer import Consumer
    from media.relay.router import Router


class PacketSink(Protocol):
    """Takes what a tap forwards; must not block."""

    def packet(self, packet: bytes, now: float) -> None:
        """One RTP packet; ``now`` is when it arrived at the server, monotonic seconds."""

    def closed(self) -> None:
        """No more packets come. Told once."""


class PlainTapOutlet:
    """Hands packets over at once; its gate is never closed."""

    def __init__(self, sink: PacketSink) -> None:
        self.gate = Pacer()
        self._sink = sink
        self._number = 1

    def subscribe(
        self, layers: Sequence[Layer], values: SubscriptionValues, events: SubscriptionEvents
    ) -> Subscription:
        return PlainSubscription(self, layers, values, events)

    def send(self, packet: bytearray, number_at: int, now: float) -> bool:
        if number_at >= 0:  # its own, not what another consumer of the shared packet left there
            packet[number_at : number_at + 2] = (self._number & 0xFFFF).to_bytes(2, "big")
            self._number += 1
        self._sink.packet(bytes(packet), now)
        return True

    def repeat(self, packet: bytes, number_at: int, now: float) -> bool:
        return False  # a sink misses nothing, and asks for nothing

    def hold(self, item: Waiting, now: float) -> None:
        """Nothing waits for a sink."""


class Tap:
    """The owner of a tap's consumer, in the place of a transport. Always connected."""

    connected = True

    def __init__(self, router: Router, sink: PacketSink, outlet: Outlet) -> None:
        self._router = router
        self._sink = sink
        self.outlet = outlet

    def now(self) -> float:
        return self._router.clock.monotonic()

    def wall(self) -> float:
        return self._router.clock.wall()

    def consumer_closed(self, consumer: Consumer) -> None:
        self._router.tap_closed(consumer)
        self._sink.closed()

    def consumer_aimed(self, consumer: Consumer) -> None:
        """No line is shared out for it."""

    def consumer_paused(self, consumer: Consumer, paused_by_producer: bool) -> None:
        """The sink sees a pause as packets that do not come."""

    def consumer_layers(self, consumer: Consumer, spatial: int, temporal: int) -> None:
        """The sink sees another layer as a key frame of another size."""
