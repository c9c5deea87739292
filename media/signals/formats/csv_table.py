"""CSV: what was measured as a table, one row a sampling period, empty cells in a gap.

::

    # huizhen-signal 1
    # start: 2026-02-28T23:59:59.250000+00:00
    # rate: 500
    # kind: ecg
    # label: ECG
    # lead: {"code": "I", "unit": "uV", "scale": 1.25, "baseline": 0}
    # note: 100 "seam
    time_s,I [uV],II [uV]
    0,-12.5,3.75
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import BinaryIO

import numpy as np

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_EXPORT_MAX_CSV_VALUES, SIGNAL_MAX_LABEL, SIGNAL_MAX_LEADS
from media.signals.descriptor import Lead
from media.signals.errors import SIGNAL_FILE_BROKEN
from media.signals.formats.grid import gaps_of
from media.signals.formats.leads import check_shape, tidy
from media.signals.formats.source import EPOCH, About, Source, placed_blocks
from media.signals.formats.waveform import Note, Waveform

CSV_MAGIC = b"# huizhen-signal 1"


def write_csv(source: Source, _about: About, file: BinaryIO) -> None:
    """Write one table; it names no patient.

    :raises LocalProtocolError: ``signal_export_too_long``.
    """
    source.check_length(SIGNAL_EXPORT_MAX_CSV_VALUES)
    file.write(_head(source).encode())
    empty = "," * len(source.leads) + "\n"
    tables: dict[tuple[float, int], list[str]] = {}
    columns = [tables.setdefault((lead.scale, lead.baseline), _words(lead)) for lead in source.leads]
    at = 0
    for place, block in placed_blocks(source):
        while at < place:
            end = min(place, at + 10_000)
            file.write("".join(f"{_seconds(row, source)}{empty}" for row in range(at, end)).encode())
            at = end
        words = [
            [column[value] for value in values]
            for column, values in zip(columns, block.T.tolist(), strict=True)
        ]
        rows = zip(*words, strict=True)
        text = "".join(f"{_seconds(at + n, source)},{','.join(row)}\n" for n, row in enumerate(rows))
        file.write(text.encode())
        at += len(block)


def read_csv(data: bytes) -> Waveform:
    """Read what `write_csv` wrote; other tables do not say what they measure.

    :raises RemoteProtocolError: ``signal_file_broken``, ``signal_unsupported``.
    """
    try:
        return _read(data.decode())
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as problem:
        raise RemoteProtocolError(SIGNAL_FILE_BROKEN, f"CSV ({type(problem).__name__})") from problem


def _head(source: Source) -> str:
    lines = [
        CSV_MAGIC.decode(),
        f"# start: {source.start.isoformat(timespec='microseconds')}",
        f"# rate: {source.sampling_rate_hz!r}",
        f"# kind: {source.kind}",
        f"# label: {' '.join(source.label.split())}",
    ]
    for lead in source.leads:
        fields = {"code": lead.code, "unit": lead.unit, "scale": lead.scale, "baseline": lead.baseline}
        lines.append(f"# lead: {json.dumps(fields, ensure_ascii=False)}")
    lines += [f"# note: {n.position} {n.symbol} {' '.join(n.text.split())}".rstrip() for n in source.notes]
    names = io.StringIO()
    csv.writer(names, lineterminator="\n").writerow(
        ["time_s", *(f"{lead.code} [{lead.unit}]" for lead in source.leads)]
    )
    return "\n".join(lines) + "\n" + names.getvalue()


def _words(lead: Lead) -> list[str]:
    """What each sample value measures, as text; by index, a negative one counts from the end."""
    values = [*range(32_768), *range(-32_768, 0)]
    return [f"{(value - lead.baseline) * lead.scale:.12g}" for value in values]


def _seconds(row: int, source: Source) -> str:
    return f"{row / source.sampling_rate_hz:.9g}"


def _read(text: str) -> Waveform:
    comments: dict[str, list[str]] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if not line.startswith("# "):
            break
        key, _, value = line[2:].partition(": ")
        comments.setdefault(key, []).append(value)
    leads = tuple(_lead(value) for value in comments["lead"][:SIGNAL_MAX_LEADS])
    rate = float(comments["rate"][0])
    rows = list(_rows(lines, len(leads)))
    check_shape(rate, len(leads), len(rows))
    places = np.array([place for place, _ in rows], np.int64)
    physical = np.array([values for _, values in rows], np.float64)
    scales = np.array([lead.scale for lead in leads])
    raw = np.rint(physical / scales) + np.array([lead.baseline for lead in leads])
    if np.any(np.abs(raw) > 32_768):
        raise ValueError("out of range")
    start = (datetime.fromisoformat(comments["start"][0]) - EPOCH) // timedelta(microseconds=1) * 1000
    notes = tuple(_note(value) for value in comments.get("note", []))
    kind, label = comments["kind"][0][:SIGNAL_MAX_LABEL], comments["label"][0][:SIGNAL_MAX_LABEL]
    return Waveform(rate, leads, raw.astype(np.int16), start, gaps_of(places), notes, label, kind)


def _rows(lines: Iterator[str], leads: int) -> Iterator[tuple[int, list[float]]]:
    """The rows that hold samples, each with its place on the grid."""
    for place, row in enumerate(csv.reader(lines)):
        if len(row) != leads + 1:
            raise ValueError("cells in a row")
        if row[1]:
            yield place, [float(cell) for cell in row[1:]]


def _lead(text: str) -> Lead:
    value = json.loads(text)
    code, scale = str(value["code"])[:SIGNAL_MAX_LABEL], tidy(float(value["scale"]))
    if not scale:
        raise ValueError("scale")
    return Lead(code, code, scale, int(value["baseline"]), str(value["unit"])[:SIGNAL_MAX_LABEL])


def _note(text: str) -> Note:
    position, symbol, *rest = text.split(" ", 2)
    return Note(int(position), symbol, rest[0] if rest else "")
