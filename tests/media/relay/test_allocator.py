"""The clinical order end to end: a router, four tracks, ECG, and a line that shrinks step by step."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from media import limits
from media.relay import Consumer, Producer, allocator
from media.relay.allocation import Allocation, Demand, allocate
from media.relay.testing import FakeWire
from media.rtp.packet import RtpPacket
from media.rtp.packetize import H264Packetizer
from media.rtp.vp8 import parse_descriptor
from tests.media.relay.helpers import (
    CHROMIUM,
    H264,
    OPUS,
    VP8_SIMULCAST,
    House,
    Layer,
    plis,
    received,
    simulcast,
)

ECG_BPS = 100_000
FRAME_S = 1 / 30


class Consult:
    """A clinic that sends a camera in three layers, an ultrasound with temporal layers, and a voice; an
    expert who receives; a second camera from elsewhere. ECG goes by TCP and is only kept free."""

    def __init__(self) -> None:
        self.house = House()
        clinic, self.up = self.house.peer()
        guest, self.guest_up = self.house.peer()
        self.clinic = clinic
        expert, self.down = self.house.peer()
        self.expert = expert
        self.house.router.signals_bps = ECG_BPS
        single = {"ssrc": 500, "rtx": {"ssrc": 501}, "scalabilityMode": "L1T3"}
        ultrasound = clinic.produce(
            "video", {**VP8_SIMULCAST, "mid": "5", "encodings": [single]}, "ultrasound"
        )
        camera = clinic.produce("video", VP8_SIMULCAST, "camera")
        voice = clinic.produce("audio", OPUS, "microphone")
        other = guest.produce("video", VP8_SIMULCAST, "camera")
        self.producers: dict[str, Producer] = {
            "voice": voice,
            "ultrasound": ultrasound,
            "camera": camera,
            "other": other,
        }
        self.consumers: dict[str, Consumer] = {
            name: expert.consume(producer.id, CHROMIUM, paused=False)
            for name, producer in self.producers.items()
        }
        self.layers = [*simulcast(self.house, self.up), *simulcast(self.house, self.guest_up)]
        for layer in self.layers:
            layer.size = {"r0": 400, "r1": 1400, "r2": 4200}[layer.rid]
        self.heart = Layer(self.up, self.house, 500, "", 9, 9)
        self.heart.named, self.heart.size = False, 3600
        for layer in [*self.layers, self.heart]:
            layer.temporal = True
        self.voice_sequence = 0
        self.asked: Counter[tuple[int, int]] = Counter()

    def carry(self, rate: int | None) -> None:
        """So much goes through the expert's line; the estimate is of what the ECG leaves of it."""
        self.house.line_carries(self.expert, rate and rate - ECG_BPS)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 30)):
            for layer in [*self.layers, self.heart]:
                layer.frame(key=self._was_asked(layer))
            for _ in range(2):
                self._speak()
            self.house.run(FRAME_S)

    def _was_asked(self, layer: Layer) -> bool:
        name = (id(layer.wire), layer.ssrc)
        count = plis(layer.wire).count(layer.ssrc)
        before, self.asked[name] = self.asked[name], count
        return count > before or layer.frames == 0

    def _speak(self) -> None:
        self.voice_sequence += 1
        ssrc = OPUS["encodings"][0]["ssrc"]
        packet = RtpPacket(111, self.voice_sequence, self.voice_sequence * 800, ssrc, bytes(80))
        self.up.handlers.rtp_received(packet.serialize(), self.house.now)

    @property
    def states(self) -> dict[str, str]:
        return {name: consumer.allotted for name, consumer in self.consumers.items()}

    def sent_bps(self, seconds: float) -> int:
        """What goes down the expert's line from now on."""
        self.down.rtp.clear()
        self.run(seconds)
        return round(sum(8 * len(packet) for packet in self.down.rtp) / seconds)

    def told(self) -> list[tuple[Any, ...]]:
        names = {consumer.id: name for name, consumer in self.consumers.items()}
        return [(names[event[1]], event[2]) for event in self.house.listener.named("consumer_reduced")]


