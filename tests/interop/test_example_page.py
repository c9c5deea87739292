"""The example page in real Chromium: two pages, and one page with the example on pymediasoup."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.interop.server import ROOM, Server, running_server
from tests.interop.test_pymediasoup import Example

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("each_plane")]

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "mediasoup-client"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
]
TIMEOUT_MS = 30_000

# Decoded video frames and received audio energy of one peer, as the page itself sees them.
RECEIVED = """
(peer) => {
  const video = document.querySelector(`video[data-peer="${peer}"]`)
  const audio = document.querySelector(`audio[data-peer="${peer}"]`)
  return Boolean(audio) && video?.getVideoPlaybackQuality().totalVideoFrames >= 20 && audio.currentTime > 0.5
}
"""

# What this page decodes: the codec by the browser's own statistics, and that decoding went on.
DECODED = """
async () => {
  const found = []
  for (const connection of window.connections) {
    for (const entry of (await connection.getStats()).values()) {
      if (entry.type !== 'inbound-rtp' || entry.kind !== 'video' || !(entry.framesDecoded >= 20)) continue
      found.push((await connection.getStats()).get(entry.codecId)?.mimeType)
    }
  }
  return found.length ? found : false
}
"""
KEEP_CONNECTIONS = """
window.connections = []
window.RTCPeerConnection = class extends window.RTCPeerConnection {
  constructor(...options) { super(...options); window.connections.push(this) }
}
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with its bundled libraries, as its README says."""
    directory = tmp_path_factory.mktemp("example")
    (directory / "index.html").write_bytes((EXAMPLE / "index.html").read_bytes())
    subprocess.run([EXAMPLE / "bundle.sh", directory], check=True, timeout=60)
    return directory


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


async def joined(
    browser: Browser, server: Server, user_id: str, codec: str = "", **token: Any
) -> tuple[Page, str]:
    """A page in the room, and its peer id."""
    page = await (await browser.new_context()).new_page()
    await page.add_init_script(KEEP_CONNECTIONS)
    await page.goto(f"{server.url}/pages/index.html#token={server.token(user_id, **token)}&codec={codec}")
    status = page.get_by_role("status")
    await status.filter(has_text="joined as").wait_for(timeout=TIMEOUT_MS)
    return page, (await status.inner_text()).removeprefix("joined as ")


async def sees(page: Page, peer: str) -> None:
    """Decoded frames and sound of this peer."""
    await page.wait_for_function(RECEIVED, arg=peer, timeout=TIMEOUT_MS)


async def decoded_by(page: Page) -> list[str]:
    """MIME types of the pictures that this page decodes."""
    handle = await page.wait_for_function(DECODED, timeout=TIMEOUT_MS)
    found: list[str] = await handle.json_value()
    return found


async def test_two_pages_see_and_hear_each_other(tmp_path: Path, pages: Path) -> None:
    async with running_server(tmp_path, pages) as server, chromium() as browser:
        first, first_id = await joined(browser, server, "a")
        second, second_id = await joined(browser, server, "b")
        await asyncio.gather(sees(first, second_id), sees(second, first_id))
        await server.service.remove_peers(ROOM, user_id="b", reason="released")
        await second.get_by_role("status").filter(has_text="released").wait_for(timeout=TIMEOUT_MS)
        gone = first.locator(f'[data-peer="{second_id}"]')
        await gone.first.wait_for(state="detached", timeout=TIMEOUT_MS)


async def test_h264_and_vp8_side_by_side(tmp_path: Path, pages: Path) -> None:
    async with running_server(tmp_path, pages) as server, chromium() as browser:
        first, first_id = await joined(browser, server, "a", codec="H264")
        second, second_id = await joined(browser, server, "b", codec="VP8")
        await asyncio.gather(sees(first, second_id), sees(second, first_id))
        assert await decoded_by(first) == ["video/VP8"]
        assert await decoded_by(second) == ["video/H264"]


async def test_the_page_and_pymediasoup_see_each_other(tmp_path: Path, pages: Path) -> None:
    async with running_server(tmp_path, pages) as server, chromium() as browser:
        page, page_id = await joined(browser, server, "a")
        example = await Example.start(server, "b")
        try:
            report = await example.received(frames=20, messages=False)
            assert {name.split(" ")[0] for name in report["frames"]} == {page_id}
            snapshot = server.service.snapshot(ROOM)
            assert snapshot is not None
            other = next(peer.peer_id for peer in snapshot.peers if peer.user_id == "b")
            await sees(page, other)
        finally:
            await example.stop()


async def test_a_refusal_is_shown(tmp_path: Path, pages: Path) -> None:
    async with running_server(tmp_path, pages) as server, chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"{server.url}/pages/index.html#token=rubbish")
        await page.get_by_role("status").filter(has_text="not valid").wait_for(timeout=TIMEOUT_MS)
