"""The connectivity endpoint: what is offered, who may ask, and how long a test lives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from signaling.ice_servers import TurnServer
from signaling.limits import CONNECTIVITY_BURST, CONNECTIVITY_PER_USER_MAX, CONNECTIVITY_S
from signaling.service import SignalingConfig
from tests.signaling.test_whip_http import code
from tests.signaling.web import Web, running_web

TURN = TurnServer(("turns:turn.example.org:443?transport=tcp",), "secret", 60)
DIGEST = ":".join(["AB"] * 32)
OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 1 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:abcd",
        f"a=ice-pwd:{'p' * 22}",
        f"a=fingerprint:sha-256 {DIGEST}",
        "a=setup:actpass",
        "a=mid:0",
        "a=sctp-port:5000",
        "",
    ]
)


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with running_web(tmp_path, SignalingConfig(turn=TURN)) as running:
        yield running


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def post(web: Web, path: str, user: str = "a", offer: str = OFFER) -> ClientResponse:
    headers = bearer(web.signaling.token(user)) | {"Content-Type": "application/sdp"}
    return await web.http.post(f"{web.url}/connectivity/{path}", data=offer, headers=headers)


async def test_the_paths_of_this_server_are_told_to_a_guest_and_to_an_account(web: Web) -> None:
    for token in (web.signaling.token("a"), "account:li"):
        response = await web.http.get(f"{web.url}/connectivity", headers=bearer(token))
        told: dict[str, Any] = await response.json()
        # The fake plane has no TCP port.
        assert [entry["path"] for entry in told["paths"]] == ["udp", "turn", "websocket"]
        assert told["paths"][0]["candidates"][0]["protocol"] == "udp"
        assert told["iceServers"][0]["urls"] == list(TURN.urls)
        assert told["iceServers"][0]["credential"]


async def test_nobody_without_a_token_gets_credentials(web: Web) -> None:
    assert await code(await web.http.get(f"{web.url}/connectivity")) == (401, "token_missing")
    refused = await web.http.get(f"{web.url}/connectivity", headers=bearer("rubbish"))
    assert await code(refused) == (401, "token_invalid")
    late = web.signaling.token("a", ttl_s=1)
    web.signaling.clock.advance(2)
    expired = await web.http.get(f"{web.url}/connectivity", headers=bearer(late))
    assert await code(expired) == (401, "token_expired")


@pytest.mark.parametrize(("path", "protocol"), [("udp", "udp"), ("turn", "udp")])
async def test_a_test_is_made_looked_at_and_ended(web: Web, path: str, protocol: str) -> None:
    response = await post(web, path)
    answer = await response.text()
    assert (response.status, response.content_type) == (201, "application/sdp")
    assert "m=application 9 UDP/DTLS/SCTP webrtc-datachannel" in answer
    assert {"a=sctp-port:5000", "a=setup:passive", "a=ice-lite"} <= set(answer.split("\r\n"))
    (echo,) = web.signaling.plane.echoes
    assert echo.protocol == protocol
    assert echo.connected_with == {
        "role": "client",
        "fingerprints": [{"algorithm": "sha-256", "value": DIGEST}],
    }
    location = web.url + response.headers["Location"]
    assert (await (await web.http.get(location)).json())["state"] == "new"
    assert (await web.http.delete(location)).status == 200
    assert echo.closed
    assert await code(await web.http.get(location)) == (404, "not_found")


async def test_a_test_ends_by_itself(web: Web) -> None:
    response = await post(web, "udp")
    web.signaling.clock.advance(CONNECTIVITY_S - 0.1)
    web.gateway.connectivity.sweep(web.signaling.clock.monotonic())
    assert [echo.closed for echo in web.signaling.plane.echoes] == [False]
    web.signaling.clock.advance(0.1)
    web.gateway.connectivity.sweep(web.signaling.clock.monotonic())
    assert [echo.closed for echo in web.signaling.plane.echoes] == [True]
    assert (await web.http.get(web.url + response.headers["Location"])).status == 404


async def test_refusals(web: Web) -> None:
    assert await code(await post(web, "tcp")) == (404, "not_found")
    assert await code(await post(web, "websocket")) == (404, "not_found")
    assert (await code(await post(web, "udp", offer="rubbish")))[0] == 400
    media = OFFER.replace("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=audio 9 RTP/SAVPF 0")
    assert (await code(await post(web, "udp", offer=media)))[0] == 422
    assert (await code(await post(web, "udp", offer=OFFER.replace("a=mid:0", "a=mid:x y"))))[0] == 400
    wrong = await web.http.post(f"{web.url}/connectivity/udp", data=OFFER, headers=bearer("account:li"))
    assert await code(wrong) == (415, "unsupported_media_type")
    assert web.signaling.plane.echoes == []


async def test_each_user_has_a_few_tests_and_a_rate(web: Web) -> None:
    for _ in range(CONNECTIVITY_PER_USER_MAX):
        assert (await post(web, "udp")).status == 201
    assert await code(await post(web, "udp")) == (429, "limit_reached")
    assert (await post(web, "udp", user="b")).status == 201
    asked = await web.http.options(f"{web.url}/connectivity/udp")
    assert asked.headers["Access-Control-Allow-Origin"] == "*"
    for _ in range(int(CONNECTIVITY_BURST) - CONNECTIVITY_PER_USER_MAX - 1):
        await post(web, "udp")
    assert await code(await post(web, "udp")) == (429, "rate_limited")


async def test_closing_the_server_ends_the_tests(tmp_path: Path) -> None:
    async with running_web(tmp_path) as web:
        await post(web, "udp")
        (echo,) = web.signaling.plane.echoes
    assert echo.closed
