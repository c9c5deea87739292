"""What a publisher is told of its uplink, on counted time."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from media import limits
from media.errors import RemoteProtocolError
from media.ortc import router_rtp_capabilities
from media.ortc.capabilities import TRANSPORT_CC
from media.rtp import rtcp
from media.rtp.packet import ONE_BYTE_PROFILE, RtpPacket, find_extension, parse_header
from media.rtp.twcc import TransportFeedback
from tests.media.relay.helpers import SEND_TIME_ID, House, feedback, vp8_single

NUMBER_ID = 12


def numbered(ssrc: int = 500, rtcp_feedback: str = "transport-cc") -> dict[str, Any]:
    """A track whose packets carry transport-wide numbers."""
    parameters = vp8_single(ssrc)
    codec = parameters["codecs"][0]
    codec = {**codec, "rtcpFeedback": [*codec["rtcpFeedback"], {"type": rtcp_feedback, "parameter": ""}]}
    extensions = [*parameters["headerExtensions"], {"uri": TRANSPORT_CC, "id": NUMBER_ID}]
    return {**parameters, "codecs": [codec, *parameters["codecs"][1:]], "headerExtensions": extensions}


def send(wire: Any, house: House, number: int, ssrc: int = 500, payload: bytes = b"\x10\x01") -> None:
    extensions = ((NUMBER_ID, number.to_bytes(2, "big")),)
    packet = RtpPacket(96, number & 0xFFFF, 0, ssrc, payload, extensions=extensions)
    wire.handlers.rtp_received(packet.serialize(), house.now)


def told(wire: Any) -> list[TransportFeedback]:
    return [part for part in feedback(wire) if isinstance(part, TransportFeedback)]


def test_the_router_offers_what_it_answers() -> None:
    extensions = router_rtp_capabilities()["headerExtensions"]
    assert {e["kind"] for e in extensions if e["uri"] == TRANSPORT_CC} == {"audio", "video"}


def test_arrivals_are_told_ten_times_a_second_retransmissions_and_probes_too() -> None:
    house = House()
    transport, wire = house.peer()
    transport.produce("video", numbered(), "camera")
    for number in range(50):
        if number != 7:
            ssrc = 501 if number % 5 == 0 else 500
            send(wire, house, number, ssrc, b"" if number % 10 == 0 else b"\x10\x01")
        house.run(0.02)
    reports = told(wire)
    assert 9 <= len(reports) <= 11
    numbers = [one.base_sequence + offset for one in reports for offset, _ in one.arrivals]
    assert numbers[:20] == [n for n in range(21) if n != 7]
    assert all(one.sender_ssrc == transport.local_ssrc for one in reports)
    assert {one.feedback_count for one in reports} == set(range(len(reports)))


def test_an_idle_publisher_is_told_nothing_and_wakes_nobody() -> None:
    house = House()
    transport, wire = house.peer()
    producer = transport.produce("video", numbered(), "camera")
    send(wire, house, 1)
    house.run(1.0)
    count = len(told(wire))
    house.run(5.0)
    assert len(told(wire)) == count == 1
    producer.close()
    house.run(3.0)
    assert house.router.due == inf


def test_a_fast_publisher_is_told_sooner() -> None:
    house = House()
    transport, wire = house.peer()
    transport.produce("video", numbered(), "camera")
    for number in range(limits.TRANSPORT_FEEDBACK_PACKETS):
        send(wire, house, number)
    house.run(0.011)
    assert sum(len(one.arrivals) for one in told(wire)) == limits.TRANSPORT_FEEDBACK_PACKETS


def test_who_did_not_agree_is_told_nothing() -> None:
    house = House()
    transport, wire = house.peer()
    transport.produce("video", numbered(rtcp_feedback="nack"), "camera")
    send(wire, house, 1)
    house.run(1.0)
    assert told(wire) == []


def caps(wire: Any) -> list[int]:
    return [part.bitrate for part in feedback(wire) if isinstance(part, rtcp.Remb)]


def remb_publisher(house: House, rate: float, seconds: float, wire: Any) -> None:
    """A publisher over a line of `rate` that obeys the last cap it was told; it wants 3 Mbit/s."""
    free_at, sent_at, number = 0.0, house.now, 0
    end = house.now + seconds
    coming: list[tuple[float, bytearray]] = []
    while sent_at < end:
        told = caps(wire)
        bps = min(3e6, told[-1] if told else 1e6)
        stamp = int(sent_at * 262_144) & 0xFFFFFF
        extensions = ((SEND_TIME_ID, stamp.to_bytes(3, "big")),)
        packet = RtpPacket(96, number & 0xFFFF, 0, 500, b"\x10" + bytes(1000), extensions=extensions)
        number += 1
        free_at = max(free_at, sent_at) + 8 * 1060 / rate
        coming.append((free_at + 0.02, packet.serialize()))
        sent_at += 8 * 1060 / bps
        while coming and coming[0][0] <= sent_at:
            at, data = coming.pop(0)
            house.run(max(0.0, at - house.now))
            wire.handlers.rtp_received(data, house.now)


def test_who_knows_only_remb_is_told_a_cap_that_fits_its_line() -> None:
    house = House()
    transport, wire = house.peer()
    parameters = vp8_single()
    codec = parameters["codecs"][0]
    codec = {**codec, "rtcpFeedback": [*codec["rtcpFeedback"], {"type": "goog-remb", "parameter": ""}]}
    transport.produce("video", {**parameters, "codecs": [codec, *parameters["codecs"][1:]]}, "camera")
    remb_publisher(house, 600_000, 25, wire)
    assert told(wire) == []
    assert 300_000 < caps(wire)[-1] < 700_000
    remb_publisher(house, 5e6, 25, wire)
    assert caps(wire)[-1] > 1_500_000
    assert len(caps(wire)) < 2 * 50
    count = len(caps(wire))
    house.run(5)
    assert len(caps(wire)) <= count + 1


@pytest.mark.parametrize("profile", [ONE_BYTE_PROFILE, 0x1000])
def test_the_extension_is_found_among_others(profile: int) -> None:
    long = b"x" * (17 if profile != ONE_BYTE_PROFILE else 9)
    packet = RtpPacket(96, 1, 0, 1, b"p", extensions=((3, long), (5, b"ab"), (4, b"abc")))
    data = packet.serialize()
    header = parse_header(data)
    at = find_extension(data, header, 5, 2)
    assert data[at : at + 2] == b"ab"
    assert find_extension(data, header, 5, 3) == -1
    assert find_extension(data, header, 9, 2) == -1
    plain = RtpPacket(96, 1, 0, 1, b"p").serialize()
    assert find_extension(plain, parse_header(plain), 5, 2) == -1


def test_an_element_over_the_end_is_the_peers_fault() -> None:
    data = RtpPacket(96, 1, 0, 1, b"p", extensions=((3, b"ab"),)).serialize()
    data[16] = 0x3F
    with pytest.raises(RemoteProtocolError):
        find_extension(data, parse_header(data), 5, 2)
