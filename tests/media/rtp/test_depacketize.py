"""Packets back to frames: real encoders' output, loss, reorder, wrap, garbage."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.rtp.depacketize import (
    EncodedFrame,
    H264Depacketizer,
    OpusDepacketizer,
    Vp8Depacketizer,
    depacketizer_for,
)
from media.rtp.packet import RtpPacket
from media.rtp.packetize import H264Packetizer, OpusPacketizer, Vp8Packetizer, split_annex_b
from media.rtp.reorder import ReorderBuffer


def key_frame(size: int = 2000) -> bytes:
    return bytes.fromhex("10d0009d012a8002e001") + bytes(size)


def delta_frame(size: int = 1500) -> bytes:
    return bytes.fromhex("11") + bytes([7]) * size


def packets_of(
    frames: list[bytes], first_sequence: int = 65530, timestamp: int = 0xFFFFF000
) -> list[RtpPacket]:
    packetizer = Vp8Packetizer(mtu=600)
    packets: list[RtpPacket] = []
    for index, frame in enumerate(frames):
        payloads = packetizer.packetize(frame)
        for number, payload in enumerate(payloads):
            packets.append(
                RtpPacket(
                    96,
                    (first_sequence + len(packets)) & 0xFFFF,
                    (timestamp + 3000 * index) & 0xFFFFFFFF,
                    1,
                    payload,
                    marker=number == len(payloads) - 1,
                )
            )
    return packets


def encoded(codec: str, count: int) -> Iterator[bytes]:
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = 320, 240, "yuv420p"
    context.time_base = Fraction(1, 30)
    context.options = {"deadline": "realtime"} if codec == "libvpx" else {"tune": "zerolatency"}
    for index in range(count):
        picture = np.full((240, 320, 3), index * 20 % 255, dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = index
        for packet in context.encode(frame.reformat(format="yuv420p")):
            yield bytes(packet)


def test_real_vp8_survives() -> None:
    frames = list(encoded("libvpx", 5))
    depacketizer = Vp8Depacketizer()
    out = [frame for packet in packets_of(frames) for frame in depacketizer.push(packet)]
    assert [frame.data for frame in out] == frames
    assert [frame.keyframe for frame in out] == [True, False, False, False, False]
    assert (out[-1].width, out[-1].height) == (320, 240)
    assert all(frame.complete for frame in out)


def test_real_h264_survives() -> None:
    frames = list(encoded("libx264", 4))
    packetizer, depacketizer = H264Packetizer(mtu=300), H264Depacketizer()
    out: list[EncodedFrame] = []
    sequence = 0
    for index, frame in enumerate(frames):
        payloads = packetizer.packetize(frame)
        for number, payload in enumerate(payloads):
            marker = number == len(payloads) - 1
            out += depacketizer.push(RtpPacket(97, sequence, 3000 * index, 1, payload, marker).serialize())
            sequence += 1
    assert [split_annex_b(frame.data) for frame in out] == [split_annex_b(frame) for frame in frames]
    assert out[0].keyframe
    assert (out[0].width, out[0].height) == (320, 240)


def test_h264_aggregate_and_remembered_parameter_sets() -> None:
    units = split_annex_b(next(encoded("libx264", 1)))
    sps, pps = (next(u for u in units if u[0] & 0x1F == kind) for kind in (7, 8))
    stap = b"\x78" + b"".join(len(u).to_bytes(2, "big") + u for u in (sps, pps))
    idr = b"\x65\x88\x84\x00"
    depacketizer = H264Depacketizer()
    first = [
        *depacketizer.push(RtpPacket(97, 1, 0, 1, stap)),
        *depacketizer.push(RtpPacket(97, 2, 0, 1, idr, True)),
    ]
    second = depacketizer.push(RtpPacket(97, 3, 3000, 1, idr, True))
    assert [split_annex_b(f.data) for f in first] == [[sps, pps, idr.rstrip(b"\0")]]
    assert split_annex_b(second[0].data)[:2] == [sps, pps]


def test_a_lost_first_slice_breaks_the_picture() -> None:
    depacketizer = H264Depacketizer()
    assert depacketizer.push(RtpPacket(97, 1, 0, 1, b"\x65\x08\x84", True)) == []
    assert depacketizer.dropped_frames == 1


def test_after_a_loss_nothing_until_the_next_key_frame() -> None:
    frames = [key_frame(), delta_frame(), delta_frame(), key_frame(), delta_frame()]
    packets = packets_of(frames)
    lost = next(i for i, p in enumerate(packets) if p.timestamp == (0xFFFFF000 + 3000) & 0xFFFFFFFF) + 1
    depacketizer = Vp8Depacketizer()
    out: list[EncodedFrame] = []
    for index, packet in enumerate(packets):
        if index != lost:
            out += depacketizer.push(packet)
    out += depacketizer.flush()
    assert [frame.data for frame in out] == [frames[0], frames[3], frames[4]]
    assert depacketizer.lost_packets == 1
    assert depacketizer.dropped_frames == 2


def test_a_late_retransmission_is_not_a_loss() -> None:
    frames = [key_frame(), delta_frame(), delta_frame()]
    packets = packets_of(frames)
    packets.append(packets.pop(2))
    depacketizer = Vp8Depacketizer()
    out = [frame for packet in packets for frame in depacketizer.push(packet)]
    assert [frame.data for frame in out] == frames
    assert depacketizer.lost_packets == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.booleans(), min_size=1, max_size=12),
    st.sets(st.integers(0, 60), max_size=6),
    st.randoms(use_true_random=False),
)
def test_only_whole_frames_after_a_key_frame(keys: list[bool], lost: set[int], random: object) -> None:
    frames = [(key_frame if key else delta_frame)(1000 + index) for index, key in enumerate(keys)]
    arriving = [p for i, p in enumerate(packets_of(frames)) if i not in lost]
    swaps = getattr(random, "randrange")  # noqa: B009
    for index in range(len(arriving) - 1):
        if swaps(4) == 0:
            arriving[index], arriving[index + 1] = arriving[index + 1], arriving[index]
    depacketizer = Vp8Depacketizer()
    out = [frame for packet in arriving for frame in depacketizer.push(packet)] + depacketizer.flush()
    assert all(frame.data in frames for frame in out)
    numbers = [frames.index(frame.data) for frame in out]
    assert numbers == sorted(set(numbers))
    for before, number in zip([-1, *numbers], numbers, strict=False):
        assert number == before + 1 or keys[number]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 3), st.binary(max_size=30), st.booleans()), max_size=30
    )
)
def test_any_payloads_break_only_frames(parts: list[tuple[int, int, bytes, bool]]) -> None:
    for mime in ("video/VP8", "video/H264", "audio/opus"):
        depacketizer = depacketizer_for(mime, 90_000)
        for sequence, frame, payload, marker in parts:
            depacketizer.push(RtpPacket(96, sequence, 3000 * frame, 1, payload, marker))
        depacketizer.flush()


def test_opus_passes_through_in_order() -> None:
    depacketizer = OpusDepacketizer()
    packets = [
        RtpPacket(111, (65534 + i) & 0xFFFF, 960 * i, 1, OpusPacketizer().packetize(bytes([i]))[0])
        for i in range(5)
    ]
    order = [0, 2, 1, 3, 4]
    out = [frame for index in order for frame in depacketizer.push(packets[index])]
    assert [frame.data for frame in out] == [bytes([i]) for i in range(5)]
    assert all(frame.keyframe for frame in out)


def test_a_broken_header_blames_the_peer() -> None:
    with pytest.raises(RemoteProtocolError):
        OpusDepacketizer().push(b"\x00")


def test_reorder_gives_a_hole_up_by_time_and_by_count() -> None:
    by_time = ReorderBuffer(capacity=100, patience=3000)
    assert len(by_time.push(RtpPacket(96, 0, 0, 1))) == 1
    assert by_time.push(RtpPacket(96, 2, 1000, 1)) == []
    assert [hole for _, hole in by_time.push(RtpPacket(96, 3, 4001, 1))] == [True, False]
    by_count = ReorderBuffer(capacity=3, patience=10**9)
    by_count.push(RtpPacket(96, 0, 0, 1))
    assert by_count.push(RtpPacket(96, 3, 0, 1)) == by_count.push(RtpPacket(96, 2, 0, 1)) == []
    assert [packet.sequence for packet, _ in by_count.push(RtpPacket(96, 5, 0, 1))] == [2, 3]
    assert by_count.lost == 1


def test_reorder_takes_a_restarted_stream() -> None:
    buffer = ReorderBuffer(capacity=100, patience=3000)
    buffer.push(RtpPacket(96, 20_000, 0, 1))
    assert buffer.push(RtpPacket(96, 19_999, 0, 1)) == []
    assert [hole for _, hole in buffer.push(RtpPacket(96, 5, 77, 1))] == [True]
    assert [packet.sequence for packet, _ in buffer.push(RtpPacket(96, 6, 77, 1))] == [6]
