"""Two real Chromium pages in a room of their own: what a person would see while the server is under load.

A process of its own (the browser's driver keeps an event loop); prints ``READY``, and when its standard input
ends, what the pages saw, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loadtest.browser import Rest, chromium, person
from loadtest.join import start_consult
from loadtest.report import Report

START_S = 90.0
WAIT_MS = 60_000
_CONSUMERS = "async () => Object.values((await window.__huizhen.stats()).consumers)"


@contextmanager
def witnesses_of(report: Report, url: str) -> Iterator[None]:
    """Two pages stand meanwhile. What they saw is the figure ``witnesses``; nothing at all is a shortfall."""
    pages = Witnesses(url)
    try:
        yield
    finally:
        seen_ = pages.stop()
        report.figures["witnesses"] = seen_
        report.shortfalls += shortfalls(seen_)


def shortfalls(told: dict[str, Any]) -> list[str]:
    """Whoever saw no picture says nothing about the pictures."""
    if told.get("frames_decoded"):
        return []
    return ["the witnesses decoded no picture: " + ("their pages ended" if not told else "nothing came")]


class Witnesses:
    """The process; `stop` ends it and tells what was seen."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.rooms.witness", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is ours to answer: the pages end when their input does
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline().startswith("READY"):
            self._process.kill()
            self._process.communicate()
            raise RuntimeError("the witnesses' pages did not come up")

    def stop(self) -> dict[str, Any]:
        """What the two pages saw since they stood; nothing when they ended before, or hang."""
        try:
            told, _ = self._process.communicate(timeout=START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return {}
        lines = told.strip().splitlines()
        return dict(json.loads(lines[-1])) if lines and self._process.returncode == 0 else {}


def watch(url: str) -> None:
    """Stand in a room until the standard input ends."""
    with chromium() as browser:
        village = person(browser, url, "village")
        consultation, expert = start_consult(browser, url, Rest(village, "village"), kinds=())
        pages = [context.new_page() for context in (village, expert)]
        for page in pages:
            page.goto(f"/room/{consultation}")
        for page in pages:
            page.wait_for_function("() => window.__huizhen?.marks.firstFrame > 0", timeout=WAIT_MS)
            page.wait_for_timeout(2000)
        before = [page.evaluate(_CONSUMERS) for page in pages]
        print("READY", flush=True)
        sys.stdin.read()
        after = [page.evaluate(_CONSUMERS) for page in pages]
        print(json.dumps(seen(before, after)), flush=True)


def seen(before: list[list[dict[str, Any]]], after: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """What the pages' consumers counted in between, together; the worse page's freezes."""
    earlier = {one["consumerId"]: one for page in before for one in page}

    def grown(one: dict[str, Any], name: str) -> float:
        return float(one[name] - earlier.get(one["consumerId"], {}).get(name, 0))

    video = [one for page in after for one in page if one["kind"] == "video"]
    every = [one for page in after for one in page]
    samples = sum(grown(one, "totalSamplesReceived") for one in every)
    return {
        "frames_decoded": int(sum(grown(one, "framesDecoded") for one in video)),
        "freeze_seconds": round(max((grown(one, "freezeSeconds") for one in video), default=0.0), 2),
        "packets_lost": int(sum(grown(one, "packetsLost") for one in every)),
        "packets_received": int(sum(grown(one, "packetsReceived") for one in every)),
        "concealed_percent": round(100 * sum(grown(one, "concealedSamples") for one in every) / samples, 2)
        if samples
        else None,
    }


if __name__ == "__main__":
    watch(sys.argv[1])
