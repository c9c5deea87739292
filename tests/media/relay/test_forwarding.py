"""A room of a publisher and receivers, packet by packet."""

from __future__ import annotations

import gc

import pytest

from media import limits
from media.errors import LocalProtocolError, RemoteProtocolError
from media.relay import Router, router_rtp_capabilities
from media.relay.rewrite import abs_send_time
from media.rtp import rtcp
from media.rtp.packet import RtpPacket
from media.rtp.vp8 import parse_descriptor
from tests.media.relay.helpers import (
    CHROMIUM,
    H264,
    OPUS,
    VP8_SIMULCAST,
    House,
    Layer,
    feedback,
    nacked,
    plis,
    received,
    simulcast,
    steps,
    vp8_single,
)


@pytest.fixture
def house() -> House:
    return House()


def single(house: House, source: str = "camera") -> tuple:  # type: ignore[type-arg]
    """A publisher of one VP8 stream, a receiver, and both wires."""
    sender, up = house.peer()
    receiver, down = house.peer()
    producer = sender.produce("video", vp8_single(), source)
    consumer = receiver.consume(producer.id, CHROMIUM, paused=False)
    layer = Layer(up, house, 500, "", 65_530, 0xFFFF_F000)
    layer.named = False
    return producer, consumer, layer, up, down


def test_opus_is_forwarded_in_the_routers_numbers(house: House) -> None:
    sender, up = house.peer()
    receiver, down = house.peer()
    producer = sender.produce("audio", OPUS, "microphone")
    consumer = receiver.consume(producer.id, CHROMIUM, paused=False)
    for index in range(3):
        extensions = ((4, b"0"), (2, b"\x00\x00\x00"), (1, b"\x85"))
        packet = RtpPacket(
            111, 65_535 + index & 0xFFFF, 960 * index, 3_434_343_434, b"opus", extensions=extensions
        )
        up.handlers.rtp_received(packet.serialize(), house.now)
    out = received(down)
    assert [packet.payload for packet in out] == [b"opus"] * 3
    assert {packet.payload_type for packet in out} == {100}
    assert {packet.ssrc for packet in out} == {consumer.ssrc}
    assert list(steps([packet.sequence for packet in out], 0xFFFF)) == [1, 1]
    assert [packet.timestamp for packet in out] == [0, 960, 1920]
    assert out[0].extensions == ((4, abs_send_time(house.now).to_bytes(3, "big")), (10, b"\x85"))
    assert feedback(up) == []  # neither NACK nor PLI for audio


def test_a_voice_that_begins_anew_is_asked_for_no_key_frame(house: House) -> None:
    sender, up = house.peer()
    receiver, down = house.peer()
    producer = sender.produce("audio", OPUS, "microphone")
    receiver.consume(producer.id, CHROMIUM, paused=False)
    for sequence in (1, 2, 20_000, 20_001):
        up.handlers.rtp_received(RtpPacket(111, sequence, 960, 3_434_343_434, b"opus").serialize(), house.now)
    house.run(3)
    assert len(received(down)) == 4
    assert plis(up) == []


def test_video_begins_with_a_key_frame(house: House) -> None:
    _, consumer, layer, up, down = single(house)
    layer.frame()
    assert received(down) == []
    assert plis(up) == [500]
    layer.frame(key=True)
    layer.frame()
    out = received(down)
    assert parse_descriptor(out[0].payload).keyframe
    assert {packet.payload_type for packet in out} == {101}
    assert set(steps([packet.sequence for packet in out], 0xFFFF)) == {1}
    pictures = [parse_descriptor(packet.payload).picture_id for packet in out]
    assert pictures == sorted(pictures)
    assert out[0].marker is False
    assert out[-1].marker is True
    assert consumer.stats()["packets"] == len(out)
    assert down.handlers is not None


def test_a_key_frame_is_asked_for_until_the_consumer_started(house: House) -> None:
    _, _, layer, up, _ = single(house)
    layer.frame()
    house.run(3.0)
    asked = len(plis(up))
    assert 3 <= asked <= 5
    layer.frame(key=True)
    house.run(5.0)
    assert len(plis(up)) == asked


