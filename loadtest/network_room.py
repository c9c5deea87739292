"""A consult over impaired lines: the server, two Chromiums and an sdk guest, each in its own namespace."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

from loadtest.browser import Rest, chromium_path, launch, person
from loadtest.impair_network import HUB, Network, wrapper
from loadtest.join import start_consult
from loadtest.network_cases import GOOD
from loadtest.network_watch import Watch
from loadtest.server_process import ServerProcess

PEERS = ("expert", "village", "guest")
PERMISSIONS = ("notifications",)
"""As a person's browser has them: a frame that gave the camera away then does without."""
_OPEN_MS = 45_000
_KEPT_LINES = 2000
# The sdk guest has a tile too, but no picture. What stands on the stage, or is pinned, has nothing to press.
_PIN_CAMERA = """() => {
    const tiles = [...document.querySelectorAll('[data-testid=tile][data-source=camera]:not([data-self])')]
    const tile = tiles.find((tile) => tile.querySelector('video')?.srcObject)
    tile?.querySelector('button.pin:not([aria-pressed=true])')?.click()
}"""


class Guest:
    """An sdk participant: must not notice another's bad line, nor others that its own is bad."""

    def __init__(self, network: Network, url: str, token: str) -> None:
        command = network.inside("guest", sys.executable, "-m", "loadtest.network_peer", url)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        print(token, file=self._process.stdin, flush=True)
        self._lines: deque[dict[str, Any]] = deque(maxlen=_KEPT_LINES)
        self._reader = threading.Thread(target=self._read, name="guest", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(json.loads(line))

    def between(self, began: float, ended: float) -> dict[str, Any]:
        """Frames per second, height and losses of a camera between two Unix times.

        Of the cameras the one that came best: the other's owner may sit behind the line that is bad.
        """
        lines = [line for line in list(self._lines) if began <= line["at"] <= ended and "camera" in line]
        if len(lines) < 2:
            return {}
        first, last = lines[0], lines[-1]
        seconds = last["at"] - first["at"]
        cameras = [
            {
                "height": camera["height"],
                "frames_per_second": round((camera["frames"] - first["camera"][name]["frames"]) / seconds, 1),
                "lost": camera["lost"] - first["camera"][name]["lost"],
            }
            for name, camera in last["camera"].items()
            if name in first["camera"]
        ]
        return max(cameras, key=lambda camera: camera["frames_per_second"], default={})

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        self._process.stdout.close()


@dataclass
class Room:
    """A running consult. ``expert`` and ``village`` are the watched pages; contexts can open them anew."""

    network: Network
    consultation: str
    contexts: dict[str, BrowserContext]
    watches: dict[str, Watch]
    guest: Guest
    chromium: str
    _height: int = 0

    def open(self, name: str) -> Watch:
        """Open a person's page of the room (anew), and wait until it shows the other's picture."""
        if name in self.watches:
            self.watches[name].page.close()
        page = self.contexts[name].new_page()
        watch = self.watches[name] = Watch(page)
        page.goto(f"/room/{self.consultation}", wait_until="commit", timeout=_OPEN_MS)
        return watch

    def wait_for_pictures(self, name: str) -> None:
        """Until the page shows the other's camera and the ultrasound, which takes the stage as it comes."""
        for source in ("camera", "ultrasound"):
            shown = f"async () => (await window.__watched?.())?.pictures.{source}?.count > 10"
            self.watches[name].page.wait_for_function(shown, timeout=_OPEN_MS)

    def camera_height(self) -> int:
        """Lines of the largest picture that the village's page made: fewer on a machine with few cores."""
        sent = self.watches["village"].sample()["outbound"]
        self._height = max([self._height, *(one.get("frameHeight") or 0 for one in sent)])
        return self._height

    def put_camera_on_stage(self, name: str) -> None:
        """As an expert does to look at the patient: then its highest layer is wanted."""
        self.watches[name].page.evaluate(_PIN_CAMERA)


@contextmanager
def running_room(directory: Path, seed: int) -> Iterator[Room]:
    """Everything of one run, closed at the end."""
    with ExitStack() as stack:
        network = stack.enter_context(Network(PEERS, seed, two_ways=("expert", "village")))
        for name in PEERS:
            network.set_both(name, GOOD)
        server = ServerProcess(directory, host=HUB)
        stack.callback(server.stop)
        playwright = stack.enter_context(sync_playwright())
        browsers = {
            name: stack.enter_context(_browser(playwright, network, name, server.url, directory))
            for name in ("expert", "village")
        }
        village = person(browsers["village"], server.url, "village", permissions=PERMISSIONS)
        rest = Rest(village, "village")
        kinds = ("ecg", "ultrasound")
        consultation, expert = start_consult(
            browsers["expert"], server.url, rest, kinds, permissions=PERMISSIONS
        )
        guest = Guest(network, server.url, _guest_token(rest, consultation))
        stack.callback(guest.close)
        room = Room(
            network,
            consultation,
            {"expert": expert, "village": village},
            {},
            guest,
            browsers["expert"].version,
        )
        for name in ("village", "expert"):
            room.open(name)
        for name in ("village", "expert"):
            room.wait_for_pictures(name)
        room.put_camera_on_stage("expert")
        yield room


@contextmanager
def _browser(
    playwright: Playwright, network: Network, name: str, url: str, directory: Path
) -> Iterator[Browser]:
    """A Chromium in the peer's namespace. Playwright drives it by a pipe, which knows no namespaces."""
    with wrapper(network, name, chromium_path(), directory) as path:
        # getUserMedia wants a secure origin; the run has no certificate that a browser would trust.
        browser = launch(playwright, path, [f"--unsafely-treat-insecure-origin-as-secure={url}"])
        try:
            yield browser
        finally:
            browser.close()


def _guest_token(rest: Rest, consultation: str) -> str:
    link = rest.call("POST", f"/consultations/{consultation}/guest-links", {})
    secret = link["url"].rsplit("/", 1)[-1]
    return str(rest.call("POST", f"/guest/{secret}/token", {"displayName": "家属"})["token"])
