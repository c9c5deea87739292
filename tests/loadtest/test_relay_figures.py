"""Samples into figures and shortfalls."""

from __future__ import annotations

import math
from typing import Any

import pytest

from loadtest.relay import cases
from loadtest.relay.cases import Case, chosen, planes_named
from loadtest.relay.figures import Sample, is_quiet, judge, of_case
from loadtest.report import Report

CASE = Case("gcm-3", cases.GCM, 3, 10, (1200,), 0, 5)


def sample(plane: str, us: float, run: int = 0, load: str = "saturated", **changes: Any) -> Sample:
    fields: dict[str, Any] = {
        "plane": plane,
        "size": 1200,
        "load": load,
        "run": run,
        "cpu_ns": round(us * 1000 * 1_000_000),
        "main_ns": 0,
        "arrived": 1_000_000,
        "seconds": 2.0,
        "lost": 0,
        "left_out": 0,
        "corrupt": 0,
        "stalls": 0,
        "frames_late": 0,
        "overrun": 0,
        "server_overrun": 0,
        "delay_p50_ms": 0.1,
        "delay_p99_ms": 0.5,
    }
    return Sample(**(fields | changes))


def test_a_figure_is_the_median_and_a_ratio_that_of_neighbouring_runs() -> None:
    # The machine is twice as slow in the second run: the ratio does not care.
    samples = [
        sample("floor", 2.0, 0),
        sample("native", 3.0, 0),
        sample("floor", 4.0, 1),
        sample("native", 6.0, 1),
    ]
    native = next(one for one in of_case(CASE, samples) if one["plane"] == "native")
    assert native["us_per_egress_packet"] == 4.5
    assert native["ratio_to_floor"] == 1.5
    assert native["ratio_to_janus"] is None
    assert native["egress_packets_per_second"] == 500_000


def test_delays_are_those_of_half_load_and_losses_of_both() -> None:
    samples = [
        sample("native", 3.0, delay_p99_ms=40.0, lost=1),
        sample("native", 3.0, load="half", delay_p99_ms=1.5, lost=2),
    ]
    (native,) = of_case(CASE, samples)
    assert native["added_delay_p99_ms"] == 1.5
    assert native["lost_packets"] == 3


def test_a_disturbed_turn_stands_beside_the_figures_and_its_losses_count() -> None:
    quiet = [sample("native", 3.0), sample("native", 3.0, load="half", left_out=1, strangers_percent=2.24)]
    loud = [
        sample("native", 9.0, lost=2, left_out=7, strangers_percent=80.0),
        sample("native", 9.0, load="half", left_out=5, delay_p99_ms=70.0),
    ]
    assert is_quiet(quiet)
    assert not is_quiet(loud)
    (native,) = of_case(CASE, quiet, loud)
    assert (native["us_per_egress_packet"], native["added_delay_p99_ms"], native["runs"]) == (3.0, 0.5, 1)
    assert (native["lost_packets"], native["left_out_packets"]) == (2, 6)
    assert native["strangers_percent"] == 2.2
    assert [one["strangers_percent"] for one in native["disturbed"]] == [80.0, 0.0]
    assert native["disturbed"][1]["added_delay_p99_ms"] == 70.0


def judged(found: list[dict[str, Any]]) -> list[str]:
    report = Report("relay")
    judge(report, found)
    return report.shortfalls


def test_what_falls_short_is_said_with_case_plane_and_limit() -> None:
    samples = [sample("floor", 2.0), sample("native", 3.2, lost=4)]
    assert judged(of_case(CASE, samples)) == [
        "gcm-3 1200 B native: lost_packets is 4, the limit is 0",
        "gcm-3 1200 B native: ratio_to_floor is 1.6, the limit is 1.5",
    ]


def test_janus_is_the_measure_at_forty_times_five_hundred_alone() -> None:
    forty = Case("cm-40x500", cases.CM, 40, 1, (1200,), 500, 5)
    samples = [
        sample(plane, us, load="paced") for plane, us in (("janus", 10.0), ("native", 4.1), ("python", 10.1))
    ]
    assert judged(of_case(forty, samples)) == [
        "cm-40x500 1200 B native: ratio_to_janus is 0.41, the limit is 0.4",
        "cm-40x500 1200 B python: ratio_to_janus is 1.01, the limit is 1",
    ]
    assert judged(of_case(CASE, [sample("janus", 10.0), sample("native", 9.0)])) == []


def test_the_core_is_to_be_below_mediasoups_worker_in_small_rooms() -> None:
    rooms = Case("gcm-rooms", cases.GCM, 2, 200, (1200,), 75, 3)
    samples = [sample("native", 13.0, load="paced"), sample("python", 20.0, load="paced")]
    assert judged(of_case(rooms, samples)) == [
        "gcm-rooms 1200 B native: us_per_egress_packet is 13, the limit is 12.7"
    ]


def test_a_figure_that_could_not_be_taken_is_a_shortfall() -> None:
    samples = [sample("native", 3.0, load="half", delay_p99_ms=math.nan), sample("native", 3.0)]
    assert judged(of_case(CASE, samples)) == ["gcm-3 1200 B native: added_delay_p99_ms could not be measured"]


def test_cases_are_chosen_by_name_or_its_beginning() -> None:
    assert [case.name for case in chosen("gcm-3,cm-40")] == ["gcm-3", "cm-40"]
    assert [case.name for case in chosen("cm-40x")] == ["cm-40x500"]
    assert len(chosen("")) == len(chosen("cm,gcm")) == 12
    with pytest.raises(ValueError, match="no case 'xyz'"):
        chosen("xyz")
    assert planes_named("janus,floor") == ["floor", "janus"]
    with pytest.raises(ValueError, match="no plane ruby"):
        planes_named("ruby")
