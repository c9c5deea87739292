"""How long from the device to the pixel in Chromium, and how much of the time the trace stands still."""

from __future__ import annotations

from collections.abc import Callable
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
SETTLE_MS, WATCH_MS = 10_000, 40_000
SCREEN_S = (SETTLE_MS + WATCH_MS) / 1000 + 3.0
"""About how long a case takes."""

_FIGURES = "() => ({ ...window.__huizhen.ecg(), at: performance.now() })"


def run_screens(
    cases: list[ScreenCase],
    network: Network,
    directory: Path,
    found: Callable[[ScreenCase, dict[str, Any]], None],
) -> None:
    """Each case's figures go to ``found``; one server and one page for all of them."""
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
            for case in cases:
                found(case, _watch(case, network, page, browser.version))
            browser.close()
    finally:
        server.stop()


def _watch(case: ScreenCase, network: Network, page: Page, version: str) -> dict[str, Any]:
    network.set_both(PEER, case.line)
    page.wait_for_timeout(SETTLE_MS)
    before = page.evaluate(_FIGURES)
    page.wait_for_timeout(WATCH_MS)
    after = page.evaluate(_FIGURES)
    delays = after["delays"][-max(1, after["lastSequence"] - before["lastSequence"]) :]
    took = after["at"] - before["at"]
    return {
        "case": case.name,
        "chromium": version,
        "device_to_screen_p50_ms": round(percentile(delays, 50), 1),
        "device_to_screen_p99_ms": round(percentile(delays, 99), 1),
        "frames_measured": len(delays),
        "frame_ms": round(took / max(1, after["lastSequence"] - before["lastSequence"]), 1),
        "display_stopped_percent": round(100 * (after["stoppedMs"] - before["stoppedMs"]) / took, 2),
        "display_stops": after["stops"] - before["stops"],
        "display_gaps": after["gaps"] - before["gaps"],
    }
