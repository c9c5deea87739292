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
    assert options.status == 200
    assert options.headers["Accept-Post"] == "application/sdp"
    assert options.headers["Access-Control-Allow-Origin"] == "*"
    assert "If-Match" in options.headers["Access-Control-Allow-Headers"]
    assert "Link" in options.headers["Access-Control-Expose-Headers"]


async def test_a_resource_has_no_representation_and_takes_no_other_method(web: Web) -> None:
    response = await post(web)
    endpoint, session = f"{web.url}/whip/dev-us-1", web.url + response.headers["Location"]
    for url in (endpoint, session):
        seen = await web.http.get(url)
        assert (seen.status, await seen.read()) == (204, b"")
        refused = await web.http.put(url, data=b"x")
        assert await code(refused) == (405, "method_not_allowed")
    assert refused.headers["Allow"] == "DELETE, GET, OPTIONS, PATCH"
    assert (await web.http.patch(endpoint, data=b"x")).headers["Allow"] == "GET, OPTIONS, POST"
    assert (await web.http.get(session + "x")).status == 404


async def test_a_patch_must_say_which_ice_session_it_means(web: Web) -> None:
    response = await post(web)
    session, etag = web.url + response.headers["Location"], response.headers["ETag"]
    restart = b"a=ice-ufrag:abcd\r\na=ice-pwd:" + b"p" * 22 + b"\r\n"

    async def patch(data: bytes, **headers: str) -> ClientResponse:
        sent = {"Content-Type": "application/trickle-ice-sdpfrag"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await web.http.patch(session, data=data, headers=sent)

    assert await code(await patch(restart)) == (428, "precondition_required")
    assert await code(await patch(b"rubbish", If_Match=etag)) == (400, "whip_fragment_malformed")
    assert await code(await patch(b"\xff", If_Match=etag)) == (400, "malformed")
    nothing = await patch(b"a=end-of-candidates\r\n", If_Match="*")
    assert await code(nothing) == (400, "malformed")
    fresh = await patch(restart, If_Match="*")
    assert (fresh.status, fresh.content_type) == (200, "application/trickle-ice-sdpfrag")
    assert "a=ice-lite" in await fresh.text()
    # The old tag is stale from now on, the new one is good; candidates of a foreign transport do not matter.
    trickle = restart + b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    trickle += b"a=candidate:1 1 sctp 1 host.example 9 typ host tcptype active\r\na=end-of-candidates\r\n"
    assert (await patch(trickle, If_Match=etag)).status == 412
    good = await patch(trickle, If_Match=fresh.headers["ETag"])
    assert (good.status, "ETag" in good.headers) == (204, False)
    # A tag says nothing to DELETE.
    assert (await web.http.delete(session, headers={"If-Match": '"stale"'})).status == 200


async def test_who_accepts_no_sdp_gets_none(web: Web) -> None:
    assert await code(await post(web, Accept="application/json")) == (406, "not_acceptable")
    for good in ("*/*", "application/*;q=0.5", "text/html, application/sdp"):
        assert (await post(web, Accept=good)).status == 201


async def test_two_streams_of_one_user_stand_side_by_side(web: Web) -> None:
    first, second = await post(web), await post(web, stream="dev-us-2")
    snapshot = web.signaling.service.snapshot(ROOM)
    assert snapshot is not None
    assert len(snapshot.peers) == 2
    for response in (first, second):
        assert (await web.http.delete(web.url + response.headers["Location"])).status == 200


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
