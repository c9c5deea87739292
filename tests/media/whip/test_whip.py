"""WHIP offers of FFmpeg 8.1 (captured), of aiortc and of a browser (by hand), and what we answer."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCPeerConnection
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.ortc import parse_rtp_parameters, router_rtp_capabilities
from media.transport import DtlsParameters, IceCandidate, IceParameters
from media.whip import WhipOffer, build_answer, parse_offer

VECTORS = Path(__file__).parents[2] / "vectors"
CAPABILITIES = router_rtp_capabilities()
DIGEST = ":".join(["AB"] * 32)
TRANSPORT: dict[str, Any] = {
    "id": "t-1",
    "iceParameters": IceParameters("serverufrag", "s" * 32, ice_lite=True).as_json(),
    "iceCandidates": [
        IceCandidate("1", 2130706431, "192.0.2.1", 40000).as_json(),
        IceCandidate("2", 2130706175, "198.51.100.1", 40000).as_json(),
    ],
    "dtlsParameters": DtlsParameters("auto", (("sha-256", DIGEST),)).as_json(),
}


def ffmpeg(setup: str) -> str:
    return (VECTORS / f"whip_offer_ffmpeg_{setup}.sdp").read_bytes().decode()


SIMULCAST = "\r\n".join(
    [
        "v=0",
        "o=- 1 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        f"a=fingerprint:sha-256 {DIGEST}",
        "a=ice-ufrag:abcd",
        f"a=ice-pwd:{'p' * 24}",
        "m=video 9 UDP/TLS/RTP/SAVPF 35 96 97",
        "c=IN IP4 0.0.0.0",
        "a=setup:actpass",
        "a=mid:0",
        "a=sendonly",
        "a=rtcp-mux",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "a=rtpmap:35 AV1/90000",
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 transport-cc",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "a=rid:q send",
        "a=rid:h send",
        "a=simulcast:send q;h",
        "",
    ]
)


def lines_of(answer: str, kind: str) -> list[str]:
    """The lines of one section."""
    sections = answer.split("m=")
    return next(f"m={s}".split("\r\n") for s in sections if s.startswith(kind))


@pytest.mark.parametrize(("setup", "role"), [("passive", "server"), ("active", "client")])
def test_ffmpeg_offer_is_read(setup: str, role: str) -> None:
    offer = parse_offer(ffmpeg(setup), CAPABILITIES)
    assert offer.dtls.role == role
    assert offer.dtls.fingerprints[0][0] == "sha-256"
    audio, video = offer.parts
    assert (audio.kind, audio.mid, video.kind, video.mid) == ("audio", "0", "video", "1")
    assert audio.rtp_parameters["codecs"][0]["mimeType"] == "audio/opus"
    assert audio.rtp_parameters["codecs"][0]["channels"] == 2
    h264, rtx = video.rtp_parameters["codecs"]
    assert h264["parameters"] == {
        "level-asymmetry-allowed": 1,
        "packetization-mode": 1,
        "profile-level-id": "420014",
    }
    assert rtx["parameters"] == {"apt": 106}
    (encoding,) = video.rtp_parameters["encodings"]
    assert encoding["rtx"]["ssrc"] == encoding["ssrc"] + 1
    assert video.rtp_parameters["rtcp"] == {"cname": "FFmpeg", "reducedSize": True}
    for part in offer.parts:
        parse_rtp_parameters(part.rtp_parameters)


@pytest.mark.parametrize(("setup", "answered"), [("passive", "active"), ("active", "passive")])
def test_ffmpeg_is_answered(setup: str, answered: str) -> None:
    answer = build_answer(parse_offer(ffmpeg(setup), CAPABILITIES), TRANSPORT)
    head = answer.split("m=")[0]
    assert "a=ice-lite\r\n" in head
    assert "a=group:BUNDLE 0 1\r\n" in head
    video = lines_of(answer, "video")
    assert video[0] == "m=video 9 UDP/TLS/RTP/SAVPF 106 105"
    for line in (
        "a=mid:1",
        "a=recvonly",
        "a=rtcp-mux",
        "a=ice-ufrag:serverufrag",
        f"a=ice-pwd:{'s' * 32}",
        f"a=fingerprint:sha-256 {DIGEST}",
        f"a=setup:{answered}",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host",
        "a=candidate:2 1 udp 2130706175 198.51.100.1 40000 typ host",
        "a=end-of-candidates",
        "a=rtpmap:106 H264/90000",
        "a=rtpmap:105 rtx/90000",
        "a=fmtp:105 apt=106",
        "a=rtcp-fb:106 nack",
    ):
        assert line in video
    assert "a=rtpmap:111 opus/48000/2" in lines_of(answer, "audio")
    assert answer.endswith("\r\n")
    SessionDescription.parse(answer)


def test_simulcast_of_a_browser_is_taken_by_rid_in_a_known_codec() -> None:
    offer = parse_offer(SIMULCAST, CAPABILITIES)
    (part,) = offer.parts
    parameters = part.rtp_parameters
    assert [codec["payloadType"] for codec in parameters["codecs"]] == [96, 97]
    assert parameters["encodings"] == [{"rid": "q"}, {"rid": "h"}]
    assert [e["id"] for e in parameters["headerExtensions"]] == [4, 10, 5]
    assert parameters["codecs"][0]["rtcpFeedback"] == [
        {"type": "transport-cc", "parameter": ""},
        {"type": "nack", "parameter": ""},
        {"type": "nack", "parameter": "pli"},
    ]
    video = lines_of(build_answer(offer, TRANSPORT), "video")
    assert {"a=rid:q recv", "a=rid:h recv", "a=simulcast:recv q;h", "a=setup:passive"} <= set(video)
    assert "a=rtcp-fb:96 nack pli" in video
    assert "a=rtcp-fb:96 transport-cc" in video
    assert any(line.startswith("a=extmap:5 http://www.ietf.org/id/draft-holmer") for line in video)


async def test_aiortc_takes_our_answer_to_its_offer() -> None:
    connection = RTCPeerConnection()
    connection.addTransceiver("audio", direction="sendonly")
    connection.addTransceiver("video", direction="sendonly")
    channel = connection.createDataChannel("chat")
    description = await connection.createOffer()
    await connection.setLocalDescription(description)
    offer = parse_offer(connection.localDescription.sdp, CAPABILITIES)
    assert [part.kind for part in offer.parts] == ["audio", "video"]
    assert [section.part is None for section in offer.sections] == [False, False, True]
    answer = build_answer(offer, TRANSPORT)
    assert "m=application 0 " in answer
    parsed = SessionDescription.parse(answer)
    assert [media.port for media in parsed.media] == [9, 9, 0]
    assert parsed.media[1].ice_candidates[0].ip == "192.0.2.1"
    assert parsed.media[1].dtls is not None
    assert parsed.media[1].dtls.role == "server"
    assert parsed.media[1].ice_candidates_complete
    channel.close()
    await connection.close()


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("v=0", "v=1", "whip_offer_malformed"),
        ("m=video 9", "m=video x", "whip_offer_malformed"),
        ("a=rtpmap:96 VP8/90000", "a=rtpmap:196 VP8/90000", "whip_offer_malformed"),
        ("a=extmap:4 ", "a=extmap:999 ", "whip_offer_malformed"),
        ("a=mid:0", "a=mid:with space", "whip_offer_malformed"),
        ("s=-", "this is no line", "whip_offer_malformed"),
        ("VP8", "VP7", "whip_offer_unusable"),
        ("a=sendonly", "a=recvonly", "whip_offer_unusable"),
        ("a=rtcp-mux\r\n", "", "whip_offer_unusable"),
        ("a=setup:actpass", "a=setup:holdconn", "whip_offer_unusable"),
        ("a=ice-ufrag:abcd\r\n", "", "whip_offer_unusable"),
        ("a=rid:q send\r\na=rid:h send\r\n", "", "whip_offer_unusable"),
        ("a=ice-ufrag:abcd", "a=ice-ufrag:a", "ice_parameters_invalid"),
        (f"a=fingerprint:sha-256 {DIGEST}", "a=fingerprint:sha-256 AB", "dtls_parameters_invalid"),
        (f"a=fingerprint:sha-256 {DIGEST}\r\n", "", "dtls_parameters_invalid"),
        ("s=-", "s=" + "x" * 70_000, "too_large"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_code(old: str, new: str, code: str) -> None:
    assert old in SIMULCAST
    with pytest.raises(RemoteProtocolError) as caught:
        parse_offer(SIMULCAST.replace(old, new), CAPABILITIES)
    assert caught.value.code.code == code
    assert caught.value.code.status in (400, 413, 422)


def section(kind: str, mid: str, codec: str) -> str:
    """One more section of a bundled offer."""
    lines = ["m=" + kind + " 9 UDP/TLS/RTP/SAVPF 120", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", "a=sendonly"]
    return "\r\n".join([*lines, "a=rtcp-mux", f"a=rtpmap:120 {codec}", ""])


def test_more_than_one_track_of_a_kind_is_refused() -> None:
    two = SIMULCAST.rstrip("\r\n").replace("a=group:BUNDLE 0", "a=group:BUNDLE 0 1") + "\r\n"
    with pytest.raises(RemoteProtocolError) as caught:
        parse_offer(two + section("video", "1", "VP8/90000"), CAPABILITIES)
    assert (caught.value.code.status, caught.value.detail) == (422, "more than one track of a kind")


def test_a_section_that_cannot_be_forwarded_refuses_the_whole_offer() -> None:
    two = SIMULCAST.rstrip("\r\n").replace("a=group:BUNDLE 0", "a=group:BUNDLE 0 1") + "\r\n"
    with pytest.raises(RemoteProtocolError) as caught:
        parse_offer(two + section("audio", "1", "G722/8000"), CAPABILITIES)
    assert caught.value.code.status == 422
    parse_offer(two + section("audio", "1", "opus/48000/2"), CAPABILITIES)


def test_two_tracks_without_a_bundle_are_refused() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_offer(ffmpeg("active").replace("a=group:BUNDLE 0 1\r\n", ""), CAPABILITIES)
    assert caught.value.code.code == "whip_offer_unusable"


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse_offer(text, CAPABILITIES)


@settings(max_examples=300)
@given(st.data())
def test_a_broken_offer_is_read_or_refused(data: st.DataObject) -> None:
    lines = SIMULCAST.split("\r\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    broken = data.draw(
        st.one_of(
            st.just(""),
            st.text(max_size=30),
            st.builds(lambda tail: lines[at][: len(lines[at]) // 2] + tail, st.text(max_size=20)),
            st.builds(lambda cut: lines[at][:cut], st.integers(0, 40)),
        )
    )
    offer: WhipOffer | None = None
    with contextlib.suppress(RemoteProtocolError):
        offer = parse_offer("\r\n".join([*lines[:at], broken, *lines[at + 1 :]]), CAPABILITIES)
    if offer is not None:
        assert "a=end-of-candidates" in build_answer(offer, TRANSPORT)


@pytest.mark.parametrize("group", ["", " ", "FID", "FID 1"])
def test_an_ssrc_group_that_says_nothing_is_passed_over(group: str) -> None:
    sdp = ffmpeg("active")
    at = sdp.index("a=ssrc:1289795180 cname")
    offer = parse_offer(f"{sdp[:at]}a=ssrc-group:{group}\r\n{sdp[at:]}", CAPABILITIES)
    assert len(offer.parts) == 2
