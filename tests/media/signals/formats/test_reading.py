"""Files made by other programs' writers are read sample for sample; broken ones get one clear error."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path

import edfio
import numpy as np
import pydicom
import pyedflib
import pytest
import wfdb

from media.errors import RemoteProtocolError
from media.signals.formats import Gap, Note, read_file, sample_record

RANDOM = np.random.default_rng(5)
SAMPLES = RANDOM.integers(-32768, 32768, (2500, 3)).astype(np.int16)
NAIVE = datetime.fromisoformat("2026-02-28 23:59:59")
START_NS = int(NAIVE.replace(tzinfo=UTC).timestamp()) * 10**9


def wfdb_record(directory: Path, samples: np.ndarray = SAMPLES) -> Path:
    wfdb.wrsamp(
        "strip",
        fs=250,
        units=["mV"] * 3,
        sig_name=["i", "avr", "V3R"],
        d_signal=samples.astype(np.int64),
        fmt=["16"] * 3,
        adc_gain=[200.0, 1000.0, 409.6],
        baseline=[0, 100, -5],
        base_datetime=NAIVE,
        write_dir=str(directory),
    )
    return directory / "strip.hea"


def edf_file(directory: Path) -> Path:
    path = directory / "any-name"
    writer = pyedflib.EdfWriter(str(path), 3, pyedflib.FILETYPE_EDFPLUS)
    for index, label in enumerate(("ECG II", "ECG V1", "Resp")):
        writer.setSignalHeader(
            index,
            {
                "label": label,
                "dimension": "mV" if index < 2 else "Ohm",
                "sample_frequency": 250 if index < 2 else 25,
                "physical_max": 32.767,
                "physical_min": -32.768,
                "digital_max": 32767,
                "digital_min": -32768,
                "transducer": "",
                "prefilter": "",
            },
        )
    writer.setStartdatetime(NAIVE)
    writer.writeAnnotation(2.5, -1, "lead off")
    for second in range(10):
        for index in range(3):
            rate = 250 if index < 2 else 25
            part = SAMPLES[second * rate : (second + 1) * rate, index]
            writer.writeDigitalSamples(np.ascontiguousarray(part.astype(np.int32)))
    writer.close()
    return path


def bdf_file(directory: Path, samples: np.ndarray) -> Path:
    signal = edfio.BdfSignal.from_digital(
        samples.astype(np.int32),
        250,
        label="ECG V9",
        physical_dimension="uV",
        physical_range=(-1048576, 1048575),
        digital_range=(-8388608, 8388600),
    )
    bdf = edfio.Bdf(
        [signal], recording=edfio.Recording(startdate=date(2026, 2, 28)), starttime=time(23, 59, 59, 250_000),
        annotations=[edfio.EdfAnnotation(1.0, None, "N | beat")],
    )  # fmt: skip
    path = directory / "night.dat"
    bdf.write(path)
    return path


def test_wfdb(tmp_path: Path) -> None:
    (waveform,) = read_file(wfdb_record(tmp_path))
    assert waveform.sampling_rate_hz == 250
    assert [(lead.code, lead.scale, lead.baseline, lead.unit) for lead in waveform.leads] == [
        ("I", 5.0, 0, "uV"),
        ("aVR", 1.0, 100, "uV"),
        ("V3R", 2.44140625, -5, "uV"),
    ]
    assert np.array_equal(waveform.samples, SAMPLES)
    assert (waveform.start_ns, waveform.gaps, waveform.kind) == (START_NS, (), "ecg")


def test_wfdb_by_its_signal_file_and_as_a_zip(tmp_path: Path) -> None:
    header = wfdb_record(tmp_path)
    wfdb.wrann("strip", "atr", np.array([10, 400]), ["N", "V"], write_dir=str(tmp_path))
    packed = tmp_path / "upload"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(tmp_path.glob("strip.*")):
            archive.write(path, f"folder/{path.name}")
    for path in (header.with_suffix(".dat"), packed):
        (waveform,) = read_file(path)
        assert np.array_equal(waveform.samples, SAMPLES)
        assert waveform.notes == (Note(10, "N"), Note(400, "V"))


def test_wfdb_where_all_leads_are_invalid_is_a_gap(tmp_path: Path) -> None:
    samples = np.maximum(SAMPLES, -32767)
    samples[100:130] = -32768
    samples[200, 0] = -32768
    (waveform,) = read_file(wfdb_record(tmp_path, samples))
    assert waveform.gaps == (Gap(100, 30),)
    assert np.array_equal(waveform.samples, np.delete(samples, np.s_[100:130], axis=0))


def test_edf_of_two_rates_is_two_waveforms_the_ecg_first(tmp_path: Path) -> None:
    ecg, breath = read_file(edf_file(tmp_path))
    assert (ecg.sampling_rate_hz, breath.sampling_rate_hz) == (250, 25)
    assert [(lead.code, lead.scale, lead.baseline, lead.unit) for lead in ecg.leads] == [
        ("II", 1.0, 0, "uV"),
        ("V1", 1.0, 0, "uV"),
    ]
    assert np.array_equal(ecg.samples, SAMPLES[:, :2])
    assert np.array_equal(breath.samples[:, 0], SAMPLES[:250, 2])
    assert (ecg.start_ns, ecg.kind) == (START_NS, "ecg")
    assert ecg.notes == (Note(625, '"', "lead off"),)


def test_bdf_that_fits_16_bits_is_moved_not_scaled(tmp_path: Path) -> None:
    far = SAMPLES[:, 0].astype(np.int32) + 40_000
    (waveform,) = read_file(bdf_file(tmp_path, far))
    (lead,) = waveform.leads
    assert (lead.code, lead.scale) == ("V9", 0.125)
    physical = (waveform.samples[:, 0].astype(float) - lead.baseline) * lead.scale
    assert np.array_equal(physical, far * 0.125)
    assert waveform.start_ns == START_NS + 250_000_000
    assert waveform.notes == (Note(250, "N", "beat"),)


def test_bdf_beyond_16_bits_is_refused_and_says_why(tmp_path: Path) -> None:
    wide = np.linspace(-100_000, 100_000, 2500).astype(np.int32)
    with pytest.raises(RemoteProtocolError) as error:
        read_file(bdf_file(tmp_path, wide))
    assert error.value.code.code == "signal_file_range"
    assert "ECG V9: -100000 to 100000" in error.value.detail


def test_records_of_physionet() -> None:
    data = Path(os.environ.get("HUIZHEN_TEST_DATA", "no-such-directory"))
    if not (data / "100.hea").is_file():
        pytest.skip("set HUIZHEN_TEST_DATA to a directory with MIT-BIH 100 and 03700181 of PhysioNet")
    (beats,) = read_file(data / "100.hea")
    assert (beats.sampling_rate_hz, beats.samples.shape) == (360, (650_000, 2))
    assert [note.position for note in beats.notes if note.symbol in "NLRAV"][:3] == [77, 370, 662]
    ecg, pressure = read_file(data / "03700181.dat")
    assert ([lead.code for lead in ecg.leads], ecg.sampling_rate_hz, ecg.kind) == (["MCL1"], 500, "ecg")
    assert [(lead.code, lead.unit) for lead in pressure.leads] == [("ABP", "mm[Hg]"), ("RESP", "uV")]


def cut(make: Callable[[Path], Path], keep: float) -> Callable[[Path], Path]:
    def broken(directory: Path) -> Path:
        path = make(directory)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])
        return path

    return broken


def written(data: bytes, name: str = "file") -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        path = directory / name
        path.write_bytes(data)
        return path

    return make


def dicom(change: Callable[[pydicom.Dataset], None]) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        dataset = pydicom.dcmread(sample_record())
        change(dataset)
        dataset.save_as(directory / "ecg.edf")
        return directory / "ecg.edf"

    return make


def dicom_group(keyword: str, value: object) -> Callable[[Path], Path]:
    return dicom(lambda dataset: setattr(dataset.WaveformSequence[0], keyword, value))


def edf_header(at: int, text: bytes) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        path = edf_file(directory)
        data = bytearray(path.read_bytes())
        data[at : at + len(text)] = text
        path.write_bytes(bytes(data))
        return path

    return make


def header_says(text: str) -> Callable[[Path], Path]:
    return written(text.encode(), "strip.hea")


def short_dat(directory: Path) -> Path:
    header = wfdb_record(directory)
    data = header.with_suffix(".dat")
    data.write_bytes(data.read_bytes()[:999])
    return header


def bomb(directory: Path) -> Path:
    path = directory / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.hea", "a.dat", "a.atr"):
            with archive.open(name, "w") as member:
                for _ in range(100):
                    member.write(bytes(1 << 20))
    return path


def zipped(*names: str) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        path = directory / "pack.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "strip 1 250 10\nstrip.dat 16\n")
        return path

    return make


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (written(b""), "signal_file_unknown"),
        (written(b"plain text"), "signal_file_unknown"),
        (written(bytes(5000), "ecg.dcm"), "signal_file_unknown"),
        (written(b"\x89PNG\r\n\x1a\n" + bytes(900), "ecg.edf"), "signal_file_unknown"),
        (written(b'<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3"/>'), "signal_unsupported"),
        (written(b'<?xml version="1.0"?><AnnotatedECG'), "signal_file_broken"),
        (written(bytes(128) + b"DICM" + b"\xff" * 400), "signal_file_broken"),
        (cut(lambda d: written(sample_record().read_bytes())(d), 0.5), "signal_file_broken"),
        (dicom(lambda d: delattr(d, "WaveformSequence")), "signal_unsupported"),
        (dicom_group("WaveformBitsAllocated", 8), "signal_unsupported"),
        (dicom_group("NumberOfWaveformSamples", 2**31), "signal_file_broken"),
        (dicom_group("SamplingFrequency", "0"), "signal_unsupported"),
        (dicom_group("ChannelDefinitionSequence", []), "signal_unsupported"),
        (cut(edf_file, 0.01), "signal_file_broken"),
        (cut(edf_file, 0.9), "signal_file_broken"),
        (edf_header(252, b"9999"), "signal_file_broken"),
        (edf_header(252, b"-3  "), "signal_file_broken"),
        (edf_header(244, b"0       "), "signal_file_broken"),
        (edf_header(244, b"nan     "), "signal_file_broken"),
        (edf_header(244, b"1e-300  "), "signal_unsupported"),
        (edf_header(236, b"99999999"), "signal_file_broken"),
        (short_dat, "signal_file_broken"),
        (header_says("strip 1 250 10\n../../etc/passwd 16\n"), "signal_file_broken"),
        (header_says("strip 1 250 10\n/etc/passwd 16\n"), "signal_file_broken"),
        (header_says("strip 1 250 10\nhttps://example.org/x.dat 16\n"), "signal_file_broken"),
        (header_says("other 1 250 10\nother.dat 16\n"), "signal_file_broken"),
        (header_says("strip 99 250 10\nstrip.dat 16\n"), "signal_file_broken"),
        (header_says("strip/3 2 250 10\na 5\nb 5\nc 5\n"), "signal_unsupported"),
        (header_says("strip 1 250 10\nstrip.hea nonsense nonsense\n"), "signal_file_broken"),
        (header_says("strip 1 1000000000 10\nstrip.hea 16\n"), "signal_unsupported"),
        (header_says("strip 1 250 99999999999\nstrip.hea 16\n"), "signal_file_too_large"),
        (header_says("strip 0 250 10\n"), "signal_file_broken"),
        (bomb, "signal_file_too_large"),
        (zipped("strip.hea"), "signal_file_broken"),
        (zipped("a.hea", "b.hea"), "signal_unsupported"),
        (zipped("letter.docx"), "signal_unsupported"),
        (zipped("..;.hea"), "signal_file_broken"),
        (zipped(*(f"f{n}.dat" for n in range(40))), "signal_file_too_large"),
        (cut(zipped("strip.hea"), 0.7), "signal_file_broken"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_it_says_gets_one_clear_error(
    tmp_path: Path, make: Callable[[Path], Path], code: str
) -> None:
    with pytest.raises(RemoteProtocolError) as error:
        read_file(make(tmp_path))
    assert error.value.code.code == code
    assert error.value.blame == "peer"
    assert error.value.code.zh
    assert error.value.code.en
