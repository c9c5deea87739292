"""The golden vector of the rule: what came, on which wire and when, and every byte that left (`GOLDEN`).

    .venv/bin/python -m tests.media.native.vectors      writes it anew, from the plain plane

A change of it is a change of what receivers see: look at it before it is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tests.media.native.twin_houses import PlainHouse, Side
from tests.media.native.twins import Twins
from tests.media.relay.helpers import House

GOLDEN = Path(__file__).parents[2] / "vectors" / "relay_rule.json"
_NAMES = ["picture"] * 6 + ["voice"] * 3 + ["again"] * 2 + ["time"] * 3 + ["report", "nack", "feedback"]
_NAMES += ["wish", "pause"] * 2
_DECISIONS = ("set_preferred_layers", "pause", "resume")


def replay(house: House, came: list[list[Any]]) -> dict[str, list[list[str]]]:
    """Let it all come again; what left, by wire.

    :param came: (seconds since the one before, number of the wire, ``rtp`` or ``rtcp``, hex), or a decision:
        (seconds, number of the consumer or producer, ``consumers.pause`` and the like, its arguments).
    """
    side = Side(house)
    for seconds, number, kind, data in came:
        if seconds:
            house.run(seconds)
        if kind == "rtp":
            house.socket.wires[number].handlers.rtp_received(bytearray.fromhex(data), house.now)
        elif kind == "rtcp":
            house.socket.wires[number].handlers.rtcp_received(bytes.fromhex(data), house.now)
        else:
            owners, _, decision = kind.partition(".")
            getattr(getattr(side, owners)[number], decision)(*data)
    wires = house.socket.wires
    ids = [consumer.id for consumer in side.consumers]
    return {
        "rtp": [[packet.hex() for packet in wire.rtp] for wire in wires],
        "rtcp": [[packet.hex() for packet in wire.rtcp] for wire in wires],
        "tap": [[packet.hex() for packet, _ in side.tapped]],
        "layers": [
            [str(ids.index(event[1])), str(event[2]), str(event[3])]
            for event in house.listener.named("consumer_layers")
        ],
    }


class _Recorder:
    """Stands before a wire's handlers and writes down what comes."""

    def __init__(self, handlers: Any, wire: int, came: list[list[Any]], house: House) -> None:
        self._handlers, self._wire, self._came, self._house = handlers, wire, came, house

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handlers, name)

    def rtp_received(self, packet: bytearray, now: float) -> None:
        self._came.append([now, self._wire, "rtp", packet.hex()])
        self._handlers.rtp_received(packet, now)

    def rtcp_received(self, packet: bytes, now: float) -> None:
        self._came.append([now, self._wire, "rtcp", packet.hex()])
        self._handlers.rtcp_received(packet, now)


class _Decisions:
    """Stands before a consumer or a producer and writes down what is decided of it."""

    def __init__(self, decided: Any, kind: str, number: int, came: list[list[Any]], house: House) -> None:
        self._decided, self._kind, self._number, self._came, self._house = decided, kind, number, came, house

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._decided, name)
        if name not in _DECISIONS:
            return found

        def decide(*arguments: Any) -> None:
            self._came.append([self._house.now, self._number, f"{self._kind}.{name}", list(arguments)])
            found(*arguments)

        return decide


def _record() -> Iterator[list[Any]]:
    """A little of everything."""
    twins = Twins()
    twins.sizes = (2, 5)
    house = twins.sides[0].house
    came: list[list[Any]] = []
    start = house.now
    for index, wire in enumerate(house.socket.wires):
        wire.handlers = _Recorder(wire.handlers, index, came, house)
    side: Any = twins.sides[0]
    for kind in ("consumers", "producers"):
        owned = getattr(side, kind)
        owned[:] = [_Decisions(one, kind, index, came, house) for index, one in enumerate(owned)]
    chance = Random(35)
    for name in chance.choices(_NAMES, k=60):
        twins.do(name, chance.getrandbits(32))
    before = start
    for at, *rest in came:
        yield [at - before, *rest]
        before = at


def main() -> None:
    came = list(_record())
    left = replay(PlainHouse(), came)
    lines = ",\n".join(json.dumps(one) for one in came)
    GOLDEN.write_text(f'{{"came": [\n{lines}\n],\n"left": {json.dumps(left, indent=0)}}}\n')


if __name__ == "__main__":
    main()