def test_nothing_is_asked_before_the_receiver_is_connected(house: House) -> None:
    sender, up = house.peer()
    receiver, down = house.peer(connected=False)
    producer = sender.produce("video", vp8_single(), "camera")
    receiver.consume(producer.id, CHROMIUM, paused=False)
    layer = Layer(up, house, 500, "", 1, 1)
    layer.frame(key=True)
    house.run(1.0)
    assert plis(up) == []
    down.become("connected")
    assert plis(up) == [500]
    layer.frame(key=True)
    assert received(down)


def test_requests_are_merged_and_deferred(house: House) -> None:
    producer, _, layer, up, _ = single(house)
    layer.frame(key=True)
    first = len(plis(up))
    for _ in range(20):
        receiver, _ = house.peer()
        receiver.consume(producer.id, CHROMIUM, paused=False)
    assert len(plis(up)) <= first + 1
    for _ in range(10):
        house.run(0.1)
        layer.frame(key=True)
    assert all(consumer.subscription.started_at for consumer in producer.consumers.values())
    assert len(plis(up)) <= first + 1 + limits.KEYFRAME_BURST


def test_a_receivers_pli_and_fir_reach_the_publisher(house: House) -> None:
    _, consumer, layer, up, down = single(house)
    layer.frame(key=True)
    before = len(plis(up))
    house.run(1.0)
    down.handlers.rtcp_received(rtcp.pack(rtcp.PictureLoss(1, consumer.ssrc)), house.now)
    assert len(plis(up)) == before + 1
    layer.frame(key=True)
    house.run(1.0)
    down.handlers.rtcp_received(rtcp.pack(rtcp.FullIntraRequest(1, ((consumer.ssrc, 1),))), house.now)
    assert len(plis(up)) == before + 2
    assert consumer.stats()["plis"] == 2


def test_loss_is_asked_for_and_filled_by_rtx(house: House) -> None:
    producer, _, layer, up, down = single(house)
    layer.frame(key=True)
    house.run(0.03)
    packets = layer.frame(lose=frozenset({0}))
    assert nacked(up) == [packets[0].sequence]
    house.run(0.05)
    rtx = RtpPacket(
        97, 9, packets[0].timestamp, 501, packets[0].sequence.to_bytes(2, "big") + packets[0].payload
    )
    up.handlers.rtp_received(rtx.serialize(), house.now)
    out = received(down)
    assert list(range(len(out))) == sorted((p.sequence - out[0].sequence) & 0xFFFF for p in out)
    assert out[-1].sequence == (out[-2].sequence - 1) & 0xFFFF
    assert out[-1].timestamp == out[-2].timestamp
    up.handlers.rtp_received(rtx.serialize(), house.now)
    assert len(received(down)) == len(out)
    stats = producer.stats()["layers"][0]
    assert (stats["recovered"], stats["rtxPadding"]) == (1, 1)
    house.run(3.0)
    assert nacked(up) == [packets[0].sequence]


def test_what_never_comes_is_given_up_and_a_key_frame_asked_for(house: House) -> None:
    _, _, layer, up, _ = single(house)
    layer.frame(key=True)
    before = len(plis(up))
    packets = layer.frame(lose=frozenset({0}))
    house.run(3.0)
    tries = nacked(up).count(packets[0].sequence)
    assert 2 <= tries <= limits.NACK_MAX_TRIES
    assert len(plis(up)) > before


def test_a_large_hole_is_not_asked_for_packet_by_packet(house: House) -> None:
    _, _, layer, up, _ = single(house)
    layer.frame(key=True)
    before = len(plis(up))
    layer.sequence = (layer.sequence + limits.NACK_MAX_MISSING + 1) & 0xFFFF
    layer.frame()
    assert nacked(up) == []
    house.run(limits.KEYFRAME_SPACING_S + 0.05)
    assert len(plis(up)) == before + 1


