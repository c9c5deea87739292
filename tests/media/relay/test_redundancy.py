"""Redundant audio (RED): whole to those who negotiated it, plain Opus to the others and to a recorder."""

from __future__ import annotations

from typing import Any

import pytest

from media.errors import RemoteProtocolError
from media.relay import router_rtp_capabilities
from media.relay.testing import FakeWire
from media.rtp import red
from media.rtp.packet import RtpPacket
from tests.media.relay.helpers import CHROMIUM, OPUS, House, received

SSRC = OPUS["encodings"][0]["ssrc"]
RED_CODEC = {"mimeType": "audio/red", "payloadType": 63, "clockRate": 48_000, "channels": 2, "parameters": {}}
# as Chromium sends it: RED first, with Opus inside
REDUNDANT = {**OPUS, "codecs": [RED_CODEC, *OPUS["codecs"]]}
RED_CAPABILITY = {
    "kind": "audio",
    "mimeType": "audio/red",
    "preferredPayloadType": 63,
    "clockRate": 48_000,
    "channels": 2,
    "parameters": {},
    "rtcpFeedback": [],
}
CHROMIUM_RED = {**CHROMIUM, "codecs": [*CHROMIUM["codecs"], RED_CAPABILITY]}


class Sink:
    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []

    def packet(self, packet: bytes, now: float) -> None:
        self.packets.append(RtpPacket.parse(packet))

    def closed(self) -> None:
        pass


def say(house: House, wire: FakeWire, count: int, payload_type: int = 63) -> list[bytes]:
    """Packets with the newest block and the one before it; the blocks."""
    voices = [bytes((number,)) * 40 for number in range(1, count + 1)]
    for number, voice in enumerate(voices):
        earlier = [(960, voices[number - 1])] if number else []
        payload = red.pack(voice, 111, earlier) if payload_type == 63 else voice
        packet = RtpPacket(payload_type, 50 + number, 960 * number, SSRC, payload)
        wire.handlers.rtp_received(packet.serialize(), house.now)
        house.run(0.02)
    return voices


def codec_names(consumer: Any) -> list[str]:
    return [codec["mimeType"] for codec in consumer.rtp_parameters["codecs"]]


def test_it_is_offered_after_opus() -> None:
    audio = [c["mimeType"] for c in router_rtp_capabilities()["codecs"] if c["kind"] == "audio"]
    assert audio == ["audio/opus", "audio/red"]


def test_red_to_those_who_take_it_and_plain_opus_to_the_others() -> None:
    house = House()
    clinic, up = house.peer()
    modern, down = house.peer()
    plain, plain_down = house.peer()
    producer = clinic.produce("audio", REDUNDANT, "microphone")
    whole = modern.consume(producer.id, CHROMIUM_RED, paused=False)
    alone = plain.consume(producer.id, CHROMIUM, paused=False)
    sink = Sink()
    house.router.tap(producer.id, sink)
    assert codec_names(whole) == ["audio/opus", "audio/red"]
    assert whole.rtp_parameters["codecs"][1]["parameters"] == {"": "100/100"}
    assert codec_names(alone) == ["audio/opus"]

    voices = say(house, up, 4)
    got = received(down)
    assert [packet.payload_type for packet in got] == [63] * 4
    assert got[1].payload == red.pack(voices[1], 100, [(960, voices[0])])
    for packets in (received(plain_down), sink.packets):
        assert [packet.payload for packet in packets] == voices
        assert [packet.payload_type for packet in packets] == [100] * 4
        assert [packet.sequence - packets[0].sequence for packet in packets] == [0, 1, 2, 3]
        assert [packet.timestamp - packets[0].timestamp for packet in packets] == [0, 960, 1920, 2880]


def test_a_redundant_producer_may_also_send_plain_opus() -> None:
    house = House()
    clinic, up = house.peer()
    modern, down = house.peer()
    producer = clinic.produce("audio", REDUNDANT, "microphone")
    modern.consume(producer.id, CHROMIUM_RED, paused=False)
    voices = say(house, up, 2, payload_type=111)
    assert [packet.payload for packet in received(down)] == voices
    assert [packet.payload_type for packet in received(down)] == [100, 100]


def test_a_plain_producer_stays_plain() -> None:
    house = House()
    clinic, up = house.peer()
    modern, down = house.peer()
    producer = clinic.produce("audio", OPUS, "microphone")
    consumer = modern.consume(producer.id, CHROMIUM_RED, paused=False)
    assert codec_names(consumer) == ["audio/opus"]
    say(house, up, 2)  # RED that was not agreed on
    assert received(down) == []


def test_red_alone_or_of_another_codec_is_refused() -> None:
    house = House()
    clinic, up = house.peer()
    plain, down = house.peer()
    with pytest.raises(RemoteProtocolError) as caught:
        clinic.produce("audio", {**OPUS, "codecs": [RED_CODEC]}, "microphone")
    assert caught.value.code.code == "malformed_rtp_parameters"
    producer = clinic.produce("audio", REDUNDANT, "microphone")
    plain.consume(producer.id, CHROMIUM, paused=False)
    for number, inner in enumerate((8, 63)):
        foreign = RtpPacket(63, number, 1, SSRC, red.pack(b"x", inner))
        up.handlers.rtp_received(foreign.serialize(), house.now)
    assert received(down) == []
    assert clinic.malformed == 2
