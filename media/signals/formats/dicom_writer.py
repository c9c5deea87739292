"""Writing a DICOM ECG waveform object: PS3.3 A.34.3 (12-lead), A.34.4 (general), A.34.5 (ambulatory)."""

from __future__ import annotations

import io
import struct
import uuid
from datetime import datetime
from typing import BinaryIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    AmbulatoryECGWaveformStorage,
    ExplicitVRLittleEndian,
    GeneralECGWaveformStorage,
    TwelveLeadECGWaveformStorage,
)

from media.errors import LocalProtocolError
from media.limits import SIGNAL_EXPORT_MAX_VALUES
from media.signals.descriptor import Band, Lead
from media.signals.errors import SIGNAL_EXPORT_UNFIT
from media.signals.formats.leads import LEAD_NUMBERS
from media.signals.formats.source import About, Source, filled_blocks
from media.signals.formats.waveform import Note
from media.signals.kinds import ECG, LEADS_12

TWELVE_LEAD_SAMPLES = 16_384  # A.34.3.4.5, of each channel
TWELVE_LEAD_CHANNELS = 13
GENERAL_CHANNELS = 24
AMBULATORY_CHANNELS = 12
ECG_RATES_HZ = (200, 1000)
AMBULATORY_RATES_HZ = (50, 1000)
AMBULATORY_S = 3600  # an hour and more of up to 12 leads is a Holter record
_PADDING = -32768
_NAMESPACE = uuid.UUID("b3a4a1de-8d5c-4f3c-9d7e-0f8f6d1f5a11")
_DELIMITERS = 16  # of item and sequence, behind the samples


def sop_class(source: Source) -> UID:
    """The object that may hold this record.

    :raises LocalProtocolError: ``signal_export_unfit``: no ECG, too many leads, or a rate that none allows.
    """
    rate, leads = source.sampling_rate_hz, len(source.leads)
    if source.kind != ECG.kind:
        raise LocalProtocolError(SIGNAL_EXPORT_UNFIT, f"DICOM ECG objects hold no {source.kind}")
    diagnostic = ECG_RATES_HZ[0] <= rate <= ECG_RATES_HZ[1]
    usual = all(lead.code in LEADS_12 for lead in source.leads)
    if diagnostic and usual and leads <= TWELVE_LEAD_CHANNELS and source.periods <= TWELVE_LEAD_SAMPLES:
        return TwelveLeadECGWaveformStorage
    ambulatory = AMBULATORY_RATES_HZ[0] <= rate <= AMBULATORY_RATES_HZ[1] and leads <= AMBULATORY_CHANNELS
    if ambulatory and (not diagnostic or source.periods / rate >= AMBULATORY_S):
        return AmbulatoryECGWaveformStorage
    if diagnostic and leads <= GENERAL_CHANNELS:
        return GeneralECGWaveformStorage
    raise LocalProtocolError(SIGNAL_EXPORT_UNFIT, f"DICOM: {leads} leads at {rate:g} Hz")


def write_dicom(source: Source, about: About, file: BinaryIO) -> None:
    """Write one object. A gap is Waveform Padding Value in one multiplex group, for a viewer shows the first
    group, and the objects allow five groups, four, or one.

    :raises LocalProtocolError: ``signal_export_unfit``, ``signal_export_too_long``.
    """
    source.check_length(SIGNAL_EXPORT_MAX_VALUES)
    dataset = _dataset(source, about)
    padding = _unused_value(source) if source.gaps else None
    dataset.WaveformSequence = Sequence([_group(source, padding)])
    dataset["WaveformSequence"].is_undefined_length = True
    head = io.BytesIO()
    dataset.save_as(head, enforce_file_format=True)
    # The samples are the last element of the last sequence, so what stands around them is written first
    # and they never are in memory as a whole.
    text = head.getvalue()
    length = source.periods * len(source.leads) * 2
    file.write(text[: -_DELIMITERS - 4] + struct.pack("<I", length))
    for block in filled_blocks(source, padding or 0):
        file.write(block.astype("<i2", copy=False).tobytes())
    file.write(text[-_DELIMITERS:])


