"""The report's arithmetic and its verdict."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.report import Report, percentile


def test_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([5, 1, 4, 2, 3], 50) == 3
    assert percentile([5, 1, 4, 2, 3], 95) == 5
    assert percentile([7], 1) == 7
    assert math.isnan(percentile([], 50))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 100))
def test_percentile_leaves_at_most_the_rest_above(values: list[float], percent: float) -> None:
    mark = percentile(values, percent)
    assert mark in values
    above = sum(value > mark for value in values)
    assert above <= len(values) * (1 - percent / 100) + 1e-6


@pytest.mark.parametrize(("value", "short"), [(10.0, False), (10.1, True), (math.nan, True), (None, True)])
def test_a_missed_or_missing_figure_is_a_shortfall(value: float | None, short: bool, tmp_path: Path) -> None:
    report = Report("join", figures={} if value is None else {"p99_ms": value})
    report.require("p99_ms", 10)
    assert report.write(tmp_path / "report.json") == int(short)
    kept = json.loads((tmp_path / "report.json").read_text())
    assert bool(kept["shortfalls"]) is short
    assert set(kept) == {"scenario", "conditions", "figures", "shortfalls"}


def test_what_could_not_be_measured_is_null(tmp_path: Path) -> None:
    report = Report("x", figures={"a_ms": math.nan, "cases": [{"b_ms": math.inf, "c": 1.5}]})
    report.write(tmp_path / "x.json")
    written = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert written["figures"] == {"a_ms": None, "cases": [{"b_ms": None, "c": 1.5}]}
