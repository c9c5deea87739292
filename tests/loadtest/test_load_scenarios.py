"""The load scenarios in small, against the real server: they end well, and their figures are there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from loadtest import idle
from loadtest.relay import cases, measure
from loadtest.relay import scenario as relay
from loadtest.report import Report
from loadtest.rooms import scenario as rooms
from loadtest.rooms import scenario_file
from loadtest.rooms.figures import Until
from loadtest.traffic.build import compiler

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(compiler() is None, reason="load needs a C compiler"),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="server and traffic need a core each"),
]


@pytest.fixture(autouse=True)
def _cores() -> Iterator[None]:
    """A scenario moves its process to one core."""
    before = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture
def told() -> list[str]:
    return []


def test_relay_measures_a_plane_beside_the_floor(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    for name, seconds in (("SATURATED_S", 0.2), ("PACED_S", 0.3), ("WARM_UP_S", 0.5), ("SETTLE_TRIES", 2)):
        monkeypatch.setattr(measure, name, seconds)
    monkeypatch.setattr(measure, "GROWTH_STEPS", 1)  # a floor that others starve would be flooded
    report = Report("relay")
    small = cases.Case("gcm-2", cases.GCM, 2, 2, (1200, 160), 0, 5)
    relay.run(report, [small], [cases.FLOOR], 1, {}, told.append)
    saturated = report.figures["cases"]
    paced = cases.Case("cm-2x100", cases.CM, 2, 1, (1200,), 100, 5)
    relay.run(report, [paced], [cases.FLOOR, cases.PYTHON], 1, {}, told.append)
    assert [(one["plane"], one["packet_bytes"]) for one in saturated] == [("floor", 1200), ("floor", 160)]
    for one in [*saturated, *report.figures["cases"]]:
        assert one["us_per_egress_packet"] > 0
        assert (one["lost_packets"], one["left_out_packets"], one["corrupt_packets"]) == (0, 0, 0)
        assert one["added_delay_p50_ms"] <= one["added_delay_p99_ms"]
    floor, python = report.figures["cases"]
    assert (floor["plane"], python["plane"]) == ("floor", "python")
    assert report.conditions["running"] == {"python": {"plane": "python"}}
    assert python["ratio_to_floor"] > 1
    assert python["ratio_to_janus"] is None
    assert 150 < python["egress_packets_per_second"] < 250
    assert any("1 rooms stand on python" in line for line in told)


def test_rooms_join_carry_everything_and_are_watched(
    monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setattr(rooms, "SETTLE_S", 0.5)
    report = Report("rooms")
    # A room's people leave each second, and others come.
    scenario = replace(scenario_file.read("short"), stay_seconds=3.0)
    rooms.run(report, scenario, rooms.Options("python"), told.append)
    assert report.conditions["plane"] == "python"
    found = report.figures
    assert found["rooms_replaced"] >= 1
    assert (found["rooms"], found["participants"], found["join_success_percent"]) == (3, 6, 100)
    assert (found["lost_packets"], found["corrupt_packets"], found["silent_streams"]) == (0, 0, 0)
    # two doctors a room, each hears 50 packets of sound and sees 500 kbit/s in packets of about 1 kB
    assert 3 * 2 * 90 < found["egress_packets_per_second"] < 3 * 2 * 140
    assert found["packets_checked"] > 500
    assert found["signal_frames_lost"] == 0
    assert found["signal_frames_received"] >= 1.8 * found["signal_frames_sent"] > 50
    assert found["timeline"][-1]["rooms"] == 3


def test_the_knee_is_looked_for_step_by_step(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    for name, value in (("SETTLE_S", 0.2), ("STEP_ROOMS", 1), ("STEP_SECONDS", 0.5)):
        monkeypatch.setattr(rooms, name, value)
    report = Report("rooms")
    until = Until.parse("server_cpu_percent=0.1")
    rooms.run(report, scenario_file.read("short"), rooms.Options("python", until=until), told.append)
    assert report.figures["knee_rooms"] == 0
    assert len(report.figures["steps"]) == 1
    assert not report.figures["knee_is_a_bound"]


def test_idle_counts_what_silence_costs(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    monkeypatch.setattr(rooms, "SETTLE_S", 0.5)
    report = Report("idle")
    idle.run(report, scenario_file.read("quiet").scaled(2, 1.0), "python", told.append)
    found = report.figures
    assert (found["participants"], found["join_success_percent"]) == (6, 100)
    assert found["memory_mb"] > 10
    assert found["wakeups_per_second"] > 0
    assert not [name for name in found if "packet" in name or "delay" in name]
