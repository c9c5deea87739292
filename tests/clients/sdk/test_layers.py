"""The sdk's VP8: its temporal layers can be left out, and its rate follows what the line carries."""

from __future__ import annotations

from collections.abc import Iterable

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from clients.device.cine import Cine
from clients.device.ultrasound import MOST_BITRATE, bitrate_of
from clients.sdk.media_source import EncodedFrame, EncodedSource, OpusSource, Vp8Source, moving_picture, tone
from clients.sdk.rate_steps import MOST_STEPS, RATE_STEP, RateSteps
from clients.sdk.track_sender import SEND_TIME_ID, TrackSender
from clients.sdk.whip_offer import build_offer
from media.clock import CountedClock
from media.ortc import router_rtp_capabilities
from media.rtp.packet import RtpPacket
from media.rtp.rtcp import Remb
from media.rtp.vp8 import Vp8Descriptor, parse_descriptor
from media.transport import DtlsParameters, IceParameters
from media.whip import parse_offer

KEY_FRAMES = (0, 21)


def encoded(count: int) -> list[EncodedFrame]:
    source = Vp8Source(moving_picture(), frames_per_second=30)
    frames = [source.next_frame(number in KEY_FRAMES) for number in range(count)]
    return [frame for frame in frames if frame is not None]


def decoded(frames: Iterable[EncodedFrame]) -> list[NDArray[np.uint8]]:
    decoder = av.CodecContext.create("vp8", "r")
    pictures = []
    for frame in frames:
        (picture,) = decoder.decode(av.Packet(frame.data))
        pictures.append(picture.to_ndarray().astype(np.uint8))
    return pictures


def test_frames_come_in_the_pattern_that_begins_with_each_key_frame() -> None:
    frames = encoded(40)
    pattern = [(0, False), (2, True), (1, True), (2, False)]
    for number, frame in enumerate(frames):
        begun = max(key for key in KEY_FRAMES if key <= number)
        assert (frame.temporal_layer, frame.layer_sync) == pattern[(number - begun) % 4]
        assert (not frame.data[0] & 1) == (number in KEY_FRAMES)


@pytest.mark.parametrize("highest", [0, 1])
def test_without_the_upper_layers_the_same_pictures_come(highest: int) -> None:
    frames = encoded(60)
    whole = decoded(frames)
    kept = [index for index, frame in enumerate(frames) if (frame.temporal_layer or 0) <= highest]
    part = decoded(frames[index] for index in kept)
    assert all((whole[index] == picture).all() for index, picture in zip(kept, part, strict=True))


@pytest.mark.parametrize("layer", [1, 2])
def test_a_layer_may_begin_again_where_it_says_so(layer: int) -> None:
    frames = encoded(60)
    whole = decoded(frames)
    again = next(
        i
        for i, frame in enumerate(frames)
        if i > 40 and (frame.temporal_layer, frame.layer_sync) == (layer, True)
    )
    kept = [
        i
        for i, f in enumerate(frames)
        if f.temporal_layer == 0 or (i >= again and (f.temporal_layer or 0) <= layer)
    ]
    part = decoded(frames[index] for index in kept)
    assert all((whole[index] == picture).all() for index, picture in zip(kept, part, strict=True))


class Sent:
    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []

    def send_rtp(self, packet: bytes | bytearray | memoryview) -> bool:
        self.packets.append(RtpPacket.parse(packet))
        return True

    def send_rtcp(self, packet: bytes | bytearray | memoryview) -> bool:
        return True


