"""One door for every signal file: look at its first bytes, read it with the reader for that format."""

from __future__ import annotations

from pathlib import Path

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_FILE_MAX_BYTES
from media.signals.errors import SIGNAL_FILE_TOO_LARGE, SIGNAL_FILE_UNKNOWN
from media.signals.formats.aecg import AECG_ROOT, read_aecg
from media.signals.formats.csv_table import CSV_MAGIC, read_csv
from media.signals.formats.dicom import read_dicom
from media.signals.formats.edf import BDF_MAGIC, EDF_MAGIC, read_edf
from media.signals.formats.fhir import read_fhir
from media.signals.formats.waveform import Waveform
from media.signals.formats.wfdb import read_wfdb, read_wfdb_zip, record_name

_HEAD = 4096  # enough for every magic number, and for the first line of a WFDB header
_ZIP_MAGIC = b"PK\x03\x04"


def read_file(path: Path) -> tuple[Waveform, ...]:
    """Read a DICOM waveform, EDF(+), BDF(+), HL7 aECG, FHIR Observation, our own CSV, or a WFDB record given
    by its header, by any of its other files with the header beside it, or as a ZIP file. Blocks on the disk.

    :return: one waveform a sampling rate, the ECG first; never empty.

    :raises RemoteProtocolError: ``signal_file_unknown``, ``signal_file_broken``, ``signal_file_range``,
        ``signal_file_too_large``, ``signal_unsupported``; the peer is whoever gave the file.
    :raises OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if path.stat().st_size > SIGNAL_FILE_MAX_BYTES:
        raise RemoteProtocolError(SIGNAL_FILE_TOO_LARGE, f"more than {SIGNAL_FILE_MAX_BYTES} bytes")
    if head[128:132] == b"DICM":
        return (read_dicom(path.read_bytes()),)
    if head.startswith((EDF_MAGIC, BDF_MAGIC)):
        return read_edf(path.read_bytes())
    if head.startswith(_ZIP_MAGIC):
        return read_wfdb_zip(path)
    if head.startswith(CSV_MAGIC):
        return (read_csv(path.read_bytes()),)
    if head.lstrip().startswith(b"{") and b'"Observation"' in head:
        return (read_fhir(path.read_bytes()),)
    if AECG_ROOT in head:
        return (read_aecg(path.read_bytes()),)
    if record_name(head) is not None:
        return read_wfdb(path)
    beside = path.with_suffix(".hea")
    if beside != path and beside.is_file():
        return read_wfdb(beside)
    raise RemoteProtocolError(SIGNAL_FILE_UNKNOWN)
