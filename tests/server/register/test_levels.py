"""The rules of levels and parents, on trees that hypothesis makes, circles included."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.register.levels import Level, above, below, group_of, in_circle, may_stand_under, too_deep
from server.register.limits import DEPTH

IDS = st.sampled_from([f"o{number}" for number in range(12)])
PARENTS = st.dictionaries(IDS, st.none() | IDS, min_size=1)


@given(PARENTS, IDS)
def test_going_up_always_ends(parents: dict[str, str | None], start: str) -> None:
    line = above(start, parents)
    assert len(line) == len(set(line)) <= DEPTH + 1
    assert start not in line


@given(PARENTS)
def test_a_circle_is_found_on_each_of_its_members_and_on_no_other(parents: dict[str, str | None]) -> None:
    for start in parents:
        seen, here = {start}, parents.get(start)
        while here is not None and here not in seen:
            seen.add(here)
            here = parents.get(here)
        assert in_circle(start, parents) is (here == start)


@given(PARENTS, IDS)
def test_whatever_is_below_reaches_the_top(parents: dict[str, str | None], top: str) -> None:
    found = below([top], parents)
    assert top in found
    for one in found - {top}:
        assert parents[one] in found


def test_depth_is_bounded() -> None:
    line: dict[str, str | None] = {f"o{n}": f"o{n + 1}" for n in range(20)} | {"o20": None}
    assert too_deep("o0", line)
    assert not too_deep("o14", line)


def test_a_lower_house_never_stands_above_a_higher() -> None:
    assert may_stand_under(Level.VILLAGE, Level.TOWNSHIP)
    assert may_stand_under(Level.COUNTY, Level.COUNTY)
    assert not may_stand_under(Level.COUNTY, Level.TOWNSHIP)
    assert [level.rank for level in Level] == list(range(6))


def test_the_group_is_the_county_even_below_a_city() -> None:
    parents = {"v": "t", "t": "c", "c": "city", "city": "p", "p": None, "lone": None}
    levels = {"v": "village", "t": "township", "c": "county", "city": "city", "p": "province"}
    levels["lone"] = "village"
    assert [group_of(one, parents, levels) for one in ("v", "t", "c", "city", "lone")] == [
        *("c", "c", "c", "city", "lone")
    ]
