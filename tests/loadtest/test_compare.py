"""Reports side by side, and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loadtest import svg
from loadtest.compare import alone, changed_conditions, differences, read, table
from loadtest.html_report import page
from loadtest.report import Report


def report(**figures: Any) -> dict[str, Any]:
    return {
        "scenario": "relay",
        "conditions": {"commit": "a", "cpus": 2},
        "figures": figures,
        "shortfalls": [],
    }


def case(plane: str, us: float, rate: int = 1000) -> dict[str, Any]:
    return {"case": "gcm-3", "plane": plane, "us_per_egress_packet": us, "egress_packets_per_second": rate}


def test_figures_are_matched_by_their_conditions_whatever_their_order() -> None:
    old = report(cases=[case("native", 4.0), case("python", 9.0)])
    new = report(cases=[case("python", 9.1), case("native", 3.0, 1500)])
    found = {one.name: one for one in differences(old, new)}
    cost, rate = found["gcm-3 native us_per_egress_packet"], found["gcm-3 native egress_packets_per_second"]
    assert (cost.before, cost.after, cost.verdict) == (4.0, 3.0, "better")
    assert (rate.before, rate.after, rate.verdict) == (1000, 1500, "better")
    assert found["gcm-3 python us_per_egress_packet"].verdict == ""  # within the noise


def test_what_only_one_report_has_is_left_out_and_nothing_grown_to_something_is_worse() -> None:
    found = differences(report(lost_packets=0, old_ms=1.0), report(lost_packets=3, new_ms=2.0))
    assert [(one.name, one.verdict) for one in found] == [("lost_packets", "worse")]
    assert found[0].percent is None
    assert table(found)[0].endswith("worse")


def test_what_only_one_report_has_is_named() -> None:
    old = report(lost_packets=0, cases=[case("native", 4.0), case("janus", 8.0)])
    new = report(lost_packets=0, cases=[case("native", 3.0) | {"ratio_to_floor": 1.5}], steps=[])
    assert alone(old, new) == [
        "only in the first: gcm-3 janus (2 figures)",
        "only in the second: gcm-3 native ratio_to_floor = 1.5",
    ]
    assert alone(new, old)[-1] == "only in the second: gcm-3 janus (2 figures)"


def test_details_of_a_case_are_not_taken_for_its_figures() -> None:
    """A turn that strangers disturbed has figures of the same names."""
    disturbed = case("native", 4.0) | {"disturbed": [{"run": 1, "us_per_egress_packet": 99.0}]}
    found = differences(report(cases=[disturbed]), report(cases=[disturbed]))
    assert [one.before for one in found] == [4.0, 1000.0]


def test_what_is_no_report_is_refused_with_its_name(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    for text, why in (("[]", "is no load test's report"), ("{", "Expecting property name")):
        other.write_text(text)
        with pytest.raises(ValueError, match=f"other.json.*{why}"):
            read(other)
    with pytest.raises(ValueError, match=r"nowhere\.json: No such file"):
        read(tmp_path / "nowhere.json")


def test_reports_of_other_scenarios_are_refused() -> None:
    with pytest.raises(ValueError, match="one report is of relay, the other of rooms"):
        differences(report(), report() | {"scenario": "rooms"})


def test_changed_conditions_are_named() -> None:
    changed = report() | {"conditions": {"commit": "b", "cpus": 2, "plane": "native"}}
    assert changed_conditions(report(), changed) == ["commit: a -> b", "plane: None -> native"]


def test_the_page_is_whole_in_itself_and_escapes() -> None:
    made = Report("rooms", {"plane": "<native>"}, shortfalls=["lost_packets is 3 & the limit is 0"])
    moments: list[dict[str, float | None]] = [
        {
            "at_s": float(at),
            "rooms": at,
            "packets": 10 * at,
            "lost": 0,
            "delay_p50_ms": 0.1,
            "memory_mb": 80.0,
            "delay_p99_ms": None if at == 2 else 1.5,
            "server_cpu_percent": 20.0,
            "traffic_cpu_percent": 9.0,
        }
        for at in range(5)
    ]
    made.figures |= {
        "rooms": 5,
        "timeline": moments,
        "cases": [case("native", 3.5) | {"packet_bytes": 1200, "load": "x"}],
    }
    text = page(made)
    assert "&lt;native&gt;" in text
    assert "lost_packets is 3 &amp; the limit is 0" in text
    assert text.count("<svg") == 8
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_page_follows_light_and_dark_and_a_phones_width() -> None:
    text = page(
        Report(
            "ecg", figures={"cases": [{"case": "a", "backfill_s": 1.0}, {"case": "b", "backfill_s": None}]}
        )
    )
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert "prefers-color-scheme: dark" in text
    assert text.count("<svg") == 1
    assert "not measured" in text
    drawn = text[text.index("<svg") : text.index("</svg>")]
    assert "#" not in drawn  # no colour of its own: all are the page's


def test_the_way_to_the_knee_is_drawn_with_its_limit() -> None:
    steps = [
        {
            "rooms": rooms,
            "added_delay_p99_ms": 1.0,
            "join_p95_ms": 9.0 * rooms,
            "server_cpu_percent": 5.0,
            "lost_packets": 0,
        }
        for rooms in (25, 50)
    ]
    text = page(Report("rooms", {"until": "join_p95_ms=1000"}, {"steps": steps}))
    assert text.count("<svg") == 4
    assert text.count('<line class="limit"') == 1


def test_plots_are_well_formed_and_leave_gaps() -> None:
    plot = svg.lines(
        "A & B", [0, 1, 2, 3, 4], {"p50": [1.0, 3.0, None, 2.0, 2.5], "p99": [4.0] * 5}, ("s", "ms"), 5
    )
    drawn = ElementTree.fromstring(plot)
    lines = [one for one in drawn.iter() if one.tag.endswith("polyline")]
    assert sorted(len(line.attrib["points"].split()) for line in lines) == [2, 2, 5]
    words = [one.text for one in drawn.iter() if one.tag.endswith("text")]
    assert {"A & B", "s", "ms", "p50", "p99", "0", "1", "2", "3", "4", "5"} <= set(words)
    bars = ElementTree.fromstring(svg.bars("cost", {"floor": 2.0, "native": 3.0, "python": None}, "us"))
    widths = [float(one.attrib["width"]) for one in bars.iter() if one.tag.endswith("rect")]
    assert len(widths) == 2
    assert widths[0] / widths[1] == pytest.approx(2 / 3, rel=0.01)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0.98, 81.3), (25, 400), (1, 2), (0, 1e6)])
def test_a_scale_has_a_few_round_marks(first: float, last: float) -> None:
    plot = ElementTree.fromstring(svg.lines("", [first, last], {"": [0.0, 0.0]}, ("across", "up")))
    marks = [one.text for one in plot.iter() if one.attrib.get("class") == "scale middle"]
    assert marks[0] == "across"
    assert (1 if first == last else 2) <= len(marks) - 1 <= 8
