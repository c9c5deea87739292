"""From a source through packets and loss to a decoded picture and an audible tone, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from clients.sdk.media_sink import MediaSink
from clients.sdk.media_source import EncodedSource, OpusSource, Vp8Source, moving_picture, tone
from clients.sdk.track_sender import TrackSender
from media.clock import CountedClock
from media.rtp.packet import RtpPacket
from media.rtp.rtcp import Nack, PictureLoss, ReceiverReport, RtcpPacket, SenderReport, parse_compound


class LossyWire:
    """Stands where the transports are: hands a sender's packets to a sink, or loses some."""

    def __init__(self) -> None:
        self.sink: MediaSink | None = None
        self.clock = CountedClock()
        self.lose: Callable[[RtpPacket], bool] = lambda _: False
        self.sent: list[RtpPacket] = []
        self.reports: list[RtcpPacket] = []

    def send_rtp(self, packet: bytes | bytearray | memoryview) -> bool:
        parsed = RtpPacket.parse(packet)
        self.sent.append(parsed)
        if self.sink is not None and not self.lose(parsed):
            self.sink.rtp_received(RtpPacket.parse(packet), self.clock.monotonic())
        return True

    def send_rtcp(self, packet: bytes | bytearray | memoryview) -> bool:
        self.reports += parse_compound(packet)
        return True


def link(source: EncodedSource) -> tuple[LossyWire, TrackSender, MediaSink]:
    """A sender and the sink of its one consumer."""
    wire = LossyWire()
    track = TrackSender(source, "0", wire, wire.clock)
    consumer: dict[str, Any] = {
        "id": "c",
        "producerId": "p",
        "kind": source.kind,
        "rtpParameters": track.rtp_parameters(),
    }
    wire.sink = MediaSink(consumer, wire.clock)
    return wire, track, wire.sink


def play(wire: LossyWire, track: TrackSender, frames: int) -> None:
    """Send frames at their pace on the counted clock."""
    for _ in range(frames):
        track._send_frame(wire.clock.monotonic())
        wire.clock.advance(track.source.frame_interval_s)


def answer(track: TrackSender, packets: list[RtcpPacket]) -> None:
    for packet in packets:
        track.rtcp_received(packet)


def test_picture_arrives_and_moves() -> None:
    wire, track, sink = link(Vp8Source(moving_picture(320, 240), frames_per_second=15))
    play(wire, track, 20)
    sent, got = track.stats, sink.stats
    assert (got.frames, got.key_frames, got.lost, got.packets) == (20, 1, 0, sent.packets)
    assert (sink.width, sink.height) == (320, 240)
    assert sink.first_frame.is_set()
    pictures = sink.decode_pictures()
    assert len(pictures) == 20
    assert pictures[0].shape == (240, 320, 3)
    brightest = [int(np.argmax(picture.sum(axis=(0, 2)))) for picture in pictures]
    assert brightest[-1] - brightest[0] == pytest.approx(19 * 4, abs=16)  # it is so wide


def test_tone_arrives_at_its_level() -> None:
    wire, track, sink = link(OpusSource(tone(440, level=0.5)))
    play(wire, track, 50)
    assert sink.stats.frames == 50
    assert sink.decode_level() == pytest.approx(0.5 / 2**0.5, rel=0.15)
    assert wire.sent[1].timestamp - wire.sent[0].timestamp == 960


def test_silence_is_told_from_sound() -> None:
    wire, track, sink = link(OpusSource(tone(level=0.0)))
    play(wire, track, 10)
    assert sink.decode_level() < 0.001


def test_lost_packets_are_asked_for_and_come_again() -> None:
    wire, track, sink = link(Vp8Source(moving_picture(), frames_per_second=15))
    play(wire, track, 3)
    wire.lose = lambda packet: packet.ssrc == track.ssrc
    play(wire, track, 2)
    wire.lose = lambda _: False
    play(wire, track, 1)
    lost = sink.missing
    assert lost >= 2
    feedback = sink.feedback(wire.clock.monotonic())
    assert any(isinstance(packet, Nack) and len(packet.sequences) == lost for packet in feedback)
    answer(track, feedback)
    assert track.stats.retransmitted == lost
    assert (sink.missing, sink.stats.lost, sink.stats.frames) == (0, 0, 6)
    assert len(sink.decode_pictures()) == 6


def test_what_never_comes_is_counted_as_lost() -> None:
    wire, track, sink = link(Vp8Source(moving_picture(), frames_per_second=15))
    play(wire, track, 2)
    wire.lose = lambda packet: True
    play(wire, track, 1)
    gone = len(wire.sent) - sink.stats.packets
    wire.lose = lambda packet: packet.ssrc == track.rtx_ssrc
    play(wire, track, 1)
    for _ in range(10):
        answer(track, sink.feedback(wire.clock.monotonic()))
    assert sink.stats.lost == gone
    assert sink.missing == 0


def test_key_frame_is_asked_for_until_there_is_one() -> None:
    wire, track, sink = link(Vp8Source(moving_picture(), frames_per_second=15))
    wire.lose = lambda packet: True
    play(wire, track, 1)
    wire.lose = lambda _: False
    play(wire, track, 3)
    assert not sink.first_frame.is_set()
    feedback = sink.feedback(wire.clock.monotonic())
    assert any(isinstance(packet, PictureLoss) for packet in feedback)
    again = sink.feedback(wire.clock.monotonic())
    assert not any(isinstance(packet, PictureLoss) for packet in again), "not twice at once"
    answer(track, feedback)
    play(wire, track, 6)
    assert sink.stats.key_frames == 1
    assert track.stats.key_frame_requests == 1


def test_reports_tell_the_clock_and_the_loss() -> None:
    wire, track, sink = link(Vp8Source(moving_picture(), frames_per_second=8))
    play(wire, track, 25)
    reports = [report for report in wire.reports if isinstance(report, SenderReport)]
    assert len(reports) == 4
    assert reports[1].rtp_timestamp - reports[0].rtp_timestamp == pytest.approx(90_000, abs=20)
    sink.sender_report(reports[-1], wire.clock.monotonic())
    wire.clock.advance(0.5)
    report = sink.feedback(wire.clock.monotonic())[0]
    assert isinstance(report, ReceiverReport)
    block = report.reports[0]
    assert (block.ssrc, block.fraction_lost, block.cumulative_lost) == (track.ssrc, 0, 0)
    assert block.delay_since_last_sr == 32768
    assert block.last_sr == (reports[-1].ntp >> 16) & 0xFFFFFFFF


def test_a_paused_track_sends_nothing() -> None:
    wire, track, _ = link(OpusSource(tone()))
    track.paused = True
    play(wire, track, 5)
    assert wire.sent == []


async def test_track_runs_by_itself_and_stops_for_good() -> None:
    _, track, sink = link(OpusSource(tone()))
    track.start()
    track.start()
    await asyncio.wait_for(sink.first_frame.wait(), 5)
    await track.stop()
    await track.stop()
    assert track.stats.frames >= 1
