"""Reading a WFDB record (header, signal files, annotations) with the ``wfdb`` package.

Header format: https://wfdb.io/spec/header-files (WFDB Applications Guide, header(5)). The package would
follow any path, and the network, that a header names; so the header is looked at first.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from media.errors import RemoteProtocolError
from media.limits import (
    SIGNAL_FILE_MAX_BYTES,
    SIGNAL_FILE_MAX_HEADER_BYTES,
    SIGNAL_FILE_MAX_MEMBERS,
    SIGNAL_FILE_MAX_NOTES,
    SIGNAL_FILE_MAX_VALUES,
    SIGNAL_MAX_LEADS,
)
from media.signals.errors import (
    SIGNAL_FILE_BROKEN,
    SIGNAL_FILE_RANGE,
    SIGNAL_FILE_TOO_LARGE,
    SIGNAL_UNSUPPORTED,
)
from media.signals.formats.grid import gaps_of, outside
from media.signals.formats.leads import check_shape, distinct, groups_by_rate, kind_of, make_lead
from media.signals.formats.source import EPOCH
from media.signals.formats.waveform import Note, Waveform
from media.signals.frames import Samples

GAP = "gap"  # a comment annotation "gap N": N sampling periods from here on are filling
FILLING = -32768  # WFDB's own invalid sample in format 16
START = "start: "  # a header comment with the start to the microsecond, ISO 8601

_RECORD_LINE = re.compile(r"(?P<name>[-\w]+)(?:/(?P<segments>\d+))?[ \t]+(?P<signals>\d+)(?:[ \t].*)?")
_FILE_NAME = re.compile(r"[-\w]+(?:\.[-\w]+)?")
_GAP = re.compile(rf"{GAP} (\d+)")
_CHUNK = 1_000_000  # sampling periods read at once: wfdb unpacks to 64 bits
_ANNOTATORS = ("atr", "ecg", "qrs", "ann")  # the reference beats come first
# What the package raises over files that contradict their header.
_PROBLEMS = (ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OSError, OverflowError)


def record_name(head: bytes) -> str | None:
    """The record's name when ``head`` begins like a WFDB header, else None."""
    if b"\x00" in head:
        return None
    match = _RECORD_LINE.fullmatch(_first_line(head.decode("utf-8", "replace")))
    return match["name"] if match else None


def read_wfdb(header: Path) -> tuple[Waveform, ...]:
    """Read the record whose header file this is, with the annotations that lie beside it.

    One waveform a sampling rate, the ECG's first.

    :raises RemoteProtocolError: ``signal_file_broken``, ``signal_file_range``, ``signal_file_too_large``;
        ``signal_unsupported`` for a record in segments.
    :raises OSError: the header itself cannot be read.
    """
    _inspect(header)
    try:
        return _read(header)
    except _PROBLEMS as problem:
        raise RemoteProtocolError(SIGNAL_FILE_BROKEN, f"WFDB record ({type(problem).__name__})") from problem


def read_wfdb_zip(path: Path) -> tuple[Waveform, ...]:
    """Read the one record in a ZIP file; it is unpacked into a temporary directory.

    :raises RemoteProtocolError: as `read_wfdb`.
    """
    with tempfile.TemporaryDirectory(prefix="huizhen-wfdb-") as name:
        directory = Path(name)
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, directory)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as problem:
            raise RemoteProtocolError(SIGNAL_FILE_BROKEN, "ZIP file") from problem
        headers = sorted(directory.glob("*.hea"))
        if len(headers) != 1:
            raise RemoteProtocolError(SIGNAL_UNSUPPORTED, f"a ZIP file with {len(headers)} WFDB headers")
        return read_wfdb(headers[0])


def _unpack(archive: zipfile.ZipFile, directory: Path) -> None:
    members = [item for item in archive.infolist() if not item.is_dir()]
    if len(members) > SIGNAL_FILE_MAX_MEMBERS or sum(m.file_size for m in members) > SIGNAL_FILE_MAX_BYTES:
        raise RemoteProtocolError(SIGNAL_FILE_TOO_LARGE, "ZIP file")
    for member in members:
        name = member.filename.rsplit("/", 1)[-1]
        if not _FILE_NAME.fullmatch(name):
            raise RemoteProtocolError(SIGNAL_FILE_BROKEN, "a file name in the ZIP file")
        with archive.open(member) as source, (directory / name).open("wb") as target:
            shutil.copyfileobj(source, target)


