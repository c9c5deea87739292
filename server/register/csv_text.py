"""A file's bytes to rows of cells with their line numbers, and back. No I/O.

Excel in China writes "CSV UTF-8" with a byte order mark, and plain "CSV" in GB18030; both are read. What is
no such table is refused with one problem that says what it is instead.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from server.register.limits import CELL_LETTERS, IMPORT_BYTES, IMPORT_LINES, QUOTES_TOLD

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet program may take for a formula (OWASP, CSV Injection)."""

_MARK = "﻿"
_DELIMITERS = (",", ";", "\t")
_SEPARATOR = re.compile(r"(?i)sep=[,;\t]")
"""A first line by which Excel is told the delimiter; no row of the table."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """One thing that is wrong with a file.

    :param line: the line in the file, from 1; 0 = the file as a whole.
    :param column: the column's name as the file has it; "" = the line as a whole.
    :param code: stable, for programs.
    :param value: what stands there, shortened; for the screen of whoever sent it, never for a log.
    """

    line: int
    column: str
    code: str
    zh: str
    en: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. ``cells`` are stripped, as many as the header has."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """``header`` as it stands in the file. ``problems`` of the file and of lines that are no rows."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[BadLine, ...]


def whole(code: str, zh: str, en: str, line: int = 0) -> Table:
    """A table that is none, for one reason."""
    return Table((), (), (BadLine(line, "", code, zh, en),))


def read_table(data: bytes) -> Table:
    """The rows of a file, or why it has none."""
    if len(data) > IMPORT_BYTES:
        size = IMPORT_BYTES // 2**20
        return whole(
            "too_large", f"文件超过 {size} MB，请分批导入。", f"The file is over {size} MB; send it in parts."
        )
    if not data.strip():
        return _empty()
    foreign = _foreign(data)
    if foreign is not None:
        return foreign
    text = _decoded(data)
    if isinstance(text, Table):
        return text
    text = text.removeprefix(_MARK)
    table = _rows(text)
    return table if table.header or table.problems else _empty()


def _empty() -> Table:
    """Of nothing, and of empty cells alone."""
    return whole("empty", "文件是空的。", "The file is empty.")


