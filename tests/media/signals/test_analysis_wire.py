"""What the analysis tells, as text: exactly as PROTOCOL.md shows it, and back again."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from media.errors import NOT_FOUND, RemoteProtocolError
from media.signals import wire
from media.signals.analysis.findings import KINDS, TECHNICAL, Alarm, Analysis, RrFigures

PROTOCOL = Path(__file__).parents[3] / "signaling" / "PROTOCOL.md"
STREAM = "6f1c2b5e-…"
ANALYSIS = Analysis(
    STREAM,
    1767225612.31,
    1767225612.0,
    72,
    "good",
    {"I": "good", "II": "good", "V1": "poor", "V2": "off"},
    RrFigures(60.0, 72, 832.1, 41.2, 32.0, 8.1),
    (1767225610.532, 1767225611.364),
    50,
    120,
)
ALARM = Alarm(
    "a-3f2a…",
    STREAM,
    "tachycardia",
    "medium",
    1767225620.1,
    1767225619.8,
    {"heartRate": 150, "limit": 120},
)


def example(kind: str) -> dict[str, Any]:
    """The example of PROTOCOL.md."""
    found = re.search(
        r'```json\n(\{"type": "' + kind + r'".*?)```', PROTOCOL.read_text(encoding="utf-8"), re.S
    )
    assert found is not None
    fields: dict[str, Any] = json.loads(found[1])
    return fields


def test_the_examples_of_the_protocol_are_what_is_sent() -> None:
    assert json.loads(wire.analysis(ANALYSIS)) == example("analysis")
    assert json.loads(wire.alarm(ALARM)) == example("alarm")


def test_what_was_told_is_read_back() -> None:
    learning = replace(ANALYSIS, heart_rate=None, rr=None, beats=(), quality="off")
    for told in (ANALYSIS, learning):
        assert Analysis.from_json(told.as_json()) == told
    ended = replace(ALARM, ended_at=1767225630.0)
    seen = replace(
        ended, acknowledged_at=1767225640.0, acknowledged_by="practitioner-1", acknowledged_role="expert"
    )
    for alarm in (ALARM, ended, seen):
        assert Alarm.from_json(alarm.as_json()) == alarm
    assert seen.as_json()["acknowledgedBy"] == {"userId": "practitioner-1", "role": "expert"}


def test_an_alarm_of_the_heart_stays_until_a_person_has_seen_it() -> None:
    ended = replace(ALARM, ended_at=5.0)
    seen = replace(ALARM, acknowledged_at=5.0)
    assert [(alarm.state, alarm.over) for alarm in (ALARM, ended, seen, replace(seen, ended_at=6.0))] == [
        ("raised", False),
        ("ended", False),
        ("acknowledged", False),
        ("acknowledged", True),
    ]
    technical = replace(ALARM, kind="lead_off", evidence={"leads": ["V1", "V2"]})
    assert not technical.over
    assert replace(technical, ended_at=5.0).over


def test_every_kind_has_a_sentence_that_claims_no_diagnosis() -> None:
    evidence = {"heartRate": 150, "limit": 120, "seconds": 4.25, "leads": ["V1", "V2"]}
    for kind in KINDS:
        message = Alarm("a", STREAM, kind, "low", 0.0, 0.0, evidence).message()  # type: ignore[arg-type]
        assert ("不是诊断" in message["zh"]) == (kind not in TECHNICAL)
        assert ("not a diagnosis" in message["en"]) == (kind not in TECHNICAL)
    assert "4.25" in Alarm("a", STREAM, "pause", "high", 0.0, 0.0, evidence).message()["en"]
    assert "V1、V2" in Alarm("a", STREAM, "lead_off", "low", 0.0, 0.0, evidence).message()["zh"]


def test_a_viewer_acknowledges_by_id() -> None:
    assert wire.parse_view(wire.acknowledge("a-1")) == wire.Acknowledge("a-1")
    for text in ('{"type":"acknowledge"}', '{"type":"acknowledge","id":7}', '{"type":"acknowledge","id":""}'):
        with pytest.raises(RemoteProtocolError):
            wire.parse_view(text)
    refused = json.loads(wire.refused("a-1", RemoteProtocolError(NOT_FOUND)))
    assert (refused["type"], refused["id"], refused["code"]) == ("refused", "a-1", "not_found")


def test_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="kind"):
        Alarm.from_json({**ALARM.as_json(), "kind": "infarction"})
