"""Simulcast and temporal layers: which is sent, when it changes, and that the receiver does not notice."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import limits
from media.relay import Consumer, Producer
from media.relay.layers import TemporalFilter, choose_layer, continued_timestamp
from media.relay.testing import FakeWire
from media.rtp.numbers import ts_diff
from media.rtp.packet import RtpPacket
from media.rtp.vp8 import parse_descriptor
from tests.media.relay.helpers import (
    CHROMIUM,
    VP8_SIMULCAST,
    House,
    Layer,
    nacked,
    plis,
    received,
    simulcast,
    steps,
)


class Room:
    """A simulcast publisher and one receiver."""

    def __init__(self, source: str = "camera") -> None:
        self.house = House()
        sender, self.up = self.house.peer()
        receiver, self.down = self.house.peer()
        self.producer: Producer = sender.produce("video", VP8_SIMULCAST, source)
        self.consumer: Consumer = receiver.consume(self.producer.id, CHROMIUM, paused=False)
        self.layers: list[Layer] = simulcast(self.house, self.up)
        self.answered = 0

    def frames(self, count: int, layers: tuple[int, ...] = (0, 1, 2), key: bool = False) -> None:
        """Frames of some layers at 30 a second; a layer whose key frame was asked for sends one."""
        for _ in range(count):
            asked = set(plis(self.up)[self.answered :])
            self.answered = len(plis(self.up))
            for index, layer in enumerate(self.layers):
                if index in layers:
                    layer.frame(key=key or layer.ssrc in asked)
                else:
                    layer.timestamp = (layer.timestamp + 3000) & 0xFFFFFFFF
            self.house.run(1 / 30)

    @property
    def sent(self) -> list[int]:
        """Which layer each received packet came from, told by the SSRC it had: the current one."""
        return [event[2] for event in self.house.listener.named("consumer_layers")]


def check_continuity(wire: FakeWire, ssrc: int) -> None:
    """What a decoder needs: no hole it could notice, in any of the numbers."""
    out = received(wire, ssrc)
    assert set(steps([packet.sequence for packet in out], 0xFFFF)) <= {1}
    pictures = [parse_descriptor(packet.payload).picture_id for packet in out]
    assert set(steps(pictures, 0x7FFF)) <= {0, 1}
    for before, after in pairwise(out):
        assert ts_diff(after.timestamp, before.timestamp) >= 0


def test_the_top_layer_is_reached_at_once() -> None:
    room = Room()
    room.frames(1, key=True)
    assert room.consumer.current_layers == (2, 2)
    assert plis(room.up) == []  # the first frames are key frames; asking for more would only cost
    room.frames(5)
    assert [layer.ssrc for layer in room.producer.layers] == [100, 200, 300]
    assert [layer.rid for layer in room.producer.layers] == ["r0", "r1", "r2"]
    check_continuity(room.down, room.consumer.ssrc)


def test_after_being_named_a_layer_needs_no_rid() -> None:
    room = Room()
    room.frames(1, key=True)
    for layer in room.layers:
        layer.named = False
    count = len(received(room.down))
    room.frames(3)
    assert len(received(room.down)) > count
    assert all(i in (4, 11) for packet in received(room.down) for i, _ in packet.extensions)


def test_a_silent_top_layer_is_left_and_taken_up_again() -> None:
    room = Room()
    room.frames(1, key=True)
    room.frames(10)
    room.house.listener.events.clear()
    room.frames(40, layers=(0, 1))
    assert room.sent == [1]
    stats = room.producer.stats()["layers"]
    assert [layer["alive"] for layer in stats] == [True, True, False]
    room.frames(40)
    assert room.sent == [1, 2]
    check_continuity(room.down, room.consumer.ssrc)


def test_a_silent_layer_is_left_within_its_time() -> None:
    room = Room()
    room.frames(1, key=True)
    room.frames(3)
    left_at = room.house.now
    while room.consumer.current_layers == (2, 2):
        room.frames(1, layers=(0, 1))
        assert room.house.now - left_at < limits.LAYER_SILENT_S + 0.1


def test_a_layer_that_falls_behind_a_lower_one_is_left_at_once() -> None:
    room = Room()
    room.frames(1, key=True)
    room.frames(3)
    left_at = room.house.now
    while room.consumer.current_layers == (2, 2):
        room.frames(1, layers=(0, 1))
        assert room.house.now - left_at < limits.LAYER_BEHIND_S + limits.ALLOCATION_INTERVAL_S + 0.1
    check_continuity(room.down, room.consumer.ssrc)


def test_a_layer_is_not_behind_what_is_silent_as_well() -> None:
    room = Room()
    room.frames(1, key=True)
    room.frames(3)
    room.frames(15, layers=())  # half a second
    assert room.consumer.current_layers == (2, 2)
    assert all(layer.alive for layer in room.producer.layers)


def test_all_layers_silent_changes_nothing() -> None:
    room = Room()
    room.frames(1, key=True)
    room.frames(5)
    asked = len(plis(room.up))
    room.frames(60, layers=())
    assert room.consumer.current_layers == (2, 2)
    assert len(plis(room.up)) == asked
    room.frames(5)
    check_continuity(room.down, room.consumer.ssrc)


def test_preferred_layers() -> None:
    room = Room()
    room.frames(1, key=True)
    room.consumer.set_preferred_layers(0)
    room.frames(20)
    assert room.consumer.current_layers == (0, 2)
    room.consumer.set_preferred_layers(99, 99)
    room.frames(20)
    assert room.consumer.current_layers == (2, 2)
    check_continuity(room.down, room.consumer.ssrc)
    assert room.consumer.stats()["spatialLayer"] == 2


@pytest.mark.parametrize("source", ["screen", "ultrasound"])
def test_screen_and_ultrasound_are_never_reduced(source: str) -> None:
    room = Room(source)
    room.frames(1, key=True)
    room.consumer.set_preferred_layers(0, 0)
    room.frames(5)
    room.frames(60, layers=())  # it may stand still
    room.frames(30, layers=(0,))
    assert room.consumer.current_layers == (2, 2)


def test_only_a_key_frame_begins_a_layer() -> None:
    room = Room()
    room.frames(1, key=True)
    room.consumer.set_preferred_layers(1)
    for _ in range(10):
        for layer in room.layers:
            layer.frame()
    assert room.consumer.current_layers == (2, 2)
    assert 200 in plis(room.up)


def test_a_key_frames_late_first_packet_begins_nothing() -> None:
    room = Room()
    room.frames(1, key=True)
    room.consumer.set_preferred_layers(1)
    packets = room.layers[1].packets(key=True)
    for packet in packets[1:]:
        room.layers[1].send(packet)
    room.layers[1].send(packets[0])
    assert room.consumer.current_layers == (2, 2)
    room.house.run(1.0)
    assert plis(room.up).count(200) >= 2


def test_loss_of_layers_nobody_takes_is_not_asked_for() -> None:
    room = Room()
    room.frames(1, key=True)
    room.frames(3)
    lost = room.layers[0].packets()
    room.layers[0].send(room.layers[0].packets()[0])
    assert nacked(room.up) == []
    lost = room.layers[2].packets()
    room.layers[2].send(room.layers[2].packets()[0])
    assert nacked(room.up) == [packet.sequence for packet in lost]


def test_rtx_is_known_by_the_repaired_rid() -> None:
    room = Room()
    room.frames(1, key=True)
    room.frames(3)
    lost = room.layers[2].packets()
    room.layers[2].frame()
    room.layers[2].rtx(lost[0], 1)
    assert room.producer.layers[2].rtx_ssrc == 1300
    assert room.producer.stats()["layers"][2]["recovered"] == 1
    assert received(room.down)[-1].payload[-50:] == lost[0].payload[-50:]


def test_another_ssrc_for_the_same_rid_begins_again() -> None:
    room = Room()
    room.frames(1, key=True)
    room.frames(5)
    before = room.consumer.stats()["packets"]
    room.layers[2].ssrc, room.layers[2].sequence, room.layers[2].timestamp = 999, 5, 5
    room.layers[2].frame()
    assert room.consumer.stats()["packets"] == before
    room.house.run(0.5)
    assert 999 in plis(room.up)
    room.layers[2].frame(key=True)
    assert room.consumer.stats()["packets"] > before
    check_continuity(room.down, room.consumer.ssrc)


def test_a_layer_that_begins_anew_lets_those_go_who_were_about_to_leave() -> None:
    room = Room()
    room.frames(1, key=True)
    room.frames(5)
    room.consumer.set_preferred_layers(0)  # the key frame of the lowest is still to come
    room.layers[2].sequence = room.layers[2].sequence + 5000 & 0xFFFF
    room.layers[2].frame()
    before = len(received(room.down))
    room.layers[2].frame(key=True)
    assert len(received(room.down)) == before
    room.consumer.close()
    asked = len(plis(room.up))
    room.layers[2].frame()
    room.house.run(5)
    assert len(plis(room.up)) == asked
    assert 300 not in plis(room.up)[asked:]


def test_timestamps_follow_the_sender_reports() -> None:
    room = Room()
    room.frames(1, key=True)
    for layer in room.layers:
        layer.report()
    room.frames(3)
    before = received(room.down)[-1].timestamp
    room.consumer.set_preferred_layers(0)
    delayed = room.layers[0].packets(key=True)
    instant = room.layers[0].timestamp
    room.house.run(0.3)  # it comes late; by arrival it would be put 0.3 s later
    for packet in delayed:
        room.layers[0].send(packet)
    after = received(room.down)[-1].timestamp
    expected = instant - (room.layers[0].timestamp - 3000)
    assert ts_diff(after, before) == expected


@pytest.mark.parametrize(("target", "kept"), [(0, {0}), (1, {0, 1}), (2, {0, 1, 2})])
def test_temporal_layers_are_dropped_without_a_trace(target: int, kept: set[int]) -> None:
    room = Room()
    for layer in room.layers:
        layer.temporal = True
    room.frames(1, key=True)
    room.consumer.set_preferred_layers(2, target)
    count = len(received(room.down))
    room.frames(24)
    out = received(room.down)
    assert {parse_descriptor(packet.payload).temporal_layer for packet in out[count + 6 :]} == kept
    check_continuity(room.down, room.consumer.ssrc)
    room.consumer.set_preferred_layers(2, 2)
    room.frames(8)
    check_continuity(room.down, room.consumer.ssrc)
    assert {parse_descriptor(p.payload).temporal_layer for p in received(room.down)[-12:]} == {0, 1, 2}
    tl0 = [parse_descriptor(packet.payload).tl0_picture_index for packet in received(room.down)]
    assert set(steps(tl0, 0xFF)) <= {0, 1}


def test_simulcast_without_rids_is_known_by_ssrc() -> None:
    house = House()
    sender, up = house.peer()
    receiver, down = house.peer()
    encodings = [{"ssrc": 100 * i, "rtx": {"ssrc": 100 * i + 1}} for i in (1, 2, 3)]
    producer = sender.produce("video", {**VP8_SIMULCAST, "encodings": encodings}, "camera")
    consumer = receiver.consume(producer.id, CHROMIUM, paused=False)
    for layer in simulcast(house, up):
        layer.named = False
        layer.frame(key=True)
    assert consumer.current_layers is not None
    assert consumer.current_layers[0] == 2
    assert received(down)


def test_a_track_known_by_its_mid_alone() -> None:
    house = House()
    sender, up = house.peer()
    producer = sender.produce("video", {**VP8_SIMULCAST, "encodings": [{}]}, "camera")
    up.handlers.rtp_received(RtpPacket(96, 1, 1, 10, b"\x10\x00", extensions=((9, b"8"),)).serialize(), 1.0)
    assert [layer.ssrc for layer in producer.layers] == [None]
    up.handlers.rtp_received(RtpPacket(96, 1, 1, 11, b"\x10\x00", extensions=((9, b"1"),)).serialize(), 1.0)
    assert producer.layers[0].ssrc == 11
    up.handlers.rtp_received(RtpPacket(96, 1, 1, 12, b"\x10\x00").serialize(), 1.0)
    assert producer.layers[0].ssrc == 11
    up.handlers.rtp_received(RtpPacket(97, 1, 1, 13, b"\x00\x00\x00").serialize(), 1.0)
    assert producer.layers[0].rtx_ssrc == 13
    producer.close()
    transport = house.router.transports["wire-0"]
    up.handlers.rtp_received(RtpPacket(96, 1, 1, 11, b"\x10\x00").serialize(), 1.0)
    assert transport.stats()["unrouted"] == 3


@given(st.lists(st.booleans(), min_size=1, max_size=4), st.integers(0, 3))
def test_the_chosen_layer_is_alive_and_the_nearest(alive: list[bool], preferred: int) -> None:
    chosen = choose_layer(alive, preferred)
    if chosen is None:
        assert not any(alive)
        return
    assert alive[chosen]
    if chosen <= preferred:
        assert not any(alive[chosen + 1 : preferred + 1])
    else:
        assert not any(alive[:chosen])


class _Frame:
    def __init__(self, timestamp: int, tid: int, sync: bool, key: bool, starts: bool) -> None:
        self.timestamp = timestamp
        self.temporal_layer = tid
        self.layer_sync = sync
        self.keyframe = key
        self.starts_frame = starts


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.booleans(), st.integers(1, 3), st.integers(0, 3)),
        max_size=40,
    )
)
def test_a_frame_is_forwarded_whole_or_not_at_all(frames: list[tuple[int, bool, bool, int, int]]) -> None:
    layers = TemporalFilter()
    for number, (tid, sync, key, packets, target) in enumerate(frames):
        layers.target = target
        before = layers.current
        answers = {layers.admits(_Frame(number, tid, sync, key, part == 0)) for part in range(packets)}
        assert len(answers) == 1
        if True in answers:
            assert tid <= layers.current
        if layers.current > before:  # only a key frame or a layer sync lets it climb
            assert key or sync


@given(
    st.none() | st.integers(0, 2**32 - 1),
    st.none() | st.integers(0, 2**32 - 1),
    st.floats(0, 100),
    st.integers(0, 2**32 - 1),
)
def test_a_continued_timestamp_is_newer(
    by_reports: int | None, last: int | None, elapsed: float, timestamp: int
) -> None:
    result = continued_timestamp(by_reports, last, elapsed, 90_000, timestamp)
    assert 0 <= result < 2**32
    if last is None:
        assert result == timestamp
    else:
        assert ts_diff(result, last) > 0
        assert abs(ts_diff(result, (last + round(elapsed * 90_000)) & 0xFFFFFFFF)) <= 3 * 90_000 + 90
