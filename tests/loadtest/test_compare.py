"""Reports side by side, and as a page."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from loadtest import svg
from loadtest.compare import changed_conditions, differences, table
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
    assert text.count("<svg") == 6
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_plots_are_well_formed_and_leave_gaps() -> None:
    drawn = ElementTree.fromstring(svg.lines("A & B", [0, 1, 2, 3], {"ms": [1.0, 3.0, None, 2.0]}))
    lines = [one for one in drawn.iter() if one.tag.endswith("polyline")]
    assert [len(line.attrib["points"].split()) for line in lines] == [2, 1]
    bars = ElementTree.fromstring(svg.bars("cost", {"floor": 2.0, "native": 3.0}, "us"))
    widths = [float(one.attrib["width"]) for one in bars.iter() if one.tag.endswith("rect")]
    assert widths[0] / widths[1] == pytest.approx(2 / 3, rel=0.01)
