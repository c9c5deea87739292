"""The requests that leave for push services and telephone gateways. The only network code here."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from server.reach.limits import REQUEST_S
from server.reach.rules import may_connect


class PublicResolver(AbstractResolver):
    """Names lead to public addresses or nowhere; checked on the very addresses that are connected to."""

    def __init__(self, vouched: frozenset[str]) -> None:
        self._vouched = vouched
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not all(may_connect(host, one["host"], self._vouched) for one in found):
            raise OSError(f"{host} leads to a private address")
        return found

    async def close(self) -> None:
        await self._inner.close()


class Sender:
    """Owns one HTTP session. Follows no redirect and reads no body."""

    def __init__(self, vouched: Iterable[str]) -> None:
        self._vouched = frozenset(vouched)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int | None:
        """The HTTP status; None when no answer came."""
        if self._session is None:
            # The lanes bound what is under way; a bound of all of it would make one wait for the other.
            connector = aiohttp.TCPConnector(resolver=PublicResolver(self._vouched), limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=REQUEST_S)
            )
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as reply:
                return reply.status
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return None

    async def close(self) -> None:
        """Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
