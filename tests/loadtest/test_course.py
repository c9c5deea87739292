"""A run that ends before its time leaves what it measured, and says meanwhile when it will end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.course import Course, followed, span
from loadtest.report import Report
from media.clock import CountedClock

RUN = """
import asyncio, signal, sys
from pathlib import Path
from loadtest import orderly
from loadtest.course import Course, followed
from loadtest.report import Report

def say(line):
    print(line, flush=True)

async def whole():
    say("waiting")
    await asyncio.Event().wait()

def fill(report):
    course = Course(report, [("first", 1.0), ("second", 1.0)], say)
    report.figures["cases"] = [{"case": "first", "p99_ms": 2.0}]
    course.done()
    ENDING

# Whoever runs the tests may have them ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
orderly.heed()
sys.exit(followed(Report("ecg", path=Path(sys.argv[1])), fill))
"""
INSIDE_A_LOOP = "orderly.run(whole())"
OUTSIDE = "say('waiting'); sys.stdin.read()"


def kept(path: Path) -> dict[str, object]:
    assert path.with_suffix(".html").read_text(encoding="utf-8").startswith("<!doctype html>")
    return dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("ending", [INSIDE_A_LOOP, OUTSIDE], ids=["loop", "plain"])
@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")]
)
def test_a_run_that_is_told_to_end_leaves_what_it_measured(
    tmp_path: Path, ending: str, number: signal.Signals, name: str
) -> None:
    path = tmp_path / "report.json"
    process = subprocess.Popen(
        [sys.executable, "-c", RUN.replace("ENDING", ending), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("0 of 2 done, next first; 0:02 to go, ends about ")
    assert process.stdout.readline().startswith("1 of 2 done, next second; ")
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    _, complained = process.communicate(timeout=30)
    assert complained == ""
    assert process.returncode == 128 + number
    found = kept(path)
    assert found["figures"] == {"cases": [{"case": "first", "p99_ms": 2.0}]}
    assert found["shortfalls"] == [f"ended early by {name}: 1 of 2 parts were gone through"]
    assert found["conditions"] == {"unfinished": "1 of 2 parts were gone through"}


def test_a_run_that_fails_leaves_what_it_measured(tmp_path: Path) -> None:
    report = Report("relay", path=tmp_path / "report.json")

    def fill(report: Report) -> None:
        course = Course(report, [("a", 1.0), ("b", 1.0)], lambda line: None)
        report.figures["a_ms"] = 1.0
        course.done()
        raise TimeoutError("nothing came\nfor long")

    with pytest.raises(TimeoutError):
        followed(report, fill)
    found = kept(tmp_path / "report.json")
    assert found["figures"] == {"a_ms": 1.0}
    assert found["shortfalls"] == [
        "ended early by TimeoutError: nothing came: 1 of 2 parts were gone through"
    ]


def test_each_part_is_kept_as_it_comes_and_the_whole_says_nothing_of_parts(tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    def fill(report: Report) -> None:
        course = Course(report, [("a", 1.0), ("b", 1.0)], lambda line: None)
        assert not path.exists()
        course.done()
        assert kept(path)["conditions"] == {"unfinished": "1 of 2 parts were gone through"}
        course.done()

    assert followed(Report("relay", path=path), fill) == 0
    assert kept(path)["conditions"] == {}


def test_the_end_is_told_by_what_the_first_parts_really_took() -> None:
    told: list[str] = []
    clock = CountedClock()
    parts = [("a", 10.0), ("b", 20.0), ("c", 30.0)]
    course = Course(Report("ecg"), parts, told.append, clock)
    assert course.seconds_left() == 60
    clock.advance(15)
    course.done()
    assert course.seconds_left() == 75  # half as long again as expected
    clock.advance(15)
    course.done()
    assert course.seconds_left() == 30
    course.done()
    assert [line[:34] for line in told] == [
        "0 of 3 done, next a; 1:00 to go, e",
        "1 of 3 done, next b; 1:15 to go, e",
        "2 of 3 done, next c; 0:30 to go, e",
    ]


def test_what_was_looked_for_and_found_makes_a_run_whole() -> None:
    report = Report("rooms")
    course = Course(report, [("25 rooms", 1.0), ("50 rooms", 1.0)], lambda line: None)
    course.done()
    course.cut_short()
    assert report.conditions == {}


def test_spans_are_read_as_a_clock() -> None:
    assert [span(seconds) for seconds in (0.4, 59.6, 754, 3725)] == ["0:00", "1:00", "12:34", "1:02:05"]
