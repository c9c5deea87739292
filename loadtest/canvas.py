"""How evenly a live 12-lead ECG is drawn on a slow processor.

The village doctor's page, camera on, is in a room with an ECG at 1 kHz. DevTools slows the page's thread
down four times; it cannot slow a worker down. So the worker, in which the product draws, gets a preface that
makes each of its pictures and each message of its socket take four times as long (it spins for three times
what they took). Beside it the same engine is measured on the page's own thread, as in a browser whose
canvases cannot go to a worker: there DevTools slows all of it down, with everything else that the page does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from json import dumps
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page

from loadtest.browser import PHONE, Rest, chromium, person
from loadtest.course import Course
from loadtest.ecg.source import samples_of, write_record
from loadtest.join import start_consult
from loadtest.report import Report, machine, percentile
from loadtest.server_process import ServerProcess
from loadtest.traffic.tokens import TokenMaker

SLOWER = 4
FRAME_P99_MS = 20.0
SETTLE_MS = 4_000
"""The first seconds paint the history and load the page's other parts."""
OPENING_S = 10.0
"""About how long a page takes until it is watched."""
LONG_MS = 34.0
"""Two pictures of a screen with 60 a second."""
WAIT_MS = 60_000
DEMO_LEADS = 12
"""Of the record that the demo's own gateway sends."""
DESK: Mapping[str, Any] = {"viewport": {"width": 1366, "height": 768}}
ON_THE_PAGE = "delete HTMLCanvasElement.prototype.transferControlToOffscreen"
PREFACE = """
{
  const slow = (work) => function (...given) {
    const from = performance.now();
    try { return work.apply(this, given); } finally {
      for (const until = performance.now() + (performance.now() - from) * SPIN; performance.now() < until;);
    }
  };
  const ask = self.requestAnimationFrame.bind(self);
  self.requestAnimationFrame = (work) => ask(slow(work));
  const { set, get } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
  Object.defineProperty(WebSocket.prototype, 'onmessage', {
    get, set(work) { set.call(this, work && slow(work)); },
  });
}
""".replace("SPIN", str(SLOWER - 1))

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """One screen and one thread.

    :param worker: drawn in a worker (as the product does) or on the page's own thread.
    :param leads: 12 by the demo's own gateway; 18 by another beside it, without a limit.
    """

    name: str
    screen: Mapping[str, Any] = field(hash=False)
    worker: bool
    leads: int = 12


CASES = (
    Case("desk-worker", DESK, worker=True),
    Case("phone-worker", PHONE, worker=True),
    Case("desk-page", DESK, worker=False),
    Case("phone-page", PHONE, worker=False),
    Case("desk-18-leads", DESK, worker=True, leads=18),
    Case("phone-18-leads", PHONE, worker=True, leads=18),
)


