"""Files that hold signals: read by what is in them, never by their name alone."""

from media.signals.formats.dicom import sample_record
from media.signals.formats.reading import read_file
from media.signals.formats.waveform import Gap, Note, Piece, Waveform

__all__ = ["Gap", "Note", "Piece", "Waveform", "read_file", "sample_record"]
