"""The packet engine: what it sends is real RTP and RTCP, what it counts is what came."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator

import pytest
from pylibsrtp import Policy, Session

from loadtest.traffic.build import compiler
from loadtest.traffic.engine import EngineClosedError, SrtpPair, Totals, Track, TrafficEngine
from media.rtp import rtcp, vp8
from media.rtp.packet import RtpPacket
from media.rtp.rtcp import parse_compound
from media.rtp.twcc import TransportFeedback

pytestmark = pytest.mark.skipif(compiler() is None, reason="load needs a C compiler")

KEY = bytes(range(28))
PROFILE = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
WAIT_S = 10.0
MOST_TURNS = 100_000  # of the engine; idle, it takes a hundred a second


@pytest.fixture
def engine() -> Iterator[TrafficEngine]:
    engine = TrafficEngine()
    yield engine
    engine.close()


def track(frame_sizes: list[int], is_video: bool = True, frame_s: float = 0.005) -> Track:
    ids = [("mid", 1), ("abs", 4), ("number", 5), *([] if is_video else [("level", 10)])]
    return Track(
        77, 101 if is_video else 100, is_video, frame_s, frame_sizes, key_frame_size=2400, extensions=ids
    )


def wait(engine: TrafficEngine, condition: Callable[[Totals], bool]) -> Totals:
    for _ in range(MOST_TURNS):
        if condition(totals := engine.read()[0]):
            return totals
        engine.turn()
    raise AssertionError(totals)


def pair(engine: TrafficEngine) -> tuple[int, int]:
    """Two transports of one engine that talk to each other."""
    ends = [engine.add_transport("0.0.0.0", 0) for _ in range(2)]
    for number, other in ((0, 1), (1, 0)):
        engine.set_remote(ends[number], engine.local_ip(ends[other]), engine.port)
        engine.set_keys(ends[number], SrtpPair(PROFILE, KEY, KEY), 5)
    return ends[0], ends[1]


class Receiver:
    """A plain socket in the place of a server."""

    def __init__(self, engine: TrafficEngine) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(WAIT_S)
        self.transport = engine.add_transport(*self.socket.getsockname())
        engine.set_keys(self.transport, SrtpPair(PROFILE, KEY, KEY), 0)
        policy = Policy(key=KEY, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=PROFILE)
        self.session = Session(policy)

    def rtp(self) -> RtpPacket:
        while True:
            datagram = self.socket.recv(2048)
            if not 192 <= datagram[1] <= 223:
                return RtpPacket.parse(self.session.unprotect(datagram))

    def rtcp(self) -> list[rtcp.RtcpPacket]:
        while True:
            datagram = self.socket.recv(2048)
            if 192 <= datagram[1] <= 223:
                return parse_compound(self.session.unprotect_rtcp(datagram))


def test_a_picture_is_cut_into_equal_vp8_packets_with_all_extensions(engine: TrafficEngine) -> None:
    receiver = Receiver(engine)
    number = engine.add_track(receiver.transport, track([3000]))
    engine.set_active(number, True)
    packets = [receiver.rtp() for _ in range(5)]
    assert [packet.marker for packet in packets] == [
        False,
        True,
        False,
        False,
        True,
    ]  # a key frame of 2400 first
    assert [packet.sequence - packets[0].sequence for packet in packets] == [0, 1, 2, 3, 4]
    assert {len(packet.serialize()) for packet in packets[2:]} == {1000}
    descriptors = [vp8.parse_descriptor(packet.payload) for packet in packets]
    assert [one.keyframe for one in descriptors] == [True, False, False, False, False]
    assert [one.start_of_partition for one in descriptors] == [True, False, True, False, False]
    assert [one.picture_id for one in descriptors] == [1, 1, 2, 2, 2]
    assert descriptors[2].tl0_picture_index == 2
    first = dict(packets[0].extensions)
    assert first[1] == b"0"
    assert len(first[4]) == 3
    assert [int.from_bytes(dict(packet.extensions)[5], "big") for packet in packets] == [0, 1, 2, 3, 4]
    assert packets[0].timestamp == packets[1].timestamp <= packets[2].timestamp
    receiver.socket.close()


def test_sound_has_a_level_and_a_sender_report_with_its_name(engine: TrafficEngine) -> None:
    receiver = Receiver(engine)
    engine.set_active(engine.add_track(receiver.transport, track([160], is_video=False)), True)
    packet = receiver.rtp()
    assert len(packet.serialize()) == 160
    assert dict(packet.extensions)[10] == bytes([0x80 | 30])
    report, names = receiver.rtcp()
    assert isinstance(report, rtcp.SenderReport)
    assert report.ssrc == 77
    assert isinstance(names, rtcp.SourceDescription)
    receiver.socket.close()


def test_what_comes_is_counted_checked_and_told(engine: TrafficEngine) -> None:
    sender, receiver = pair(engine)
    number = engine.add_track(sender, track([3000]))
    stream = engine.add_stream(receiver, 77, 78, number)
    engine.set_active(number, True)
    wait(engine, lambda totals: totals.feedback_heard >= 3 and totals.reports_heard >= 2)
    engine.set_active(number, False)
    totals = wait(engine, lambda totals: totals.arrived == totals.sent)
    assert totals.checked == totals.arrived
    assert (totals.lost, totals.corrupt, totals.repeated, totals.unknown, totals.silent_streams) == (
        0,
        0,
        0,
        0,
        0,
    )
    state = engine.stream(stream)
    assert state is not None
    assert state.arrived == totals.arrived
    _, delays = engine.read()
    assert delays.count == totals.arrived
    assert 0 < delays.percentile_ms(50) < 1000


def test_feedback_names_every_number_and_its_arrival(engine: TrafficEngine) -> None:
    """Numbers 0, 1 and 3 come; what the engine says of them is read by the product's own reader."""
    receiver = Receiver(engine)
    engine.set_keys(receiver.transport, SrtpPair(PROFILE, KEY, KEY), 5)
    engine.add_stream(receiver.transport, 9)
    session = Session(Policy(key=KEY, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=PROFILE))
    to = (engine.local_ip(receiver.transport), engine.port)
    for number in (0, 1, 3):
        packet = RtpPacket(100, number, 0, 9, b"x" * 60, extensions=((5, number.to_bytes(2, "big")),))
        receiver.socket.sendto(session.protect(bytes(packet.serialize())), to)
    told: list[rtcp.RtcpPacket] = []
    while not any(isinstance(one, TransportFeedback) for one in told):
        told += receiver.rtcp()
    feedback = next(one for one in told if isinstance(one, TransportFeedback))
    assert (feedback.base_sequence, feedback.status_count) == (0, 4)
    assert [offset for offset, _ in feedback.arrivals] == [0, 1, 3]
    ticks = [tick for _, tick in feedback.arrivals]
    assert ticks == sorted(ticks)
    assert ticks[-1] - ticks[0] < 4000  # a second
    receiver.socket.close()