def _foreign(data: bytes) -> Table | None:
    """What the file is instead of text, by its first bytes."""
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return whole(
            "excel_file",
            "这是 Excel 工作簿，请用“另存为 → CSV UTF-8”后再导入。",
            "This is an Excel workbook; save it as CSV UTF-8 first.",
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return whole(
            "utf_16",
            "文件是 UTF-16 编码（Excel 的“Unicode 文本”），请另存为 CSV UTF-8。",
            "The file is UTF-16 (Excel's Unicode Text); save it as CSV UTF-8.",
        )
    if b"\x00" in data:
        return whole(
            "binary",
            "这不是文本文件。",
            "This is no text file.",
            data[: data.index(b"\x00")].count(b"\n") + 1,
        )
    return None


def _decoded(data: bytes) -> str | Table:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        where = error.start
    if not data.startswith(_MARK.encode()):
        try:
            return data.decode("gb18030")
        except UnicodeDecodeError as error:
            where = max(where, error.start)
    line = data[:where].count(b"\n") + 1
    return whole(
        "encoding",
        "编码既不是 UTF-8 也不是 GB18030，请另存为 CSV UTF-8。",
        "The file is neither UTF-8 nor GB18030; save it as CSV UTF-8.",
        line,
    )


def _rows(text: str) -> Table:
    lines = list(io.StringIO(text, newline=""))
    first = lines[0].rstrip("\r\n") if lines else ""
    told = _SEPARATOR.fullmatch(first)
    delimiter = first[-1] if told else max(_DELIMITERS, key=first.count)
    header: tuple[str, ...] = ()
    rows: list[Row] = []
    problems: list[BadLine] = []
    for line, raw in _records(lines, 1 if told else 0, delimiter):
        if isinstance(raw, BadLine):
            problems.append(raw)
            continue
        cells = [cell.strip() for cell in raw]
        if not any(cells):
            continue
        if not header:
            # A column that was emptied leaves its commas.
            header = tuple(cells[: max(at for at, cell in enumerate(cells, 1) if cell)])
            continue
        if len(cells) > len(header) and not any(cells[len(header) :]):
            cells = cells[: len(header)]
        if len(rows) + len(problems) >= IMPORT_LINES:
            problems.append(_too_many(line))
            break
        if len(cells) != len(header):
            problems.append(_ragged(line, len(cells), len(header)))
        else:
            _keep(rows, problems, Row(line, tuple(cells)), header)
    return Table(header, tuple(rows), tuple(problems))


def _records(
    lines: Sequence[str], begins: int, delimiter: str
) -> Iterator[tuple[int, Sequence[str] | BadLine]]:
    """(line of the file, cells or what is wrong with them). After a quote that does not match it goes on with
    the line after the one in which the record began; after `QUOTES_TOLD` such it gives up, and says so.
    """
    for _ in range(QUOTES_TOLD):
        reader = csv.reader(lines[begins:], delimiter=delimiter, strict=True)
        read = 0
        try:
            for cells in reader:
                yield begins + read + 1, cells
                read = reader.line_num
            return
        except csv.Error:
            begins += read + 1
            yield begins, _quotes(begins)
    yield (
        begins + 1,
        BadLine(
            begins + 1,
            "",
            "quotes_many",
            "引号错误过多，此行以后没有检查。",
            "Too many quotes that do not match; nothing was read from here on.",
        ),
    )


def _quotes(line: int) -> BadLine:
    return BadLine(
        line, "", "quotes", "引号没有成对，或单元格过长。", "Quotes do not match, or a cell has no end."
    )


def _keep(rows: list[Row], problems: list[BadLine], row: Row, header: Sequence[str]) -> None:
    wrong = False
    for name, cell in zip(header, row.cells, strict=True):
        if len(cell) > CELL_LETTERS:
            problems.append(
                BadLine(
                    row.line,
                    name,
                    "too_long",
                    f"超过 {CELL_LETTERS} 字。",
                    f"Longer than {CELL_LETTERS} letters.",
                    cell[:40],
                )
            )
            wrong = True
        elif not cell.isprintable() or "�" in cell:
            problems.append(
                BadLine(
                    row.line,
                    name,
                    "unprintable",
                    "含有不可显示的字符，文件编码可能有误。",
                    "Has characters that cannot be shown; is the encoding right?",
                )
            )
            wrong = True
    if not wrong:
        rows.append(row)


def _too_many(line: int) -> BadLine:
    return BadLine(
        line,
        "",
        "too_many_lines",
        f"超过 {IMPORT_LINES} 行，请分批导入。",
        f"More than {IMPORT_LINES} lines; send it in parts.",
    )


def _ragged(line: int, has: int, wants: int) -> BadLine:
    return BadLine(
        line, "", "cells", f"有 {has} 列，表头有 {wants} 列。", f"Has {has} cells, the header has {wants}."
    )


def write_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """UTF-8 with a byte order mark, so that Excel takes it for what it is; CRLF (RFC 4180).

    A cell that a spreadsheet would calculate gets an apostrophe in front, which `plain` takes away again.
    """
    return _MARK.encode() + write_rows([header]) + write_rows(rows)


def write_rows(rows: Iterable[Sequence[str]]) -> bytes:
    """Further lines of such a table, for one that is written a piece at a time."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([[_harmless(cell) for cell in row] for row in rows])
    return out.getvalue().encode()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def plain(cell: str) -> str:
    """A cell without the apostrophe that a spreadsheet, or `write_table`, put before it."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def is_formula(cell: str) -> bool:
    """Something that a spreadsheet would calculate; no name, title or number begins so."""
    return cell.startswith(_FORMULA)
