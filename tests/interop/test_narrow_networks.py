"""Real Chromium where the network passes little: media over ICE-TCP alone, and over TURN on TLS alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from clients.sdk.media_source import OpusSource, Vp8Source, moving_picture, tone
from clients.sdk.whip import WhipPublisher
from media.transport import MediaSocketConfig
from tests.interop.coturn import running_coturn
from tests.interop.server import Server, running_server
from tests.interop.test_example_page import CHROMIUM, FLAGS, TIMEOUT_MS, joined, pages, sees
from tests.interop.test_whep_page import DEVICE, PAGES, PLAYING, VIEWER

__all__ = ["pages"]

pytestmark = pytest.mark.browser

TCP_ONLY = MediaSocketConfig("127.0.0.1", 0, ("127.0.0.1",), udp_announce=False)

# Keeps every connection of the page, so that a test can ask which pair of candidates is in use.
KEEP_CONNECTIONS = """
window.connections = []
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); window.connections.push(this) }
}
"""
PAIRS = """
async () => Promise.all(window.connections.map(async (connection) => {
  const stats = await connection.getStats()
  const transport = [...stats.values()].find((entry) => entry.type === 'transport')
  const pair = stats.get(transport?.selectedCandidatePairId)
  const local = stats.get(pair?.localCandidateId)
  const remote = stats.get(pair?.remoteCandidateId)
  return { type: local?.candidateType, relay: local?.relayProtocol, remote: remote?.protocol }
}))
"""


@asynccontextmanager
async def narrow_page(*flags: str) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        try:
            page = await browser.new_page()
            await page.add_init_script(KEEP_CONNECTIONS)
            yield page
        finally:
            await browser.close()


async def publish(server: Server) -> WhipPublisher:
    """An ultrasound device."""
    token = server.token("dev-us-1", DEVICE, "device")
    sources: list[Any] = [OpusSource(tone()), Vp8Source(moving_picture(), frames_per_second=30)]
    return await WhipPublisher.publish(f"{server.url}/whip/dev-us-1", token, sources)


async def watch(page: Page, server: Server, more: str = "") -> None:
    """Until the WHEP page has decoded pictures."""
    token = server.token("viewer", VIEWER, "observer")
    address = f"{server.url}/pages/index.html#url=/whep/dev-us-1&token={token}{more}"
    await page.goto(address, wait_until="domcontentloaded")
    await page.wait_for_function(PLAYING, timeout=TIMEOUT_MS)


async def test_two_pages_meet_over_tcp_alone(tmp_path: Path, pages: Path) -> None:
    async with running_server(tmp_path, pages, TCP_ONLY) as server, narrow_page() as page:
        browser = page.context.browser
        assert browser is not None
        first, first_id = await joined(browser, server, "a")
        second, second_id = await joined(browser, server, "b")
        await sees(first, second_id)
        await sees(second, first_id)


async def test_a_player_and_a_device_over_tcp_alone(tmp_path: Path) -> None:
    async with running_server(tmp_path, PAGES, TCP_ONLY) as server, narrow_page() as page:
        device = await publish(server)
        await watch(page, server)
        assert await page.evaluate(PAIRS) == [
            {"type": "prflx", "relay": None, "remote": "tcp"}
        ] or await page.evaluate(PAIRS) == [{"type": "host", "relay": None, "remote": "tcp"}]
        await device.close()


async def test_turn_over_tls_alone_reaches_the_room(tmp_path: Path) -> None:
    async with (
        running_coturn(tmp_path) as coturn,
        running_server(tmp_path / "server", PAGES, turn=coturn.turn) as server,
        narrow_page("--ignore-certificate-errors") as page,
    ):
        device = await publish(server)
        await watch(page, server, "&policy=relay")
        assert await page.evaluate(PAIRS) == [{"type": "relay", "relay": "tls", "remote": "udp"}]
        assert coturn.allocations() > 0
        await device.close()
