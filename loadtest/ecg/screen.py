"""How long from the device to the pixel in Chromium, and how much of the time the trace stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from loadtest.browser import Rest, chromium_path, launch, person
from loadtest.ecg.cases import COUNTY, ScreenCase
from loadtest.impair_network import HUB, Network, wrapper
from loadtest.join import start_consult
from loadtest.report import percentile
from loadtest.server_process import ServerProcess

PEER = "clinic"
WAIT_MS = 60_000
SETTLE_MS, WATCH_MS = 5_000, 30_000
STOPPED_MS = 200
"""Frames come every 100 ms, and a trace that moves on within two of them is not seen to stop."""

# Each animation frame: how long nothing new was drawn, beyond what an eye takes for movement.
_WATCH = """() => {
    const drawnNow = () => window.__huizhen.ecg().samplesDrawn
    const now = performance.now()
    const state = { began: now, moved: now, drawn: drawnNow(), stopped: 0, longest: 0 }
    window.__stopped = state
    const look = () => {
        const at = performance.now(), drawn = drawnNow()
        if (drawn !== state.drawn) {
            const stood = at - state.moved
            if (stood > STOPPED_MS) state.stopped += stood
            state.longest = Math.max(state.longest, stood)
            state.moved = at
            state.drawn = drawn
        }
        requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
}""".replace("STOPPED_MS", str(STOPPED_MS))


def run_screens(cases: list[ScreenCase], network: Network, directory: Path) -> list[dict[str, Any]]:
    """Each case's figures; one server and one page for all of them."""
    network.set_both(PEER, COUNTY)
    server = ServerProcess(directory / "screens", host=HUB)
    try:
        with sync_playwright() as playwright, wrapper(network, PEER, chromium_path(), directory) as path:
            secure = f"--unsafely-treat-insecure-origin-as-secure={server.url}"
            browser = launch(playwright, path, [secure])
            village = person(browser, server.url, "village")
            consultation, expert = start_consult(browser, server.url, Rest(village, "village"))
            page = expert.new_page()
            page.goto(f"/room/{consultation}")
            page.wait_for_function("() => window.__huizhen?.ecg().samplesDrawn > 5000", timeout=WAIT_MS)
            found = [_watch(case, network, page, browser.version) for case in cases]
            browser.close()
            return found
    finally:
        server.stop()


def _watch(case: ScreenCase, network: Network, page: Page, version: str) -> dict[str, Any]:
    network.set_both(PEER, case.line)
    page.wait_for_timeout(SETTLE_MS)
    before = page.evaluate("() => window.__huizhen.ecg()")
    page.evaluate(_WATCH)
    page.wait_for_timeout(WATCH_MS)
    stopped = page.evaluate("() => ({...window.__stopped, took: performance.now() - window.__stopped.began})")
    after = page.evaluate("() => window.__huizhen.ecg()")
    fresh = max(1, round(WATCH_MS / 100))
    delays = after["delays"][-fresh:]
    return {
        "case": case.name,
        "chromium": version,
        "device_to_screen_p50_ms": round(percentile(delays, 50), 1),
        "device_to_screen_p99_ms": round(percentile(delays, 99), 1),
        "frames_measured": len(delays),
        "display_stopped_percent": round(100 * stopped["stopped"] / stopped["took"], 2),
        "display_longest_stop_ms": round(stopped["longest"], 1),
        "display_gaps": after["gaps"] - before["gaps"],
    }
