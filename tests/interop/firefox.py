"""Debian's Firefox, driven by WebDriver BiDi (W3C) in a network namespace: the few commands that tests need.

Playwright drives only a Firefox that it patched itself.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import json
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

START_S = 90.0
"""A cold start on two busy cores."""
COMMAND_S = 60.0
_CLONE_NEWNET = 0x40000000
_LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")

PREFERENCES: Mapping[str, bool | int | str] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    # The namespace has no certificate that a browser would trust.
    "media.devices.insecure.enabled": True,
    "media.getusermedia.insecure.enabled": True,
    "media.autoplay.default": 0,
    "media.gmp-manager.updateEnabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage": "about:blank",
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
    "extensions.update.enabled": False,
    "services.settings.server": "data:,",
}


def firefox_path() -> str:
    """Where Debian's Firefox is; `FileNotFoundError` says what to install."""
    found = shutil.which("firefox-esr")
    if found is None:
        raise FileNotFoundError("Firefox is missing: install the package firefox-esr")
    return found


class BidiError(Exception):
    """Firefox refused a command, or a script threw."""


class Firefox:
    """One browsing context of a running Firefox."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket_
        self._ids = itertools.count(1)
        self._context = ""

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result; events in between are passed over."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(COMMAND_S):
            while True:
                reply = await self._socket.receive_json()
                if reply.get("id") != number:
                    continue
                if reply["type"] == "error":
                    raise BidiError(f"{method}: {reply['error']}: {reply['message']}")
                found: dict[str, Any] = reply["result"]
                return found

    async def begin(self) -> None:
        """Open a session and a tab."""
        await self.command("session.new", capabilities={})
        self._context = (await self.command("browsingContext.create", type="tab"))["context"]

    async def goto(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        await self.command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """The JSON value of an expression; promises are awaited."""
        result = await self.command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify((await ({expression})) ?? null))()",
            target={"context": self._context},
            awaitPromise=True,
        )
        if result["type"] == "exception":
            raise BidiError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    async def wait_for(self, condition: str, seconds: float = COMMAND_S - 5) -> None:
        """Until an expression is true in the page; `BidiError` gives its last value."""
        await self.evaluate(
            f"""(async () => {{
                const until = performance.now() + {seconds * 1000}
                for (let value; !(value = await ({condition})); ) {{
                    if (performance.now() > until) throw new Error(`stayed ${{JSON.stringify(value)}}`)
                    await new Promise((done) => setTimeout(done, 250))
                }}
            }})()"""
        )


@asynccontextmanager
async def firefox(directory: Path, prefix: list[str], namespace: Path | None) -> AsyncIterator[Firefox]:
    """Run Firefox with a fresh profile in ``directory``.

    :param prefix: the command line that runs a program in its namespace.
    :param namespace: the namespace's file; its loopback is where Firefox listens. None: ours.
    """
    profile = directory / "profile"
    profile.mkdir()
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items())
    (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
    arguments = ["--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    process = await asyncio.create_subprocess_exec(
        *prefix,
        firefox_path(),
        *arguments,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(directory), "MOZ_DISABLE_AUTO_SAFE_MODE": "1"},
        start_new_session=True,
    )
    assert process.stderr is not None
    drain: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(START_S):
            address = await _listening(process.stderr)
        drain = asyncio.create_task(_drain(process.stderr))
        async with _connected(address, namespace) as browser:
            await browser.begin()
            yield browser
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
        await process.wait()
        if drain is not None:
            await drain


async def _listening(stderr: asyncio.StreamReader) -> str:
    said = b""
    while line := await stderr.readline():
        said += line
        if found := _LISTENING.search(line):
            return found.group(1).decode()
    raise BidiError(f"Firefox ended: {said[-2000:].decode(errors='replace')}")


async def _drain(stderr: asyncio.StreamReader) -> None:
    while await stderr.read(65_536):
        pass


@asynccontextmanager
async def _connected(address: str, namespace: Path | None) -> AsyncIterator[Firefox]:
    def make(info: tuple[Any, ...]) -> socket.socket:
        return socket_in(namespace, info[0], info[1], info[2])

    connector = aiohttp.TCPConnector(socket_factory=make if namespace else None)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.ws_connect(f"{address}/session", max_msg_size=0) as socket_,
    ):
        yield Firefox(socket_)


def socket_in(namespace: Path | None, family: int, kind: int, protocol: int) -> socket.socket:
    """A socket of another network namespace: it stays there, this thread comes back (setns(2))."""
    if namespace is None:
        return socket.socket(family, kind, protocol)
    with Path("/proc/thread-self/ns/net").open("rb") as ours, namespace.open("rb") as theirs:
        _enter(theirs.fileno())
        try:
            return socket.socket(family, kind, protocol)
        finally:
            _enter(ours.fileno())


def _enter(descriptor: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
