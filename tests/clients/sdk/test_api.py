"""The REST client against a small server that answers as the API does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clients.sdk.api import ApiClient
from clients.sdk.errors import ConnectionLost, RequestRefused

PROBLEM = {
    "type": "about:blank",
    "title": "Conflict",
    "status": 409,
    "code": "wrong_state",
    "detail": "accept",
    "message": {"zh": "当前状态不允许此操作。", "en": "Not now."},
}


class FakeApi:
    """Keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.path_qs, body, request.headers.get("Authorization", "")))
        match request.path:
            case "/api/v1/auth/login":
                return web.json_response({"accessToken": "a1", "practitioner": {"id": "pr-1"}})
            case "/api/v1/consultations" if request.method == "GET":
                return web.json_response({"items": [{"id": "k-1"}], "nextCursor": None})
            case "/api/v1/consultations/k-1/actions":
                return web.json_response(PROBLEM, status=409, content_type="application/problem+json")
            case "/api/v1/specialties":
                return web.json_response([{"code": "cardiology"}])
            case "/api/v1/broken":
                return web.Response(text="<html>")
            case "/api/v1/guest-links":
                return web.Response(status=204)
            case _:
                return web.json_response({}, status=500)


@pytest.fixture
def fake() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def api(fake: FakeApi) -> AsyncIterator[ApiClient]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", fake.answer)
    server = TestServer(app)
    await server.start_server()
    async with ApiClient(str(server.make_url("/"))) as client:
        yield client
    await server.close()


async def test_login_is_used_by_later_requests(api: ApiClient, fake: FakeApi) -> None:
    assert (await api.login("village", "huizhen-demo"))["id"] == "pr-1"
    assert await api.consultations("ringing") == [{"id": "k-1"}]
    assert await api.specialties() == [{"code": "cardiology"}]
    assert fake.asked[0][2] == {"username": "village", "password": "huizhen-demo"}
    assert fake.asked[1][1:] == ("/api/v1/consultations?scope=ringing", None, "Bearer a1")


async def test_problem_documents_become_refusals(api: ApiClient, fake: FakeApi) -> None:
    with pytest.raises(RequestRefused) as caught:
        await api.act("k-1", "accept", version=3)
    refusal = caught.value
    assert (refusal.code, refusal.status, refusal.blame, refusal.detail) == (
        "wrong_state",
        409,
        "peer",
        "accept",
    )
    assert refusal.en == "Not now."
    assert fake.asked[0][2] == {"action": "accept", "version": 3}


async def test_server_faults_have_a_code_too(api: ApiClient) -> None:
    with pytest.raises(RequestRefused) as caught:
        await api.me()
    assert (caught.value.code, caught.value.blame) == ("http_500", "server")


async def test_empty_and_broken_replies(api: ApiClient) -> None:
    assert await api.request("DELETE", "/guest-links") is None
    with pytest.raises(ConnectionLost):
        await api.request("GET", "/broken")


async def test_no_server_is_a_lost_connection() -> None:
    async with ApiClient("http://127.0.0.1:9") as api:
        with pytest.raises(ConnectionLost):
            await api.organizations()
