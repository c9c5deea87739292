"""Staying in the room: signaling cut, everything cut, a reload; what each page shows meanwhile.

The cut of signaling is made by a TCP relay before the server that stops moving bytes, as a dead line does;
media goes by UDP past it. The cut of everything takes the network's only interface down.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from loadtest.browser import Rest, person
from loadtest.join import start_consult
from loadtest.server_process import ServerProcess
from tests.browser.people import PATIENCE_MS, Person

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)

SIGNALING_CUT_MS = 17_000
"""Longer than consent (15 s), shorter than a peer is kept (30 s): only the living media keeps the place."""
CUT_AFTER_SEEN_MS = 4_000
"""The browser sees a cut after about 6 s; so it lasts some 10 s in all, shorter than consent."""
BACK_MS = 10_000
"""Generous on a busy machine; `python -m loadtest network` measures it."""


class StallingRelay:
    """Hands TCP bytes on between a free port of ours and the server, until it is told to stall."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._moving = asyncio.Event()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._run(),), daemon=True
        )
        self._thread.start()
        assert self._ready.wait(10.0), "the relay did not start"

    def stall(self) -> None:
        self._loop.call_soon_threadsafe(self._moving.clear)

    def go_on(self) -> None:
        self._loop.call_soon_threadsafe(self._moving.set)

    def close(self) -> None:
        self.go_on()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10.0)
        assert not self._thread.is_alive(), "the relay did not stop"
        self._loop.close()

    async def _run(self) -> None:
        self._moving.set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._moving.wait()
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target_port)
        with contextlib.suppress(OSError):
            await asyncio.gather(self._pump(reader, to_server), self._pump(from_server, writer))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._moving.wait()
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()


@dataclass
class Room:
    village: Person
    expert: Person
    relay: StallingRelay

    def peer(self) -> str:
        """The village doctor's place in the room."""
        found: str = self.village.page.evaluate("() => document.querySelector('[data-self]').dataset.peer")
        return found

    def frames(self) -> int:
        """Pictures that the village doctor's page has decoded."""
        return sum(one["framesDecoded"] for one in self.village.media() if one["kind"] == "video")


@pytest.fixture(scope="module")
def place(server: ServerProcess, browser: Browser) -> Iterator[Room]:
    relay = StallingRelay(urlsplit(server.url).port or 80)
    context = person(browser, f"http://127.0.0.1:{relay.port}", "village")
    consultation, expert = start_consult(browser, server.url, Rest(context, "village"), ("ecg", "ultrasound"))
    who = Room(_enter(context, consultation), _enter(expert, consultation), relay)
    for each in (who.village, who.expert):
        each.wait_for_media("camera", frames=10)
        each.wait_for_media("ultrasound", frames=10)
    yield who
    for each in (who.village, who.expert):
        each.context.close()
    relay.close()
    assert who.village.complaints + who.expert.complaints == []


def _enter(context: BrowserContext, consultation: str) -> Person:
    context.set_default_timeout(PATIENCE_MS)
    who = Person(context, context.new_page())
    who.page.on("pageerror", lambda error: who.complaints.append(str(error)))
    who.page.goto(f"/room/{consultation}")
    return who


def test_1_signaling_is_cut_while_media_goes_on(place: Room) -> None:
    village, before, seen = place.village, place.peer(), place.frames()
    place.relay.stall()
    village.page.evaluate("() => dispatchEvent(new Event('offline'))")
    expect(village.get("reconnecting")).to_have_attribute("data-lost", "signaling")
    village.get("toggle-mic").click()
    village.page.wait_for_timeout(SIGNALING_CUT_MS)
    assert place.frames() - seen > 100
    assert place.expert.page.locator("[data-testid=tile][data-source=camera]").count() == 2
    place.relay.go_on()
    expect(village.get("room")).to_have_attribute("data-phase", "joined", timeout=BACK_MS)
    expect(village.get("reconnecting")).to_have_count(0)
    assert place.peer() == before
    # Muted during the cut: heard of after it.
    expect(place.expert.page.locator(f"[data-peer={before}][data-source=camera]")).to_contain_text("已静音")
    village.get("toggle-mic").click()
    expect(village.get("error")).to_have_count(0)


def test_2_everything_is_cut_and_comes_back(place: Room) -> None:
    before = place.peer()
    _interface("down")
    try:
        expect(place.village.get("reconnecting")).to_be_visible()
        place.village.page.wait_for_timeout(CUT_AFTER_SEEN_MS)
    finally:
        _interface("up")
    seen = place.frames()
    for who in (place.village, place.expert):
        expect(who.get("room")).to_have_attribute("data-phase", "joined", timeout=BACK_MS)
        expect(who.get("room")).to_have_attribute("data-path", "up", timeout=BACK_MS)
        expect(who.get("reconnecting")).to_have_count(0)
    place.village.wait_for(
        """async (seen) => Object.values((await window.__huizhen.stats()).consumers)
            .reduce((all, one) => all + (one.kind === 'video' ? one.framesDecoded : 0), 0) > seen""",
        seen,
    )
    drawn = place.village.page.evaluate("() => window.__huizhen.ecg().samplesDrawn")
    place.village.wait_for("(drawn) => window.__huizhen.ecg().samplesDrawn > drawn + 500", drawn)
    assert place.peer() == before


def _interface(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def test_3_another_network_restarts_ice_without_a_gap_in_the_room(place: Room) -> None:
    before, seen = place.peer(), place.frames()
    place.village.page.evaluate("() => dispatchEvent(new Event('online'))")
    place.village.wait_for(
        """async (seen) => Object.values((await window.__huizhen.stats()).consumers)
            .reduce((all, one) => all + (one.kind === 'video' ? one.framesDecoded : 0), 0) > seen + 40""",
        seen,
    )
    expect(place.village.get("room")).to_have_attribute("data-path", "up")
    assert place.peer() == before


def test_4_a_reload_comes_back_by_itself(place: Room) -> None:
    before = place.peer()
    place.village.page.reload()
    place.village.wait_for_media("camera", frames=10)
    assert place.peer() != before
    expect(place.expert.page.locator(f"[data-peer={before}]")).to_have_count(0)
    place.expert.wait_for_media("camera", frames=10)


def test_5_the_layout_is_remembered(place: Room) -> None:
    village = place.village
    village.page.keyboard.press("g")
    expect(village.page.locator(".stage-area")).to_have_attribute("data-layout", "grid")
    village.page.reload()
    village.wait_for_media("camera", frames=10)
    expect(village.page.locator(".stage-area")).to_have_attribute("data-layout", "grid")
    village.page.keyboard.press("g")
    expect(village.page.locator(".stage-area")).to_have_attribute("data-layout", "speaker")


def test_6_the_quality_page_speaks_of_everyone(place: Room) -> None:
    place.village.get("quality").click()
    rows = place.village.get("quality-row")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("我")
    expect(rows.nth(1)).to_contain_text("上级医生")
    place.village.page.keyboard.press("Escape")
    expect(rows).to_have_count(0)


def test_7_the_network_is_tested_in_plain_words(place: Room) -> None:
    page = place.village.context.new_page()
    page.goto("/network")
    expect(page.get_by_test_id("connectivity-conclusion")).to_have_attribute("data-conclusion", "good")
    for step, state in (("websocket", "works"), ("udp", "works"), ("tcp", "works"), ("turn_tls", "absent")):
        expect(page.locator(f"[data-step={step}]")).to_have_attribute("data-state", state)
    assert "音视频直连（UDP）: 通" in page.get_by_test_id("connectivity-report").input_value()
    page.close()
