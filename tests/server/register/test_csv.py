"""Files that are no tables, tables with bad lines, and what is read from good ones."""

from __future__ import annotations

import io
import zipfile
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.register.csv_check import Known, check_organizations, check_people
from server.register.csv_columns import Kind, Line, lines_of
from server.register.csv_text import BadLine, plain, read_table, write_table
from server.register.limits import IMPORT_BYTES, IMPORT_LINES

PEOPLE = "执业证书编号,姓名,机构代码,角色,专科,电话,用户名,状态,停用日期\r\n"
PLACES = "机构代码,机构名称,级别,上级机构代码\r\n"
KNOWN = Known(
    organizations={"H001": "org-h", "C002": "org-c", "X003": "org-x"},
    levels={"org-h": "county", "org-c": "village", "org-x": "county"},
    parents={"org-h": None, "org-c": "org-h", "org-x": None},
    open_ids={"org-h", "org-x"},
    scope={"org-h", "org-c"},
    people={"11044100001": ("prc-1", "org-h", ("expert",)), "99044100009": ("prc-9", "org-x", ("expert",))},
    usernames={"cardio1": "prc-1", "far": "prc-9"},
    admin=False,
    today=date(2026, 3, 1),
)


def rows(text: str, kind: Kind = "practitioners") -> tuple[list[Line], list[BadLine]]:
    return lines_of(read_table(text.encode()), kind)


def people(*lines: str) -> list[tuple[int, str, str]]:
    """What is wrong with these lines: (line, column, code)."""
    read, problems = rows(PEOPLE + "".join(f"{line}\r\n" for line in lines))
    assert problems == []
    return [(one.line, one.column, one.code) for one in check_people(read, KNOWN)[1]]


def places(*lines: str) -> list[tuple[int, str]]:
    read, problems = rows(PLACES + "".join(f"{line}\r\n" for line in lines), "organizations")
    assert problems == []
    return [(one.line, one.code) for one in check_organizations(read, KNOWN)[1]]


GOOD = "11044100002,林小雨,H001,专家,心血管内科,13800000000,lin.xy,,"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_excels_encodings_are_read(encoding: str, delimiter: str) -> None:
    data = (PEOPLE + GOOD + "\r\n").replace(",", delimiter).encode(encoding)
    read, problems = lines_of(read_table(data), "practitioners")
    assert problems == []
    (person,), wrong = check_people(read, KNOWN)
    assert wrong == []
    assert person.facts.name.reveal() == "林小雨"
    assert (person.facts.roles, person.facts.specialties) == (("expert",), ("cardiology",))
    assert (person.facts.organization_id, person.username, person.active) == ("org-h", "lin.xy", True)


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


def bad_lines(text: str) -> list[tuple[int, str]]:
    return [(one.line, one.code) for one in read_table(text.encode()).problems]


def test_a_quote_without_an_end_hides_no_line_after_it() -> None:
    """The end of the quote is found three lines on, at the end of the file, or not at all in its cell."""
    for broken in ('"林', '"林"x', '林,"x'):
        text = f'a,b\r\n1,2\r\n3,{broken}\r\n4,5\r\n6\r\n7,"8"\r\n9,10\r\n'
        assert bad_lines(text) == [(3, "quotes"), (5, "cells")]
        rows = [(one.line, *one.cells) for one in read_table(text.encode()).rows]
        assert rows == [(2, "1", "2"), (4, "4", "5"), (6, "7", "8"), (7, "9", "10")]


def test_quotes_that_never_match_are_given_up_in_words() -> None:
    told = bad_lines("a,b\n" + '1,"2\n' * 20_000)
    assert told[0] == (2, "quotes")
    assert told[-1] == (len(told) + 1, "quotes_many")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_excels_own_first_line_and_its_empty_columns(mark: str) -> None:
    text = f"sep={mark}\r\na{mark}b{mark}{mark}\r\n1{mark}2,2;{mark}{mark}\r\n".replace("2,2;", "2")
    table = read_table(text.encode("utf-8-sig"))
    assert (table.header, table.problems) == (("a", "b"), ())
    assert [(one.line, *one.cells) for one in table.rows] == [(3, "1", "2")]


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"", "empty", 0),
        (b" \r\n", "empty", 0),
        (b"\xef\xbb\xbf", "empty", 0),
        (b'""', "empty", 0),
        (b",,\r\n,,\r\n", "empty", 0),
        (workbook(), "excel_file", 0),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "excel_file", 0),
        (PEOPLE.encode("utf-16"), "utf_16", 0),
        (b"\x7fELF\x00\x01", "binary", 1),
        (b"a,b\r\n1,\x00\r\n", "binary", 2),
        (PEOPLE.encode() + b"1,\xff\xff,x\r\n", "encoding", 2),
        (PEOPLE.encode("utf-8-sig") + "林".encode("gb18030"), "encoding", 2),
        ("医師免許番号,氏名\r\n".encode("shift-jis"), "column", 1),
        (b"x" * (IMPORT_BYTES + 1), "too_large", 0),
        ((PEOPLE + 'a,"no end\r\n').encode(), "quotes", 2),
        ((PEOPLE + "a,b\r\n").encode(), "cells", 2),
        ((PEOPLE + GOOD.replace("林", "x" * 401) + "\r\n").encode(), "too_long", 2),
        ((PEOPLE + GOOD.replace("林", "\x07") + "\r\n").encode(), "unprintable", 2),
        ((PEOPLE + GOOD.replace("林", "�") + "\r\n").encode(), "unprintable", 2),
        (b"name,name,registration,organization,roles\r\n", "column_twice", 1),
    ],
)
def test_what_is_no_such_table_is_told(data: bytes, code: str, line: int) -> None:
    read, problems = lines_of(read_table(data), "practitioners")
    assert read == []
    assert (problems[0].code, problems[0].line) == (code, line)
    assert problems[0].zh
    assert problems[0].en


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    two = '11044100003,"林\r\n小雨",H001,专家,,,,,\r\n'
    read, problems = rows(PEOPLE + "\r\n" + two + GOOD + "\r\n")
    assert [one.line for one in read] == [5]
    assert [(one.line, one.code) for one in problems] == [(3, "unprintable")]


