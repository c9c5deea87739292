"""Reading a DICOM waveform (PS3.3 C.10.9): the raw int16 samples and what they mean."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.errors import InvalidDicomError

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_MAX_LEADS, SIGNAL_MAX_RATE_HZ
from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.errors import SIGNAL_UNSUPPORTED
from media.signals.frames import Samples

# PS3.16 CID 3001 ECG Leads, coding scheme MDC (2:n) and SCPECG (5.6.3-9-n): code value -> usual name.
LEAD_CODES = {
    "2:1": "I",
    "2:2": "II",
    "2:61": "III",
    "2:62": "aVR",
    "2:63": "aVL",
    "2:64": "aVF",
    "2:3": "V1",
    "2:4": "V2",
    "2:5": "V3",
    "2:6": "V4",
    "2:7": "V5",
    "2:8": "V6",
    "2:9": "V7",
    "2:66": "V8",
    "2:67": "V9",
    "2:10": "V2R",
    "2:11": "V3R",
    "2:12": "V4R",
    "2:13": "V5R",
    "5.6.3-9-1": "I",
    "5.6.3-9-2": "II",
    "5.6.3-9-61": "III",
    "5.6.3-9-62": "aVR",
    "5.6.3-9-63": "aVL",
    "5.6.3-9-64": "aVF",
    "5.6.3-9-3": "V1",
    "5.6.3-9-4": "V2",
    "5.6.3-9-5": "V3",
    "5.6.3-9-6": "V4",
    "5.6.3-9-7": "V5",
    "5.6.3-9-8": "V6",
}
UNITS_IN_UV = {"uV": 1.0, "mV": 1000.0, "V": 1_000_000.0}


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """The rhythm part of a DICOM waveform object.

    :param samples: int16 as stored, shape (samples, leads).
    """

    sampling_rate_hz: float
    leads: tuple[Lead, ...]
    samples: Samples

    def descriptor(self, stream_id: str, label: str = "") -> StreamDescriptor:
        """The stream that would carry this waveform."""
        return StreamDescriptor(stream_id, "ecg", label, self.sampling_rate_hz, self.leads)


def sample_record() -> Path:
    """The real 12-lead record in pydicom's wheel: 10 s, 1 kHz, 1.25 uV per LSB.

    :raises RemoteProtocolError: ``signal_unsupported`` when the wheel does not have it.
    """
    path = get_testdata_file("waveform_ecg.dcm", download=False)
    if not isinstance(path, str):
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "pydicom has no waveform_ecg.dcm")
    return Path(path)


def read_waveform(data: bytes) -> Waveform:
    """Read the first multiplex group, the rhythm strip where a median beat follows.

    :raises RemoteProtocolError: ``signal_unsupported`` for anything but a 16-bit waveform with leads.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        group = dataset.WaveformSequence[0]
        channels = list(group.ChannelDefinitionSequence)
        rate = float(group.SamplingFrequency)
        samples = _samples(group, len(channels))
        leads = tuple(_lead(channel, index) for index, channel in enumerate(channels))
    except (
        InvalidDicomError,
        AttributeError,
        IndexError,
        ValueError,
        TypeError,
        ZeroDivisionError,
    ) as problem:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, type(problem).__name__) from problem
    if not 0 < rate <= SIGNAL_MAX_RATE_HZ or not 0 < len(leads) <= SIGNAL_MAX_LEADS or not len(samples):
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "rate, leads or length")
    return Waveform(rate, leads, samples)


def _samples(group: Any, channels: int) -> Samples:
    if int(group.WaveformBitsAllocated) != 16 or str(group.WaveformSampleInterpretation) != "SS":
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "samples are not signed 16-bit")
    raw = np.frombuffer(group.WaveformData, dtype="<i2")
    count = int(group.NumberOfWaveformSamples)
    return raw[: count * channels].reshape(count, channels).astype(np.int16)


def _lead(channel: Any, index: int) -> Lead:
    source = channel.ChannelSourceSequence[0]
    meaning = str(getattr(source, "CodeMeaning", "")).removeprefix("Lead ").split(" (")[0]
    code = LEAD_CODES.get(str(source.CodeValue)) or meaning or f"ch{index + 1}"
    unit = str(channel.ChannelSensitivityUnitsSequence[0].CodeValue)
    factor = UNITS_IN_UV.get(unit, 1.0)
    correction = float(getattr(channel, "ChannelSensitivityCorrectionFactor", 1.0))
    sensitivity = float(channel.ChannelSensitivity) * correction
    # ChannelBaseline is what a sample of 0 measures; a lead's baseline is the sample that measures 0.
    offset = float(getattr(channel, "ChannelBaseline", 0.0))
    return Lead(
        code=code,
        name=code,
        scale=sensitivity * factor,
        baseline=round(-offset / sensitivity),
        unit="uV" if unit in UNITS_IN_UV else unit,
    )
