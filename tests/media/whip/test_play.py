"""WHEP offers of Chromium and of others, the answers to them, and trickle fragments."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.ortc import (
    ConsumerIdentity,
    consumable_parameters,
    consumer_parameters,
    parse_rtp_capabilities,
    parse_rtp_parameters,
    router_rtp_capabilities,
)
from media.whip import build_play_answer, parse_fragment, parse_play_offer, restart_fragment
from tests.media.whip.test_whip import TRANSPORT

CAPABILITIES = router_rtp_capabilities()
OFFER = (Path(__file__).parents[2] / "vectors" / "whep_offer_chromium.sdp").read_bytes().decode()


def track(kind: str, mime_type: str, offer_capabilities: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    """What the relay would tell a consumer of a track in this codec."""
    codec = {"mimeType": mime_type, "payloadType": 77, "clockRate": 90_000, "parameters": parameters}
    if kind == "audio":
        codec |= {"clockRate": 48_000, "channels": 2}
    produced = parse_rtp_parameters(
        {"mid": "0", "codecs": [codec], "encodings": [{"ssrc": 7}], "rtcp": {"cname": "cn"}}
    )
    identity = ConsumerIdentity(1111, 2222, "0", "cn")
    offered = parse_rtp_capabilities(offer_capabilities)
    return consumer_parameters(consumable_parameters(produced), offered, identity).as_json()


def sections(answer: str) -> dict[str, list[str]]:
    """Lines of each section by its kind."""
    return {part.split(" ")[0]: f"m={part}".split("\r\n") for part in answer.split("m=")[1:]}


def test_chromium_gets_its_own_numbers() -> None:
    offer = parse_play_offer(OFFER, CAPABILITIES)
    assert offer.kinds() == {"audio", "video"}
    assert offer.dtls.role == "client"
    tracks = {
        "audio": track("audio", "audio/opus", offer.capabilities),
        "video": track("video", "video/VP8", offer.capabilities),
    }
    answer = build_play_answer(offer, TRANSPORT, tracks)
    audio, video = sections(answer)["audio"], sections(answer)["video"]
    assert audio[0] == "m=audio 9 UDP/TLS/RTP/SAVPF 111"
    assert video[0] == "m=video 9 UDP/TLS/RTP/SAVPF 96 97"
    for line in (
        "a=sendonly",
        "a=rtcp-mux",
        "a=setup:passive",
        "a=rtpmap:96 VP8/90000",
        "a=fmtp:97 apt=96",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=ssrc-group:FID 1111 2222",
        "a=ssrc:1111 cname:cn",
        "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        "a=extmap:13 urn:3gpp:video-orientation",
        "a=end-of-candidates",
    ):
        assert line in video, line
    assert "a=group:BUNDLE 0 1" in answer
    assert "a=ice-lite" in answer
    SessionDescription.parse(answer)


def test_h264_is_answered_in_the_offers_matching_profile() -> None:
    offer = parse_play_offer(OFFER, CAPABILITIES)
    parameters = {"packetization-mode": 1, "profile-level-id": "42e01f", "level-asymmetry-allowed": 1}
    tracks = {"video": track("video", "video/H264", offer.capabilities, **parameters)}
    answer = build_play_answer(offer, TRANSPORT, tracks)
    number = sections(answer)["video"][0].split(" ")[3]
    offered = [line for line in OFFER.split("\r\n") if line.startswith(f"a=fmtp:{number} ")]
    assert "packetization-mode=1" in offered[0]
    assert "profile-level-id=42" in offered[0]
    assert sections(answer)["audio"][0].startswith("m=audio 0 ")
    assert "a=group:BUNDLE 1\r\n" in answer


def test_a_player_without_rtx_or_nack_is_not_told_of_them() -> None:
    plain = "\r\n".join(line for line in OFFER.split("\r\n") if "rtx" not in line and "nack" not in line)
    offer = parse_play_offer(plain, CAPABILITIES)
    tracks = {"video": track("video", "video/VP8", offer.capabilities)}
    video = sections(build_play_answer(offer, TRANSPORT, tracks))["video"]
    assert video[0] == "m=video 9 UDP/TLS/RTP/SAVPF 96"
    assert not any("nack" in line or "FID" in line for line in video)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("v=0", "v=1", "whip_offer_malformed"),
        ("a=recvonly", "a=sendonly", "whip_offer_unusable"),
        ("a=recvonly", "a=inactive", "whip_offer_unusable"),
        ("a=rtcp-mux\r\n", "", "whip_offer_unusable"),
        ("a=setup:actpass", "a=setup:holdconn", "whip_offer_unusable"),
        ("a=group:BUNDLE 0 1\r\n", "", "whip_offer_unusable"),
        ("a=mid:1", "a=mid:0", "whip_offer_malformed"),
        ("RTP/SAVPF", "RTP/AVP", "whip_offer_unusable"),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_code(old: str, new: str, code: str) -> None:
    assert old in OFFER
    with pytest.raises(RemoteProtocolError) as caught:
        parse_play_offer(OFFER.replace(old, new), CAPABILITIES)
    assert caught.value.code.code == code


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_broken_offer_is_read_or_refused(data: st.DataObject) -> None:
    lines = OFFER.split("\r\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    broken = data.draw(st.one_of(st.just(""), st.text(max_size=30), st.just(lines[at][:-1])))
    with contextlib.suppress(RemoteProtocolError):
        offer = parse_play_offer("\r\n".join([*lines[:at], broken, *lines[at + 1 :]]), CAPABILITIES)
        build_play_answer(offer, TRANSPORT, {})


TRICKLE = (
    "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
    "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 network-id 1\r\n"
    "a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0\r\n"
    "a=end-of-candidates\r\n"
)


def test_the_fragment_of_rfc_9725_is_read() -> None:
    fragment = parse_fragment(TRICKLE)
    assert (fragment.ufrag, fragment.pwd) == ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")
    assert (fragment.candidates, fragment.complete) == (2, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rubbish",
        "v=0\r\n",
        "a=candidate:1 1 udp\r\n",
        "a=ice-ufrag:EsAw\r\n",
        "a=ice-ufrag:E\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n",
        "a=mid:0\r\n" * 600,
    ],
)
def test_what_is_no_fragment_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_fragment(text)
    assert caught.value.code.status == 400


@given(st.text(max_size=200))
def test_any_text_is_a_fragment_or_refused(text: str) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse_fragment(text)


def test_our_answer_to_a_restart_is_a_fragment_itself() -> None:
    text = restart_fragment({"usernameFragment": "abcd", "password": "p" * 22})
    assert parse_fragment(text).ufrag == "abcd"
    assert text.startswith("a=ice-lite\r\n")