def _inspect(header: Path) -> None:
    """Make sure that the package reads nothing but files beside the header."""
    with header.open("rb") as file:
        data = file.read(SIGNAL_FILE_MAX_HEADER_BYTES + 1)
    if len(data) > SIGNAL_FILE_MAX_HEADER_BYTES:
        raise RemoteProtocolError(SIGNAL_FILE_TOO_LARGE, "WFDB header")
    lines = _lines(data.decode("utf-8", "replace"))
    match = _RECORD_LINE.fullmatch(lines[0]) if lines else None
    if match is None or match["name"] != header.stem:
        raise RemoteProtocolError(
            SIGNAL_FILE_BROKEN, "the WFDB header is not of the record it is named after"
        )
    if match["segments"]:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "a WFDB record in segments")
    if int(match["signals"]) > SIGNAL_MAX_LEADS or len(lines) <= int(match["signals"]):
        raise RemoteProtocolError(SIGNAL_FILE_BROKEN, f"{match['signals']} signals in the WFDB header")
    total = 0
    for name in {line.split()[0] for line in lines[1 : 1 + int(match["signals"])]}:
        beside = header.parent / name
        if not _FILE_NAME.fullmatch(name) or not beside.is_file():
            raise RemoteProtocolError(
                SIGNAL_FILE_BROKEN, "a signal file that the WFDB header names is not there"
            )
        total += beside.stat().st_size
    if total > SIGNAL_FILE_MAX_BYTES:
        raise RemoteProtocolError(SIGNAL_FILE_TOO_LARGE, "WFDB signal files")


def _read(header: Path) -> tuple[Waveform, ...]:
    import wfdb  # here, for it brings pandas and matplotlib along: a second that others need not wait

    name = str(header.with_suffix(""))
    head = wfdb.rdheader(name)
    if int(head.sig_len) * sum(head.samps_per_frame) > SIGNAL_FILE_MAX_VALUES:
        raise RemoteProtocolError(SIGNAL_FILE_TOO_LARGE, f"more than {SIGNAL_FILE_MAX_VALUES} samples")
    notes = _notes(wfdb, header)
    groups = groups_by_rate([str(label) for label in head.sig_name], head.samps_per_frame)
    return tuple(_waveform(wfdb, name, head, group, notes) for group in groups)


def _waveform(wfdb: Any, name: str, head: Any, channels: list[int], notes: tuple[Note, ...]) -> Waveform:
    frame = head.samps_per_frame[channels[0]]
    length, rate = int(head.sig_len), float(head.fs) * frame
    check_shape(rate, len(channels), length)
    samples = np.empty((length * frame, len(channels)), np.int16)
    for begin in range(0, length, _CHUNK):
        end = min(begin + _CHUNK, length)
        part = wfdb.rdrecord(name, begin, end, channels, physical=False, smooth_frames=False)
        samples[begin * frame : end * frame] = _narrow(part.e_d_signal)
    leads = distinct(
        [
            make_lead(head.sig_name[c] or "", head.units[c], 1 / head.adc_gain[c], head.baseline[c], place)
            for place, c in enumerate(channels)
        ]
    )
    notes = tuple(Note(note.position * frame, note.symbol, note.text) for note in notes)
    kept = np.flatnonzero(_measured(samples, notes, ours=_started(head) is not None))
    return Waveform(
        rate,
        leads,
        samples[kept],
        _start_ns(head),
        gaps_of(kept),
        tuple(note for note in notes if not _GAP.fullmatch(note.text)),
        head.record_name,
        kind_of(leads),
    )


def _narrow(signals: Sequence[Any]) -> Samples:
    wide = np.stack(signals, axis=1)
    if wide.min(initial=0) < -32768 or wide.max(initial=0) > 32767:
        raise RemoteProtocolError(SIGNAL_FILE_RANGE, f"{wide.min()} to {wide.max()}")
    return wide.astype(np.int16)


def _notes(wfdb: Any, header: Path) -> tuple[Note, ...]:
    """The annotations of the first annotator that is there."""
    for annotator in _ANNOTATORS:
        path = header.with_suffix(f".{annotator}")
        if not path.is_file():
            continue
        # Two bytes are the least that an annotation takes.
        if path.stat().st_size > 2 * SIGNAL_FILE_MAX_NOTES:
            raise RemoteProtocolError(SIGNAL_FILE_TOO_LARGE, "WFDB annotations")
        found = wfdb.rdann(str(header.with_suffix("")), annotator)
        texts = (utf8(str(text).rstrip("\x00")) for text in found.aux_note)
        return tuple(
            Note(int(sample), str(symbol), text)
            for sample, symbol, text in zip(found.sample, found.symbol, texts, strict=True)
        )
    return ()


def utf8(text: str) -> str:
    """The package reads each byte of a text as one sign; files of our time hold UTF-8."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _measured(samples: Samples, notes: tuple[Note, ...], ours: bool) -> Any:
    """Which samples are no filling: our own files say it; elsewhere all leads invalid is a gap."""
    holes = [(note.position, match) for note in notes if (match := _GAP.fullmatch(note.text))]
    if holes or ours:
        intervals = ((position, position + int(match[1])) for position, match in holes)
        return outside(np.arange(len(samples)), intervals)
    return np.any(samples != FILLING, axis=1)


def _start_ns(head: Any) -> int | None:
    start = _started(head)
    if start is None and head.base_datetime is not None:
        start = head.base_datetime.replace(tzinfo=UTC)
    return None if start is None else (start - EPOCH) // timedelta(microseconds=1) * 1000


def _started(head: Any) -> datetime | None:
    """The comment that our own files have."""
    texts = (text[len(START) :] for text in head.comments if text.startswith(START))
    text = next(texts, None)
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _first_line(text: str) -> str:
    lines = _lines(text)
    return lines[0] if lines else ""
