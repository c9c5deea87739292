"""How long from opening the room's page to the other person's first picture, and is the ECG on time.

A village doctor's page is in the room with camera, microphone and a 12-lead ECG from the clinic's
gateway. Ten times the expert opens the room's page in a new tab; the page's own marks say when the first
remote picture was shown. Everything runs on one machine, so the ECG's device time and the page's
clock are the same clock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from loadtest.browser import Rest, chromium, person
from loadtest.course import Course
from loadtest.report import Report, machine, percentile
from loadtest.server_process import ServerProcess

FIRST_FRAME_P50_MS = 500
FIRST_FRAME_P95_MS = 1000
ECG_P99_MS = 250
WATCH_MS = 5_000
"""How long each run goes on after the first picture, so that losses and delays have time to show."""
WAIT_MS = 30_000
RUN_S = WATCH_MS / 1000 + 1.0
"""About how long a run takes."""

Progress = Callable[[str], None]


@dataclass
class Samples:
    """What the runs gave, in milliseconds; one entry a run, but for the ECG: one a frame."""

    first_frame: list[float] = field(default_factory=list)
    marks: list[dict[str, float]] = field(default_factory=list)
    ecg_delay: list[float] = field(default_factory=list)
    lost_packets: int = 0
    received_packets: int = 0


def run(report: Report, runs: int, progress: Progress) -> None:
    """Fill ``report`` with the figures of ``runs`` joins."""
    with tempfile.TemporaryDirectory(prefix="huizhen-join-") as directory:
        server = ServerProcess(Path(directory))
        try:
            with chromium() as browser:
                report.conditions |= machine() | {
                    "runs": runs,
                    "chromium": browser.version,
                    "network": "loopback in a namespace of its own",
                    "pages": "village (camera, microphone, 12-lead ECG at 1 kHz) and expert",
                }
                _joins(report, browser, server.url, runs, progress)
        finally:
            server.stop()
    _judge(report)


def _joins(report: Report, browser: Browser, url: str, runs: int, progress: Progress) -> None:
    samples = Samples()
    course = Course(report, [(f"run {number + 1}", RUN_S) for number in range(runs)], progress)
    village = person(browser, url, "village")
    consultation, expert = start_consult(browser, url, Rest(village, "village"))
    village_page = village.new_page()
    village_page.goto(f"/room/{consultation}")
    village_page.wait_for_function("() => window.__huizhen?.ecg().samplesDrawn > 1000", timeout=WAIT_MS)
    # The first opening warms the server's and the browser's caches, as yesterday's consult would have.
    _one_join(expert, consultation, Samples())
    for number in range(1, runs + 1):
        _one_join(expert, consultation, samples)
        progress(f"run {number}/{runs}: first frame after {samples.first_frame[-1]:.0f} ms")
        if number == runs:
            _collect(village_page, samples)
        report.figures |= _figures(samples)
        course.done()


def start_consult(
    browser: Browser, url: str, village: Rest, kinds: tuple[str, ...] = ("ecg",), **options: Any
) -> tuple[str, BrowserContext]:
    """Request an urgent cardiology consult with the clinic's devices of these kinds; whoever is rung accepts.

    :param options: of the expert's `person`.

    Returns the consult's id and the browser of that expert.
    """
    devices = village.call("GET", "/devices")
    consultation = village.call(
        "POST",
        "/consultations",
        {
            "kind": "urgent",
            "specialty": "cardiology",
            "patientId": village.call("GET", "/patients?q=")[0]["id"],
            "purpose": "胸痛两小时",
            "summary": "突发胸痛，伴出汗。",
            "consent": {"consult": True, "recording": False, "by": "patient"},
            "deviceIds": [device["id"] for device in devices if device["kind"] in kinds],
            "submit": True,
        },
    )["id"]
    for username in ("cardio1", "cardio2"):
        context = person(browser, url, username, **options)
        expert = Rest(context, username)
        ringing = expert.call("GET", "/consultations?scope=ringing")["items"]
        if consultation in [item["id"] for item in ringing]:
            expert.call("POST", f"/consultations/{consultation}/actions", {"action": "accept"})
            return consultation, context
        context.close()
    raise RuntimeError("no cardiologist was rung")


def _one_join(expert: BrowserContext, consultation: str, samples: Samples) -> None:
    page = expert.new_page()
    try:
        page.goto(f"/room/{consultation}", wait_until="commit")
        page.wait_for_function("() => window.__huizhen?.marks.firstFrame > 0", timeout=WAIT_MS)
        marks: dict[str, float] = page.evaluate("() => ({...window.__huizhen.marks})")
        page.wait_for_function(
            "since => performance.now() > since", arg=marks["firstFrame"] + WATCH_MS, timeout=WAIT_MS
        )
        samples.first_frame.append(marks["firstFrame"])
        samples.marks.append(marks)
        _collect(page, samples)
    finally:
        page.close()


def _collect(page: Page, samples: Samples) -> None:
    ecg: dict[str, Any] = page.evaluate("() => window.__huizhen.ecg()")
    samples.ecg_delay += ecg["delays"]
    stats: list[dict[str, Any]] = page.evaluate(
        "async () => Object.values((await window.__huizhen.stats()).consumers)"
    )
    samples.lost_packets += sum(one["packetsLost"] for one in stats)
    samples.received_packets += sum(one["packetsReceived"] for one in stats)


def _figures(samples: Samples) -> dict[str, Any]:
    return {
        "page_open_to_first_frame_p50_ms": percentile(samples.first_frame, 50),
        "page_open_to_first_frame_p95_ms": percentile(samples.first_frame, 95),
        "device_to_screen_p50_ms": percentile(samples.ecg_delay, 50),
        "device_to_screen_p99_ms": percentile(samples.ecg_delay, 99),
        "lost_packets": samples.lost_packets,
        "received_packets": samples.received_packets,
        "marks_p50_ms": {
            name: percentile([marks[name] for marks in samples.marks if name in marks], 50)
            for name in sorted({name for marks in samples.marks for name in marks})
        },
    }


def _judge(report: Report) -> None:
    report.require("page_open_to_first_frame_p50_ms", FIRST_FRAME_P50_MS)
    report.require("page_open_to_first_frame_p95_ms", FIRST_FRAME_P95_MS)
    report.require("device_to_screen_p99_ms", ECG_P99_MS)
    report.require("lost_packets", 0)
    if not report.figures.get("received_packets"):
        report.shortfalls.append("no media packet was received")
