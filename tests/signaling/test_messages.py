"""Client events: strict, bounded, and an error never repeats what was sent."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import media.errors
import media.ortc.errors
import media.relay.errors
import media.signals.errors
import media.transport.errors
import media.whip.errors
from media.errors import ErrorCode, RemoteProtocolError
from media.signals import Lead, StreamDescriptor, decode
from signaling import errors, messages
from signaling.handlers import HANDLERS

PROTOCOL = (Path(__file__).parents[2] / "signaling" / "PROTOCOL.md").read_text()

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)

GOOD: list[tuple[str, dict[str, Any]]] = [
    ("join", {}),
    ("join", {"rtpCapabilities": {"codecs": []}, "sctpCapabilities": {}}),
    ("subscribe", {"rtpCapabilities": {}}),
    ("connectTransport", {"transportId": "t", "dtlsParameters": {"role": "client"}}),
    ("produce", {"transportId": "t", "kind": "audio", "rtpParameters": {}, "source": "microphone"}),
    ("produceData", {"transportId": "t", "sctpStreamParameters": {"streamId": 1, "extra": 1}, "label": "x"}),
    ("setPreferredLayers", {"consumerId": "c", "spatialLayer": 2}),
    ("chat", {"text": "你好"}),
    ("startRecording", {}),
]

BAD: list[tuple[str, object]] = [
    ("join", {"rtpCapabilities": []}),
    ("join", {"unknown": 1}),
    ("join", [1, 2]),
    ("subscribe", {}),
    ("produce", {"transportId": "t", "kind": "smell", "rtpParameters": {}, "source": "microphone"}),
    ("produce", {"transportId": "t", "kind": "audio", "rtpParameters": {}, "source": "nose"}),
    ("produce", {"transport_id": "t", "kind": "audio", "rtpParameters": {}, "source": "microphone"}),
    ("produceData", {"transportId": "t", "sctpStreamParameters": {"streamId": 70000}}),
    ("resumeConsumers", {"consumerIds": []}),
    ("resumeConsumers", {"consumerIds": ["c"] * 257}),
    ("setPreferredLayers", {"consumerId": "c", "spatialLayer": "2"}),
    ("setPreferredLayers", {"consumerId": "c", "spatialLayer": True}),
    ("chat", {"text": ""}),
    ("chat", {"text": "   "}),
    ("chat", {"text": "x" * 2001}),
    ("removePeer", {"peerId": "p" * 129}),
]


@pytest.mark.parametrize(("event", "data"), GOOD)
def test_good_messages_pass(event: str, data: dict[str, Any]) -> None:
    assert isinstance(messages.parse(event, (data,)), messages.MODELS[event])


@pytest.mark.parametrize(("event", "data"), BAD)
def test_bad_messages_are_malformed(event: str, data: object) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        messages.parse(event, (data,))
    assert caught.value.code.code == "malformed"


def test_data_may_be_left_out_where_nothing_is_needed() -> None:
    assert isinstance(messages.parse("leave", ()), messages.Nothing)
    assert isinstance(messages.parse("leave", (None,)), messages.Nothing)


def test_two_arguments_are_malformed() -> None:
    with pytest.raises(RemoteProtocolError, match="malformed"):
        messages.parse("chat", ({"text": "a"}, {"text": "b"}))


def test_an_unknown_event_has_its_own_code() -> None:
    with pytest.raises(RemoteProtocolError, match="unknown_event"):
        messages.parse("launch", ({},))


def test_the_detail_does_not_repeat_a_value() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        messages.parse("chat", ({"text": ["患者李秀兰"]},))
    assert "text" in caught.value.detail
    assert "李秀兰" not in caught.value.detail


@given(st.sampled_from(sorted(messages.MODELS)), st.lists(JSON, max_size=2))
def test_anything_parses_or_is_one_remote_error(event: str, arguments: list[object]) -> None:
    outcome: messages.Message | RemoteProtocolError
    try:
        outcome = messages.parse(event, tuple(arguments))
    except RemoteProtocolError as fault:
        outcome = fault
    if isinstance(outcome, RemoteProtocolError):
        assert outcome.code.code == "malformed"
        assert len(outcome.detail) <= 200


def test_every_message_has_a_handler_and_a_line_in_the_protocol() -> None:
    assert set(messages.MODELS) == set(HANDLERS) | {"join", "leave"}
    for event in messages.MODELS:
        assert f"`{event}" in PROTOCOL, event


NOT_ON_THE_WIRE = {
    *("ice_parameters_invalid", "stun_malformed", "transport_failed", "frame_too_long"),
    *("signal_unsupported", "native_unavailable"),
    *("signal_file_unknown", "signal_file_broken", "signal_file_too_large", "signal_file_range"),
    *("signal_export_too_long", "signal_export_empty", "signal_export_unfit"),
}
"""Of our own clients' side, or below signaling."""


@pytest.mark.parametrize(
    "module",
    [
        *(errors, media.errors, media.ortc.errors, media.relay.errors),
        *(media.signals.errors, media.transport.errors, media.whip.errors),
    ],
)
def test_the_protocol_lists_every_code(module: ModuleType) -> None:
    codes = {one.code: one for one in vars(module).values() if isinstance(one, ErrorCode)}
    codes = {code: entry for code, entry in codes.items() if code not in NOT_ON_THE_WIRE}
    assert codes
    listed = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", PROTOCOL, re.MULTILINE))
    for code, entry in codes.items():
        assert listed.get(code) == str(entry.status), code


def test_the_protocol_s_frame_is_one() -> None:
    leads = (Lead("I", "I", 1.25), Lead("II", "II", 1.25))
    stream = StreamDescriptor("6f1c2b5e-3c0f-4d0c-9a2f-6f1f3a2b4c5d", "ecg", "ECG", 500.0, leads)
    assert f"`{stream.crc:08x}`" in PROTOCOL
    (line,) = re.findall("^485a[0-9a-f]+$", PROTOCOL, re.MULTILINE)
    frame = decode(bytes.fromhex(line), stream)
    assert (frame.sequence, frame.device_time_ns) == (7, 1767225600000000000)
    assert frame.samples.T.tolist() == [[1, 2, 300], [-1, -2, -300]]
