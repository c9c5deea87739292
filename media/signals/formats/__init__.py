"""Files that hold signals: read by what is in them, never by their name alone; written without a loss."""

from media.signals.formats.dicom import sample_record
from media.signals.formats.reading import read_file
from media.signals.formats.source import About, Source
from media.signals.formats.waveform import Gap, Note, Piece, Waveform
from media.signals.formats.writing import FORMATS, Format

__all__ = [
    "FORMATS",
    "About",
    "Format",
    "Gap",
    "Note",
    "Piece",
    "Source",
    "Waveform",
    "read_file",
    "sample_record",
]
