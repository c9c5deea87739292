"""How evenly a live 12-lead ECG is drawn on a slow processor.

The village doctor's page, camera on, is in a room with an ECG at 1 kHz. DevTools slows the page's thread
down four times; it cannot slow a worker down. So the worker, in which the product draws, gets a preface that
makes each of its pictures and each message of its socket take four times as long (it spins for three times
what they took). Beside it the same engine is measured on the page's own thread, as in a browser whose
canvases cannot go to a worker: there DevTools slows all of it down, with everything else that the page does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from json import dumps
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page

from loadtest.browser import PHONE, Rest, chromium, person
from loadtest.join import start_consult
from loadtest.report import Report, machine, percentile
from loadtest.server_process import ServerProcess

SLOWER = 4
FRAME_P99_MS = 20.0
SETTLE_MS = 4_000
"""The first seconds paint the history and load the page's other parts."""
LONG_MS = 34.0
"""Two pictures of a screen with 60 a second."""
WAIT_MS = 60_000
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
    """

    name: str
    screen: Mapping[str, Any] = field(hash=False)
    worker: bool


CASES = (
    Case("desk-worker", DESK, worker=True),
    Case("phone-worker", PHONE, worker=True),
    Case("desk-page", DESK, worker=False),
    Case("phone-page", PHONE, worker=False),
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
    with tempfile.TemporaryDirectory(prefix="huizhen-canvas-") as directory:
        server = ServerProcess(Path(directory))
        try:
            with chromium() as browser:
                report.conditions |= machine() | {
                    "chromium": browser.version,
                    "graphics": "software (no GPU)",
                    "slower": SLOWER,
                    "seconds_a_case": seconds,
                    "signal": "12 leads at 1 kHz, live, diagnostic filter",
                }
                village = person(browser, server.url, "village")
                consultation, _ = start_consult(browser, server.url, Rest(village, "village"))
                # The first opening warms the caches, as yesterday's consult would have.
                measure(browser, server.url, consultation, cases[0], 1)
                for case in cases:
                    figures = measure(browser, server.url, consultation, case, seconds)
                    report.figures |= {f"{case.name}_{name}": value for name, value in figures.items()}
                    progress(f"{case.name}: p99 {figures['frame_p99_ms']:.1f} ms")
                    if case.worker:
                        report.require(f"{case.name}_frame_p99_ms", FRAME_P99_MS)
        finally:
            server.stop()


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
