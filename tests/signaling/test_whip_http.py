"""The WHIP endpoint by its RFC, with FFmpeg's own offers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from signaling.access import RoomGrant
from signaling.service import SignalingConfig
from tests.signaling.fake_plane import CAPABILITIES
from tests.signaling.support import DOCTOR, ROOM
from tests.signaling.web import Web, running_web

OFFER = (Path(__file__).parents[1] / "vectors" / "whip_offer_ffmpeg_active.sdp").read_bytes()
DEVICE = RoomGrant(ROOM, publish=frozenset({"ultrasound", "microphone"}), subscribe=False, chat=False)
TURN = {"urls": ["turn:turn.example.org"], "username": "u", "credential": "c"}


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with running_web(tmp_path, SignalingConfig(ice_servers=(TURN,))) as running:
        yield running


async def post(
    web: Web, grant: RoomGrant = DEVICE, body: bytes = OFFER, stream: str = "dev-us-1", **headers: str
) -> ClientResponse:
    token = web.signaling.token("dev-us-1", grant, role="device")
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return await web.http.post(f"{web.url}/whip/{stream}", data=body, headers=sent)


async def code(response: ClientResponse) -> tuple[int, str]:
    """Status and stable code of a problem document."""
    assert response.content_type == "application/problem+json"
    problem: dict[str, Any] = await response.json()
    assert problem["status"] == response.status
    assert problem["message"]["zh"]
    return response.status, problem["code"]


async def test_a_device_publishes_and_is_seen(web: Web) -> None:
    viewer = await web.client({"token": web.signaling.token("a")})
    await viewer.good("join", {"rtpCapabilities": CAPABILITIES})
    response = await post(web)
    answer = await response.text()
    assert response.status == 201
    assert response.content_type == "application/sdp"
    assert response.headers["Location"].startswith("/whip/dev-us-1/")
    assert response.headers["ETag"].startswith('"')
    assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
    assert response.headers["Link"] == (
        '<turn:turn.example.org>; rel="ice-server"; username="u"; credential="c"; credential-type="password"'
    )
    assert "a=recvonly" in answer
    peer = (await viewer.next("peerJoined"))["peer"]
    assert peer["role"] == "device"
    consumers = (await viewer.next("newConsumers"))["consumers"]
    assert consumers[0]["peerId"] == peer["id"]
    assert consumers[0]["source"] in ("ultrasound", "microphone")
    gone = await web.http.delete(web.url + response.headers["Location"])
    assert gone.status == 200
    assert (await viewer.next("peerLeft"))["peerId"] == peer["id"]
    again = await web.http.delete(web.url + response.headers["Location"])
    assert await code(again) == (404, "not_found")


async def test_a_restarted_encoder_replaces_itself(web: Web) -> None:
    first, second = await post(web), await post(web)
    assert first.headers["Location"] != second.headers["Location"]
    snapshot = web.signaling.service.snapshot(ROOM)
    assert snapshot is not None
    assert len(snapshot.peers) == 1
    assert (await web.http.delete(web.url + first.headers["Location"])).status == 404
    assert (await web.http.delete(web.url + second.headers["Location"])).status == 200


async def test_a_device_whose_media_is_lost_leaves(web: Web) -> None:
    response = await post(web)
    router = web.signaling.plane.routers[ROOM]
    router.events.transport_state(router.transports[0], "failed")
    await asyncio.sleep(0)
    assert web.signaling.service.snapshot(ROOM).peers == ()  # type: ignore[union-attr]
    assert (await web.http.delete(web.url + response.headers["Location"])).status == 404


async def test_the_right_refusals(web: Web) -> None:
    assert await code(await post(web, Authorization="")) == (401, "token_missing")
    assert await code(await post(web, Authorization="Bearer rubbish")) == (401, "token_invalid")
    assert await code(await post(web, grant=DOCTOR)) == (403, "not_granted")
    assert await code(await post(web, Content_Type="text/plain")) == (415, "unsupported_media_type")
    assert await code(await post(web, body=b"x" * 70_000)) == (413, "too_large")
    assert (await code(await post(web, body=b"v=0\r\nrubbish")))[0] == 400
    assert (await code(await post(web, body=b"\xff\xfe")))[0] == 400
    unusable = OFFER.replace(b"H264", b"H999").replace(b"VP8", b"VPX").replace(b"opus", b"opux")
    assert (await code(await post(web, body=unusable)))[0] == 422
    assert await code(await post(web, stream="a%20b")) == (400, "malformed")
    snapshot = web.signaling.service.snapshot(ROOM)
    assert snapshot is None or snapshot.peers == ()


async def test_patch_options_and_methods(web: Web) -> None:
    response = await post(web)
    session = web.url + response.headers["Location"]
    trickle = {"Content-Type": "application/trickle-ice-sdpfrag"}
    candidate = b"a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
    good = await web.http.patch(
        session, data=candidate, headers=trickle | {"If-Match": response.headers["ETag"]}
    )
    assert good.status == 204
    stale = await web.http.patch(session, data=candidate, headers=trickle | {"If-Match": '"old"'})
    assert await code(stale) == (412, "precondition_failed")
    wrong = await web.http.patch(session, data=candidate, headers={"Content-Type": "text/plain"})
    assert await code(wrong) == (415, "unsupported_media_type")
    restart = b"a=ice-ufrag:abcd\r\na=ice-pwd:" + b"p" * 22 + b"\r\n"
    fresh = await web.http.patch(session, data=restart, headers=trickle | {"If-Match": "*"})
    assert fresh.status == 200
    assert fresh.headers["ETag"] != response.headers["ETag"]
    assert "a=ice-ufrag:new" in await fresh.text()
    options = await web.http.options(f"{web.url}/whip/dev-us-1")
    assert options.status == 204
    assert options.headers["Accept-Post"] == "application/sdp"
    assert (await web.http.get(session)).status == 405


async def test_a_session_ends_only_by_its_owner(web: Web) -> None:
    response = await post(web)
    other = {"Authorization": f"Bearer {web.signaling.token('somebody')}"}
    session = web.url + response.headers["Location"]
    assert (await web.http.delete(session, headers=other)).status == 404
    own = {"Authorization": f"Bearer {web.signaling.token('dev-us-1', DEVICE)}"}
    assert (await web.http.delete(session, headers=own)).status == 200


async def test_a_closed_room_ends_the_session(web: Web) -> None:
    response = await post(web)
    await web.signaling.service.close_room(ROOM, "ended")
    assert (await web.http.delete(web.url + response.headers["Location"])).status == 404
    assert await code(await post(web)) == (410, "room_closed")
