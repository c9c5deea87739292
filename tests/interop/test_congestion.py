"""Congestion feedback with real Chromium: what it makes of it, and what it tells of its downlink."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.interop.server import Server, running_server
from tests.interop.test_example_page import TIMEOUT_MS, chromium, joined, pages, sees

__all__ = ["pages"]
pytestmark = pytest.mark.browser

# Peer connections are kept where a test can ask them.
WATCH = """
  window.connections = []
  const Plain = window.RTCPeerConnection
  window.RTCPeerConnection = class extends Plain {
    constructor(...options) { super(...options); window.connections.push(this) }
  }
"""
# Chromium believes in an uplink of so many bits per second.
BELIEVES = """
async (wanted) => {
  let best = 0
  for (const connection of window.connections)
    for (const stat of (await connection.getStats()).values())
      if (stat.type === 'candidate-pair') best = Math.max(best, stat.availableOutgoingBitrate ?? 0)
  return best > wanted
}
"""


async def watched(browser: Browser, server: Server, user_id: str) -> tuple[Page, str]:
    context = await browser.new_context()
    await context.add_init_script(WATCH)
    page = await context.new_page()
    await page.goto(f"{server.url}/pages/index.html#token={server.token(user_id)}")
    status = page.get_by_role("status")
    await status.filter(has_text="joined as").wait_for(timeout=TIMEOUT_MS)
    return page, (await status.inner_text()).removeprefix("joined as ")


async def test_a_publishers_estimate_grows(tmp_path: Path, pages: Path) -> None:
    async with running_server(tmp_path, pages) as server, chromium() as browser:
        first, _ = await watched(browser, server, "a")
        await first.wait_for_function(BELIEVES, arg=1_000_000, timeout=TIMEOUT_MS)


def outgoing(server: Server, user_id: str, peer_id: str) -> dict[str, Any]:
    """What the server knows of the line to this peer; empty before it knows anything."""
    room = server.service.room_for(server.service.verify(server.token(user_id)))
    known = [transport.stats()["outgoing"] for transport in room.tracks.of(peer_id).transports()]
    return next((line for line in known if line["available"] is not None), {})


async def test_a_receivers_line_is_known_and_nothing_waits(tmp_path: Path, pages: Path) -> None:
    async with running_server(tmp_path, pages) as server, chromium() as browser:
        first, first_id = await joined(browser, server, "a")
        second, second_id = await joined(browser, server, "b")
        await asyncio.gather(sees(first, second_id), sees(second, first_id))
        async with asyncio.timeout(TIMEOUT_MS / 1000):
            while outgoing(server, "b", second_id).get("available", 0) < 500_000:
                await second.wait_for_timeout(100)
        line = outgoing(server, "b", second_id)
        assert line["lossFraction"] < 0.02
        assert line["roundTrip"] < 0.3
        assert line["leftOut"] == 0