def chosen(names: str) -> list[Case]:
    """The cases that a list with commas names; all when it is empty. :raises ValueError: an unknown name."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {case.name: case for case in CASES}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in wanted] or list(CASES)


def run(report: Report, cases: list[Case], seconds: float, progress: Progress) -> None:
    """Fill ``report`` with the frame times of each case."""
    course = Course(report, [(case.name, seconds + OPENING_S) for case in cases], progress)
    for leads in sorted({case.leads for case in cases}):
        _run(report, [case for case in cases if case.leads == leads], leads, seconds, progress, course)


def _run(
    report: Report, cases: list[Case], leads: int, seconds: float, progress: Progress, course: Course
) -> None:
    with tempfile.TemporaryDirectory(prefix="huizhen-canvas-") as place, ExitStack() as closing:
        directory = Path(place)
        server = ServerProcess(directory / "county", [] if leads == DEMO_LEADS else ["--no-devices"])
        closing.callback(server.stop)
        browser = closing.enter_context(chromium())
        report.conditions |= machine() | {
            "chromium": browser.version,
            "graphics": "software (no GPU)",
            "slower": SLOWER,
            "seconds_a_case": seconds,
            "signal": "12 leads at 1 kHz, live, diagnostic filter; 18 where the case says so",
        }
        village = person(browser, server.url, "village")
        kinds = ("ecg",) if leads == DEMO_LEADS else ()
        consultation, _ = start_consult(browser, server.url, Rest(village, "village"), kinds)
        if leads != DEMO_LEADS:
            closing.enter_context(gateway(server, consultation, leads, directory))
        # The first opening warms the caches, as yesterday's consult would have.
        measure(browser, server.url, consultation, cases[0], 1)
        for case in cases:
            figures = measure(browser, server.url, consultation, case, seconds)
            report.figures |= {f"{case.name}_{name}": value for name, value in figures.items()}
            progress(f"{case.name}: p99 {figures['frame_p99_ms']:.1f} ms")
            if case.worker and leads == DEMO_LEADS:
                report.require(f"{case.name}_frame_p99_ms", FRAME_P99_MS)
            course.done()


@contextmanager
def gateway(server: ServerProcess, consultation: str, leads: int, directory: Path) -> Iterator[None]:
    """A real gateway that sends a looped record of so many leads into the consult's room."""
    record = write_record(directory, "record", *samples_of(leads))
    token = TokenMaker(server.data).make(
        f"c-{consultation}", "load-device", "device", signals=frozenset({"publish"})
    )
    command = [sys.executable, "-m", "server.cli", "device", "ecg", "--loop", "--lang", "en"]
    command += ["--server", server.url, "--room-token", token, "--file", str(record)]
    with (directory / "gateway.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--outbox", str(directory / "outbox")], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def measure(browser: Browser, url: str, consultation: str, case: Case, seconds: float) -> dict[str, float]:
    """The frame times of one page that is opened, watched and closed."""
    context = person(browser, url, "village", **case.screen)
    try:
        if not case.worker:
            context.add_init_script(ON_THE_PAGE)
        page = context.new_page()
        devtools = context.new_cdp_session(page)
        slowed = _slow_workers(devtools)
        page.goto(f"/room/{consultation}")
        page.wait_for_function("() => window.__huizhen?.ecg().samplesDrawn > 1000", timeout=WAIT_MS)
        if len(slowed) != int(case.worker):
            raise RuntimeError(f"{len(slowed)} workers were slowed down")
        if "is_mobile" in case.screen:
            page.locator("nav.pages button").nth(1).click()
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        page.wait_for_timeout(SETTLE_MS)
        return _watch(page, seconds)
    finally:
        context.close()


def _slow_workers(devtools: CDPSession) -> list[str]:
    """Stop each worker before its first line and put the preface in; the list gets their ids."""
    slowed: list[str] = []

    def attached(event: dict[str, Any]) -> None:
        session = event["sessionId"]
        for number, (method, params) in enumerate(
            (("Runtime.evaluate", {"expression": PREFACE}), ("Runtime.runIfWaitingForDebugger", {}))
        ):
            message = dumps({"id": number, "method": method, "params": params})
            devtools.send("Target.sendMessageToTarget", {"sessionId": session, "message": message})
        slowed.append(session)

    devtools.on("Target.attachedToTarget", attached)
    devtools.send(
        "Target.setAutoAttach", {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": False}
    )
    return slowed


def _watch(page: Page, seconds: float) -> dict[str, float]:
    before: dict[str, Any] = page.evaluate("() => window.__huizhen.ecg()")
    page.wait_for_timeout(seconds * 1000)
    after: dict[str, Any] = page.evaluate("() => window.__huizhen.ecg()")
    frames: list[float] = after["frames"][len(before["frames"]) :]
    drawing: list[float] = after["drawing"][len(before["drawing"]) :]
    return {
        "frames": len(frames),
        "frame_p50_ms": percentile(frames, 50),
        "frame_p99_ms": percentile(frames, 99),
        "frame_max_ms": max(frames, default=float("nan")),
        "long_frames_percent": 100 * sum(one > LONG_MS for one in frames) / max(1, len(frames)),
        "drawing_p99_ms": percentile(drawing, 99),
        "samples_drawn": after["samplesDrawn"] - before["samplesDrawn"],
    }