def test_a_file_without_an_end_is_cut() -> None:
    table = read_table((PEOPLE + (GOOD + "\r\n") * (IMPORT_LINES + 5)).encode())
    assert len(table.rows) == IMPORT_LINES
    assert [one.code for one in table.problems] == ["too_many_lines"]


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        (GOOD.replace("11044100002", "1"), "执业证书编号", "format"),
        (GOOD.replace("11044100002", "99044100009"), "执业证书编号", "out_of_reach"),
        (GOOD.replace("H001", "NONE"), "机构代码", "no_organization"),
        (GOOD.replace("H001", "C002"), "机构代码", "no_organization"),
        (GOOD.replace("H001", "X003"), "机构代码", "out_of_reach"),
        (GOOD.replace("专家", "巫医"), "角色", "unknown"),
        (GOOD.replace("专家", "管理员"), "角色", "role_not_yours"),
        (GOOD.replace("心血管内科", "占星"), "专科", "unknown"),
        (GOOD.replace("心血管内科", ""), "专科", "expert_without_specialty"),
        (GOOD.replace("13800000000", "phone"), "电话", "format"),
        (GOOD.replace("lin.xy", "林"), "用户名", "format"),
        (GOOD.replace("lin.xy", "far"), "用户名", "username_taken"),
        (GOOD.replace("lin.xy", "cardio1"), "用户名", "username_taken"),
        (GOOD[:-1] + "离开,", "状态", "unknown"),
        (GOOD[:-1] + "停用,tomorrow", "停用日期", "format"),
        (GOOD + "2026-01-01", "停用日期", "not_closed"),
    ],
)
def test_each_bad_cell_is_told_with_its_column(line: str, column: str, code: str) -> None:
    assert people(line) == [(2, column, code)]


def test_every_bad_line_is_told_and_good_ones_between_them_are_kept() -> None:
    bad = GOOD.replace("11044100002", "1")
    assert people(bad, GOOD, bad.replace("lin.xy", "lin.2"), GOOD.replace("H001", "NONE")) == [
        (2, "执业证书编号", "format"),
        (3, "用户名", "twice"),
        (4, "执业证书编号", "format"),
        (4, "执业证书编号", "twice"),
        (5, "机构代码", "no_organization"),
        (5, "执业证书编号", "twice"),
        (5, "用户名", "twice"),
    ]


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-2", "@SUM(A1)"])
def test_formulas_are_refused(cell: str) -> None:
    read, problems = rows(PEOPLE + GOOD.replace("林小雨", cell) + "\r\n")
    assert read == []
    assert [(one.column, one.code) for one in problems] == [("姓名", "formula")]


def test_a_telephone_number_may_begin_with_its_country() -> None:
    for phone in ("+86 138 0000 0000", "'+86 138 0000 0000"):
        (read,), problems = rows(PEOPLE + GOOD.replace("13800000000", phone) + "\r\n")
        assert (problems, read.cells["phone"]) == ([], "+86 138 0000 0000")


def test_organizations_know_their_parents_from_the_same_file_in_any_order() -> None:
    text = PLACES + "VV1,某村卫生室,村,TT1\r\n" + "TT1,某镇卫生院,乡镇级,H001\r\n"
    read, _ = rows(text, "organizations")
    good, problems = check_organizations(read, KNOWN)
    assert problems == []
    assert [(one.code, one.parent_code) for one in good] == [("TT1", "H001"), ("VV1", "TT1")]


def test_parents_that_cannot_be() -> None:
    assert places("TT1,镇,乡镇,NONE") == [(2, "no_parent")]
    assert places("TT1,镇,乡镇,TT1") == [(2, "parent_circle")]
    assert places("TT1,甲,乡镇,TT2", "TT2,乙,乡镇,TT3", "TT3,丙,乡镇,TT1") == [
        (line, "parent_circle") for line in (2, 3, 4)
    ]
    assert places("TT1,镇,乡镇,C002") == [(2, "parent_level"), (2, "parent_closed")]
    assert places("TT1,镇,乡镇,X003") == [(2, "out_of_reach")]
    assert places("TT1,镇,乡镇,") == [(2, "missing")]
    assert places("TT1,镇,王国,H001") == [(2, "unknown")]
    assert places("TT1,镇,乡镇,NONE", "VV1,村,村,TT1") == [(2, "no_parent"), (3, "parent_bad")]


@given(st.lists(st.lists(st.text(max_size=12), min_size=2, max_size=2), max_size=6))
def test_what_is_written_is_read_back(table: list[list[str]]) -> None:
    clean = [["".join(c for c in cell if c.isprintable()).strip() for cell in row] for row in table]
    clean = [row for row in clean if any(row) and "�" not in "".join(row)]
    read = read_table(write_table(("first", "second"), clean))
    assert read.problems == ()
    wanted = [[plain(cell) if not cell.startswith("'") else cell for cell in row] for row in clean]
    found = [[plain(cell) for cell in row.cells] for row in read.rows]
    for want, got in zip(wanted, found, strict=True):
        assert [cell.removeprefix("'") for cell in got] == [cell.removeprefix("'") for cell in want]


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    table = read_table(data)
    kinds: tuple[Kind, ...] = ("organizations", "practitioners")
    for kind in kinds:
        lines_of(table, kind)
    assert table.header or table.problems
