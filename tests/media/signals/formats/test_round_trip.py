"""What is written comes back sample for sample, from our own readers and from those of others."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pydicom
import pyedflib
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.errors import LocalProtocolError
from media.signals.descriptor import Band, Lead
from media.signals.formats import FORMATS, About, Gap, Note, Source, Waveform, read_file, sample_record
from media.signals.formats.leads import LEAD_NUMBERS
from media.signals.frames import Samples
from media.signals.kinds import LEADS_12, LEADS_15, LEADS_18

ABOUT = About(
    "6f1f3c1e-0000-4000-8000-0123456789ab", "MRN 7", "王小明", "Wang Xiaoming", None, "female", "ECG-1200"
)
START_NS = 1_772_323_199_250_001_000  # 2026-02-28 23:59:59.250001 UTC


def write(kind: str, waveform: Waveform, directory: Path) -> Path:
    path = directory / "file-without-a-name"
    with path.open("w+b") as file:
        FORMATS[kind].write(Source.of(waveform), ABOUT, file)
    return path


def leads(codes: tuple[str, ...], scale: float = 1.25, baseline: int = 0) -> tuple[Lead, ...]:
    return tuple(Lead(code, code, scale, baseline) for code in codes)


def noise(count: int, width: int, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).integers(-32768, 32768, (count, width)).astype(np.int16)


def assert_same(found: Waveform, expected: Waveform) -> None:
    assert found.sampling_rate_hz == expected.sampling_rate_hz
    assert [(x.code, x.unit, x.scale, x.baseline) for x in found.leads] == [
        (x.code, x.unit, x.scale, x.baseline) for x in expected.leads
    ]
    assert np.array_equal(found.samples, expected.samples)
    assert (found.start_ns, found.gaps, found.kind) == (expected.start_ns, expected.gaps, expected.kind)
    assert found.notes == expected.notes


@st.composite
def waveforms(draw: st.DrawFn) -> Waveform:
    names = sorted({*LEAD_NUMBERS} - {"X", "Y", "Z"})
    codes = tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=12, unique=True)))
    rate = draw(st.sampled_from([200.0, 250.0, 257.5, 300.0, 360.0, 500.0, 512.0, 977.0, 1000.0]))
    count = draw(st.integers(1, 1500))
    samples = noise(count, len(codes), draw(st.integers(0, 99)))
    samples[draw(st.integers(0, count - 1))] = -32768  # what others take for missing
    cuts = sorted(draw(st.sets(st.integers(1, count), max_size=3)) - {count})
    gaps = tuple(Gap(cut, draw(st.integers(1, 3000))) for cut in cuts)
    periods = count + sum(gap.missing for gap in gaps)
    places = sorted(draw(st.sets(st.integers(0, periods - 1), max_size=4)))
    notes = tuple(
        Note(at, draw(st.sampled_from('NV"~')), draw(st.sampled_from(["", "seam", "导联脱落"])))
        for at in places
    )
    scale = draw(st.sampled_from([1.25, 5.0, 4.88, 2.44140625, 0.305, 1.0, 0.1, 12.207]))
    return Waveform(rate, leads(codes, scale, draw(st.integers(-2048, 2048))), samples, START_NS, gaps, notes)


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(waveform=waveforms())
def test_any_record_comes_back_as_it_was(kind: str, waveform: Waveform) -> None:
    with tempfile.TemporaryDirectory() as directory:
        (found,) = read_file(write(kind, waveform, Path(directory)))
    assert_same(found, waveform)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_real_record_goes_through_every_format_in_turn(kind: str, tmp_path: Path) -> None:
    (real,) = read_file(sample_record())
    for other in (kind, *FORMATS):
        (real_again,) = read_file(write(other, real, tmp_path))
        assert_same(real_again, real)


def other_signal() -> Waveform:
    pressure = (Lead("ABP", "ABP", 0.0778816199377, -1605, "mm[Hg]"),)
    return Waveform(125.0, pressure, noise(500, 1), START_NS, (Gap(100, 7),), (), "", "arterial_pressure")


@pytest.mark.parametrize("kind", ["edf", "wfdb", "csv", "fhir"])
def test_a_pressure_comes_back_too(kind: str, tmp_path: Path) -> None:
    (found,) = read_file(write(kind, other_signal(), tmp_path))
    assert_same(found, other_signal())


STRIP = Waveform(
    500.0,
    leads(LEADS_18),
    np.maximum(noise(5000, 18), -32000),
    START_NS,
    (Gap(1000, 250), Gap(3000, 1)),
    (Note(2500, '"', "seam"),),
    "Bedside 3",
)
GRID = 5251


def physical(waveform: Waveform) -> NDArray[np.float64]:
    zero = np.array([lead.baseline for lead in waveform.leads])
    values: NDArray[np.float64] = (waveform.samples - zero) * np.array([x.scale for x in waveform.leads])
    return values


def on_grid() -> NDArray[np.float64]:
    """The strip in microvolts, NaN where there is a gap."""
    grid = np.full((GRID, 18), np.nan)
    values = physical(STRIP)
    grid[:1000], grid[1250:3250], grid[3251:] = values[:1000], values[1000:3000], values[3000:]
    return grid


def test_dicom_as_pydicom_reads_it(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(write("dicom", STRIP, tmp_path))
    group = dataset.WaveformSequence[0]
    assert dataset.SOPClassUID == pydicom.uid.GeneralECGWaveformStorage
    assert (dataset.Modality, str(dataset.PatientName), dataset.PatientSex) == (
        "ECG",
        "Wang^Xiaoming=王小明",
        "F",
    )
    assert str(dataset.AcquisitionDateTime) == "20260228235959.250001+0000"
    assert (group.NumberOfWaveformChannels, group.NumberOfWaveformSamples) == (18, GRID)
    sources = [channel.ChannelSourceSequence[0].CodeValue for channel in group.ChannelDefinitionSequence]
    assert sources[12:] == ["2:9", "2:66", "2:67", "2:11", "2:12", "2:13"]
    padding = np.frombuffer(group.WaveformPaddingValue, "<i2")[0]
    values = dataset.waveform_array(0)
    raw = np.frombuffer(group.WaveformData, "<i2").reshape(GRID, 18)
    values = np.where((raw == padding).all(axis=1)[:, None], np.nan, values)
    assert np.array_equal(values, on_grid(), equal_nan=True)
    (note,) = dataset.WaveformAnnotationSequence
    assert (note.UnformattedTextValue, note.ReferencedSamplePositions) == ("seam", 2501)


MANDATORY = {
    "": "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID PatientName PatientID "
    "PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber "
    "Modality SeriesNumber Manufacturer InstanceNumber ContentDate ContentTime AcquisitionDateTime "
    "AcquisitionContextSequence",
    "group": "WaveformOriginality NumberOfWaveformChannels NumberOfWaveformSamples SamplingFrequency "
    "ChannelDefinitionSequence WaveformBitsAllocated WaveformSampleInterpretation "
    "WaveformPaddingValue WaveformData",
    "channel": "ChannelSourceSequence ChannelSensitivity ChannelSensitivityUnitsSequence "
    "ChannelSensitivityCorrectionFactor ChannelBaseline ChannelTimeSkew WaveformBitsStored",
}


def test_dicom_has_what_its_modules_ask_for(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(write("dicom", STRIP, tmp_path))
    group = dataset.WaveformSequence[0]
    parts = {"": dataset, "group": group, "channel": group.ChannelDefinitionSequence[0]}
    missing = [
        (part, name) for part, names in MANDATORY.items() for name in names.split() if name not in parts[part]
    ]
    assert missing == []
    assert dataset.SOPInstanceUID.is_valid
    again = pydicom.dcmread(write("dicom", STRIP, tmp_path))
    assert again.SOPInstanceUID == dataset.SOPInstanceUID


@pytest.mark.parametrize(
    ("codes", "rate", "seconds", "name"),
    [
        (LEADS_12, 500.0, 10, "12-lead ECG Waveform Storage"),
        (LEADS_12, 1000.0, 16, "12-lead ECG Waveform Storage"),
        (LEADS_12, 1000.0, 17, "General ECG Waveform Storage"),
        (LEADS_15, 500.0, 10, "General ECG Waveform Storage"),
        (LEADS_18, 1000.0, 10, "General ECG Waveform Storage"),
        (("II",), 125.0, 10, "Ambulatory ECG Waveform Storage"),
        (("I", "II", "V1"), 250.0, 3600, "Ambulatory ECG Waveform Storage"),
    ],
)
def test_dicom_objects_by_leads_rate_and_length(
    tmp_path: Path, codes: tuple[str, ...], rate: float, seconds: int, name: str
) -> None:
    waveform = Waveform(rate, leads(codes), np.zeros((int(rate * seconds), len(codes)), np.int16), START_NS)
    assert (
        pydicom.dcmread(write("dicom", waveform, tmp_path), stop_before_pixels=True).SOPClassUID.name == name
    )


@pytest.mark.parametrize(
    ("kind", "waveform", "code"),
    [
        ("dicom", other_signal(), "signal_export_unfit"),
        ("dicom", Waveform(2000.0, leads(("I",)), noise(10, 1)), "signal_export_unfit"),
        ("dicom", Waveform(100.0, leads(LEADS_18), noise(10, 18)), "signal_export_unfit"),
        ("edf", Waveform(500.0, leads(("I",), 1e6), noise(10, 1)), "signal_export_unfit"),
        ("csv", Waveform(500.0, leads(("I",)), noise(2, 1), gaps=(Gap(1, 10**9),)), "signal_export_too_long"),
        (
            "wfdb",
            Waveform(500.0, leads(("I",)), noise(2, 1), gaps=(Gap(1, 10**10),)),
            "signal_export_too_long",
        ),
        ("fhir", Waveform(500.0, leads(LEADS_12), noise(200_000, 12)), "signal_export_too_long"),
    ],
)
def test_what_a_format_cannot_hold_is_said_before_a_byte_is_written(
    tmp_path: Path, kind: str, waveform: Waveform, code: str
) -> None:
    file = io.BytesIO()
    with pytest.raises(LocalProtocolError) as error:
        FORMATS[kind].write(Source.of(waveform), ABOUT, file)
    assert (error.value.code.code, file.getvalue()) == (code, b"")


def test_edf_without_a_gap_as_two_libraries_read_it(tmp_path: Path) -> None:
    whole = Waveform(500.0, STRIP.leads, STRIP.samples, START_NS, (), (Note(2500, "V", "beat"),), "Bedside 3")
    path = write("edf", whole, tmp_path)
    edf = edfio.read_edf(path)
    assert edf.labels[0] == "ECG I"
    assert edf.labels[12:] == ("ECG V7", "ECG V8", "ECG V9", "ECG V3R", "ECG V4R", "ECG V5R")
    assert np.array_equal(np.stack([signal.digital for signal in edf.signals], axis=1), whole.samples)
    assert np.allclose(edf.signals[0].data, physical(whole)[:, 0])
    assert edf.startdatetime.isoformat() == "2026-02-28T23:59:59.250001"
    assert [(a.onset, a.text) for a in edf.annotations] == [(5.0, "V | beat")]
    with pyedflib.EdfReader(str(path)) as reader:
        found = np.stack([reader.readSignal(n, digital=True) for n in range(18)], axis=1)
        assert np.array_equal(found, whole.samples)
        assert reader.getPhysicalDimension(0) == "uV"
        assert [str(text) for text in reader.readAnnotations()[2]] == ["V | beat"]


def test_edf_with_gaps_as_edfio_reads_it(tmp_path: Path) -> None:
    """edfio joins the data records of an EDF+D file, but it reads all of them and their times."""
    path = write("edf", STRIP, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        edf = edfio.read_edf(path)
        annotations = edf.annotations
    assert edf.reserved == "EDF+D" if edf.num_data_records < 11 else edf.reserved == "EDF+C"
    gaps = [(round(a.onset * 500), round((a.duration or 0) * 500)) for a in annotations if a.text == "gap"]
    assert gaps == [(1000, 250), (3250, 1), (5251, 249)]


def test_edf_leaves_out_data_records_that_would_be_empty(tmp_path: Path) -> None:
    hour = Waveform(500.0, leads(("II",)), noise(2000, 1), START_NS, (Gap(1000, 1_800_000),))
    path = write("edf", hour, tmp_path)
    assert path.read_bytes()[192:197] == b"EDF+D"
    assert path.stat().st_size < 6000
    assert_same(read_file(path)[0], hour)


def test_wfdb_as_the_package_reads_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(write("wfdb", STRIP, tmp_path)) as archive:
        archive.extractall(tmp_path)
        name = archive.namelist()[0].removesuffix(".dat")
    record = wfdb.rdrecord(str(tmp_path / name))
    assert record.sig_name == list(LEADS_18)
    assert np.allclose(record.p_signal * 1000, on_grid(), equal_nan=True)
    assert (record.fs, record.units[0]) == (500, "mV")
    raw = wfdb.rdrecord(str(tmp_path / name), physical=False)
    assert [total % 65536 for total in raw.checksum] == [int(total) % 65536 for total in raw.calc_checksum()]
    notes = wfdb.rdann(str(tmp_path / name), "atr")
    assert list(zip(notes.sample.tolist(), notes.aux_note, strict=True)) == [
        (1000, "gap 250"),
        (2500, "seam"),
        (3250, "gap 1"),
    ]


def test_csv_as_the_standard_library_reads_it(tmp_path: Path) -> None:
    text = write("csv", STRIP, tmp_path).read_text()
    rows = list(csv.reader(line for line in text.splitlines() if not line.startswith("#")))
    assert rows[0][:3] == ["time_s", "I [uV]", "II [uV]"]
    values = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows[1:]])
    assert np.allclose(values[:, 0], np.arange(GRID) / 500)
    assert np.array_equal(values[:, 1:], on_grid(), equal_nan=True)


def test_fhir_as_its_own_models_read_it(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own, from pydantic
        from fhir.resources.R4B.observation import Observation
    text = write("fhir", STRIP, tmp_path).read_text()
    resource: Any = Observation.model_validate_json(text)
    assert resource.code.coding[0].code == "11524-6"
    assert resource.effectivePeriod.start.isoformat() == "2026-02-28T23:59:59.250001+00:00"
    codes = [part.code.coding[0].code for part in resource.component]
    assert codes[:3] == ["131329", "131330", "131389"]
    lead = resource.component[17].valueSampledData
    words = lead.data.split()
    values = [float(lead.origin.value) + float(lead.factor) * int(w) if w != "E" else np.nan for w in words]
    assert np.array_equal(np.array(values), on_grid()[:, 17], equal_nan=True)
    assert (float(lead.period), lead.dimensions) == (2.0, 1)
    assert "王" not in text
    assert json.loads(text)["note"] == [{"text": "@2500 seam"}]


def test_memory_stays_bounded_while_a_long_record_is_written(tmp_path: Path) -> None:
    """An hour of 12 leads at 500 Hz, 43 MB of samples, in blocks as the store gives them."""
    import tracemalloc

    block = noise(500, 12)

    def blocks() -> Iterator[Samples]:
        return (block for _ in range(3_600))

    whole = Source.of(Waveform(500.0, leads(LEADS_12), noise(1, 12), START_NS))
    pieces = (type(whole.pieces[0])(0, 1_800_000),)
    source = Source("ecg", "", 500.0, whole.leads, START_NS, pieces, (), blocks)
    for kind in ("dicom", "edf"):
        tracemalloc.start()
        with (tmp_path / kind).open("w+b") as file:
            FORMATS[kind].write(source, ABOUT, file)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (tmp_path / kind).stat().st_size > 43_000_000
        assert peak < 12_000_000


def test_records_of_physionet_go_through_every_format(tmp_path: Path) -> None:
    data = Path(os.environ.get("HUIZHEN_TEST_DATA", "no-such-directory"))
    if not (data / "100.hea").is_file():
        pytest.skip("set HUIZHEN_TEST_DATA to a directory with MIT-BIH 100 of PhysioNet")
    (whole,) = read_file(data / "100.hea")
    notes = tuple(note for note in whole.notes if note.position < 36_000)
    strip = Waveform(whole.sampling_rate_hz, whole.leads, whole.samples[:36_000], START_NS, (), notes)
    for kind in FORMATS:
        (found,) = read_file(write(kind, strip, tmp_path))
        assert_same(found, strip)


def test_what_a_device_filtered_is_said_and_nothing_else(tmp_path: Path) -> None:
    (sample,) = read_file(sample_record())
    assert {lead.band for lead in sample.leads} == {Band(0.05, 300.0)}
    mixed = replace(
        sample,
        leads=(replace(sample.leads[0], band=Band(0.05, 150.0, 50.0)), replace(sample.leads[1], band=None)),
        samples=sample.samples[:, :2],
    )
    dataset = pydicom.dcmread(write("dicom", mixed, tmp_path))
    first, second = dataset.WaveformSequence[0].ChannelDefinitionSequence
    said = (first.FilterLowFrequency, first.FilterHighFrequency, first.NotchFilterFrequency)
    assert said == (0.05, 150, 50)
    assert not any("Filter" in name for name in second.dir())
    for kind in ("dicom", "edf"):
        (found,) = read_file(write(kind, mixed, tmp_path))
        assert [lead.band for lead in found.leads] == [Band(0.05, 150.0, 50.0), None], kind
    assert (
        edfio.read_edf(tmp_path / "file-without-a-name").signals[0].prefiltering
        == "HP:0.05Hz LP:150Hz N:50Hz"
    )