STEPS = [
    # available, then what is left of: other camera, camera, ultrasound
    (3_500_000, "full", "full", "full"),
    (3_000_000, "reduced", "full", "full"),
    (2_000_000, "reduced", "reduced", "full"),
    (1_400_000, "reduced", "reduced", "full"),
    (900_000, "reduced", "reduced", "reduced"),
    (600_000, "reduced", "reduced", "reduced"),
    (300_000, "reduced", "reduced", "paused"),
    (160_000, "paused", "paused", "paused"),
]


def test_bandwidth_shrinks_step_by_step_while_camera_ultrasound_ecg_and_audio_run() -> None:
    room = Consult()
    room.run(2.0)
    assert set(room.states.values()) == {"full"}
    for rate, other, camera, ultrasound in STEPS:
        room.carry(rate)
        voice = room.consumers["voice"].subscription.packets
        room.run(0.4)
        assert room.sent_bps(1.0) + ECG_BPS <= rate
        assert room.consumers["voice"].subscription.packets - voice == 2 * 42  # every packet
        assert room.states == {"voice": "full", "ultrasound": ultrasound, "camera": camera, "other": other}
    assert {name for name, _ in room.told()} == {"ultrasound", "camera", "other"}

    room.carry(4_000_000)
    room.run(limits.ALLOCATION_HOLD_S + 1.0)
    assert set(room.states.values()) == {"full"}
    assert set(room.told()[-3:]) == {(n, "full") for n in ("ultrasound", "camera", "other")}
    assert room.consumers["camera"].current_layers == (2, 2)
    assert room.consumers["ultrasound"].current_layers == (0, 2)


def test_where_there_is_room_prices_are_asked_seldom_and_a_thin_line_is_answered_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decided: list[float] = []
    priced: set[float] = set()
    whole = allocator.Prices.whole

    def counting_whole(prices: allocator.Prices, consumer: Consumer, now: float) -> int:
        priced.add(now)
        return whole(prices, consumer, now)

    def counting(available: int | None, demands: list[Demand], before: Allocation, now: float) -> Allocation:
        decided.append(now)
        return allocate(available, demands, before, now)

    monkeypatch.setattr(allocator, "allocate", counting)
    monkeypatch.setattr(allocator.Prices, "whole", counting_whole)
    room = Consult()
    room.carry(20_000_000)
    room.run(5.0)
    decided.clear()
    priced.clear()
    room.run(10.0)
    assert len(decided) <= 1 + 10.0 / limits.ALLOCATION_PLAN_S
    assert abs(len(priced) + len(decided) - 10.0 / limits.ALLOCATION_EASE_S) <= 1
    room.carry(600_000)
    room.run(limits.ALLOCATION_INTERVAL_S + 2 * FRAME_S)
    assert room.states["camera"] == "reduced"
    room.carry(20_000_000)
    room.run(5.0)
    decided.clear()
    room.producers["other"].pause()
    room.run(limits.ALLOCATION_INTERVAL_S + 2 * FRAME_S)
    assert decided