def test_a_receivers_nack_is_answered_by_rtx(house: House) -> None:
    _, consumer, layer, _, down = single(house)
    layer.frame(key=True)
    house.run(0.1)
    layer.frame()
    sent = received(down, consumer.ssrc)
    wanted = (sent[1].sequence, sent[2].sequence, (sent[0].sequence - 5) & 0xFFFF)
    down.handlers.rtcp_received(rtcp.pack(rtcp.Nack(1, consumer.ssrc, wanted)), house.now)
    rtx_ssrc = consumer.parameters.encodings[0].rtx_ssrc
    again = received(down, rtx_ssrc)
    assert [int.from_bytes(packet.payload[:2], "big") for packet in again] == [s.sequence for s in sent[1:3]]
    assert [packet.payload[2:] for packet in again] == [packet.payload for packet in sent[1:3]]
    assert [packet.timestamp for packet in again] == [packet.timestamp for packet in sent[1:3]]
    assert {packet.payload_type for packet in again} == {102}
    assert list(steps([packet.sequence for packet in again], 0xFFFF)) == [1]
    down.handlers.rtcp_received(rtcp.pack(rtcp.Nack(1, consumer.ssrc, wanted)), house.now)
    assert len(received(down, rtx_ssrc)) == 2  # two NACKs that crossed are answered once
    assert consumer.stats()["retransmitted"] == 2
    house.run(2.0)
    layer.frame()
    down.handlers.rtcp_received(rtcp.pack(rtcp.Nack(1, consumer.ssrc, wanted)), house.now)
    assert len(received(down, rtx_ssrc)) == 2  # too old


def test_padding_is_neither_forwarded_nor_lost(house: House) -> None:
    producer, consumer, layer, up, down = single(house)
    layer.frame(key=True)
    for _ in range(3):
        probe = RtpPacket(96, layer.sequence, layer.timestamp, 500, padding=200)
        layer.sequence = (layer.sequence + 1) & 0xFFFF
        layer.send(probe)
    up.handlers.rtp_received(RtpPacket(97, 1, 0, 501, padding=255).serialize(), house.now)
    layer.frame()
    out = received(down)
    assert set(steps([packet.sequence for packet in out], 0xFFFF)) == {1}
    assert all(packet.payload for packet in out)
    assert nacked(up) == []
    assert producer.stats()["lost"] == 0
    assert consumer.stats()["packets"] == len(out)


def test_pause_and_resume(house: House) -> None:
    _, consumer, layer, up, down = single(house)
    layer.frame(key=True)
    consumer.pause()
    consumer.pause()
    layer.frame()
    count = len(received(down))
    house.run(1.0)
    before = len(plis(up))
    consumer.resume()
    assert len(plis(up)) == before + 1
    layer.frame()
    assert len(received(down)) == count
    layer.timestamp = (layer.timestamp + 90_000) & 0xFFFFFFFF
    layer.frame(key=True)
    out = received(down)
    assert set(steps([packet.sequence for packet in out], 0xFFFF)) == {1}
    assert list(steps([packet.timestamp for packet in out], 0xFFFFFFFF))[count - 1] == 90_000 + 3 * 3000
    pictures = [parse_descriptor(packet.payload).picture_id for packet in out]
    assert set(steps(pictures, 0x7FFF)) == {0, 1}


def test_a_paused_producer_is_silent_and_told(house: House) -> None:
    producer, consumer, layer, up, down = single(house)
    layer.frame(key=True)
    count = len(received(down))
    producer.pause()
    producer.pause()
    for _ in range(5):
        layer.frame(key=True)
    assert len(received(down)) == count
    assert producer.stats()["lost"] == 0  # a browser goes on sending black; its packets are counted
    assert producer.stats()["packets"] == 12
    assert consumer.producer_paused
    assert consumer.as_json()["producerPaused"]
    house.run(1.0)
    before = len(plis(up))
    producer.resume()
    assert len(plis(up)) == before + 1
    layer.frame(key=True)
    assert len(received(down)) > count
    paused = [event[2] for event in house.listener.named("consumer_paused")]
    assert paused == [True, False]


