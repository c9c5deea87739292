"""When the media thread looks at its socket again: single packets are served at once, crowds together."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import native

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")

SOURCE = Path(native.__file__).with_name("rest.c")
REST_NS, REST_NONE_NS = map(
    int, re.findall(r"#define REST_\w*NS (\d+)", SOURCE.with_suffix(".h").read_text())
)
WORK_NS = 20_000
"""Of a batch in these tests: less than a rest."""
BATCH = 64


class State(ctypes.Structure):
    _fields_ = (("crowded", ctypes.c_bool), ("none_until_ns", ctypes.c_int64))


class Rest:
    """`struct rest` and its functions."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library, self._state = library, State()

    def waited(self, waited_ns: int) -> None:
        self._library.rest_waited(ctypes.byref(self._state), ctypes.c_int64(waited_ns))

    def full(self, looked_ns: int) -> None:
        self._library.rest_full(ctypes.byref(self._state), ctypes.c_int64(looked_ns))

    def after(self, found: int, looked_ns: int, now_ns: int) -> int:
        after = self._library.rest_after
        after.restype = ctypes.c_int64
        times = ctypes.c_int64(looked_ns), ctypes.c_int64(now_ns)
        return int(after(ctypes.byref(self._state), ctypes.c_uint(found), *times))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    built = tmp_path_factory.mktemp("rest") / "rest.so"
    subprocess.run(["cc", "-shared", "-fPIC", str(SOURCE), "-o", str(built)], check=True)
    return ctypes.CDLL(str(built))


def test_packets_one_by_one_are_served_at_once(library: ctypes.CDLL) -> None:
    rest = Rest(library)
    for _ in range(3):
        rest.waited(REST_NS)
        assert rest.after(1, 0, WORK_NS) == 0


def test_a_crowd_is_left_to_gather_until_nothing_comes(library: ctypes.CDLL) -> None:
    rest = Rest(library)
    rest.waited(REST_NS - 1)
    assert rest.after(5, 1_000, 1_000 + WORK_NS) == REST_NS - WORK_NS
    assert rest.after(28, 500_000, 500_000 + WORK_NS) == REST_NS - WORK_NS  # nobody waited in between
    assert rest.after(0, 900_000, 900_000 + WORK_NS) == 0
    assert rest.after(1, 990_000, 990_000 + WORK_NS) == 0  # a wait says anew whether they crowd


def test_one_with_much_to_do_does_not_rest(library: ctypes.CDLL) -> None:
    rest = Rest(library)
    rest.waited(0)
    assert rest.after(63, 0, REST_NS) == 0
    assert rest.after(63, 0, 10 * REST_NS) == 0
    assert rest.after(63, 0, REST_NS - 1) == 1


def test_after_a_full_batch_there_is_no_rest_for_a_while(library: ctypes.CDLL) -> None:
    rest = Rest(library)
    rest.waited(0)
    rest.full(1_000_000)
    assert rest.after(20, 1_200_000, 1_200_000 + WORK_NS) == 0
    assert rest.after(20, 1_000_000 + REST_NONE_NS - 1, 1_000_000 + REST_NONE_NS) == 0
    assert rest.after(20, 1_000_000 + REST_NONE_NS, 1_000_000 + REST_NONE_NS) == REST_NS


def served(rest: Rest, coming: Sequence[int]) -> tuple[int, int]:
    """The thread on a counted clock, where packets come at ``coming`` (ns): its looks, the longest wait."""
    now = looks = longest = done = 0
    while done < len(coming):
        found = sum(1 for one in coming[done : done + BATCH] if one <= now)
        longest = max([longest, *(now - one for one in coming[done : done + found])])
        looks, done = looks + 1, done + found
        if found == BATCH:
            rest.full(now)
        looked, now = now, now + WORK_NS * bool(found)
        left = rest.after(found, looked, now)
        if left:
            now += left
        elif done < len(coming):
            rest.waited(max(0, coming[done] - now))
            now = max(now, coming[done])
    return looks, longest


@given(st.lists(st.integers(1, 3_000_000), min_size=1, max_size=60))
def test_nobody_waits_longer_than_a_rest(library: ctypes.CDLL, gaps: list[int]) -> None:
    _, longest = served(Rest(library), list(accumulate(gaps)))
    assert longest <= REST_NS + WORK_NS


def test_ten_thousand_packets_a_second_take_a_quarter_of_the_looks(library: ctypes.CDLL) -> None:
    looks, _ = served(Rest(library), range(100_000, 1_000_000_000, 100_000))
    assert 2_490 <= looks <= 2_510
