"""Writing a WFDB record as a ZIP file: header, signals in format 16, annotations where there are any."""

from __future__ import annotations

import re
import tempfile
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from media.limits import SIGNAL_EXPORT_MAX_VALUES
from media.signals.descriptor import Lead
from media.signals.formats.leads import tidy
from media.signals.formats.source import About, Source, filled_blocks
from media.signals.formats.waveform import COMMENT, Note
from media.signals.formats.wfdb import FILLING, GAP, START

_ANNOTATOR = "atr"
_MAX_TEXT = 250  # bytes of an annotation's text; the format's length field has one byte
_UNITS = {"mm[Hg]": "mmHg", "/min": "bpm", "1": "NU"}  # UCUM has signs that the header has not


def write_wfdb(source: Source, about: About, file: BinaryIO) -> None:
    """Write one ZIP file. A gap is filled with format 16's invalid sample; a comment ``gap N`` marks it.

    The header names no patient: a WFDB record is shared for research more often than not.

    :raises LocalProtocolError: ``signal_export_too_long``.
    """
    source.check_length(SIGNAL_EXPORT_MAX_VALUES)
    name = f"{source.kind}_{about.identifier.replace('-', '')[:12]}"
    sums = np.zeros(len(source.leads), np.int64)
    first: list[int] | None = None
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(f"{name}.dat", "w", force_zip64=True) as signals:
            for block in filled_blocks(source, FILLING):
                first = first or block[0].tolist()
                sums += block.sum(axis=0, dtype=np.int64)
                signals.write(block.astype("<i2", copy=False).tobytes())
        archive.writestr(f"{name}.hea", _header(name, source, first or [], sums.tolist()))
        if notes := _notes(source):
            archive.writestr(f"{name}.{_ANNOTATOR}", _annotations(name, notes))


def _header(name: str, source: Source, first: list[int], sums: list[int]) -> str:
    """header(5): record line, a line for each signal, comments."""
    moment = source.start.strftime("%H:%M:%S %d/%m/%Y")
    lines = [f"{name} {len(source.leads)} {source.sampling_rate_hz:.12g} {source.periods} {moment}"]
    for lead, value, total in zip(source.leads, first, sums, strict=True):
        gain, unit = _gain(lead)
        checksum = (total + 32768) % 65536 - 32768
        lines.append(f"{name}.dat 16 {gain}({lead.baseline})/{unit} 16 0 {value} {checksum} 0 {lead.code}")
    lines.append(f"# {START}{source.start.isoformat(timespec='microseconds')}")
    return "\n".join(lines) + "\n"


def _gain(lead: Lead) -> tuple[str, str]:
    """LSB per unit, and the unit; potentials in millivolts, as everywhere in WFDB."""
    scale, unit = (lead.scale / 1000, "mV") if lead.unit == "uV" else (lead.scale, lead.unit)
    unit = _UNITS.get(unit) or re.sub(r"[^\w^?%/-]", "_", unit) or "NU"
    return f"{1 / tidy(scale):.17g}", unit


def _notes(source: Source) -> list[Note]:
    holes, at = [], 0
    for piece in source.pieces:
        if piece.offset > at:
            holes.append(Note(at, COMMENT, f"{GAP} {piece.offset - at}"))
        at = piece.offset + piece.count
    return sorted([*holes, *source.notes], key=lambda note: note.position)


def _bytes_as_signs(text: str) -> str:
    """The package writes the number of each sign as a byte; `wfdb.utf8` is the way back."""
    whole = text.encode()[:_MAX_TEXT].decode("utf-8", "ignore")
    return whole.encode().decode("latin-1")


def _annotations(name: str, notes: list[Note]) -> bytes:
    import wfdb  # here, for it brings pandas and matplotlib along

    with tempfile.TemporaryDirectory(prefix="huizhen-wfdb-") as directory:
        wfdb.wrann(
            name,
            _ANNOTATOR,
            np.array([note.position for note in notes]),
            symbol=[note.symbol for note in notes],
            aux_note=[_bytes_as_signs(note.text) for note in notes],
            write_dir=directory,
        )
        return (Path(directory) / f"{name}.{_ANNOTATOR}").read_bytes()
