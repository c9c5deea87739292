"""The dispatch scenario in seconds: the real process on real databases, killed, and two nodes at once."""

from __future__ import annotations

import json
import math
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from loadtest.dispatch.answering import DAY_S, Habits, answer, arrivals
from loadtest.dispatch.found import Found
from loadtest.dispatch.postgres import NoPostgresError, binaries
from loadtest.dispatch.progress import Reached, progress
from loadtest.dispatch.province import SPECIALTIES, make_province
from loadtest.dispatch.scenario import Size, chosen, run
from loadtest.dispatch.shares import shares
from loadtest.report import Report

SIZE = Size(requests=20, people=300, sites=40, kills=3)
MORNING = replace(SIZE, requests=40, until=10.5)
WRONG = ("double_assignments", "silent_requests", "broken_audit_chains", "late_in_place_percent")


def ran(case: str, size: Size = SIZE) -> Report:
    report = Report("dispatch")
    run(report, size, chosen(case), lambda line: None)
    return report


@pytest.mark.parametrize("case", ["day", "killed"])
def test_nobody_waits_in_silence_and_no_patient_has_two_experts(case: str) -> None:
    report = ran(case)
    assert {name: report.figures[name] for name in WRONG} == dict.fromkeys(WRONG, 0)
    [found] = report.figures["cases"]
    assert found["exit_status"] == 0
    assert found["kills"] == (3 if case == "killed" else 0)
    assert found["commands"]["accept"] >= SIZE.requests * 0.9
    assert report.figures["accept_p50_s"] <= 120


def test_two_nodes_on_one_postgresql() -> None:
    try:
        binaries()
    except NoPostgresError as missing:
        pytest.skip(str(missing))
    report = ran("two-nodes", MORNING)
    assert {name: report.figures[name] for name in WRONG} == dict.fromkeys(WRONG, 0)
    [found] = report.figures["cases"]
    assert found["exit_status"] == 0
    before = sum(one < MORNING.until * 3600.0 for one in arrivals(Random(MORNING.seed), MORNING.requests))
    assert found["commands"]["request"] == before < MORNING.requests


def test_what_was_found_is_kept_at_each_hour_and_when_it_is_told_to_end(tmp_path: Path) -> None:
    path = tmp_path / "day.json"
    kept: list[float] = []

    def say(line: str) -> None:
        if path.exists():
            kept.append(json.loads(path.read_text())["figures"]["cases"][-1]["ended_at_hour"])
        if line.startswith("day: 03:"):
            signal.raise_signal(signal.SIGTERM)

    report = Report("dispatch", path=path)
    with pytest.raises(SystemExit):
        run(report, replace(SIZE, requests=200), chosen("day,killed"), say)
    assert [int(one) for one in kept] == [1, 2]
    [case] = report.figures["cases"]
    assert int(case["ended_at_hour"]) == 3
    assert case["exit_status"] == 0
    assert 0 < case["commands"]["request"] < 20
    assert case["silent_requests"] == 0
    assert math.isnan(case["broken_audit_chains"])  # nobody walked along it yet


def test_progress_tells_the_rate_and_the_rest() -> None:
    before = Reached(3600.0, 100, 1000, 600, 0, 10.0)
    now = Reached(7260.0, 200, 1000, 1200, 3, 16.0)
    line = progress(now, before)
    assert line.startswith("02:01, 200 of 1000 requests, 1200 events, 100/s, 3 kills; ")
    assert line.endswith("0.3 min gone, about 0.8 left")


def test_a_province_of_the_wanted_size() -> None:
    province = make_province(400, 10_000, 1)
    organizations, people, rotas = (province.plan[name] for name in ("organizations", "people", "rotas"))
    assert 380 <= len(organizations) <= 420
    assert len(people) == 10_000
    assert len({one[0] for one in people}) == 10_000
    levels = Counter(level for _, level, _ in organizations)
    assert levels == {"province": 1, "city": 4, "county": 40, "township": 60, "village": levels["village"]}
    assert len(rotas) == (40 + 4 + 1) * len(SPECIALTIES)
    assert province.plan == make_province(400, 10_000, 1).plan


def test_the_model_of_answering() -> None:
    random, habits = Random(1), Habits()
    answers = [answer(random, habits) for _ in range(20_000)]
    share = Counter(one.action for one in answers)
    assert abs(share[None] / 20_000 - habits.no_answer) < 0.01
    assert abs(share["decline"] / 20_000 - habits.decline) < 0.01
    times = sorted(one.after_s for one in answers)
    assert abs(times[10_000] - habits.answer_s) < 1
    day = arrivals(random, 10_000)
    assert day == sorted(day)
    assert day[0] >= 0
    assert day[-1] < DAY_S
    assert sum(8 <= one / 3600 < 12 for one in day) > sum(0 <= one / 3600 < 4 for one in day) * 5


def test_the_spread_of_work_in_shifts() -> None:
    province = make_province(20, 200, 1)
    found = Found()
    assert math.isnan(shares(found, province).there)
    for first, second in province.firsts.values():
        for turn, taken in enumerate((40, 30, 0, 20)):
            found.accepts[first[turn]] += taken
            found.accepts[second[turn]] += 20 if taken else 0
    whole = shares(found, province)
    assert whole.there == pytest.approx(20 / 25)
    assert whole.pairs == 3 * len(SPECIALTIES)
    assert whole.lines == pytest.approx(30 / 25)
    for first, _ in province.firsts.values():
        found.away[first[0]] |= {8, 3}  # in their turn, and out of it
        found.away[first[1]] |= {8}
    apart = shares(found, province)
    assert apart.there == pytest.approx(10 / 25)
    assert apart.pairs == 2 * len(SPECIALTIES)
    assert apart.lines == whole.lines


def test_a_case_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no case nights"):
        chosen("nights")
