"""The formats a record can be had in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from media.signals.formats.csv_table import write_csv
from media.signals.formats.dicom_writer import write_dicom
from media.signals.formats.edf_writer import write_edf
from media.signals.formats.fhir import write_fhir
from media.signals.formats.source import About, Source
from media.signals.formats.wfdb_writer import write_wfdb


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a record.

    :param suffix: of a file's name, with the dot.
    :param write: into a seekable binary file, with a bounded part of the samples in memory.
    """

    suffix: str
    media_type: str
    write: Callable[[Source, About, BinaryIO], None]


FORMATS: Final[Mapping[str, Format]] = {
    "dicom": Format(".dcm", "application/dicom", write_dicom),
    "edf": Format(".edf", "application/edf", write_edf),
    "wfdb": Format(".wfdb.zip", "application/zip", write_wfdb),
    "csv": Format(".csv", "text/csv", write_csv),
    "fhir": Format(".fhir.json", "application/fhir+json", write_fhir),
}