def _dataset(source: Source, about: About) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = sop_class(source)
    dataset.SOPInstanceUID = _uid(about, f"instance {source.start_ns} {source.periods}")
    dataset.StudyInstanceUID = _uid(about, "study")
    dataset.SeriesInstanceUID = _uid(about, "series")
    dataset.Modality = "ECG"
    dataset.PatientName = _person_name(about)
    dataset.PatientID = about.patient_id
    dataset.PatientBirthDate = about.birth_date.strftime("%Y%m%d") if about.birth_date else ""
    dataset.PatientSex = {"male": "M", "female": "F"}.get(about.sex, "")
    dataset.StudyID = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.Manufacturer = about.device
    dataset.TimezoneOffsetFromUTC = "+0000"
    dataset.StudyDate = dataset.ContentDate = source.start.strftime("%Y%m%d")
    dataset.StudyTime = dataset.ContentTime = source.start.strftime("%H%M%S.%f")
    dataset.AcquisitionDateTime = _date_time(source.start)
    dataset.AcquisitionContextSequence = Sequence([])
    if source.notes:
        dataset.WaveformAnnotationSequence = Sequence([_annotation(note) for note in source.notes])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _group(source: Source, padding: int | None) -> Dataset:
    group = Dataset()
    group.is_undefined_length_sequence_item = True
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels = len(source.leads)
    group.NumberOfWaveformSamples = source.periods
    group.SamplingFrequency = _decimal(source.sampling_rate_hz)
    if source.label:
        group.MultiplexGroupLabel = source.label[:16]
    group.ChannelDefinitionSequence = Sequence(
        [_channel(lead, number) for number, lead in enumerate(source.leads, 1)]
    )
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    if padding is not None:
        group.add_new("WaveformPaddingValue", "OW", struct.pack("<h", padding))
    group.add_new("WaveformData", "OW", b"")
    return group


def _channel(lead: Lead, number: int) -> Dataset:
    channel = Dataset()
    channel.WaveformChannelNumber = number
    channel.ChannelLabel = lead.code[:16]
    known = LEAD_NUMBERS.get(lead.code)
    source = _code("MDC", f"2:{known}", f"Lead {lead.code}") if known else _local(lead.code)
    channel.ChannelSourceSequence = Sequence([source])
    channel.ChannelSensitivity = _decimal(lead.scale)
    channel.ChannelSensitivityUnitsSequence = Sequence([_code("UCUM", lead.unit, lead.unit)])
    channel.ChannelSensitivityCorrectionFactor = 1
    channel.ChannelBaseline = _decimal(-lead.baseline * lead.scale)
    channel.ChannelTimeSkew = 0
    channel.WaveformBitsStored = 16
    if lead.band is not None:
        _say_band(channel, lead.band)
    return channel


def _say_band(channel: Dataset, band: Band) -> None:
    """PS3.3 C.10.9, type 3. What the device filtered and nothing else: what is kept we never filter."""
    if band.low_hz is not None:
        channel.FilterLowFrequency = _decimal(band.low_hz)
    if band.high_hz is not None:
        channel.FilterHighFrequency = _decimal(band.high_hz)
    if band.notch_hz is not None:
        channel.NotchFilterFrequency = _decimal(band.notch_hz)


def _local(code: str) -> Dataset:
    """A lead that CID 3001 does not know; the group is extensible."""
    return _code("99HUIZHEN", code[:16], code[:64])


def _code(scheme: str, value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def _annotation(note: Note) -> Dataset:
    item = Dataset()
    item.UnformattedTextValue = note.as_text()[:1024]
    item.ReferencedWaveformChannels = [1, 0]
    item.TemporalRangeType = "POINT"
    item.ReferencedSamplePositions = [note.position + 1]
    item.AnnotationGroupNumber = 0
    return item


def _unused_value(source: Source) -> int:
    """A sample value that no period has in all leads at once."""
    taken = np.zeros(65_536, dtype=bool)
    for block in source.blocks():
        same = np.all(block == block[:, :1], axis=1)
        taken[block[same, 0].astype(np.int32) - _PADDING] = True
    free = np.flatnonzero(~taken)
    if not len(free):
        raise LocalProtocolError(SIGNAL_EXPORT_UNFIT, "DICOM: no value is left to mark gaps with")
    return int(free[0]) + _PADDING


def _person_name(about: About) -> str:
    """PS3.5 6.2.1.2: letters, then ideographs behind ``=``."""
    letters = "^".join(about.patient_name_en.split(maxsplit=1))
    return f"{letters}={about.patient_name}" if letters else about.patient_name


def _date_time(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S.%f+0000")


def _uid(about: About, part: str) -> str:
    """PS3.5 B.2: a UUID as an OID. The same record gets the same one each time."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{about.identifier} {part}').int}"


def _decimal(value: float) -> str:
    """A DS of at most 16 characters, as near as that allows."""
    for digits in range(15, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError("no number")
