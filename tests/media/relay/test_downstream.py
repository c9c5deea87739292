"""The way out whole: router, allocator, estimator, pacer and prober on a modelled line, on counted time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from media import limits
from media.ortc import router_rtp_capabilities
from media.relay import Consumer
from media.relay.testing import FakeWire
from media.rtp import rtcp
from media.rtp.packet import RtpPacket, find_extension, parse_header
from tests.media.relay import helpers
from tests.media.relay.bottleneck import Line, Receiver, random_loss
from tests.media.relay.helpers import House, Layer, plis, received, simulcast, vp8_single
from tests.media.relay.test_upstream import numbered

TICK_S = 0.005
NUMBER_ID = 5


class Village:
    """One publisher on a good line, one receiver behind `line`."""

    def __init__(self, line: Line, room_phase: float = 0.0) -> None:
        self.house = House(room_phase)
        self.sender, self.up = self.house.peer()
        self.receiver, self.down = self.house.peer()
        self.far = Receiver(line)
        self.line = line
        self.frames: list[Callable[[int], None]] = []
        self.seen = 0
        self._ticks = 0

    @property
    def now(self) -> float:
        return self.house.now

    def publish(self, parameters: dict[str, Any], source: str, kind: str = "video") -> Consumer:
        producer = self.sender.produce(kind, parameters, source)
        return self.receiver.consume(producer.id, router_rtp_capabilities(), paused=False)

    def camera(
        self,
        bps: tuple[int, ...] = (150_000, 500_000, 1_700_000),
        fps: int = 25,
        temporal: bool = False,
    ) -> Consumer:
        """Simulcast as a browser sends it; key frames when asked."""
        consumer = self.publish(helpers.VP8_SIMULCAST, "camera")
        layers = simulcast(self.house, self.up)
        for layer, rate in zip(layers, bps, strict=True):
            layer.temporal = temporal
            self._play(layer, rate, fps)
        return consumer

    def track(
        self,
        source: str,
        bps: int,
        ssrc: int = 500,
        fps: int = 25,
        key_octets: int = 0,
        temporal: bool = False,
    ) -> Consumer:
        consumer = self.publish(vp8_single(ssrc), source)
        layer = Layer(self.up, self.house, ssrc, "", 7, 7)
        layer.named = False
        layer.temporal = temporal
        self._play(layer, bps, fps, key_octets)
        return consumer

    def _play(self, layer: Layer, bps: int, fps: int, key_octets: int = 0) -> None:
        size = bps // fps // 8
        asked = 0

        def frame(tick: int) -> None:
            nonlocal asked
            if tick % round(1 / fps / TICK_S):
                return
            plis = sum(
                1
                for data in self.up.rtcp
                for part in rtcp.parse_compound(data)
                if isinstance(part, rtcp.PictureLoss) and part.media_ssrc == layer.ssrc
            )
            key = plis > asked or layer.frames == 0
            asked = plis
            layer.size = key_octets or 4 * size if key else size
            layer.frame(key=key)

        self.frames.append(frame)

    def voice(self) -> Consumer:
        consumer = self.publish(helpers.OPUS, "microphone", "audio")
        ssrc = helpers.OPUS["encodings"][0]["ssrc"]
        payload_type = helpers.OPUS["codecs"][0]["payloadType"]
        number = 0

        def frame(tick: int) -> None:
            nonlocal number
            if tick % 4 == 0:
                packet = RtpPacket(payload_type, number & 0xFFFF, 960 * number, ssrc, b"v" * 80)
                self.up.handlers.rtp_received(packet.serialize(), self.now)
                number += 1

        self.frames.append(frame)
        return consumer

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self._carry()
            for feedback in self.far.feedback(self.now):
                self.down.handlers.rtcp_received(rtcp.pack(feedback), self.now)
            for frame in self.frames:
                frame(self._ticks)
            self._carry()
            if self.house.router.due <= self.now:
                self.house.router.tick(self.now)
            self._carry()
            self.house.clock.advance(TICK_S)
            self._ticks += 1

    def _carry(self) -> None:
        for data in self.down.rtp[self.seen :]:
            self.far.packet(data, self.now)
        self.seen = len(self.down.rtp)

    def layer_of(self, consumer: Consumer) -> int | None:
        layers = consumer.current_layers
        return None if layers is None else layers[0]


def steps(*parts: tuple[float, float], start: float = 100.0) -> Callable[[float], float]:
    """(seconds from the start, rate from then on)."""
    return lambda now: [rate for at, rate in parts if now >= start + at][-1]


def test_every_packet_is_numbered_without_a_gap() -> None:
    village = Village(Line(lambda _: 50e6))
    village.camera()
    village.voice()
    village.run(3)
    numbers = []
    for data in village.down.rtp:
        at = find_extension(data, parse_header(data), NUMBER_ID, 2)
        numbers.append(data[at] << 8 | data[at + 1])
    assert numbers == [(numbers[0] + index) & 0xFFFF for index in range(len(numbers))]
    assert len({packet.ssrc for packet in received(village.down)}) >= 2


def test_a_good_line_gets_everything_at_once_and_soon_has_an_estimate() -> None:
    village = Village(Line(lambda _: 50e6))
    consumer = village.camera()
    assert village.receiver.available_outgoing_bps(village.now) is None
    village.run(10)
    available = village.receiver.available_outgoing_bps(village.now)
    assert available is not None
    assert available > 1_700_000
    assert village.layer_of(consumer) == 2
    assert consumer.allotted == "full"
    assert village.receiver.stats()["outgoing"]["waiting"] == 0


def test_full_quality_is_back_within_ten_seconds_of_a_step_up() -> None:
    village = Village(Line(steps((0, 4e6), (10, 300_000), (30, 4e6)), queue_s=0.6))
    consumer = village.camera()
    voice = village.voice()
    village.run(9)
    assert village.layer_of(consumer) == 2
    village.run(20)
    assert village.layer_of(consumer) in (0, None)
    dropped = village.line.dropped
    village.run(11)
    assert village.layer_of(consumer) == 2
    assert consumer.allotted == "full"
    assert voice.allotted == "full"
    assert village.line.dropped == dropped
    assert village.far.bps(133, 139) > 1_300_000


def test_a_thin_line_keeps_the_voice_whole() -> None:
    village = Village(Line(lambda _: 300_000, queue_s=0.6))
    village.camera()
    voice = village.voice()
    village.run(30)
    came = [at for at, _, ssrc in village.far.sizes if ssrc == voice.ssrc and at > 110]
    assert len(came) >= 0.99 * 50 * (village.now - 110.2)
    assert village.line.worst_queue_s <= 0.7


@pytest.mark.parametrize("phase", [0.0, 0.02, 0.05, 0.08])
def test_a_line_that_narrows_is_not_filled_to_the_brim(phase: float) -> None:
    """At whatever moment between two feedbacks: without a brake 10 packets do not fit any more."""
    line = Line(steps((0, 20e6), (10 + phase, 300_000)), queue_s=0.3)
    village = Village(line)
    village.track("ultrasound", 330_000)
    village.track("camera", 100_000, ssrc=600, fps=20)
    village.voice()
    village.run(10 + phase)
    line.worst_queue_s = 0.0
    village.run(3)
    assert line.dropped == 0
    assert line.worst_queue_s < 0.25


def test_three_percent_of_loss_cost_no_layer() -> None:
    village = Village(Line(lambda _: 6e6, lose=random_loss(0.03)))
    consumer = village.camera()
    village.run(25)
    assert village.layer_of(consumer) == 2
    assert consumer.allotted == "full"


def test_nothing_leaves_faster_than_the_pace_but_voices() -> None:
    village = Village(Line(lambda _: 1.2e6, queue_s=1.0))
    consumer = village.track("ultrasound", 500_000, key_octets=60_000)
    voice = village.voice()
    village.run(10)
    target = village.receiver.outlet.estimator.target_bps(village.now)
    consumer.request_key_frame()
    worst, waited = 0.0, 0
    for _ in range(60):
        before = len(village.down.rtp)
        village.run(0.05)
        left = [RtpPacket.parse(data) for data in village.down.rtp[before:]]
        pictures = sum(len(packet.payload) + 20 for packet in left if packet.ssrc != voice.ssrc)
        worst = max(worst, 8 * pictures / 0.05)
        waited = max(waited, village.receiver.outlet.path.waiting)
        voices = sum(packet.ssrc == voice.ssrc for packet in left)
        assert voices >= 2
    assert waited > 10
    assert worst < 2.5 * target * 1.4  # the burst of a timer's slot comes on top


def test_what_waits_is_bounded_and_goes_by_whole_frames() -> None:
    village = Village(Line(lambda _: 400_000, queue_s=0.4))
    village.house.router.allocator(village.receiver.id).available = lambda _: None  # nobody reduces anything
    low = village.track("camera", 3_000_000, ssrc=500)
    high = village.track("ultrasound", 200_000, ssrc=600)
    village.run(15)
    path = village.receiver.outlet.path
    assert path.left_out > 0
    assert path.waiting <= limits.PACE_QUEUE_PACKETS
    numbers = [packet.sequence for packet in received(village.down, low.ssrc)]
    assert numbers == [(numbers[0] + index) & 0xFFFF for index in range(len(numbers))]
    assert village.far.bps(105, 115) > 0
    ultrasound = sum(size for at, size, ssrc in village.far.sizes if ssrc == high.ssrc and at > 105)
    camera = sum(size for at, size, ssrc in village.far.sizes if ssrc == low.ssrc and at > 105)
    assert ultrasound > camera / 2


def test_after_a_cut_pictures_begin_again_at_once() -> None:
    lost = False
    village = Village(Line(lambda _: 5e6, lose=lambda _: lost))
    village.track("camera", 500_000)
    village.run(5)
    before = len(plis(village.up))
    lost = True
    village.run(6)
    assert len(plis(village.up)) == before
    lost = False
    village.run(0.3)
    assert len(plis(village.up)) == before + 1


def test_retransmissions_are_numbered_and_counted() -> None:
    village = Village(Line(lambda _: 5e6))
    consumer = village.track("camera", 500_000)
    village.run(3)
    last = received(village.down, consumer.ssrc)[-1]
    before = len(village.down.rtp)
    nack = rtcp.Nack(1, consumer.ssrc, (last.sequence,))
    village.down.handlers.rtcp_received(rtcp.pack(nack), village.now)
    again = village.down.rtp[before]
    assert RtpPacket.parse(again).payload[2:] == last.payload
    assert find_extension(again, parse_header(again), NUMBER_ID, 2) > 0
    village.run(0.5)


def test_padding_is_no_media() -> None:
    village = Village(Line(steps((0, 300_000), (8, 5e6)), queue_s=0.6))
    consumer = village.camera()
    village.run(14)
    outgoing = village.receiver.stats()["outgoing"]
    assert outgoing["probes"] > 0
    assert outgoing["paddingBytes"] > 0
    stats = consumer.stats()
    media = sum(len(packet.payload) for packet in received(village.down, consumer.ssrc))
    assert stats["bytes"] == media
    assert stats["retransmitted"] == 0


def test_padding_goes_on_while_all_video_is_paused() -> None:
    village = Village(Line(steps((0, 90_000), (12, 4e6)), queue_s=0.6))
    consumer = village.track("camera", 400_000)
    village.voice()
    village.run(12)
    states = {consumer.allotted}
    assert "full" not in states
    assert village.layer_of(consumer) is None
    village.run(9)
    states.add(consumer.allotted)
    assert "full" in states


@pytest.mark.parametrize("parameters", [vp8_single(), numbered(), helpers.H264])
def test_packets_without_a_place_for_a_number_get_one(parameters: dict[str, Any]) -> None:
    house = House()
    sender, up = house.peer()
    receiver, down = house.peer()
    plain, plain_wire = house.peer()
    producer = sender.produce("video", parameters, "camera")
    receiver.consume(producer.id, router_rtp_capabilities(), paused=False)
    capabilities = router_rtp_capabilities()
    capabilities["headerExtensions"] = []
    plain.consume(producer.id, capabilities, paused=False)
    ssrc = parameters["encodings"][0]["ssrc"]
    payload = (
        bytes.fromhex("1010d0009d012a8002e001") if parameters is not helpers.H264 else b"\x67\x42\xe0\x1f"
    )
    payload_type = parameters["codecs"][0]["payloadType"]
    numbers_id = next((e["id"] for e in parameters["headerExtensions"] if "holmer" in e["uri"]), None)
    extensions: list[tuple[tuple[int, bytes], ...]] = [(), ((3, b"\x01"),)]
    if numbers_id is not None:
        extensions.append(((numbers_id, b"\xff\xff"),))
    for index, some in enumerate(extensions):
        packet = RtpPacket(payload_type, index, index, ssrc, payload, True, extensions=some)
        up.handlers.rtp_received(packet.serialize(), house.now)
    assert len(received(down)) == len(received(plain_wire)) == len(extensions)
    for wire in (down, plain_wire):
        assert all(packet.payload == payload for packet in received(wire))
    found = [dict(packet.extensions).get(NUMBER_ID) for packet in received(down)]
    assert found == [bytes((0, number)) for number in range(1, len(extensions) + 1)]
    assert all(NUMBER_ID not in dict(packet.extensions) for packet in received(plain_wire))


def test_a_receiver_without_feedback_is_neither_paced_nor_reduced() -> None:
    house = House()
    sender, up = house.peer()
    receiver, down = house.peer()
    producer = sender.produce("video", vp8_single(), "camera")
    capabilities = router_rtp_capabilities()
    capabilities["headerExtensions"] = [e for e in capabilities["headerExtensions"] if e["preferredId"] != 5]
    consumer = receiver.consume(producer.id, capabilities, paused=False)
    feedbacks = {f["type"] for f in consumer.rtp_parameters["codecs"][0]["rtcpFeedback"]}
    assert "transport-cc" not in feedbacks
    assert "goog-remb" in feedbacks
    layer = Layer(up, house, 500, "", 1, 1)
    layer.size = 300_000
    packets = layer.frame(key=True)
    assert len(received(down)) == len(packets) > 500
    assert receiver.available_outgoing_bps(house.now) is None


def test_a_wire_that_refuses_uses_no_number() -> None:
    village = Village(Line(lambda _: 5e6))
    consumer = village.track("camera", 500_000)
    village.run(1)
    wire: FakeWire = village.down
    wire.accepts = False
    village.run(0.2)
    wire.accepts = True
    village.run(0.2)
    numbers = [dict(packet.extensions)[NUMBER_ID] for packet in received(wire)]
    assert numbers == [(1 + index).to_bytes(2, "big") for index in range(len(numbers))]
    assert consumer.stats()["refused"] > 0
