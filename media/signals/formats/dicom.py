"""Reading a DICOM waveform (PS3.3 C.10.9): the raw int16 samples and what they mean."""

from __future__ import annotations

import io
import struct
import warnings
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.valuerep import DT

from media.errors import RemoteProtocolError
from media.signals.descriptor import Band, Lead
from media.signals.errors import SIGNAL_FILE_BROKEN, SIGNAL_UNSUPPORTED
from media.signals.formats.grid import gaps_of
from media.signals.formats.leads import LEAD_OF_NUMBER, check_shape, distinct, kind_of, make_lead
from media.signals.formats.waveform import Note, Waveform
from media.signals.frames import Samples

# Of both schemes that CID 3001 has known, the number behind the prefix is the same.
_LEAD_PREFIXES = ("2:", "5.6.3-9-")
DAMAGED = (
    InvalidDicomError,
    BytesLengthException,
    AttributeError,
    IndexError,
    KeyError,
    ValueError,
    TypeError,
    EOFError,
    OSError,
    OverflowError,
    NotImplementedError,
    RecursionError,
    struct.error,
    UserWarning,
)
"""What pydicom raises for damaged files."""


def sample_record() -> Path:
    """The real 12-lead record in pydicom's wheel: 10 s, 1 kHz, 1.25 uV per LSB.

    :raises RemoteProtocolError: ``signal_unsupported`` when the wheel does not have it.
    """
    path = get_testdata_file("waveform_ecg.dcm", download=False)
    if not isinstance(path, str):
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "pydicom has no waveform_ecg.dcm")
    return Path(path)


def read_dicom(data: bytes) -> Waveform:
    """Read the first multiplex group, the rhythm strip where a median beat follows.

    Sampling periods in which every channel has the Waveform Padding Value (5400,100A) are a gap.

    :raises RemoteProtocolError: ``signal_unsupported`` for anything but a 16-bit waveform with leads,
        ``signal_file_broken`` where the file contradicts itself.
    """
    try:
        dataset = _parse(data)
        return _waveform(dataset, _group(dataset))
    except DAMAGED as problem:
        raise RemoteProtocolError(SIGNAL_FILE_BROKEN, f"DICOM ({type(problem).__name__})") from problem


def _group(dataset: pydicom.Dataset) -> Any:
    """The multiplex group that is read. An element is parsed when it is asked for, so any may fail."""
    if "WaveformSequence" not in dataset or not dataset.WaveformSequence:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "a DICOM object without a waveform")
    group = dataset.WaveformSequence[0]
    if group.get("WaveformBitsAllocated") != 16 or group.get("WaveformSampleInterpretation") != "SS":
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "samples are not signed 16-bit")
    return group


def _parse(data: bytes) -> pydicom.Dataset:
    """Tolerant of odd values, as the readers of the field are, but not of a file that ends too early."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.filterwarnings("error", "End of file reached", UserWarning)
        return pydicom.dcmread(io.BytesIO(data))


def _waveform(dataset: Any, group: Any) -> Waveform:
    leads = distinct([_lead(channel, index) for index, channel in enumerate(group.ChannelDefinitionSequence)])
    rate = float(group.SamplingFrequency)
    filled = _samples(group, len(leads))
    check_shape(rate, len(leads), len(filled))
    kept = np.arange(len(filled))
    padding = group.get("WaveformPaddingValue")
    if padding is not None:
        kept = np.flatnonzero(np.any(filled != np.frombuffer(padding, "<i2", 1)[0], axis=1))
    check_shape(rate, len(leads), len(kept))
    label = str(group.get("MultiplexGroupLabel") or "")
    start = _start(dataset, group)
    return Waveform(rate, leads, filled[kept], start, gaps_of(kept), _notes(dataset), label, kind_of(leads))


def _samples(group: Any, channels: int) -> Samples:
    count = int(group.NumberOfWaveformSamples)
    raw = np.frombuffer(group.WaveformData[: count * channels * 2], dtype="<i2")
    return raw.reshape(count, channels).astype(np.int16)


def _lead(channel: Any, index: int) -> Lead:
    source = channel.ChannelSourceSequence[0]
    value = str(source.get("CodeValue", ""))
    number = next((value[len(p) :] for p in _LEAD_PREFIXES if value.startswith(p)), "")
    known = LEAD_OF_NUMBER.get(int(number)) if number.isdecimal() else None
    meaning = str(source.get("CodeMeaning", "")).split(" (")[0]
    unit = str(channel.ChannelSensitivityUnitsSequence[0].CodeValue)
    correction = float(channel.get("ChannelSensitivityCorrectionFactor") or 1.0)
    sensitivity = float(channel.ChannelSensitivity) * correction
    # ChannelBaseline is what a sample of 0 measures; a lead's baseline is the sample that measures 0.
    offset = float(channel.get("ChannelBaseline") or 0.0)
    zero = -offset / sensitivity if sensitivity else 0.0
    return make_lead(known or meaning, unit, sensitivity, zero, index, _band(channel))


def _band(channel: Any) -> Band | None:
    """Filter Low, High and Notch Frequency (003A,0220 to 0222), each of which may be missing."""
    said = (channel.get(f"{name}Frequency") for name in ("FilterLow", "FilterHigh", "NotchFilter"))
    return Band.of(*(None if hz in (None, "") else float(hz) for hz in said))


def _start(dataset: Any, group: Any) -> int | None:
    """Acquisition DateTime (0008,002A) plus the group's offset; UTC where no zone is given."""
    text = dataset.get("AcquisitionDateTime")
    if not text:
        return None
    moment: datetime = DT(str(text))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(dataset))
    offset_us = round(float(group.get("MultiplexGroupTimeOffset") or 0.0) * 1000)
    return (round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) + offset_us) * 1000


def _zone(dataset: Any) -> timezone:
    """Timezone Offset From UTC (0008,0201), ``+0800``."""
    text = str(dataset.get("TimezoneOffsetFromUTC") or "+0000")
    sign = -1 if text.startswith("-") else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[3:5])))


def _notes(dataset: Any) -> tuple[Note, ...]:
    """Free-text annotations that point at samples of the first group."""
    found: list[Note] = []
    for item in dataset.get("WaveformAnnotationSequence") or []:
        text, positions = item.get("UnformattedTextValue"), item.get("ReferencedSamplePositions")
        if not text or positions is None:
            continue
        position = int(positions[0] if hasattr(positions, "__len__") else positions)
        found.append(Note.of_text(position - 1, str(text)))
    return tuple(sorted(found, key=lambda note: note.position))