def test_a_receiver_with_fewer_extensions_gets_fewer(house: House) -> None:
    sender, up = house.peer()
    receiver, down = house.peer()
    other, other_down = house.peer()
    producer = sender.produce("video", vp8_single(), "camera")
    few = {**CHROMIUM, "headerExtensions": []}
    consumer = receiver.consume(producer.id, few, paused=False)
    other.consume(producer.id, CHROMIUM, paused=False)
    layer = Layer(up, house, 500, "", 1, 1)
    layer.frame(key=True)
    assert all(packet.extensions == () for packet in received(down))
    assert all([i for i, _ in p.extensions] == [4, 11] for p in received(other_down))
    first = received(down)[0].sequence
    down.handlers.rtcp_received(rtcp.pack(rtcp.Nack(1, consumer.ssrc, (first,))), house.now)
    assert received(down)[-1].extensions == ()


def test_h264_baseline_of_ffmpeg(house: House) -> None:
    sender, up = house.peer()
    receiver, down = house.peer()
    producer = sender.produce("video", H264, "ultrasound")
    receiver.consume(producer.id, CHROMIUM, paused=False)
    for index, payload in enumerate((b"\x41\x9a", b"\x67\x42\xc0\x1e", b"\x65\x88", b"\x41\x9a")):
        up.handlers.rtp_received(RtpPacket(105, index, 3000 * index, 777, payload).serialize(), house.now)
    assert [packet.payload[0] & 0x1F for packet in received(down)] == [7, 5, 1]
    assert {packet.payload_type for packet in received(down)} == {103}
    assert nacked(up) == []  # FFmpeg did not offer it


def test_a_slow_socket_costs_only_its_own_packets(house: House) -> None:
    producer, consumer, layer, _, down = single(house)
    other, other_down = house.peer()
    other.consume(producer.id, CHROMIUM, paused=False)
    down.accepts = False
    layer.frame(key=True)
    assert received(down) == []
    assert consumer.stats()["refused"] == 2
    assert len(received(other_down)) == 2


