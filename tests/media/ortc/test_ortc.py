"""Negotiation against what Chromium (mediasoup-client) and FFmpeg really say."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import limits
from media.errors import RemoteProtocolError
from media.ortc import (
    ConsumerIdentity,
    can_consume,
    consumable_parameters,
    consumer_parameters,
    map_producer,
    parse_rtp_capabilities,
    parse_rtp_parameters,
    router_rtp_capabilities,
)
from media.ortc.h264_profile import normalized, profile_of

VECTORS = Path(__file__).parents[2] / "vectors"
IDENTITY = ConsumerIdentity(ssrc=1111, rtx_ssrc=2222, mid="7", cname="peer-a", msid="stream track")


def vector(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


VP8 = "rtp_parameters_chromium_vp8_simulcast.json"
OPUS = "rtp_parameters_chromium_opus.json"
H264 = "rtp_parameters_ffmpeg_h264.json"
CHROMIUM = "rtp_capabilities_chromium.json"


def test_router_capabilities_have_what_mediasoup_client_asks_for() -> None:
    json_form = router_rtp_capabilities()
    kinds = {codec["mimeType"]: codec for codec in json_form["codecs"]}
    assert kinds["audio/opus"]["channels"] == 2
    assert kinds["audio/opus"]["rtcpFeedback"] == [
        {"type": "nack", "parameter": ""},
        {"type": "transport-cc", "parameter": ""},
    ]
    assert {"type": "nack", "parameter": "pli"} in kinds["video/VP8"]["rtcpFeedback"]
    for feedback in ("transport-cc", "goog-remb"):
        assert {"type": feedback, "parameter": ""} in kinds["video/H264"]["rtcpFeedback"]
    media = {codec["preferredPayloadType"] for codec in json_form["codecs"]}
    assert all(c["parameters"]["apt"] in media for c in json_form["codecs"] if c["mimeType"] == "video/rtx")
    rid = [e for e in json_form["headerExtensions"] if e["uri"].endswith("rtp-stream-id")]
    assert [e["direction"] for e in rid] == ["recvonly", "recvonly"]
    json_form["codecs"].clear()
    assert router_rtp_capabilities()["codecs"]
    assert parse_rtp_capabilities(router_rtp_capabilities()).as_json() == router_rtp_capabilities()


def test_chromium_simulcast_is_mapped_to_the_router() -> None:
    parameters = parse_rtp_parameters(vector(VP8))
    mapping = map_producer(parameters)
    assert mapping.payload_types == {96: 101, 97: 102}
    assert mapping.extension_ids == {9: 1, 10: 2, 11: 3, 2: 4, 3: 11}
    assert [e.rid for e in parameters.encodings] == ["r0", "r1", "r2"]
    assert [e.temporal_layers for e in parameters.encodings] == [3, 3, 3]


@pytest.mark.parametrize(("producer", "golden"), [(VP8, "vp8"), (OPUS, "opus"), (H264, "h264")])
def test_golden_consumer(producer: str, golden: str) -> None:
    consumable = consumable_parameters(parse_rtp_parameters(vector(producer)))
    capabilities = parse_rtp_capabilities(vector(CHROMIUM))
    assert can_consume(consumable, capabilities)
    result = consumer_parameters(consumable, capabilities, IDENTITY)
    assert result.as_json() == vector(f"rtp_consumer_{golden}.json")


def test_ffmpeg_baseline_is_announced_as_constrained_baseline() -> None:
    parameters = parse_rtp_parameters(vector(H264))
    assert map_producer(parameters).payload_types == {105: 103}
    assert consumable_parameters(parameters).media_codec.parameter("profile-level-id") == "42e014"


def test_profiles() -> None:
    assert profile_of("42001f") == profile_of("42e01f") == profile_of("42C01F") == profile_of(None)
    assert profile_of("640c1f") != profile_of("64001f") != profile_of("42e01f")
    assert profile_of("4d801f") == profile_of("42e01f")
    assert profile_of("4d001f") == "profile-4d"
    assert profile_of("xyz") is None
    assert normalized("64001F") == "64001f"


def test_a_receiver_without_the_codec_cannot_consume() -> None:
    consumable = consumable_parameters(parse_rtp_parameters(vector(VP8)))
    capabilities = vector(CHROMIUM)
    capabilities["codecs"] = [c for c in capabilities["codecs"] if c["mimeType"] != "video/VP8"]
    parsed = parse_rtp_capabilities(capabilities)
    assert not can_consume(consumable, parsed)
    with pytest.raises(RemoteProtocolError) as error:
        consumer_parameters(consumable, parsed, IDENTITY)
    assert error.value.code.code == "cannot_consume"


def test_a_receiver_without_rtx_or_nack_gets_no_rtx() -> None:
    consumable = consumable_parameters(parse_rtp_parameters(vector(VP8)))
    without_rtx = vector(CHROMIUM)
    without_rtx["codecs"] = [c for c in without_rtx["codecs"] if c["mimeType"] != "video/rtx"]
    without_nack = vector(CHROMIUM)
    for codec in without_nack["codecs"]:
        codec["rtcpFeedback"] = [f for f in codec["rtcpFeedback"] if f["parameter"]]
    for capabilities in (without_rtx, without_nack):
        result = consumer_parameters(consumable, parse_rtp_capabilities(capabilities), IDENTITY)
        assert [codec.name for codec in result.codecs] == ["vp8"]
        assert result.encodings[0].rtx_ssrc is None
        assert all(f.parameter for f in result.media_codec.feedback)


def test_extensions_with_other_ids_are_left_out() -> None:
    capabilities = vector(CHROMIUM)
    capabilities["headerExtensions"] = [
        {**e, "preferredId": 14} if e["uri"] == "urn:3gpp:video-orientation" else e
        for e in capabilities["headerExtensions"]
    ]
    consumable = consumable_parameters(parse_rtp_parameters(vector(VP8)))
    result = consumer_parameters(consumable, parse_rtp_capabilities(capabilities), IDENTITY)
    assert [extension.id for extension in result.header_extensions] == [4]


@pytest.mark.parametrize(
    ("mime", "parameters"),
    [
        ("video/VP9", {}),
        ("video/H264", {"packetization-mode": 0, "profile-level-id": "42e01f"}),
        ("video/H264", {"packetization-mode": "one", "profile-level-id": "42e01f"}),
        ("video/H264", {"packetization-mode": 1, "profile-level-id": "64001f"}),
        ("video/H264", {"packetization-mode": 1, "profile-level-id": "what"}),
    ],
)
def test_unsupported_codecs(mime: str, parameters: dict[str, Any]) -> None:
    json_form = vector(H264)
    json_form["codecs"][0].update(mimeType=mime, parameters=parameters)
    parsed = parse_rtp_parameters(json_form)
    for negotiate in (map_producer, consumable_parameters):
        with pytest.raises(RemoteProtocolError) as error:
            negotiate(parsed)
        assert error.value.code.code == "unsupported_codec"


def _set(json_form: Any, path: tuple[Any, ...], value: Any) -> None:
    for step in path[:-1]:
        json_form = json_form[step]
    json_form[path[-1]] = value


BROKEN: list[tuple[tuple[Any, ...], Any]] = [
    (("codecs",), None),
    (("codecs",), []),
    (("codecs",), [{}]),
    (("codecs", 0, "mimeType"), "VP8"),
    (("codecs", 0, "mimeType"), "text/plain"),
    (("codecs", 0, "mimeType"), 5),
    (("codecs", 0, "mimeType"), "audio/opus"),
    (("codecs", 0, "payloadType"), 128),
    (("codecs", 0, "payloadType"), True),
    (("codecs", 0, "payloadType"), 97),
    (("codecs", 0, "clockRate"), 0),
    (("codecs", 0, "clockRate"), "90000"),
    (("codecs", 0, "parameters"), []),
    (("codecs", 0, "parameters"), {"a": []}),
    (("codecs", 0, "parameters"), {"a": "x" * 300}),
    (("codecs", 0, "parameters"), {"a": 1 << 40}),
    (("codecs", 0, "rtcpFeedback"), {}),
    (("codecs", 0, "rtcpFeedback"), [3]),
    (("codecs", 1, "parameters"), {}),
    (("codecs", 1, "parameters"), {"apt": 55}),
    (("headerExtensions",), "x"),
    (("headerExtensions", 0, "id"), 0),
    (("headerExtensions", 0, "id"), 10),
    (("headerExtensions", 0, "uri"), None),
    (("encodings",), None),
    (("encodings",), []),
    (("encodings",), [{"rid": f"r{i}"} for i in range(limits.ORTC_MAX_ENCODINGS + 1)]),
    (("encodings", 0), {}),
    (("encodings", 0, "rid"), "r1"),
    (("encodings", 0, "rid"), "r" * 300),
    (("encodings", 0, "ssrc"), -1),
    (("encodings", 0, "ssrc"), 1 << 32),
    (("encodings", 0, "rtx"), 5),
    (("encodings", 0, "rtx"), {}),
    (("encodings", 0, "codecPayloadType"), 55),
    (("encodings", 0, "dtx"), "no"),
    (("rtcp",), 5),
    (("rtcp", "cname"), 5),
    (("mid",), 5),
    (("mid",), "0\r\na=evil"),
    (("msid",), "a\nb"),
    (("codecs", 0, "parameters"), {"a": "1\r\n"}),
    (("codecs", 0, "parameters"), {"a\n": "1"}),
]


@pytest.mark.parametrize(("path", "value"), BROKEN)
def test_malformed_parameters(path: tuple[Any, ...], value: Any) -> None:
    json_form = vector(VP8)
    _set(json_form, path, value)
    with pytest.raises(RemoteProtocolError) as error:
        parse_rtp_parameters(json_form)
    assert error.value.code.code == "malformed_rtp_parameters"


@pytest.mark.parametrize("json_form", [None, [], {}, {"codecs": 5}, {"codecs": [{"mimeType": "video/VP8"}]}])
def test_malformed_capabilities(json_form: Any) -> None:
    with pytest.raises(RemoteProtocolError) as error:
        parse_rtp_capabilities(json_form)
    assert error.value.code.code == "malformed_rtp_capabilities"


def test_ssrcs_without_rids_are_simulcast_too() -> None:
    json_form = vector(VP8)
    json_form["encodings"] = [{"ssrc": 10 + i, "rtx": {"ssrc": 20 + i}} for i in range(3)]
    parsed = parse_rtp_parameters(json_form)
    assert [(e.ssrc, e.rtx_ssrc) for e in parsed.encodings] == [(10, 20), (11, 21), (12, 22)]
    assert parse_rtp_parameters(parsed.as_json()) == parsed


def test_one_encoding_may_be_known_by_its_mid_alone() -> None:
    json_form = vector(OPUS)
    json_form["encodings"] = [{}]
    assert parse_rtp_parameters(json_form).encodings[0].ssrc is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.sampled_from([path for path, _ in BROKEN] + [("codecs", 0), ("codecs", 0, "channels"), ("msid",)])


@given(PATHS, JSON)
def test_any_json_parses_or_blames_the_peer(path: tuple[Any, ...], value: Any) -> None:
    json_form = copy.deepcopy(vector(VP8))
    _set(json_form, path, value)
    try:
        parsed = parse_rtp_parameters(json_form)
        map_producer(parsed)
        consumable_parameters(parsed)
    except RemoteProtocolError:
        return
    assert parsed.encodings


@given(JSON)
def test_any_json_is_no_surprise_as_capabilities(value: Any) -> None:
    try:
        parse_rtp_capabilities({"codecs": [], "headerExtensions": value})
        parse_rtp_capabilities(value)
    except RemoteProtocolError as error:
        assert error.blame == "peer"  # noqa: PT017 - either outcome is right, a third is not
