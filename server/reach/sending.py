"""The requests that leave for push services and telephone gateways. The only network code here."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from server.reach.limits import LOOKUPS_AT_ONCE, REQUEST_S
from server.reach.rules import may_connect


class PublicResolver(AbstractResolver):
    """Names lead to public addresses or nowhere; checked on the very addresses that are connected to.

    Owns its threads: a name server that hangs takes none of those that the rest of the application works in,
    and one service's names leave some to the others'.
    """

    def __init__(self, vouched: frozenset[str]) -> None:
        self._vouched = vouched
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        answers = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        found: list[ResolveResult] = []
        for of, _, protocol, _, address in answers:
            # The numbers, with the zone of a link-local address (RFC 4007 section 11).
            number, service = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
            if not may_connect(host, number, self._vouched):
                raise OSError(f"{host} leads to a private address")
            found.append(
                ResolveResult(
                    hostname=host,
                    host=number,
                    port=int(service),
                    family=of,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        return found

    async def close(self) -> None:
        """Idempotent. A look-up under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Sender:
    """Owns one HTTP session. Follows no redirect and reads no body."""

    def __init__(self, vouched: Iterable[str]) -> None:
        self._vouched = frozenset(vouched)
        self._session: aiohttp.ClientSession | None = None
        self._under_way: set[asyncio.Task[int | None]] = set()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int | None:
        """The HTTP status; None when no answer came."""
        request = asyncio.create_task(self._request(url, body, headers), name="request")
        self._under_way.add(request)
        request.add_done_callback(self._under_way.discard)
        await asyncio.wait({request})
        return None if request.cancelled() else request.result()

    def give_up(self) -> None:
        """Wait for no answer any more: each `post` under way returns None."""
        for request in self._under_way:
            request.cancel()

    async def _request(self, url: str, body: bytes, headers: Mapping[str, str]) -> int | None:
        session = self._opened()
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as reply:
                return reply.status
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # The lanes bound what is under way; a bound of all of it would make one wait for the other.
            connector = aiohttp.TCPConnector(resolver=PublicResolver(self._vouched), limit=0)
            timeout = aiohttp.ClientTimeout(total=REQUEST_S)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._session

    async def close(self) -> None:
        """Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
