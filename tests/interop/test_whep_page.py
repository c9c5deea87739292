"""A page of plain JavaScript plays by WHEP what devices publish by WHIP: VP8 of our own, H.264 of FFmpeg."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from clients.sdk.media_source import OpusSource, Vp8Source, moving_picture, tone
from clients.sdk.whip import WhipPublisher
from signaling.access import RoomGrant
from tests.interop.server import ROOM, Server, running_server
from tests.interop.test_example_page import CHROMIUM, FLAGS, TIMEOUT_MS

pytestmark = pytest.mark.browser

PAGES = Path(__file__).parents[2] / "docs" / "examples" / "whep"
FFMPEG = Path(__file__).parents[1] / "clients" / "sdk" / "ffmpeg_publisher.py"
DEVICE = RoomGrant(ROOM, publish=frozenset({"ultrasound", "microphone"}), subscribe=False, chat=False)
VIEWER = RoomGrant(ROOM)

PLAYING = "() => document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames >= 20"
ENDED = "() => !/^connect/.test(document.querySelector('[role=status]').textContent)"
SOUND = "() => document.querySelector('video').srcObject.getAudioTracks().length === 1"


@asynccontextmanager
async def page_of(server: Server, stream: str) -> AsyncIterator[Page]:
    """The example in Chromium, watching ``stream``."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = await browser.new_page()
            token = server.token("viewer", VIEWER, "observer")
            address = f"{server.url}/pages/index.html#url=/whep/{stream}&token={token}"
            await page.goto(address, wait_until="domcontentloaded")
            yield page
        finally:
            await browser.close()


async def test_a_page_plays_vp8_and_opus_and_is_told_when_the_source_ends(tmp_path: Path) -> None:
    async with running_server(tmp_path, PAGES) as server, page_of(server, "dev-us-1") as page:
        status = page.get_by_role("status")
        await status.filter(has_text="waiting").wait_for(timeout=TIMEOUT_MS)
        device = await WhipPublisher.publish(
            f"{server.url}/whip/dev-us-1",
            server.token("dev-us-1", DEVICE, "device"),
            [OpusSource(tone()), Vp8Source(moving_picture(), frames_per_second=30)],
        )
        await page.wait_for_function(PLAYING, timeout=TIMEOUT_MS)
        assert await page.evaluate(SOUND)
        snapshot = server.service.snapshot(ROOM)
        assert snapshot is not None
        assert {peer.role for peer in snapshot.peers} == {"device", "observer"}
        await device.close()
        # DTLS says goodbye, and Chromium takes that for a closed or failed connection.
        await page.wait_for_function(ENDED, timeout=TIMEOUT_MS)


async def test_a_page_plays_the_h264_of_ffmpegs_whip_by_the_name_of_its_source(tmp_path: Path) -> None:
    async with running_server(tmp_path, PAGES) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(FFMPEG),
            f"{server.url}/whip/dev-us-1",
            server.token("dev-us-1", DEVICE, "device"),
            "dtls_active",
        )
        try:
            async with page_of(server, "ultrasound") as page:
                await page.wait_for_function(PLAYING, timeout=TIMEOUT_MS)
        finally:
            process.terminate()
            await process.wait()


async def test_a_page_without_the_grant_is_told(tmp_path: Path) -> None:
    async with running_server(tmp_path, PAGES) as server, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        token = server.token("viewer", RoomGrant(ROOM, subscribe=False))
        await page.goto(f"{server.url}/pages/index.html#url=/whep/ultrasound&token={token}")
        await page.get_by_role("status").filter(has_text="no grant").wait_for(timeout=TIMEOUT_MS)
        await browser.close()
