"""The audit trail as a file: what was changed, put in or left out is told; anything else is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from media.errors import RemoteProtocolError
from server.archive.chain import GENESIS, Link, link_hash
from server.archive.trail import ACTIONS, What, what_of
from server.archive.trail_file import check_lines, line_of, read_line
from server.cli import app

ENTRIES = 5


def chain() -> list[tuple[Link, str]]:
    found: list[tuple[Link, str]] = []
    for number in range(1, ENTRIES + 1):
        before = found[-1][1] if found else GENESIS
        detail = {"名": "x", "n": number}
        link = Link(number, 1_700_000_000_000_000 + number, "prc-1", "practitioner", "x.do", "t", "t-1",
                    detail, before)  # fmt: skip
        found.append((link, link_hash(link)))
    return found


LINES = [line_of(*entry) for entry in chain()]


def verify(directory: Path, lines: list[bytes], *more: str) -> tuple[int, list[str]]:
    (directory / "audit.jsonl").write_bytes(b"".join(lines))
    done = CliRunner().invoke(app, ["verify", "audit", str(directory / "audit.jsonl"), *more])
    return done.exit_code, done.stdout.splitlines()


def test_an_untouched_file_is_whole_and_names_its_ends(tmp_path: Path) -> None:
    heads = [f"{link.sequence}:{digest}" for link, digest in chain()]
    whole = [f"{ENTRIES} entries, whole", f"head {heads[0]}", f"head {heads[-1]}"]
    assert verify(tmp_path, LINES) == (0, whole)
    assert verify(tmp_path, LINES, "--head", heads[2]) == (0, whole)
    missing = f"6:{'0' * 64}"
    assert verify(tmp_path, LINES, "--head", missing) == (1, [f"the file does not have the head {missing}"])


def test_what_a_filter_left_out_is_told_and_is_no_fault(tmp_path: Path) -> None:
    status, told = verify(tmp_path, [LINES[0], LINES[2], LINES[4]])
    assert (status, told[:2]) == (0, ["3 entries, whole", "2 gaps: entries between these were left out"])


@given(st.integers(0, ENTRIES - 1), st.data())
def test_any_changed_byte_is_found(row: int, data: st.DataObject) -> None:
    line = LINES[row].rstrip(b"\n")
    at = data.draw(st.integers(0, len(line) - 1))
    changed = (
        line[:at]
        + bytes([data.draw(st.integers(32, 126).filter(lambda one: one != line[at]))])
        + line[at + 1 :]
    )
    lines = [changed if number == row else each for number, each in enumerate(LINES)]
    if not told_of(lines, row + 1):
        found = check_lines(read_line(each, number) for number, each in enumerate(lines, 1))
        assert found.broken is not None


def told_of(lines: list[bytes], number: int) -> bool:
    """The line is refused as none of a trail."""
    try:
        read_line(lines[number - 1], number)
    except RemoteProtocolError:
        return True
    return False


def test_an_entry_put_between_or_twice_is_found(tmp_path: Path) -> None:
    link, _ = chain()[2]
    foreign = replace(link, previous_hash="1" * 64)
    status, [fault] = verify(tmp_path, [*LINES[:2], line_of(foreign, link_hash(foreign)), *LINES[3:]])
    assert (status, fault) == (1, "entry 3: does not name the hash of the entry before")
    assert verify(tmp_path, [*LINES[:3], LINES[2]]) == (1, ["entry 3: stands after entry 3"])
    assert verify(tmp_path, []) == (1, ["the file holds no entry"])


@pytest.mark.parametrize("line", [
    b"[]", b"{}", b"{\xff}", b"[" * 5000, json.dumps({**json.loads(LINES[0]), "detail": []}).encode(),
    json.dumps({**json.loads(LINES[0]), "sequence": 1.5}).encode(), LINES[0].replace(b'"n":1', b'"n":NaN'),
    json.dumps({**json.loads(LINES[0]), "more": 1}).encode(),
])  # fmt: skip
def test_what_is_no_entry_is_refused_with_its_line(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="malformed") as refusal:
        read_line(line, 7)
    assert "line 7 " in refusal.value.detail
    assert verify(tmp_path, [LINES[0], line])[0] == 1


def test_every_action_tells_one_thing() -> None:
    assert sum(len(actions) for actions in ACTIONS.values()) == len(frozenset().union(*ACTIONS.values()))
    assert (what_of("consultation.submit"), what_of("access.refused")) == (What.CHANGE, What.REFUSED)
