"""Reading EDF, EDF+, BDF and BDF+: header, data records, time-stamped annotation lists.

Sources: Kemp et al. 1992 (EDF), Kemp and Olivan 2003 (EDF+), https://www.edfplus.info/specs; BDF is the
same with 24-bit samples (BioSemi). Read here and not by a library, because none that is kept reads a
discontinuous file (EDF+D), which is what a record with gaps is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_FILE_MAX_NOTES, SIGNAL_FILE_MAX_VALUES
from media.signals.descriptor import MAX_BASELINE, Band, Lead
from media.signals.errors import (
    SIGNAL_FILE_BROKEN,
    SIGNAL_FILE_RANGE,
    SIGNAL_FILE_TOO_LARGE,
    SIGNAL_UNSUPPORTED,
)
from media.signals.formats.grid import Places, gaps_of, outside
from media.signals.formats.leads import (
    check_shape,
    distinct,
    groups_by_rate,
    kind_of,
    make_lead,
    tidy,
)
from media.signals.formats.waveform import Note, Waveform
from media.signals.frames import Samples

EDF_MAGIC = b"0       "
BDF_MAGIC = b"\xffBIOSEMI"
MAX_SIGNALS = 512  # a header of 128 KiB; a high-density EEG has 256
ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
GAP = "gap"  # an annotation with this text and a duration: these samples are filling
# What the 8 characters of the physical range cannot hold stands in the 80 of the transducer field.
EXACT = re.compile(r"LSB=(?P<scale>[0-9.eE+-]+) zero=(?P<zero>-?\d+)")

_TAL = re.compile(rb"([+-]\d+(?:\.\d+)?)(?:\x15(\d+(?:\.\d+)?))?\x14([^\x00]*)\x14\x00")
_FILTER = re.compile(r"\b(?P<name>HP|LP|N):\s*(?P<hz>\d+(?:\.\d+)?)\s*Hz", re.IGNORECASE)
_SIGNAL_FIELDS = (
    ("label", 16),
    ("transducer", 80),
    ("unit", 8),
    ("physical_min", 8),
    ("physical_max", 8),
    ("digital_min", 8),
    ("digital_max", 8),
    ("prefiltering", 80),
    ("samples", 8),
    ("reserved", 32),
)


@dataclass(frozen=True, slots=True)
class EdfSignal:
    """One signal's header.

    :param samples: in each data record.
    :param begin: bytes from the start of a data record to its first sample.
    """

    label: str
    transducer: str
    unit: str
    physical_min: float
    physical_max: float
    digital_min: int
    digital_max: int
    prefiltering: str
    samples: int
    begin: int

    @property
    def is_annotation(self) -> bool:
        return self.label in ANNOTATIONS


@dataclass(frozen=True, slots=True)
class EdfHeader:
    """The fixed part of the file.

    :param records: as the file has them, not as its header says: a recorder that died left -1 there.
    :param duration_s: of one data record.
    :param width: bytes a sample, 2 or 3.
    """

    start: datetime | None
    discontinuous: bool
    recording: str
    size: int
    records: int
    duration_s: float
    record_bytes: int
    width: int
    signals: tuple[EdfSignal, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """One text of a TAL; seconds from the start of the file."""

    onset_s: float
    duration_s: float
    text: str


def read_edf(data: bytes) -> tuple[Waveform, ...]:
    """Read all signals: one waveform a sampling rate, the ECG's first.

    :raises RemoteProtocolError: ``signal_file_broken``, ``signal_unsupported``, ``signal_file_too_large``;
        ``signal_file_range`` for 24-bit samples that span more than 16 bits.
    """
    try:
        header = read_header(data)
    except (ValueError, OverflowError) as problem:
        raise RemoteProtocolError(SIGNAL_FILE_BROKEN, "EDF header") from problem
    ordinary = [signal for signal in header.signals if not signal.is_annotation and signal.samples]
    if not ordinary:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "an EDF file with annotations alone")
    if header.records * sum(signal.samples for signal in ordinary) > SIGNAL_FILE_MAX_VALUES:
        raise RemoteProtocolError(SIGNAL_FILE_TOO_LARGE, f"more than {SIGNAL_FILE_MAX_VALUES} samples")
    records = np.frombuffer(data, np.uint8, header.records * header.record_bytes, header.size)
    records = records.reshape(header.records, header.record_bytes)
    stamps, annotations = _annotations(header, records)
    groups = groups_by_rate([signal.label for signal in ordinary], [signal.samples for signal in ordinary])
    return tuple(
        _waveform(header, [ordinary[index] for index in group], records, stamps, annotations)
        for group in groups
    )


def _waveform(
    header: EdfHeader,
    chosen: list[EdfSignal],
    records: NDArray[np.uint8],
    stamps: list[float],
    annotations: list[Annotation],
) -> Waveform:
    rate = tidy(chosen[0].samples / header.duration_s)
    check_shape(rate, len(chosen), header.records * chosen[0].samples)
    places = _places(stamps, rate, chosen[0].samples)

    def place(annotation: Annotation) -> int:
        return round((annotation.onset_s - stamps[0]) * rate)

    holes = [a for a in annotations if a.text == GAP]
    kept = outside(places, ((place(hole), place(hole) + round(hole.duration_s * rate)) for hole in holes))
    leads, samples = _signals(header, chosen, records)
    check_shape(rate, len(leads), int(kept.sum()))
    notes = [Note.of_text(max(0, place(a)), a.text) for a in annotations if a.text != GAP]
    return Waveform(
        rate,
        leads,
        samples[kept],
        _start_ns(header, stamps[0]),
        gaps_of(places[kept]),
        tuple(sorted(notes, key=lambda note: note.position)),
        header.recording,
        kind_of(leads),
    )


def read_header(data: bytes) -> EdfHeader:
    """Read the fixed part.

    :raises ValueError: a field is not what its place asks for.
    """
    bdf = data.startswith(BDF_MAGIC)
    count = int(data[252:256])
    if not 0 < count <= MAX_SIGNALS:
        raise ValueError(f"{count} signals")
    size, width = 256 + 256 * count, 3 if bdf else 2
    if len(data) < size:
        raise ValueError("shorter than its header")
    signals = _signal_headers(data[256:size], count, width)
    record_bytes = sum(signal.samples for signal in signals) * width
    duration = float(data[244:252])
    if not duration > 0 or not record_bytes:
        raise ValueError("empty data records")
    records = (len(data) - size) // record_bytes
    stated = int(data[236:244])
    if not records or (stated >= 0 and records < stated):
        raise ValueError(f"{records} data records of {stated}")
    return EdfHeader(
        start=_start(data),
        discontinuous=data[192:197] in (b"EDF+D", b"BDF+D"),
        recording=_recording(data[88:168].decode("latin-1")),
        size=size,
        records=records if stated < 0 else stated,
        duration_s=duration,
        record_bytes=record_bytes,
        width=width,
        signals=signals,
    )


def _signal_headers(block: bytes, count: int, width: int) -> tuple[EdfSignal, ...]:
    columns: dict[str, list[str]] = {}
    at = 0
    for name, length in _SIGNAL_FIELDS:
        texts = [block[at + i * length : at + (i + 1) * length] for i in range(count)]
        columns[name] = [text.decode("utf-8", "replace").strip() for text in texts]
        at += length * count
    signals: list[EdfSignal] = []
    begin = 0
    for index in range(count):
        samples = int(columns["samples"][index])
        if samples < 0:
            raise ValueError("negative length")
        signals.append(
            EdfSignal(
                columns["label"][index],
                columns["transducer"][index],
                columns["unit"][index],
                float(columns["physical_min"][index]),
                float(columns["physical_max"][index]),
                int(columns["digital_min"][index]),
                int(columns["digital_max"][index]),
                columns["prefiltering"][index],
                samples,
                begin,
            )
        )
        begin += samples * width
    return tuple(signals)


def _start(data: bytes) -> datetime | None:
    """Start date and time; EDF+ keeps the century in the recording field."""
    try:
        start = datetime.strptime(data[168:184].decode("ascii"), "%d.%m.%y%H.%M.%S").replace(tzinfo=UTC)
        # "Startdate dd-MMM-yyyy": two digits of a year mean 1985-2084 (EDF+, 2.1.3.3 and additional 2).
        return start.replace(year=start.year + 100) if start.year < 1985 else start
    except ValueError:
        return None


def _recording(text: str) -> str:
    """The device, last of the EDF+ subfields; the fields for persons are not taken over."""
    parts = text.split()
    return (
        parts[4].replace("_", " ") if len(parts) >= 5 and parts[0] == "Startdate" and parts[4] != "X" else ""
    )


def _annotations(header: EdfHeader, records: NDArray[np.uint8]) -> tuple[list[float], list[Annotation]]:
    """The time of each data record, seconds after the start in the header, and all texts."""
    stamps = [index * header.duration_s for index in range(header.records)]
    found: list[Annotation] = []
    first = True
    for signal in header.signals:
        if not signal.is_annotation:
            continue
        end = signal.begin + signal.samples * header.width
        for index, record in enumerate(records[:, signal.begin : end]):
            for onset, duration, texts in _TAL.findall(record.tobytes()):
                words = texts.split(b"\x14")
                if first and not words[0]:
                    stamps[index] = float(onset)
                    words = words[1:]
                found += [
                    Annotation(float(onset), float(duration or 0), word.decode("utf-8", "replace"))
                    for word in words
                    if word
                ]
            if len(found) > SIGNAL_FILE_MAX_NOTES:
                raise RemoteProtocolError(
                    SIGNAL_FILE_TOO_LARGE, f"more than {SIGNAL_FILE_MAX_NOTES} annotations"
                )
        first = False
    return stamps, found


def _places(stamps: list[float], rate: float, per_record: int) -> Places:
    """Where on the grid each sample lies.

    :raises RemoteProtocolError: ``signal_file_broken`` when data records overlap or run backwards.
    """
    starts = np.rint((np.asarray(stamps) - stamps[0]) * rate)
    if not np.all(np.abs(starts) < 2**53) or np.any(np.diff(starts) < per_record):
        raise RemoteProtocolError(SIGNAL_FILE_BROKEN, "data records overlap in time")
    places: Places = (starts.astype(np.int64)[:, None] + np.arange(per_record)).ravel()
    return places


def _signals(
    header: EdfHeader, chosen: list[EdfSignal], records: NDArray[np.uint8]
) -> tuple[tuple[Lead, ...], Samples]:
    samples = np.empty((header.records * chosen[0].samples, len(chosen)), np.int16)
    leads: list[Lead] = []
    for index, signal in enumerate(chosen):
        raw = np.ascontiguousarray(records[:, signal.begin : signal.begin + signal.samples * header.width])
        if header.width == 2:
            shift = 0
            samples[:, index] = raw.view("<i2").ravel()
        else:
            wide = _int24(raw)
            shift = _shift(wide, signal.label)
            samples[:, index] = wide - shift
        leads.append(_lead(signal, shift, index))
    return distinct(leads), samples


def _int24(raw: NDArray[np.uint8]) -> NDArray[np.int32]:
    parts = raw.reshape(-1, 3).astype(np.int32)
    value: NDArray[np.int32] = parts[:, 0] | parts[:, 1] << 8 | parts[:, 2] << 16
    return value - ((value & 0x800000) << 1)


def _shift(wide: NDArray[np.int32], label: str) -> int:
    """What to take off 24-bit samples so that 16 bits hold them: nothing, or the middle of their range."""
    low, high = int(wide.min()), int(wide.max())
    if low >= -32768 and high <= 32767:
        return 0
    if high - low > 65535:
        raise RemoteProtocolError(SIGNAL_FILE_RANGE, f"{label}: {low} to {high}")
    return (low + high + 1) // 2


def _lead(signal: EdfSignal, shift: int, index: int) -> Lead:
    span = signal.digital_max - signal.digital_min
    if not span or signal.physical_max == signal.physical_min:
        raise RemoteProtocolError(SIGNAL_FILE_BROKEN, f"range of signal {index + 1}")
    scale = (signal.physical_max - signal.physical_min) / span
    zero = signal.digital_min - signal.physical_min / scale
    exact = EXACT.fullmatch(signal.transducer)
    if exact is not None:
        try:
            stated = float(exact["scale"])
        except ValueError:
            stated = 0.0
        # Only where it agrees with the range that everybody else reads.
        if abs(stated - scale) <= 1e-3 * abs(scale) and abs(int(exact["zero"]) - zero) <= 64:
            scale, zero = stated, int(exact["zero"])
    if abs(zero - shift) > MAX_BASELINE:
        raise RemoteProtocolError(SIGNAL_FILE_RANGE, f"baseline of {signal.label}")
    return make_lead(signal.label, signal.unit, scale, zero - shift, index, _band(signal.prefiltering))


def _band(text: str) -> Band | None:
    """EDF specification, "prefiltering": ``HP:0.1Hz LP:75Hz N:50Hz``; anything else says nothing."""
    said = {match["name"].upper(): float(match["hz"]) for match in _FILTER.finditer(text)}
    return Band.of(said.get("HP"), said.get("LP"), said.get("N"))


def _start_ns(header: EdfHeader, first_stamp: float) -> int | None:
    if header.start is None:
        return None
    return (round(header.start.timestamp()) * 1_000_000 + round(first_stamp * 1e6)) * 1000
