"""Streams made by hypothesis: loss, reorder, wrap, layer switches, pauses. The receiver must not notice."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from media.relay.numbering import NumberMap
from media.rtp.numbers import Unwrapper
from media.rtp.packet import RtpPacket
from media.rtp.vp8 import parse_descriptor
from tests.media.relay.helpers import CHROMIUM, VP8_SIMULCAST, House, Layer, received, simulcast

ACTIONS = st.one_of(
    st.tuples(st.just("frames"), st.sets(st.integers(0, 2), max_size=3)),
    st.tuples(st.just("key"), st.integers(0, 2)),
    st.tuples(st.just("prefer"), st.tuples(st.integers(0, 2), st.integers(0, 2))),
    st.tuples(st.just("pause"), st.just(None)),
    st.tuples(st.just("resume"), st.just(None)),
    st.tuples(st.just("padding"), st.integers(0, 2)),
    st.tuples(st.just("report"), st.integers(0, 2)),
    st.tuples(st.just("wait"), st.floats(0.01, 1.0)),
    st.tuples(st.just("swap"), st.integers(0, 2)),
)


class Simulation:
    """Plays actions on a simulcast room; every packet carries its layer and number in its last bytes."""

    def __init__(self) -> None:
        self.house = House()
        sender, up = self.house.peer()
        receiver, self.down = self.house.peer()
        producer = sender.produce("video", VP8_SIMULCAST, "camera")
        self.consumer = receiver.consume(producer.id, CHROMIUM, paused=False)
        self.layers = simulcast(self.house, up)
        for layer in self.layers:
            layer.temporal = True
            layer.size = 600

    def play(self, action: str, argument: Any) -> None:
        getattr(self, f"_{action}")(argument)

    def _frames(self, layers: set[int]) -> None:
        for index in sorted(layers):
            self.layers[index].frame()
        self._pass()

    def _key(self, index: int) -> None:
        self.layers[index].frame(key=True)
        self._pass()

    def _pass(self) -> None:
        self.house.run(1 / 30)
        for layer in self.layers:
            layer.timestamp = (layer.timestamp + 300) & 0xFFFFFFFF

    def _prefer(self, layers: tuple[int, int]) -> None:
        self.consumer.set_preferred_layers(*layers)

    def _pause(self, _: None) -> None:
        self.consumer.pause()

    def _resume(self, _: None) -> None:
        self.consumer.resume()

    def _padding(self, index: int) -> None:
        layer = self.layers[index]
        extensions = ((9, b"1"), (10, layer.rid.encode()))
        layer.send(
            RtpPacket(96, layer.sequence, layer.timestamp, layer.ssrc, padding=9, extensions=extensions)
        )
        layer.sequence = (layer.sequence + 1) & 0xFFFF

    def _report(self, index: int) -> None:
        self.layers[index].report()

    def _wait(self, seconds: float) -> None:
        self.house.run(seconds)
        for layer in self.layers:
            layer.timestamp = (layer.timestamp + round(90_000 * seconds)) & 0xFFFFFFFF

    def _swap(self, index: int) -> None:
        """A frame whose packets come in the wrong order."""
        for packet in reversed(self.layers[index].packets()):
            self.layers[index].send(packet)


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, max_size=60))
def test_without_loss_every_number_is_continuous(actions: list[tuple[str, Any]]) -> None:
    simulation = Simulation()
    for action, argument in actions:
        simulation.play(action, argument)
    out = received(simulation.down, simulation.consumer.ssrc)
    sequences = _unwrapped([packet.sequence for packet in out], 16)
    # a frame in the wrong order may have had its late part dropped with a switch; no number comes twice
    assert len(set(sequences)) == len(sequences)
    if not any(action == "swap" for action, _ in actions):
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences))) if out else True
        timestamps = _unwrapped([packet.timestamp for packet in out], 32)
        assert timestamps == sorted(timestamps)
        descriptors = [parse_descriptor(packet.payload) for packet in out]
        pictures = _unwrapped([descriptor.picture_id for descriptor in descriptors], 15)
        assert pictures == sorted(pictures)
        assert len(set(pictures)) == (pictures[-1] - pictures[0] + 1 if pictures else 0)
        by_picture = dict(zip(pictures, timestamps, strict=True))
        assert len(set(by_picture.values())) == len(by_picture)  # another picture, another time
        assert all(by_picture[p] == t for p, t in zip(pictures, timestamps, strict=True))
        assert not descriptors or descriptors[0].keyframe


def _unwrapped(numbers: list[int], bits: int) -> list[int]:
    unwrapper = Unwrapper(bits)
    return [unwrapper.unwrap(number) for number in numbers]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=80),
    st.integers(65_000, 65_535),
)
def test_loss_and_reorder_keep_each_packets_place(plan: list[tuple[int, int]], first: int) -> None:
    """One layer: what comes out has the distance it had coming in, whatever is lost or late."""
    house = House()
    sender, up = house.peer()
    receiver, down = house.peer()
    encodings = [{"ssrc": 500, "rtx": {"ssrc": 501}}]
    producer = sender.produce("video", {**VP8_SIMULCAST, "encodings": encodings}, "camera")
    receiver.consume(producer.id, CHROMIUM, paused=False)
    layer = Layer(up, house, 500, "", first, 0xFFFF_FF00)
    layer.named = False
    layer.frame(key=True)
    held: list[RtpPacket] = []
    arrived = [0, 1]
    for fate, hold in plan:
        for packet in layer.packets():
            number = (packet.sequence - first) & 0xFFFF
            if fate == 0:
                continue
            if fate == 1:
                held.append(packet)
                continue
            layer.send(packet)
            arrived.append(number)
        if held and hold < 3:
            late = held.pop(0)
            layer.send(late)
            arrived.append((late.sequence - first) & 0xFFFF)
    out = received(down)
    assert [(packet.sequence - out[0].sequence) & 0xFFFF for packet in out] == arrived


@given(
    st.lists(
        st.tuples(st.sampled_from(["map", "drop", "late", "skip", "restart"]), st.integers(1, 9)), max_size=80
    )
)
def test_number_map_never_gives_a_number_twice(steps: list[tuple[str, int]]) -> None:
    numbers = NumberMap(1000)
    numbers.restart(50)
    given_out: list[int] = []
    seen: set[int] = set()
    position = 49
    for action, amount in steps:
        if action == "restart":
            position += 1000 * amount
            numbers.restart(position + 1)
            seen.clear()
            continue
        if action == "late":
            late = position - amount
            if late not in seen:
                seen.add(late)
                out = numbers.map(late)
                if out is not None:
                    given_out.append(out)
            continue
        position += amount if action == "skip" else 1
        seen.add(position)
        if action == "drop":
            numbers.drop(position)
        else:
            out = numbers.map(position)
            assert out is not None
            assert not given_out or out > max(given_out)
            given_out.append(out)
    assert len(set(given_out)) == len(given_out)


def test_number_map_closes_up_behind_drops_only() -> None:
    numbers = NumberMap(0)
    numbers.restart(10)
    assert [numbers.map(n) for n in (10, 11)] == [0, 1]
    numbers.drop(12)
    assert numbers.map(13) == 2
    assert numbers.map(16) == 5  # 14 and 15 are missing, not dropped
    numbers.drop(15)  # too late: its hole is there
    assert numbers.map(14) == 3
    assert numbers.map(12) is None
    assert numbers.map(9) is None
    numbers.restart(500)
    assert numbers.map(500) == 6
    assert numbers.map(16) is None
