"""Firefox and Chromium in the product's own room: both publish, both see and hear the other.

Firefox uses no loopback address for media, so each browser has a namespace with an address of its own.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from clients.sdk.api import ApiClient
from loadtest.browser import FLAGS, PASSWORD, chromium_path
from loadtest.impair_line import Conditions
from loadtest.impair_network import HUB, Network, wrapper
from loadtest.network import MARK
from loadtest.server_process import ServerProcess
from tests.interop.firefox import Firefox, firefox

# Two browsers and a server start cold.
pytestmark = [pytest.mark.browser, pytest.mark.network, pytest.mark.timeout(300)]

TIMEOUT_MS = 60_000
# Decoded pictures of the other's camera and sound from the other's microphone.
RECEIVED = """(async () => {
    if (!window.__huizhen) return false
    const all = Object.values((await window.__huizhen.stats()).consumers)
    return all.some((one) => one.source === 'camera' && one.framesDecoded > 20)
        && all.some((one) => one.source === 'microphone' && one.audioEnergy > 0)
})()"""


@dataclass
class Place:
    """Where both meet."""

    network: Network
    server: ServerProcess


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if not os.environ.get(MARK):
        pytest.fail("needs a network of its own: make test, or .ci/in_own_network .venv/bin/pytest")
    with Network(["firefox", "chromium"]) as network:
        for name in ("firefox", "chromium"):
            network.set_both(name, Conditions(delay_ms=5))
        server = ServerProcess(tmp_path_factory.mktemp("demo"), ["--no-devices"], host=HUB)
        try:
            yield Place(network, server)
        finally:
            server.stop()


async def consult(url: str) -> tuple[str, str]:
    """A consult that was accepted: its id, and who accepted."""
    async with ApiClient(url) as village:
        await village.login("village", PASSWORD)
        draft = {
            "kind": "urgent",
            "specialty": "cardiology",
            "patientId": (await village.patients())[0]["id"],
            "purpose": "胸痛",
            "summary": "突发胸痛",
            "consent": {"consult": True, "recording": False, "by": "patient"},
            "deviceIds": [],
            "submit": True,
        }
        consultation = (await village.create_consultation(draft))["id"]
    for username in ("cardio1", "cardio2"):
        async with ApiClient(url) as expert:
            await expert.login(username, PASSWORD)
            if any(item["id"] == consultation for item in await expert.consultations("ringing")):
                await expert.act(consultation, "accept")
                return consultation, username
    raise AssertionError("nobody was rung")


@pytest.fixture
async def chromium(place: Place, tmp_path: Path) -> AsyncIterator[Page]:
    flags = [*FLAGS, f"--unsafely-treat-insecure-origin-as-secure={place.server.url}"]
    with wrapper(place.network, "chromium", chromium_path(), tmp_path) as path:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=flags)
            context = await browser.new_context(
                base_url=place.server.url, permissions=["camera", "microphone"]
            )
            yield await context.new_page()
            await browser.close()


@pytest.fixture
async def mozilla(place: Place, tmp_path: Path) -> AsyncIterator[Firefox]:
    namespace = place.network.namespace("firefox")
    prefix = place.network.inside("firefox")
    async with firefox(tmp_path, prefix, Path("/run/netns", namespace)) as browser:
        yield browser


async def log_in_firefox(browser: Firefox, url: str, username: str) -> None:
    await browser.goto(f"{url}/login")
    body = f"JSON.stringify({{username: '{username}', password: '{PASSWORD}'}})"
    request = f"{{method: 'POST', headers: {{'Content-Type': 'application/json'}}, body: {body}}}"
    assert await browser.evaluate(f"fetch('/api/v1/auth/login', {request}).then((reply) => reply.ok)")


async def test_firefox_and_chromium_see_and_hear_each_other(
    place: Place, mozilla: Firefox, chromium: Page
) -> None:
    url = place.server.url
    consultation, expert = await consult(url)
    await log_in_firefox(mozilla, url, "village")
    await mozilla.goto(f"{url}/room/{consultation}")
    await chromium.context.request.post("/api/v1/auth/login", data={"username": expert, "password": PASSWORD})
    await chromium.goto(f"/room/{consultation}")
    await chromium.wait_for_function(f"() => {RECEIVED}", timeout=TIMEOUT_MS)
    await mozilla.wait_for(RECEIVED)
    agent = await mozilla.evaluate("navigator.userAgent")
    assert "Firefox/" in agent