def test_reports_go_both_ways(house: House) -> None:
    producer, consumer, layer, up, down = single(house)
    layer.report()
    layer.frame(key=True)
    layer.frame(lose=frozenset({0}))
    house.run(1.01)
    blocks = [
        block for part in feedback(up) if isinstance(part, rtcp.ReceiverReport) for block in part.reports
    ]
    assert blocks[0].ssrc == 500
    assert blocks[0].cumulative_lost == 1
    assert blocks[0].fraction_lost == 256 // 4
    assert blocks[0].last_sr
    assert abs(blocks[0].delay_since_last_sr - 65_536) < 3000
    reports = [part for part in feedback(down) if isinstance(part, rtcp.SenderReport)]
    assert reports[0].ssrc == consumer.ssrc
    assert reports[0].packet_count == 3
    elapsed = (reports[0].rtp_timestamp - (received(down)[0].timestamp - 3000)) & 0xFFFFFFFF
    assert abs(elapsed - 90_000) < 3000
    names = [part for part in feedback(down) if isinstance(part, rtcp.SourceDescription)]
    assert names[0].cnames == ((consumer.ssrc, "KZ5p2mXk2v3pD0Qd"),)
    answer = rtcp.ReportBlock(consumer.ssrc, 64, 5, 0, 900, reports[0].ntp >> 16 & 0xFFFFFFFF, 65_536 // 10)
    house.clock.advance(0.15)
    down.handlers.rtcp_received(rtcp.pack(rtcp.ReceiverReport(1, (answer,))), house.now)
    stats = consumer.stats()
    assert abs(stats["roundTrip"] - 0.05) < 0.02
    assert (stats["lost"], stats["fractionLost"], stats["jitter"]) == (5, 0.25, 0.01)
    layer.frame()
    house.run(1.0)
    stats = consumer.stats()
    assert producer.stats()["bitrate"] > 0
    assert stats["bitrate"] > 0


def test_without_a_publishers_reports_our_clock_serves_after_a_while(house: House) -> None:
    _, _, layer, _, down = single(house)
    layer.frame(key=True)
    house.run(4.0)
    assert not [part for part in feedback(down) if isinstance(part, rtcp.SenderReport)]
    layer.frame()
    house.run(3.0)
    assert [part for part in feedback(down) if isinstance(part, rtcp.SenderReport)]


def test_a_recorder_taps_the_same_packets(house: House) -> None:
    class Sink:
        def __init__(self) -> None:
            self.packets: list[RtpPacket] = []
            self.closings = 0

        def packet(self, packet: bytes, now: float) -> None:
            assert now == house.now
            self.packets.append(RtpPacket.parse(packet))

        def closed(self) -> None:
            self.closings += 1

    producer, _, layer, up, down = single(house)
    sink = Sink()
    consumer = house.router.tap(producer.id, sink)
    layer.frame(key=True)
    layer.frame()
    assert [packet.payload for packet in sink.packets] == [packet.payload for packet in received(down)]
    house.run(2.0)
    before = len(plis(up))
    consumer.request_key_frame()
    assert len(plis(up)) == before + 1
    producer.close()
    consumer.close()
    assert sink.closings == 1
    assert ("consumer_closed", consumer.id) not in house.listener.events


def test_a_restarted_stream_begins_again(house: House) -> None:
    _, _, layer, _, down = single(house)
    layer.frame(key=True)
    layer.frame()
    house.run(0.5)
    layer.sequence, layer.timestamp = 20_000, 5
    layer.frame()
    count = len(received(down))
    layer.frame(key=True)
    out = received(down)
    assert len(out) > count
    assert set(steps([packet.sequence for packet in out], 0xFFFF)) == {1}
    jump = list(steps([packet.timestamp for packet in out], 0xFFFFFFFF))[count - 1]
    assert 40_000 <= jump <= 60_000  # half a second, by arrival


def test_garbage_is_counted_and_hurts_nobody(house: House) -> None:
    _, _, layer, up, down = single(house)
    layer.frame(key=True)
    transport = house.router.transports["wire-0"]
    up.handlers.rtp_received(bytearray(b"\x80"), house.now)
    up.handlers.rtp_received(RtpPacket(96, 1, 1, 99, b"x").serialize(), house.now)
    up.handlers.rtp_received(RtpPacket(96, layer.sequence, 1, 500, b"\x90\x80").serialize(), house.now)
    layer.sequence = (layer.sequence + 1) & 0xFFFF
    up.handlers.rtcp_received(b"\x80\xc8", house.now)
    up.handlers.rtcp_received(rtcp.pack(rtcp.Nack(1, 4242, (1,))), house.now)
    up.handlers.rtcp_received(rtcp.pack(rtcp.Bye((500,))), house.now)
    up.handlers.data_received(5, b"?")
    layer.frame()
    assert transport.stats()["malformed"] == 3
    assert transport.stats()["unrouted"] == 1
    assert len(received(down)) == 4


def test_remb_is_read(house: House) -> None:
    transport, wire = house.peer()
    remb = bytes.fromhex("8fce00050000000100000000") + b"REMB" + bytes.fromhex("010d86a000000007")
    wire.handlers.rtcp_received(remb, house.now)
    assert transport.stats()["receiverEstimate"] == 800_000


def test_closing_is_told_once_and_goes_downwards(house: House) -> None:
    producer, consumer, layer, _, _ = single(house)
    sender = house.router.transports["wire-0"]
    sender.close()
    sender.close()
    names = [event[0] for event in house.listener.events if event[0].endswith("closed")]
    assert names == ["consumer_closed", "producer_closed"]
    assert producer.closed
    assert consumer.closed
    assert house.router.producers == {}
    layer.frame(key=True)
    house.router.close()
    house.router.close()
    assert house.router.transports == {}
    assert all(wire.closings == 1 for wire in house.socket.wires)
    with pytest.raises(LocalProtocolError):
        house.router.create_transport(house.socket)
    with pytest.raises(LocalProtocolError):
        sender.produce("audio", OPUS, "microphone")


def test_a_wire_that_closes_closes_its_transport(house: House) -> None:
    producer, _, _, up, _ = single(house)
    up.become("closed")
    assert producer.closed
    assert "wire-0" not in house.router.transports


def test_requests_that_are_refused(house: House) -> None:
    sender, _ = house.peer()
    receiver, _ = house.peer()
    producer = sender.produce("video", vp8_single(), "camera")

    def code(call: object) -> str:
        with pytest.raises(RemoteProtocolError) as error:
            call()  # type: ignore[operator]
        return error.value.code.code

    assert code(lambda: sender.produce("video", vp8_single(), "camera")) == "duplicate_ssrc"
    assert code(lambda: sender.produce("audio", vp8_single(9), "camera")) == "wrong_kind"
    assert code(lambda: sender.produce("video", {}, "camera")) == "malformed_rtp_parameters"
    assert code(lambda: receiver.consume("nobody", CHROMIUM)) == "unknown_producer"
    assert code(lambda: receiver.consume(producer.id, {"codecs": []})) == "cannot_consume"
    assert code(lambda: receiver.consume(producer.id, 5)) == "malformed_rtp_capabilities"
    assert code(lambda: receiver.consume_data("nobody")) == "unknown_producer"
    assert code(lambda: sender.connect({"role": "client"})) == "dtls_parameters_invalid"
    for index in range(limits.MAX_PRODUCERS_PER_TRANSPORT - 1):
        sender.produce("video", vp8_single(1000 + 2 * index), "camera")
    assert code(lambda: sender.produce("video", vp8_single(7), "camera")) == "limit_reached"
    assert house.router.can_consume(producer.id, CHROMIUM)
    assert not house.router.can_consume("nobody", CHROMIUM)


def test_the_clients_json(house: House) -> None:
    sender, up = house.peer()
    receiver, _ = house.peer(connected=False)
    json_form = sender.as_json()
    assert json_form["id"] == sender.id
    assert json_form["iceCandidates"][0]["address"] == json_form["iceCandidates"][0]["ip"]
    assert json_form["sctpParameters"]["port"] == 5000
    receiver.connect(
        {"role": "client", "fingerprints": [{"algorithm": "sha-256", "value": ":".join(["AB"] * 32)}]}
    )
    assert receiver.restart_ice()["usernameFragment"] == "gark"
    producer = sender.produce("video", VP8_SIMULCAST, "camera")
    consumer = receiver.consume(producer.id, CHROMIUM, paused=True, preferred_layers=(0, 0))
    as_json = consumer.as_json()
    assert as_json["type"] == "simulcast"
    assert as_json["rtpParameters"]["mid"] == "0"
    assert as_json["rtpParameters"]["encodings"][0]["ssrc"] == consumer.ssrc
    assert as_json["paused"] is True
    assert receiver.consume(producer.id, CHROMIUM).rtp_parameters["mid"] == "1"
    assert Router("x", house.clock, house.listener).rtp_capabilities == router_rtp_capabilities()
    assert producer.rtp_parameters["encodings"][0]["rid"] == "r0"
    assert up.state == "connected"
    assert simulcast(house, up)[0].rid == "r0"


def test_what_the_collector_looks_through_does_not_grow_with_receivers(house: House) -> None:
    """A packet of the history, yes; something for each receiver of it would stop everybody at times."""
    producer, _, layer, _, _ = single(house)
    for _ in range(3):
        receiver, _ = house.peer()
        receiver.consume(producer.id, CHROMIUM, paused=False)
    layer.frame(key=True)
    gc.collect()
    before = len(gc.get_objects())
    packets = sum(len(layer.frame()) for _ in range(100))
    gc.collect()
    assert packets >= 200
    assert len(gc.get_objects()) - before < 1.5 * packets
