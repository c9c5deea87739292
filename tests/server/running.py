"""A real server in a temporary directory, seeded with the demo county, and people who talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from media.clock import SystemClock
from server.app import Server
from server.config import AuthConfig, Config, HttpConfig, MediaConfig, StorageConfig
from server.demo import seed
from server.demo_county import PASSWORD
from tests.server.contract import Contract
from tests.server.migrated import empty_database

# Argon2 as cheap as it goes: these tests are about everything around it.
CHEAP_ARGON2 = AuthConfig(argon2_time_cost=1, argon2_memory_kib=8, argon2_parallelism=1)


def config_in(directory: Path) -> Config:
    """A configuration for tests: free ports, loopback, cheap passwords."""
    return Config(
        http=HttpConfig(port=0),
        media=MediaConfig(port=0),
        storage=StorageConfig(directory=str(directory)),
        auth=CHEAP_ARGON2,
    )


@dataclass
class Caller:
    """Somebody with a browser.

    ``token`` None = not signed in. Every reply is held against the OpenAPI document.
    """

    http: aiohttp.ClientSession
    url: str
    contract: Contract
    token: str | None = None

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """``(status, parsed JSON or bytes)``; paths that start with ``/`` alone are below /api/v1."""
        headers = options.pop("headers", {})
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        target = (
            path
            if path.startswith(("/api", "/fhir", "/healthz", "/readyz", "/metrics"))
            else f"/api/v1{path}"
        )
        async with self.http.request(
            method, self.url + target, json=body, headers=headers, **options
        ) as reply:
            raw = await reply.read()
            parsed = (
                await reply.json(content_type=None)
                if reply.content_type.endswith(("/json", "+json"))
                else raw
            )
            self.contract.check(method, target, reply.status, reply.content_type, parsed)
            return reply.status, parsed

    async def get(self, path: str) -> Any:
        """The JSON of a GET that must succeed."""
        status, body = await self.call("GET", path)
        assert status == 200, body
        return body

    async def login(self, username: str, password: str = PASSWORD) -> Caller:
        status, body = await self.call("POST", "/auth/login", {"username": username, "password": password})
        assert status == 200, body
        self.token = body["accessToken"]
        return self


CallerFactory = Callable[[str | None], Awaitable[Caller]]


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    empty_database(tmp_path / "data" / "huizhen.db")
    running = await Server.start(config_in(tmp_path / "data"), SystemClock())
    await seed(running.services)
    yield running
    await running.stop()


@pytest_asyncio.fixture
async def caller(server: Server) -> AsyncIterator[CallerFactory]:
    """Makes callers: ``await caller("village")`` is signed in, ``await caller(None)`` is not."""
    sessions: list[aiohttp.ClientSession] = []
    contract = Contract(server.services.openapi)

    async def make(username: str | None) -> Caller:
        # An address of 127.0.0.1 has no cookies in aiohttp's jar unless it is told so.
        session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        sessions.append(session)
        fresh = Caller(session, server.url, contract)
        return fresh if username is None else await fresh.login(username)

    yield make
    for session in sessions:
        await session.close()