def test_the_descriptor_tells_the_layers() -> None:
    wire, clock = Sent(), CountedClock()
    track = TrackSender(Vp8Source(moving_picture(), frames_per_second=30), "0", wire, clock)
    for number in range(12):
        track._send_frame(number / 30)
    frames: dict[int, Vp8Descriptor] = {
        packet.timestamp: parse_descriptor(packet.payload) for packet in wire.packets
    }
    layers = [one.temporal_layer for one in frames.values()]
    assert layers == [0, 2, 1, 2] * 3
    first = next(iter(frames.values())).tl0_picture_index
    assert [one.tl0_picture_index - first for one in frames.values()] == [n // 4 for n in range(12)]
    assert [one.layer_sync for one in frames.values()] == [False, True, True, False] * 3


def test_packets_carry_when_they_were_sent() -> None:
    wire, clock = Sent(), CountedClock()
    track = TrackSender(Vp8Source(moving_picture()), "0", wire, clock)
    track._send_frame(0.0)
    clock.advance(0.5)
    track._send_frame(0.5)
    times = [int.from_bytes(dict(one.extensions)[SEND_TIME_ID], "big") for one in wire.packets]
    assert times[-1] - times[0] & 0xFFFFFF == 1 << 17


def test_the_offer_asks_to_be_told_what_the_line_carries() -> None:
    clock = CountedClock()
    sources: list[EncodedSource] = [OpusSource(tone()), Vp8Source(moving_picture())]
    tracks = [TrackSender(source, str(index), Sent(), clock) for index, source in enumerate(sources)]
    ice = IceParameters("abcd", "0123456789abcdefghijkl")
    dtls = DtlsParameters("client", (("sha-256", ":".join(["AB"] * 32)),))
    sound, picture = parse_offer(build_offer(tracks, ice, dtls), router_rtp_capabilities()).parts
    feedback = [item["type"] for item in picture.rtp_parameters["codecs"][0]["rtcpFeedback"]]
    assert feedback == ["nack", "nack", "ccm", "goog-remb"]
    assert len(picture.rtp_parameters["headerExtensions"]) == 2
    assert sound.rtp_parameters["codecs"][0]["rtcpFeedback"] == []


def test_a_thin_uplink_lowers_the_rate_and_a_wider_one_gives_it_back() -> None:
    source = Vp8Source(moving_picture(), frames_per_second=30, bitrate=480_000)
    track = TrackSender(source, "0", Sent(), CountedClock())
    track._send_frame(0.0)
    track.rtcp_received(Remb(1, 200_000, (track.ssrc + 1,)))
    assert source.bitrate == 480_000  # about somebody else's
    track.rtcp_received(Remb(1, 200_000, (track.ssrc,)))
    assert source.bitrate <= 180_000
    frame = source.next_frame(False)
    assert frame is not None
    assert not frame.data[0] & 1
    assert frame.temporal_layer == 0
    sizes = [len(frame.data) for _ in range(90) if (frame := source.next_frame(False))]
    assert sum(sizes) * 8 / 3 < 200_000
    track.rtcp_received(Remb(1, 190_000, (track.ssrc,)))
    assert source.bitrate <= 180_000
    rates = []
    for _ in range(MOST_STEPS):
        track.rtcp_received(Remb(1, 2_000_000, (track.ssrc,)))
        rates.append(source.bitrate)
    assert rates == sorted(rates)
    assert rates[-1] == 480_000


@given(st.integers(100_000, 4_000_000), st.lists(st.integers(0, 5_000_000), max_size=50))
def test_a_rate_keeps_below_the_cap_down_to_the_least(full: int, caps: list[int]) -> None:
    steps = RateSteps(full)
    least = round(full * RATE_STEP**MOST_STEPS)
    for cap in caps:
        before = steps.current
        changed = steps.limited(cap)
        assert changed == (steps.current != before)
        assert steps.current <= max(cap, least)
        assert least <= steps.current <= full
        if cap >= before:
            assert before <= steps.current <= before / RATE_STEP + 1


def test_a_cap_that_what_is_sent_allows_is_enough_for_the_next_step() -> None:
    """The server's estimate goes at most to one and a half times what it sees arrive."""
    steps = RateSteps(480_000)
    steps.limited(60_000)
    for _ in range(MOST_STEPS):
        steps.limited(round(1.5 * 0.95 * steps.current))
    assert steps.current == 480_000


@pytest.mark.parametrize(
    ("size", "frame_s", "expected"), [((240, 320), 1 / 30, 483_840), ((768, 1024), 1 / 30, MOST_BITRATE)]
)
def test_the_rate_of_an_ultrasound_is_that_of_its_pictures(
    size: tuple[int, int], frame_s: float, expected: int
) -> None:
    assert bitrate_of(Cine((np.zeros((*size, 3), np.uint8),), frame_s)) == expected
