"""The columns of the two files, by their Chinese and English names. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from server.register.csv_text import BadLine, Table, is_formula, plain

Kind = Literal["organizations", "practitioners"]


@dataclass(frozen=True, slots=True)
class Column:
    """``key`` is the English name; ``wanted``: the file must have it and no cell may be empty."""

    key: str
    zh: str
    wanted: bool = False


ORGANIZATIONS = (
    Column("code", "机构代码", True),
    Column("name", "机构名称", True),
    Column("name_en", "英文名称"),
    Column("level", "级别", True),
    Column("parent", "上级机构代码"),
    Column("address", "地址"),
    Column("state", "状态"),
    Column("closed_on", "停用日期"),
)

PRACTITIONERS = (
    Column("registration", "执业证书编号", True),
    Column("name", "姓名", True),
    Column("name_en", "英文姓名"),
    Column("organization", "机构代码", True),
    Column("title", "职称"),
    Column("title_en", "英文职称"),
    Column("roles", "角色", True),
    Column("specialties", "专科"),
    Column("languages", "语言"),
    Column("phone", "电话"),
    Column("username", "用户名"),
    Column("state", "状态"),
    Column("closed_on", "停用日期"),
)

COLUMNS: Mapping[Kind, tuple[Column, ...]] = {"organizations": ORGANIZATIONS, "practitioners": PRACTITIONERS}


@dataclass(frozen=True, slots=True)
class Line:
    """A row by its columns' keys. ``names``: what each column is called in the file."""

    line: int
    cells: Mapping[str, str]
    names: Mapping[str, str]

    def bad(self, key: str, code: str, zh: str, en: str) -> BadLine:
        return BadLine(self.line, self.names.get(key, key), code, zh, en, self.cells.get(key, "")[:40])


def lines_of(table: Table, kind: Kind) -> tuple[list[Line], list[BadLine]]:
    """The rows under their columns, and what is wrong with header and cells; a bad row is left out."""
    problems = list(table.problems)
    if not table.header:
        return [], problems
    columns = COLUMNS[kind]
    keys, wrong = _keys(table.header, columns)
    if wrong:
        return [], [*problems, *wrong]
    names = dict(zip(keys, table.header, strict=True))
    found: list[Line] = []
    for row in table.rows:
        line = Line(row.line, dict(zip(keys, (plain(cell) for cell in row.cells), strict=True)), names)
        bad = _bad_cells(line, columns)
        problems += bad
        if not bad:
            found.append(line)
    return found, problems


def _keys(header: Sequence[str], columns: Sequence[Column]) -> tuple[list[str], list[BadLine]]:
    known = {column.zh: column.key for column in columns} | {column.key: column.key for column in columns}
    keys, problems = [], []
    for name in header:
        key = known.get(name) or known.get(name.lower().replace(" ", "_"))
        if key is None:
            problems.append(BadLine(1, name[:40], "column", "没有这个列名。", "There is no such column."))
        elif key in keys:
            problems.append(BadLine(1, name, "column_twice", "列名重复。", "The column is there twice."))
        keys.append(key or name)
    for column in columns:
        if column.wanted and column.key not in keys:
            zh, en = f"缺少“{column.zh}”列。", f"The column {column.key} is missing."
            problems.append(BadLine(1, column.zh, "column_missing", zh, en))
    return keys, problems


def _bad_cells(line: Line, columns: Sequence[Column]) -> list[BadLine]:
    bad = [
        line.bad(column.key, "missing", "不能为空。", "Must not be empty.")
        for column in columns
        if column.wanted and not line.cells.get(column.key)
    ]
    for key, cell in line.cells.items():
        # A telephone number may begin with +, as an export writes it.
        if is_formula(cell) and not (key == "phone" and cell.startswith("+")):
            bad.append(line.bad(key, "formula", "不能以 = + - @ 开头。", "Must not begin with = + - or @."))
    return bad


def listed(cell: str) -> list[str]:
    """The items of a cell: separated by ; or 、 or their wide forms."""
    for mark in ("；", "、", "|", "，", ","):
        cell = cell.replace(mark, ";")
    return list(dict.fromkeys(part.strip() for part in cell.split(";") if part.strip()))
