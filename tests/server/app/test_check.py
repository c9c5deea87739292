"""``huizhen check``: says what works, says what does not, and never stops at the first trouble."""

from __future__ import annotations

import json
import math
import socket
import sys
from pathlib import Path

import pytest

from media.clock import CountedClock, SystemClock
from server.app import Server
from server.check import ALL_STEPS, PLANE, READY, START, CheckOptions, run_check
from server.check_report import CheckFailedError, CheckSkippedError, Report, percentile
from server.demo_county import PASSWORD
from tests.server.processes import finished


def options(url: str | None, seconds: float = 0.5, password: str = PASSWORD) -> CheckOptions:
    return CheckOptions(url=url, config=None, password=password, seconds=seconds)


def failures(report: Report) -> set[str]:
    return {outcome.name for outcome in report.steps if not outcome.ok}


async def test_a_step_keeps_its_time_and_its_failure() -> None:
    clock = CountedClock()
    report = Report(clock)
    async with report.step("a", "甲") as notes:
        clock.advance(0.25)
        notes.append("well")
    with pytest.raises(CheckSkippedError):
        async with report.step("b", "乙"):
            raise CheckFailedError("broken")
    with pytest.raises(CheckSkippedError):
        async with report.step("c", "丙", needs=False):
            pass
    assert [(o.name, o.ok, o.ms, o.detail) for o in report.steps] == [
        ("a", True, 250.0, "well"),
        ("b", False, 0.0, "broken"),
        ("c", False, None, "not reached"),
    ]
    figures = report.as_json({"url": None})
    assert figures["figures"] == {"failed": 2, "checks": 3}
    assert figures["shortfalls"] == ["b: broken", "c: not reached"]


async def test_a_mistake_of_ours_is_not_taken_for_a_broken_server() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Report(CountedClock()).step("a", "甲"):
            raise ZeroDivisionError


def test_percentiles() -> None:
    assert percentile([3, 1, 2, 4], 0.5) == 2
    assert percentile([3, 1, 2, 4], 0.99) == 4
    assert math.isnan(percentile([], 0.5))


async def test_where_nobody_listens_every_step_is_told_as_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    report = await run_check(options(f"http://127.0.0.1:{port}"), SystemClock())
    assert len(report.steps) == len(ALL_STEPS)
    reached = {outcome.name for outcome in report.steps if outcome.ok}
    assert {START[0], READY[0]} <= failures(report)
    assert reached == {"configuration is readable"}


async def test_the_command_ends_with_1_and_names_in_both_languages_what_failed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    target = tmp_path / "check.json"
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "server.cli", "check", "--url", address, "--json", str(target)]
    status, output = await finished(command, 60)
    assert status == 1
    found = json.loads(target.read_text("utf-8"))
    assert found["figures"]["failed"] == len(ALL_STEPS) - 1 == len(found["shortfalls"])
    assert "项失败 failed" in output
    assert all(step[1][:4] in output for step in ALL_STEPS)


async def test_with_the_wrong_accounts_the_consult_is_not_reached(server: Server) -> None:
    report = await run_check(options(server.url, password="wrong"), SystemClock())
    details = {outcome.name: outcome.detail for outcome in report.steps}
    assert details["doctors sign in"].startswith("invalid_credentials")
    assert details["the opinion is signed and verified"] == "not reached"


async def test_without_gateways_all_but_their_steps_go_well(server: Server) -> None:
    report = await run_check(options(server.url), SystemClock())
    assert failures(report) == {
        "ECG and ultrasound gateways are online",
        "the ultrasound arrives",
        "the ECG arrives live",
        "the ECG is kept without a gap",
    }, report.as_json({})
    assert report.figures["lost_packets"] == 0
    media_socket = server.services.media_socket
    told = {outcome.name: outcome.detail for outcome in report.steps}[PLANE[0]]
    assert told.split("; ") == [word for word in (media_socket.plane, media_socket.build) if word]


async def test_the_command_starts_a_server_with_devices_and_finds_all_well(tmp_path: Path) -> None:
    target = tmp_path / "check.json"
    command = [sys.executable, "-m", "server.cli", "check", "--json", str(target), "--seconds", "1"]
    status, output = await finished(command, 120)
    found = json.loads(target.read_text("utf-8"))
    assert found["figures"]["failed"] == 0, output
    assert status == 0
    assert found["scenario"] == "check"
    assert found["shortfalls"] == []
    assert {"start_ms", "request_to_ring_ms", "first_frame_ms", "ecg_device_to_viewer_p99_ms"} <= set(
        found["figures"]
    )
