"""HL7 aECG: a real record's samples come back as they were, and what is not read says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from media.errors import RemoteProtocolError
from media.signals.descriptor import Band, Lead
from media.signals.formats import Waveform, read_file, sample_record
from media.signals.formats import aecg as reader
from tests.media.signals.formats.aecg_file import aecg

START_NS = 1_772_323_199_250_001_000
SMALL = Waveform(
    250.0,
    (Lead("I", "I", 1.25), Lead("aVR", "aVR", 4.88, 7)),
    np.array([[0, 7], [-32768, 32767], [3, -4]], np.int16),
    START_NS,
)


def read(directory: Path, data: bytes) -> Waveform:
    path = directory / "file.xml"
    path.write_bytes(data)
    (found,) = read_file(path)
    return found


def test_a_real_record_comes_back_sample_for_sample(tmp_path: Path) -> None:
    (record,) = read_file(sample_record())
    found = read(tmp_path, aecg(record))
    assert np.array_equal(found.samples, record.samples)
    assert (found.leads, found.sampling_rate_hz, found.kind) == (record.leads, 1000.0, "ecg")
    assert (found.gaps, found.notes) == ((), ())


def test_scale_origin_time_and_filters_are_the_file_s(tmp_path: Path) -> None:
    found = read(tmp_path, b"\xef\xbb\xbf" + aecg(SMALL))
    assert np.array_equal(found.samples, SMALL.samples)
    assert (found.leads, found.start_ns) == (SMALL.leads, START_NS)
    assert {lead.band for lead in found.leads} == {Band(0.05, 150.0)}
    east = read(tmp_path, aecg(SMALL, "+0800"))
    assert east.start_ns == START_NS - 8 * 3600 * 10**9
    millivolts = aecg(SMALL).replace(b'"1.25" unit="uV"', b'"0.00125" unit="mV"')
    assert read(tmp_path, millivolts.replace(b'"0" unit="uV"', b'"0" unit="mV"')).leads == SMALL.leads


def test_relative_times_begin_with_the_series(tmp_path: Path) -> None:
    relative = (
        aecg(SMALL).replace(b"TIME_ABSOLUTE", b"TIME_RELATIVE").replace(b'"0.004" unit="s"', b'"4" unit="ms"')
    )
    found = read(tmp_path, relative)
    assert (found.sampling_rate_hz, found.start_ns) == (250.0, 1_015_218_367 * 10**9)
    assert read(tmp_path, relative.replace(b"<low value=", b"<low none=")).start_ns is None


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"<!-- a made record -->", b'<!DOCTYPE x [<!ENTITY a "b">]>', "signal_file_broken"),
        (b"</AnnotatedECG>", b"", "signal_file_broken"),
        (b"3</digits>", b"3 4</digits>", "signal_file_broken"),
        (b"0 -32768 3", b"0 -32768.5 3", "signal_file_broken"),
        (b"0 -32768 3", b"0 -32769 3", "signal_file_range"),
        (b"0 -32768 3", b"0 99999999999999999999999 3", "signal_file_range"),
        (b'"-34.16"', b'"-34.0"', "signal_unsupported"),
        (b'"1.25"', b'"0"', "signal_file_broken"),
        (b'"1.25"', b'"nan"', "signal_file_broken"),
        (b'"0.004"', b'"0"', "signal_file_broken"),
        (b'"0.004"', b'"-1"', "signal_unsupported"),
        (b'unit="s"', b'unit="day"', "signal_file_broken"),
        (b'"20260228', b'"20269928', "signal_file_broken"),
        (b"TIME_ABSOLUTE", b"TIME_OF_DAY", "signal_unsupported"),
        (b"<origin", b"<begin", "signal_unsupported"),
        (b"<sequenceSet/>", b"<sequenceSet>", "signal_file_broken"),
        (b"<derivation>", b"<component><sequenceSet/></component><derivation>", "signal_unsupported"),
        (b"AnnotatedECG", b"AnnotatedECGs", "signal_unsupported"),
        (b"UTF-8", b"UTF-99", "signal_file_broken"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_not_read_is_one_clear_error(
    tmp_path: Path, old: bytes, new: bytes, code: str
) -> None:
    data = aecg(SMALL)
    assert old in data
    with pytest.raises(RemoteProtocolError) as error:
        read(tmp_path, data.replace(old, new))
    assert (error.value.code.code, error.value.blame) == (code, "peer")


def test_a_file_that_would_take_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SIGNAL_FILE_MAX_XML_ELEMENTS", 30)
    with pytest.raises(RemoteProtocolError, match="signal_file_too_large"):
        read(tmp_path, aecg(replace(SMALL)).replace(b"<sequenceSet/>", b"<a/>" * 40))
    monkeypatch.setattr(reader, "SIGNAL_FILE_MAX_XML_BYTES", 1000)
    with pytest.raises(RemoteProtocolError, match="signal_file_too_large"):
        read(tmp_path, aecg(SMALL))
