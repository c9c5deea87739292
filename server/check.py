"""``huizhen check``: the operator's self-test. A whole consult, by the same client code that devices use.

Without an address it starts a demo server of its own, as a process, in a temporary directory; with one it
signs in there with the demo's accounts. Every step has a time limit; a step that fails is told and what needs
it is noted as not reached, so that one run shows as much as it can.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.sdk.api import ApiClient
from clients.sdk.errors import RequestRefused
from media import native
from media.clock import Clock
from server.check_consult import CONSULT_STEPS, ConsultCheck
from server.check_report import CheckFailedError, CheckSkippedError, Report, Step
from server.config import load_config

_START_S = 60.0  # a first start migrates, seeds and hashes passwords
_STOP_S = 15.0  # recordings are finalised

CONFIG: Step = ("configuration is readable", "配置可读")
START: Step = ("the server runs", "服务器运行")
READY: Step = ("database answers, media port is bound", "数据库与媒体端口就绪")
PLANE: Step = ("which media plane moves the packets", "媒体转发平面")
WRONG_PASSWORD: Step = ("a wrong password is refused", "错误密码被拒绝")
FOREIGN_TOKEN: Step = ("a foreign token is refused", "伪造凭证被拒绝")
ALL_STEPS: tuple[Step, ...] = (CONFIG, START, READY, PLANE, WRONG_PASSWORD, FOREIGN_TOKEN, *CONSULT_STEPS)


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What the command line says.

    :param url: server to address; None starts one.
    :param config: configuration file whose readability is part of the check.
    :param password: of the demo accounts.
    :param seconds: how long both sides stay in the room.
    """

    url: str | None
    config: Path | None
    password: str
    seconds: float
    tls_verify: bool = True


async def run_check(options: CheckOptions, clock: Clock) -> Report:
    """Run all steps; never raises for what a broken server does."""
    report = Report(clock)
    with suppress(CheckSkippedError):
        async with report.step(*CONFIG):
            load_config(options.config)
    with suppress(CheckSkippedError):
        async with _server(options, report) as url:
            await _check_server(options, report, url)
    report.not_reached(ALL_STEPS)
    return report


async def _check_server(options: CheckOptions, report: Report, url: str) -> None:
    async with ApiClient(url, ssl_verify=options.tls_verify) as api:
        async with report.step(*READY) as notes:
            ready = json.loads(await api.fetch("GET", "/readyz") or b"{}")
            notes.append(f"UDP {ready['mediaPort']}")
        async with report.step(*PLANE) as notes:
            notes += _plane(
                ready["mediaPlane"], ready.get("mediaBuild", ""), self_started=options.url is None
            )
        for step, refused in ((WRONG_PASSWORD, _wrong_password), (FOREIGN_TOKEN, _foreign_token)):
            with suppress(CheckSkippedError):
                async with report.step(*step) as notes:
                    notes.append(await refused(api))
    consult = ConsultCheck(report, url, options.password, options.seconds, options.tls_verify)
    await consult.run()


def _plane(name: str, build: str, self_started: bool) -> list[str]:
    """Its name and build; and where the compiled one could not be used on this machine, why."""
    problem = native.problem() if self_started else None
    told = [name, build] if build else [name]
    return told if problem is None else [*told, f"media._native: {problem}"]


async def _wrong_password(api: ApiClient) -> str:
    try:
        # Nobody's name: a real one could be made to wait by repeated checks.
        await api.login("huizhen-check-nobody", "wrong")
    except RequestRefused as refusal:
        if refusal.code in ("invalid_credentials", "too_many_attempts"):
            return refusal.code
        raise
    raise CheckFailedError("it was accepted")


async def _foreign_token(api: ApiClient) -> str:
    api.access_token = "not.a.token"  # noqa: S105 - on purpose
    try:
        await api.me()
    except RequestRefused as refusal:
        if refusal.status == 401:
            return refusal.code
        raise
    finally:
        api.access_token = ""
    raise CheckFailedError("it was accepted")


@asynccontextmanager
async def _server(options: CheckOptions, report: Report) -> AsyncIterator[str]:
    """The address to check."""
    if options.url is not None:
        async with report.step(*START) as notes, ApiClient(options.url, ssl_verify=options.tls_verify) as api:
            await api.fetch("GET", "/healthz")
            notes.append(options.url)
        yield options.url.rstrip("/")
        return
    with tempfile.TemporaryDirectory(prefix="huizhen-check-") as directory:
        process: asyncio.subprocess.Process | None = None
        try:
            async with report.step(*START) as notes:
                started = report.clock.monotonic()
                process = await _start(Path(directory))
                ready = await _ready(process)
                report.time("start_ms", started)
                notes.append(ready["url"])
            yield ready["url"]
        finally:
            if process is not None:
                await _stop(process)


async def _start(directory: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "server.cli", "demo", "--data", str(directory / "data")),
        *("--port", "0", "--media-port", "0"),
        stdout=asyncio.subprocess.PIPE,
    )


async def _ready(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(_START_S):
        async for line in process.stdout:
            if line.startswith(b"READY "):
                facts: dict[str, Any] = json.loads(line.removeprefix(b"READY "))
                return facts
    raise CheckFailedError(f"it ended with status {await process.wait()}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        # What it still prints is read, so that it never waits for us.
        await asyncio.wait_for(process.communicate(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
