"""What a client's network lets through: one short-lived echo for each path, by one SDP exchange each.

A path is ``udp``, ``tcp`` (our ports, told alone) or ``turn`` (our UDP port, to be reached through a relay).
The client makes a data channel, says something and hears it back, or not: that is the answer. Who asks needs
a room token or an account's, since TURN credentials are in it; each user has a few tests at a time.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from aiohttp import web

from media.errors import LIMIT_REACHED, NOT_FOUND, Fault, RemoteProtocolError
from media.whip import build_data_answer, parse_data_offer
from signaling.errors import RATE_LIMITED, TOKEN_EXPIRED, TOKEN_MISSING
from signaling.limits import (
    CONNECTIVITY_BURST,
    CONNECTIVITY_PER_SECOND,
    CONNECTIVITY_PER_USER_MAX,
    CONNECTIVITY_S,
    CONNECTIVITY_TESTS_MAX,
    CONNECTIVITY_USERS_MAX,
)
from signaling.plane import EchoPort
from signaling.rates import TokenBucket
from signaling.sdp_http import SDP, answered, bearer, body, cors_headers, options, require_type
from signaling.service import RoomService

Authenticate = Callable[[str], Awaitable[str]]

_PROTOCOL_OF_PATH: Final[dict[str, Literal["udp", "tcp"]]] = {"udp": "udp", "tcp": "tcp", "turn": "udp"}
_SWEEP_S: Final = 1.0


class ConnectivityTest:
    """One echo of one user."""

    def __init__(self, user_id: str, path: str, echo: EchoPort, now: float) -> None:
        self.id = secrets.token_urlsafe(18)
        self.user_id = user_id
        self.path = path
        self.echo = echo
        self.ends_at = now + CONNECTIVITY_S


class ConnectivityGateway:
    """``/connectivity``: what there is to try, and the tests.

    :param authenticate_account: the account id of an account token; raises a `Fault` otherwise.
    """

    def __init__(self, rooms: RoomService, authenticate_account: Authenticate) -> None:
        self._rooms = rooms
        self._authenticate = authenticate_account
        self._tests: dict[str, ConnectivityTest] = {}
        self._buckets: dict[str, TokenBucket] = {}
        self._timer: asyncio.TimerHandle | None = None

    def attach(self, app: web.Application) -> None:
        """Mount the endpoint."""
        for method, path, handler in (
            ("OPTIONS", "/connectivity", options),
            ("OPTIONS", "/connectivity/{path}", options),
            ("OPTIONS", "/connectivity/{path}/{test}", options),
            ("GET", "/connectivity", self._describe),
            ("POST", "/connectivity/{path}", self._post),
            ("GET", "/connectivity/{path}/{test}", self._get),
            ("DELETE", "/connectivity/{path}/{test}", self._delete),
        ):
            app.router.add_route(method, path, answered(handler))

    def describe(self) -> dict[str, Any]:
        """What a client may try, with TURN credentials of its own."""
        candidates = [candidate.as_json() for candidate in self._rooms.candidates]
        by_protocol = {path: [c for c in candidates if c["protocol"] == path] for path in ("udp", "tcp")}
        turn = self._rooms.config.turn
        paths = [
            _path("udp", by_protocol["udp"], []),
            _path("tcp", by_protocol["tcp"], []),
            _path("turn", [], list(turn.urls) if turn and by_protocol["udp"] else []),
            _path("websocket", [], ["/socket.io/"]),
        ]
        return {
            "paths": [entry for entry in paths if entry["candidates"] or entry["urls"]],
            "iceServers": self._rooms.ice_servers_for(secrets.token_hex(8)),
            "seconds": CONNECTIVITY_S,
        }

    def sweep(self, now: float) -> None:
        """End the tests whose time is over. ``now``: monotonic seconds."""
        for test in list(self._tests.values()):
            if now >= test.ends_at:
                self._end(test)

    async def close(self) -> None:
        """End every test. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        for test in list(self._tests.values()):
            self._end(test)

    async def _describe(self, request: web.Request) -> web.Response:
        await self._user(request)
        return web.json_response(self.describe(), headers=cors_headers())

    async def _post(self, request: web.Request) -> web.Response:
        user_id = await self._user(request)
        require_type(request, SDP)
        offer = parse_data_offer(await body(request))
        path = request.match_info["path"]
        known = {entry["path"] for entry in self.describe()["paths"]}
        if path not in known & _PROTOCOL_OF_PATH.keys():
            raise RemoteProtocolError(NOT_FOUND, "path")
        test = self._begin(user_id, path)
        try:
            test.echo.connect(offer.dtls.as_json())
            answer = build_data_answer(offer, test.echo.as_json())
        except Fault:
            self._end(test)
            raise
        headers = {"Location": f"/connectivity/{path}/{test.id}", **cors_headers()}
        return web.Response(status=201, text=answer, content_type=SDP, headers=headers)

    def _begin(self, user_id: str, path: str) -> ConnectivityTest:
        """:raises RemoteProtocolError: rate_limited, limit_reached."""
        now = self._rooms.clock.monotonic()
        self.sweep(now)
        if not self._bucket(user_id, now).take(now):
            raise RemoteProtocolError(RATE_LIMITED, "connectivity tests")
        running = [test for test in self._tests.values() if test.user_id == user_id]
        if len(running) >= CONNECTIVITY_PER_USER_MAX or len(self._tests) >= CONNECTIVITY_TESTS_MAX:
            raise RemoteProtocolError(LIMIT_REACHED, "connectivity tests")
        echo = self._rooms.create_echo(_PROTOCOL_OF_PATH[path])
        test = ConnectivityTest(user_id, path, echo, now)
        self._tests[test.id] = test
        self._sweep_later()
        return test

    def _bucket(self, user_id: str, now: float) -> TokenBucket:
        bucket = self._buckets.pop(user_id, None)
        bucket = bucket or TokenBucket(CONNECTIVITY_PER_SECOND, CONNECTIVITY_BURST, now)
        self._buckets[user_id] = bucket  # the newest last
        while len(self._buckets) > CONNECTIVITY_USERS_MAX:
            del self._buckets[next(iter(self._buckets))]
        return bucket

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._test(request).echo.report(), headers=cors_headers())

    async def _delete(self, request: web.Request) -> web.Response:
        self._end(self._test(request))
        return web.Response(status=200, headers=cors_headers())

    def _test(self, request: web.Request) -> ConnectivityTest:
        test = self._tests.get(request.match_info["test"])
        if test is None or test.path != request.match_info["path"]:
            raise RemoteProtocolError(NOT_FOUND, "connectivity test")
        return test

    def _end(self, test: ConnectivityTest) -> None:
        self._tests.pop(test.id, None)
        test.echo.close()

    def _sweep_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep_now)

    def _sweep_now(self) -> None:
        self._timer = None
        self.sweep(self._rooms.clock.monotonic())
        if self._tests:
            self._sweep_later()

    async def _user(self, request: web.Request) -> str:
        """The user of a room token or of an account's. :raises Fault: when it is neither."""
        token = bearer(request)
        try:
            return self._rooms.verify(token).user_id
        except RemoteProtocolError as fault:
            if fault.code in (TOKEN_MISSING, TOKEN_EXPIRED):
                raise
        return await self._authenticate(token)


def _path(path: str, candidates: list[dict[str, Any]], urls: list[str]) -> dict[str, Any]:
    return {"path": path, "candidates": candidates, "urls": urls}
