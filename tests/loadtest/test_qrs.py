"""The scenario ``qrs``, short: how beats are matched, and what stands on the shared records and on noise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import qrs
from loadtest import qrs_signals as made
from loadtest.report import Report

DATA = os.environ.get("HUIZHEN_TEST_DATA") or next(
    (
        str(above / "shared" / "data")
        for above in Path(__file__).resolve().parents
        if (above / "shared").is_dir()
    ),
    "",
)
"""Records with reference beats, which are not ours to keep in the repository."""
BEATS = st.lists(st.integers(0, 40), unique=True, max_size=12).map(lambda at: sorted(time / 8 for time in at))


def test_beats_are_matched_one_to_one_within_the_window() -> None:
    reference = [1.0, 2.0, 3.0, 4.0]
    assert qrs.match(reference, [1.149, 1.9, 2.1, 4.151]) == qrs.Score(found=2, missed=2, extra=2)
    assert qrs.match([], [1.0]) == qrs.Score(0, 0, 1)
    assert qrs.match([1.0], []) == qrs.Score(0, 1, 0)


@given(BEATS, BEATS)
def test_every_beat_is_matched_missed_or_extra(reference: list[float], found: list[float]) -> None:
    score = qrs.match(reference, found)
    assert score.found + score.missed == len(reference)
    assert score.found + score.extra == len(found)
    assert qrs.match(reference, reference).missed == 0
    assert qrs.match(found, reference).found == score.found


def test_the_record_of_mit_bih_with_its_reference_beats() -> None:
    if not (Path(DATA) / "100.atr").is_file():
        pytest.skip("set HUIZHEN_TEST_DATA to a directory with MIT-BIH 100 of PhysioNet")
    ((name, record),) = qrs.records(Path(DATA))
    score = qrs.score(record)
    assert (name, score.found + score.missed) == ("100", 2273)
    assert score.sensitivity_percent >= 99.7
    assert score.positive_predictivity_percent >= 99.6


def test_noise_and_leads_that_fall_off_alarm_nobody() -> None:
    wanted = ("white_200uv", "mains_50hz_1mv", "motion_500uv", "wander_3mv", "all leads off")
    for name, samples in qrs.false_alarm_cases():
        if name.startswith(wanted):
            assert qrs.play(samples, made.descriptor()).of_the_heart == [], name


def test_the_steps_are_alarmed_in_time() -> None:
    report = Report("qrs")
    qrs.measure_steps(report, lambda line: None)
    assert report.shortfalls == []
    assert {name for name, seconds in report.figures.items() if seconds < 11} == set(report.figures)


def test_without_a_record_there_is_a_sentence(tmp_path: Path) -> None:
    report = Report("qrs")
    qrs.measure_records(report, tmp_path, lambda line: None)
    assert "no record with reference beats" in report.shortfalls[0]