def test_a_track_that_swells_is_priced_at_once_though_all_were_at_ease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a price of a second ago nothing would be probed for, and what is more would wait for the pace."""
    decided: list[int] = []

    def noting(available: int | None, demands: list[Demand], before: Allocation, now: float) -> Allocation:
        allocation = allocate(available, demands, before, now)
        decided.append(allocation.wanted_bps)
        return allocation

    monkeypatch.setattr(allocator, "allocate", noting)
    room = Consult()
    room.carry(20_000_000)
    room.run(5.0)
    decided.clear()
    while not decided:
        room.run(FRAME_S)
    calm = decided[-1]
    room.heart.size *= 4
    room.run(2.5 * limits.ALLOCATION_INTERVAL_S)
    assert decided[-1] > calm


def test_ultrasound_loses_frames_and_the_receiver_misses_none() -> None:
    room = Consult()
    room.run(1.5)
    room.carry(600_000)
    room.run(1.0)
    ssrc = room.consumers["ultrasound"].ssrc
    room.down.rtp.clear()
    room.run(1.0)
    packets = received(room.down, ssrc)
    assert {parse_descriptor(packet.payload).temporal_layer for packet in packets} == {0}
    _no_holes(packets)
    room.carry(4_000_000)
    room.down.rtp.clear()
    room.run(3.0)
    packets = received(room.down, ssrc)
    assert {parse_descriptor(packet.payload).temporal_layer for packet in packets} == {0, 1, 2}
    _no_holes(packets)


def _no_holes(packets: list[RtpPacket]) -> None:
    for before, after in pairwise(packets):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        one, other = parse_descriptor(before.payload), parse_descriptor(after.payload)
        assert (other.picture_id - one.picture_id) & 0x7FFF in (0, 1)


def test_a_paused_ultrasound_comes_back_with_a_key_frame() -> None:
    room = Consult()
    room.run(1.5)
    room.carry(200_000)
    room.run(1.0)
    assert room.states["ultrasound"] == "paused"
    before = plis(room.up).count(500)
    room.down.rtp.clear()
    room.carry(4_000_000)
    room.run(3.0)
    assert plis(room.up).count(500) > before
    first = received(room.down, room.consumers["ultrasound"].ssrc)[0]
    assert parse_descriptor(first.payload).keyframe


def test_one_bad_line_lowers_nobody_else() -> None:
    room = Consult()
    nurse, down = room.house.peer()
    there = [nurse.consume(producer.id, CHROMIUM, paused=False) for producer in room.producers.values()]
    room.run(1.5)
    room.carry(160_000)
    room.run(2.0)
    assert {consumer.allotted for consumer in there} == {"full"}
    assert [consumer.current_layers for consumer in there] == [(0, 0), (0, 2), (2, 2), (2, 2)]
    assert down.rtp


def test_what_the_receiver_did_not_want_costs_and_tells_nothing() -> None:
    room = Consult()
    room.run(1.5)
    for name in ("camera", "other"):
        room.consumers[name].pause()
    room.carry(1_300_000)
    room.run(2.0)
    assert room.states["ultrasound"] == "full"
    assert room.told() == []
    room.consumers["camera"].resume()
    room.run(1.0)
    assert room.states["camera"] == "reduced"
    room.consumers["camera"].set_preferred_layers(0)
    room.run(2.0)
    assert room.states["camera"] == "full"  # all that it wanted


def test_a_layer_that_falls_silent_is_left_and_its_price_goes() -> None:
    room = Consult()
    room.run(1.5)
    room.carry(3_000_000)
    room.run(1.0)
    assert room.states["other"] == "reduced"
    top = [layer for layer in room.layers if layer.rid == "r2"]
    for layer in top:
        room.layers.remove(layer)
    room.run(limits.LAYER_SILENT_S + 0.1)
    assert room.consumers["camera"].current_layers == (1, 2)
    room.run(2.0)
    assert room.states["other"] == "full"
    assert room.consumers["other"].current_layers == (1, 2)


def test_a_line_that_is_no_longer_told_of_is_free_again() -> None:
    room = Consult()
    room.run(1.0)
    room.carry(900_000)
    room.run(1.0)
    room.consumers["camera"].pause()
    room.carry(None)
    room.run(1.0)
    assert (room.states["ultrasound"], room.states["other"]) == ("full", "full")
    room.consumers["camera"].resume()
    room.run(1.0)
    assert room.consumers["camera"].current_layers == (2, 2)


def test_it_ends_with_the_last_consumer_and_begins_again() -> None:
    room = Consult()
    room.run(1.0)
    room.carry(160_000)
    for consumer in room.consumers.values():
        consumer.close()
    room.run(1.0)
    assert room.expert.consumers == {}
    again = room.expert.consume(room.producers["camera"].id, CHROMIUM, paused=False)
    room.run(1.0)
    assert again.allotted == "reduced"


class H264Source:
    """Frames as FFmpeg sends them: one slice each, in one layer, a key frame each second."""

    def __init__(self, house: House, wire: FakeWire, droppable: bool) -> None:
        self.house, self.wire = house, wire
        self.droppable = droppable
        self.sequence = self.number = 0
        self.packetizer = H264Packetizer(mtu=1000)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 30)):
            key = self.number % 30 == 0
            head = b"\x65" if key else b"\x01" if self.droppable and self.number % 2 else b"\x41"
            frame = b"\0\0\1" + head + b"\x55" * (8000 if key else 3500)
            if key:
                frame = b"\0\0\1\x67\x42\xe0\x1f\x11\0\0\1\x68\x22\x33" + frame
            payloads = self.packetizer.packetize(frame)
            for index, payload in enumerate(payloads):
                self._send(payload, index == len(payloads) - 1)
            self.number += 1
            self.house.run(FRAME_S)

    def _send(self, payload: bytes, marker: bool) -> None:
        encoding = H264["encodings"][0]
        number = H264["codecs"][0]["payloadType"]
        packet = RtpPacket(number, self.sequence, self.number * 3000, encoding["ssrc"], payload, marker)
        self.sequence += 1
        self.wire.handlers.rtp_received(packet.serialize(), self.house.now)


@pytest.mark.parametrize(
    ("droppable", "rate", "kept"), [(True, 600_000, 15), (False, 600_000, 1), (True, 200_000, 1)]
)
def test_an_ultrasound_of_one_layer_in_h264_gives_up_frames(droppable: bool, rate: int, kept: int) -> None:
    house = House()
    clinic, up = house.peer()
    expert, down = house.peer()
    consumer = expert.consume(clinic.produce("video", H264, "ultrasound").id, CHROMIUM, paused=False)
    source = H264Source(house, up, droppable)
    source.run(3.0)
    house.line_carries(expert, rate)
    source.run(2.0)
    assert consumer.allotted == "reduced"
    down.rtp.clear()
    source.run(2.0)
    packets = received(down)
    assert len({packet.timestamp for packet in packets}) == 2 * kept
    assert {(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(packets)} == {1}
    assert sum(8 * len(data) for data in down.rtp) / 2 <= rate
    house.line_carries(expert, None)
    source.run(2.0)
    down.rtp.clear()
    source.run(1.0)
    assert len({packet.timestamp for packet in received(down)}) == 30


def test_the_speakers_camera_is_the_last_to_be_reduced() -> None:
    room = Consult()
    room.run(1.5)
    room.carry(3_000_000)
    room.run(1.0)
    assert (room.states["camera"], room.states["other"]) == ("full", "reduced")
    speaker = room.house.router.transports[room.guest_up.id]
    microphone = speaker.produce("audio", OPUS, "microphone")
    ssrc = OPUS["encodings"][0]["ssrc"]
    for count in range(60):
        for part in range(2):
            level = b"\xa0" if count % 9 < 7 else b"\xe0"  # syllables of -32 dBov, pauses of -96
            said = RtpPacket(111, 2 * count + part, 960 * count, ssrc, b"x", extensions=((1, level),))
            room.guest_up.handlers.rtp_received(said.serialize(), room.house.now)
        room.run(FRAME_S)
    assert room.house.listener.named("active_speaker")[-1] == ("active_speaker", microphone.id)
    assert (room.states["camera"], room.states["other"]) == ("reduced", "full")


class H264Simulcast:
    """Three layers of H.264, each with its parameter sets before every key frame."""

    def __init__(self, house: House, wire: FakeWire) -> None:
        self.house, self.wire = house, wire
        self.sizes = (400, 1400, 4200)
        self.sequences = [65_000, 100, 30_000]
        self.asked = [0, 0, 0]
        self.number = 0
        self.packetizer = H264Packetizer(mtu=1000)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 30)):
            for layer in range(3):
                self._frame(layer)
            self.number += 1
            self.house.run(FRAME_S)

    def _frame(self, layer: int) -> None:
        count = plis(self.wire).count(10 * (layer + 1))
        key = self.number == 0 or count > self.asked[layer]
        self.asked[layer] = count
        frame = b"\0\0\1" + (b"\x65" if key else b"\x41") + bytes((layer + 1,)) * self.sizes[layer]
        if key:
            frame = b"\0\0\1\x67\x42\xe0\x1f\x11\0\0\1\x68\x22\x33" + frame
        for payload in self.packetizer.packetize(frame):
            packet = RtpPacket(
                H264["codecs"][0]["payloadType"],
                self.sequences[layer],
                self.number * 3000 + layer * 77_777,
                10 * (layer + 1),
                payload,
            )
            self.sequences[layer] = (self.sequences[layer] + 1) & 0xFFFF
            self.wire.handlers.rtp_received(packet.serialize(), self.house.now)


def test_h264_simulcast_changes_layers_at_its_key_frames() -> None:
    house = House()
    clinic, up = house.peer()
    expert, down = house.peer()
    encodings = [{"ssrc": 10 * layer} for layer in (1, 2, 3)]
    producer = clinic.produce("video", {**H264, "encodings": encodings}, "camera")
    consumer = expert.consume(producer.id, CHROMIUM, paused=False)
    source = H264Simulcast(house, up)
    source.run(2.0)
    assert consumer.current_layers == (2, 0)
    for rate, spatial in ((600_000, 1), (150_000, 0), (3_000_000, 2)):
        house.line_carries(expert, rate)
        source.run(3.0)
        assert consumer.current_layers == (spatial, 0)
    packets = received(down, consumer.ssrc)
    assert {(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(packets)} == {1}
    kinds = [packet.payload[0] & 0x1F for packet in packets]
    changes = [index for index in range(1, len(packets)) if kinds[index] == 7]
    assert len(changes) >= 3  # each new layer begins with its parameter sets
    stamps = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(packets)]
    assert all(step < 90_000 for step in stamps)


@pytest.mark.parametrize("rate", [700_000, 160_000])
def test_an_ultrasound_that_names_no_layers_has_those_that_its_packets_show(rate: int) -> None:
    """WHIP has no scalability mode. What is known of it holds while nobody is sent any of it."""
    house = House()
    clinic, up = house.peer()
    expert, _ = house.peer()
    single = {**VP8_SIMULCAST, "mid": "5", "encodings": [{"ssrc": 500, "rtx": {"ssrc": 501}}]}
    producer = clinic.produce("video", single, "ultrasound")
    consumer = expert.consume(producer.id, CHROMIUM, paused=False)
    heart = Layer(up, house, 500, "", 9, 9)
    heart.named, heart.size, heart.temporal = False, 3600, True

    asked = 0

    def run(seconds: float) -> None:
        nonlocal asked
        for _ in range(round(seconds * 30)):
            before, asked = asked, plis(up).count(500)
            heart.frame(key=heart.frames == 0 or asked > before)
            house.run(FRAME_S)

    run(2.0)
    assert producer.temporal_layers == 3
    house.line_carries(expert, rate)
    run(3.0)
    assert consumer.allotted == ("reduced" if rate > 300_000 else "paused")
    house.line_carries(expert, 700_000)
    run(3.0)
    assert consumer.allotted == "reduced"
    assert consumer.current_layers == (0, 1)


def test_key_frames_that_come_because_they_were_asked_for_are_no_step() -> None:
    """Two requests within seconds look like a stream of key frames, which ends with the requests."""
    house = House()
    clinic, up = house.peer()
    expert, _ = house.peer()
    single = {**VP8_SIMULCAST, "mid": "5", "encodings": [{"ssrc": 500, "rtx": {"ssrc": 501}}]}
    consumer = expert.consume(clinic.produce("video", single, "ultrasound").id, CHROMIUM, paused=False)
    heart = Layer(up, house, 500, "", 9, 9)
    heart.named, heart.size, heart.temporal = False, 3600, True
    asked = 0
    for number in range(105):
        if number in (20, 50):
            consumer.request_key_frame()
        if number == 75:
            house.line_carries(expert, 100_000)
        before, asked = asked, plis(up).count(500)
        heart.frame(key=heart.frames == 0 or asked > before)
        house.run(FRAME_S)
    assert consumer.allotted == "paused"
