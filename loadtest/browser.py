"""Real Chromium pages, with a camera and a microphone that Chromium makes up itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

PASSWORD = "huizhen-demo"  # noqa: S105 - what the demo prints for everyone to read

LAUNCH_MS = 60_000
"""A cold start beside other busy processes."""

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page that is not in front would be slowed down, and nobody is in front of any of them.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
)

PHONE: Mapping[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 3,
    "is_mobile": True,
    "has_touch": True,
}


class BrowserMissingError(Exception):
    """There is no Chromium to drive."""


def chromium_path() -> str:
    """Where Debian's Chromium is; `BrowserMissingError` says what to install."""
    found = shutil.which("chromium")
    if found is None:
        raise BrowserMissingError("Chromium is missing: install the package chromium")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """One headless Chromium, closed at the end."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def launch(playwright: Playwright, path: Path | None = None, extra: Sequence[str] = ()) -> Browser:
    """Start Chromium, or what stands at ``path`` (a wrapper around it), with ``extra`` flags."""
    return playwright.chromium.launch(
        executable_path=path or chromium_path(), args=[*FLAGS, *extra], timeout=LAUNCH_MS
    )


def person(
    browser: Browser,
    url: str,
    username: str | None,
    *,
    locale: str = "zh-CN",
    permissions: Sequence[str] = ("camera", "microphone", "notifications"),
    **options: Any,
) -> BrowserContext:
    """A browser of one person's own, logged in as ``username`` (None: nobody) at the server ``url``.

    :param permissions: held by every frame, whatever the page's own policy says of it. Camera and microphone
        are allowed to who asks even without, by a flag.
    """
    context = browser.new_context(base_url=url, locale=locale, permissions=[*permissions], **options)
    if username is not None:
        reply = context.request.post("/api/v1/auth/login", data={"username": username, "password": PASSWORD})
        if not reply.ok:
            raise RuntimeError(f"login of {username} failed: {reply.status} {reply.text()}")
    return context


class Rest:
    """The REST resources as one person sees them, without a page."""

    def __init__(self, context: BrowserContext, username: str) -> None:
        self._request = context.request
        self._token = self.call("POST", "/auth/login", {"username": username, "password": PASSWORD})[
            "accessToken"
        ]

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The reply's JSON; `RuntimeError` with status and text when the server refuses."""
        headers = {"Authorization": f"Bearer {self._token}"} if hasattr(self, "_token") else {}
        reply = self._request.fetch(
            f"/api/v1{path}", method=method, data=dict(body) if body is not None else None, headers=headers
        )
        if not reply.ok:
            raise RuntimeError(f"{method} {path}: {reply.status} {reply.text()}")
        return reply.json() if reply.text() else None
