"""The compiled plane behind the relay's face (`media.relay.lane`): what packets touch is in `media._native`.

Python decides as ever. What it must hear of comes as events: `NativeTables.dispatch` hands each to the object
it concerns. A packet of an unknown SSRC, or of a layer that was dead, waits inside until Python has decided,
and is then taken as if it came now; so both planes do the same in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from media.native import RULE_LIMITS
from media.relay.lane import Lane
from media.relay.native_events import Told
from media.relay.native_lane import NativeLane
from media.relay.native_layer import NativeLayer
from media.relay.native_path import NativeOutlet
from media.relay.subscription import Outlet
from media.relay.tap import PacketSink
from media.relay.wire import Wire

if TYPE_CHECKING:
    from media._native import Rule, RulePeer


def _nothing() -> None:
    """There is nothing to detach."""


class Carrier(Protocol):
    """Moves the packets of lanes and taps: the engine, or (`CallingCarrier`) Python itself."""

    drains: bool
    """What waits for the pace leaves without `Path.drain`."""

    def attach(self, wire: Wire, peer: RulePeer) -> None:
        """Packets of ``peer`` leave by ``wire`` from now on; those that come by it go to ``peer``."""

    def attach_tap(self, sink: PacketSink, peer: RulePeer, now: Callable[[], float]) -> Callable[[], None]:
        """Packets of ``peer`` go to ``sink`` until what is returned is called."""


class CallingCarrier:
    """Each packet is a call of Python's, and comes by one: where no engine runs."""

    drains = False

    def attach(self, wire: Wire, peer: RulePeer) -> None:
        peer.set_out(wire.send_rtp)

    def attach_tap(self, sink: PacketSink, peer: RulePeer, now: Callable[[], float]) -> Callable[[], None]:
        def send(packet: bytes) -> bool:
            sink.packet(packet, now())
            return True

        peer.set_out(send)
        return _nothing


class NativeTables:
    """See `media.relay.lane.Tables`; one for all routers of a process.

    :param compiled: `media.native.module`'s.
    :param carrier: moves the packets.
    :param rule: the tables that the carrier moves packets through; its own by default.
    """

    def __init__(
        self, compiled: ModuleType, carrier: Carrier | None = None, rule: Rule | None = None
    ) -> None:
        self.compiled: Any = compiled
        self.rule: Rule = self.compiled.Rule(RULE_LIMITS) if rule is None else rule
        self.carrier: Carrier = CallingCarrier() if carrier is None else carrier
        self._told: dict[int, Told] = {}
        self._next = 1
        self._now = 0.0
        self._busy = False
        self._woken: list[tuple[NativeLayer, float, float]] = []

    def lane(
        self, wire: Wire, wake: Callable[[float], None], heard: Callable[[], None], local_ssrc: int
    ) -> Lane:
        return NativeLane(self, wire, wake, heard, local_ssrc)

    def tap(self, sink: PacketSink) -> Outlet:
        peer = self.compiled.RulePeer(self.rule, 0)
        detach = self.carrier.attach_tap(sink, peer, lambda: self._now)

        def closed() -> None:
            detach()
            peer.close()

        return NativeOutlet(self, peer, closed)

    def dispatch(self, now: float) -> None:
        """Hand out what there is to tell. Call it when the carrier says that there is something."""
        self._now = now
        if self._busy:
            return
        self._busy = True
        try:
            self._hand_out(now)
            while self._woken:
                layer, planned, at = self._woken.pop()
                layer.producer.serve_wish(layer, planned, at)
                self._hand_out(now)
        finally:
            self._busy = False

    def _hand_out(self, now: float) -> None:
        while (event := self.rule.next_event()) is not None:
            kinds, key = event
            told = self._told.get(key)
            if told is not None:
                told.told(kinds, now)

    def woke(self, layer: NativeLayer, now: float) -> None:
        """A packet of a dead layer came; once it is taken, a key frame is asked for if it was none."""
        self._woken.append((layer, layer.keyframes.due, now))
        layer.wake(now)

    def starts(self, now: float) -> None:
        """A call is about to forward packets that are of this moment."""
        self._now = now

    def register(self, told: Told) -> int:
        """A key under which events come back."""
        key, self._next = self._next, self._next + 1
        self._told[key] = told
        return key

    def forget(self, key: int) -> None:
        self._told.pop(key, None)

    def find(self, key: int) -> object:
        return self._told.get(key)
