"""The table of signal kinds agrees with what pydicom knows of the standard's codes."""

from __future__ import annotations

import re

import pytest
from pydicom.sr.codedict import codes

from media.signals.kinds import ECG, KINDS, LEADS_12, LEADS_15, LEADS_18, Code, SignalKind, channel_of


def test_lead_sets_are_whole_and_known() -> None:
    assert [len(leads) for leads in (LEADS_12, LEADS_15, LEADS_18)] == [12, 15, 18]
    assert len(set(LEADS_18)) == 18
    assert set(LEADS_18) <= set(ECG.channels)


@pytest.mark.parametrize("code", LEADS_18)
def test_each_lead_has_its_code_of_cid_3001(code: str) -> None:
    (standard,) = ECG.channels[code].codes
    meanings = {str(known.value): str(known.meaning) for known in codes.cid3001.concepts.values()}
    assert re.split(r"[ ,]", meanings[standard.value].removeprefix("Lead "))[0] == code


@pytest.mark.parametrize(
    ("code", "kind", "channel"),
    [
        (Code("MDC", "2:19380"), "pleth", "PLETH"),
        (Code("DCM", "109117"), "respiration", "RESP"),
        (Code("MDC", "2:18960"), "arterial_pressure", "ABP"),
        (Code("LN", "11948-7"), "fetal_heart_rate", "FHR1"),
    ],
)
def test_a_standard_code_is_found(code: Code, kind: str, channel: str) -> None:
    found = channel_of(code)
    assert found is not None
    assert (found[0].kind, found[1].code) == (kind, channel)


def test_an_unknown_code_is_none_of_ours() -> None:
    assert channel_of(Code("MDC", "2:1x")) is None


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_ranges_ascend(kind: SignalKind) -> None:
    assert kind.usual[0] < kind.usual[1]
    assert 0 < kind.rates_hz[0] < kind.rates_hz[1]
