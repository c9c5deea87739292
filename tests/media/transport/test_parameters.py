"""The JSON that both ends exchange: read back what is written, refuse the rest."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.transport import DtlsParameters, IceCandidate, IceParameters

DIGEST = ":".join(["AB"] * 32)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def test_ice_parameters_come_back() -> None:
    parameters = IceParameters("abcdef", "x" * 24, ice_lite=True)
    assert IceParameters.from_json(parameters.as_json()) == parameters


def test_candidates_tell_ip_and_address_and_come_back() -> None:
    candidate = IceCandidate("1", 2130706431, "192.0.2.1", 40000)
    json = candidate.as_json()
    assert json["ip"] == json["address"] == "192.0.2.1"
    assert IceCandidate.from_json(json) == candidate
    del json["ip"]
    assert IceCandidate.from_json(json) == candidate


def test_dtls_parameters_come_back_in_upper_case() -> None:
    parameters = DtlsParameters("client", (("sha-256", DIGEST),))
    json = parameters.as_json()
    json["fingerprints"][0]["value"] = DIGEST.lower()
    assert DtlsParameters.from_json(json) == parameters


@pytest.mark.parametrize(
    "json",
    [
        None,
        {},
        {"role": "boss", "fingerprints": [{"algorithm": "sha-256", "value": DIGEST}]},
        {"role": "auto", "fingerprints": []},
        {"role": "auto", "fingerprints": [{"algorithm": "sha-256", "value": "AB"}]},
        {"role": "auto", "fingerprints": [{"algorithm": "sha-256", "value": DIGEST}] * 9},
    ],
)
def test_unusable_dtls_parameters_are_refused(json: Any) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        DtlsParameters.from_json(json)
    assert caught.value.code.code == "dtls_parameters_invalid"


@given(json_values)
def test_any_json_is_read_or_refused(json: Any) -> None:
    for read in (DtlsParameters.from_json, IceParameters.from_json, IceCandidate.from_json):
        with contextlib.suppress(RemoteProtocolError):
            read(json)