def test_a_hole_a_repetition_and_foreign_content_are_seen(engine: TrafficEngine) -> None:
    receiver = Receiver(engine)
    other = engine.add_track(receiver.transport, track([200]))
    stream = engine.add_stream(receiver.transport, 9, 0, other)
    session = Session(Policy(key=KEY, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=PROFILE))
    to = (engine.local_ip(receiver.transport), engine.port)
    sent = [
        session.protect(bytes(RtpPacket(100, n, 0, 9, b"x" * 60).serialize()))
        for n in (65534, 65535, 0, 1, 2)
    ]
    for index in (0, 1, 3, 3, 4):
        receiver.socket.sendto(sent[index], to)
    totals = wait(engine, lambda totals: totals.arrived + totals.repeated == 5)
    assert (totals.arrived, totals.repeated, totals.holes) == (4, 1, 1)
    assert totals.corrupt == 4  # none of it is what that track sends
    state = engine.stream(stream)
    assert state is not None
    assert state.holes == 1
    receiver.socket.sendto(sent[2], to)
    totals = wait(engine, lambda totals: totals.arrived == 5)
    assert (totals.holes, totals.disordered) == (0, 1)
    receiver.socket.close()


def test_a_closed_loop_never_has_more_under_way_than_its_window(engine: TrafficEngine) -> None:
    sender, receiver = pair(engine)
    number = engine.add_track(sender, track([1000]))
    engine.add_stream(receiver, 77, 0, number)
    engine.set_active(number, True)
    wait(engine, lambda totals: totals.arrived > 0)
    engine.closed_loop(32)
    engine.check_every(16)
    wait(engine, lambda totals: totals.arrived > 2000)
    engine.set_active(number, False)
    totals = wait(engine, lambda totals: totals.arrived == totals.sent)
    assert totals.stalls == 0
    assert totals.checked < totals.arrived / 4


def test_a_server_that_says_nothing_is_given_one_window_for_each_time_it_is_given_up(
    engine: TrafficEngine,
) -> None:
    """And not one with every look, which would be thousands of packets for a server that only paused."""
    sender, receiver = pair(engine)
    number = engine.add_track(sender, track([1000]))
    engine.add_stream(receiver, 77, 78, number)
    engine.set_active(number, True)
    wait(engine, lambda totals: totals.arrived > 0)  # a sink that listens
    engine.set_active(number, False)
    wait(engine, lambda totals: totals.arrived == totals.sent)
    engine.set_remote(sender, "127.0.0.1", 9)  # nobody
    before = engine.read()[0].sent
    engine.closed_loop(16)
    engine.set_active(number, True)
    totals = wait(engine, lambda totals: totals.stalls >= 3)
    assert totals.sent - before <= 16 * (totals.stalls + 1)


def test_datagrams_for_python_come_up_and_go_down(engine: TrafficEngine) -> None:
    receiver = Receiver(engine)
    engine.send(receiver.transport, b"\x00\x01 a check")
    datagram, source = receiver.socket.recvfrom(2048)
    assert datagram == b"\x00\x01 a check"
    assert source == (engine.local_ip(receiver.transport), engine.port)
    receiver.socket.sendto(b"\x01\x01 an answer", source)
    assert select.select([engine.event_fd], [], [], WAIT_S)[0]
    assert engine.take() == (receiver.transport, b"\x01\x01 an answer")
    assert engine.take() is None
    receiver.socket.close()


def test_a_closed_engine_says_so() -> None:
    engine = TrafficEngine()
    engine.close()
    engine.close()
    with pytest.raises(EngineClosedError):
        engine.add_transport("127.0.0.1", 9)
