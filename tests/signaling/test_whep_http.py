"""The WHEP endpoint by its draft: a player watches a participant, a device or a source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from signaling.access import RoomGrant
from signaling.ice_servers import TurnServer
from signaling.service import SignalingConfig
from tests.signaling import test_whip_http as whip
from tests.signaling.fake_plane import CAPABILITIES
from tests.signaling.support import DOCTOR, ROOM
from tests.signaling.test_whip_http import code
from tests.signaling.web import RoomClient, Web, running_web

OFFER = (Path(__file__).parents[1] / "vectors" / "whep_offer_chromium.sdp").read_bytes()
VIEWER = RoomGrant(ROOM)
TURN = TurnServer(("turns:turn.example.org:443?transport=tcp",), "secret", 60)


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with running_web(tmp_path, SignalingConfig(turn=TURN)) as running:
        yield running


async def play(
    web: Web, stream: str, grant: RoomGrant = VIEWER, body: bytes = OFFER, **headers: str
) -> ClientResponse:
    token = web.signaling.token("viewer", grant, role="observer")
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return await web.http.post(f"{web.url}/whep/{stream}", data=body, headers=sent)


async def doctor(web: Web) -> tuple[RoomClient, str, str]:
    """Somebody with camera and microphone: the client, its peer id, and its camera."""
    client = await web.client({"token": web.signaling.token("wang", DOCTOR)})
    joined = await client.good("join", {"rtpCapabilities": CAPABILITIES})
    produced: dict[str, Any] = {}
    for kind, source in (("audio", "microphone"), ("video", "camera")):
        request = {"transportId": joined["sendTransport"]["id"], "kind": kind, "rtpParameters": {}}
        produced = await client.good("produce", request | {"source": source})
    return client, joined["peerId"], produced["id"]


async def test_a_participant_is_watched_and_sees_that_somebody_watches(web: Web) -> None:
    client, peer_id, _ = await doctor(web)
    response = await play(web, peer_id)
    answer = await response.text()
    assert (response.status, response.content_type) == (201, "application/sdp")
    assert response.headers["Location"].startswith(f"/whep/{peer_id}/")
    assert response.headers["ETag"].startswith('"')
    assert response.headers["Link"].startswith('<turns:turn.example.org:443?transport=tcp>; rel="ice-server"')
    assert answer.count("a=sendonly") == 2
    assert "a=recvonly" not in answer
    viewer = (await client.next("peerJoined"))["peer"]
    assert (viewer["role"], viewer["producers"]) == ("observer", [])
    router = web.signaling.plane.routers[ROOM]
    assert all(not consumer.paused for consumer in router.consumers.values())
    assert (await web.http.delete(web.url + response.headers["Location"])).status == 200
    assert (await client.next("peerLeft"))["peerId"] == viewer["id"]


@pytest.mark.parametrize("stream", ["camera", "wang"])
async def test_a_source_or_a_person_is_watched_by_name(web: Web, stream: str) -> None:
    await doctor(web)
    assert (await play(web, stream)).status == 201


async def test_a_device_is_watched_by_the_name_of_its_stream(web: Web) -> None:
    assert (await whip.post(web)).status == 201
    assert (await play(web, "dev-us-1")).status == 201
    assert (await play(web, "ultrasound")).status == 201
    # Two players with one token stand side by side.
    assert len(web.signaling.service.snapshot(ROOM).peers) == 3  # type: ignore[union-attr]


async def test_what_is_not_on_the_air_is_a_conflict_with_a_time_to_come_again(web: Web) -> None:
    await doctor(web)
    response = await play(web, "ultrasound")
    assert await code(response) == (409, "stream_not_live")
    assert int(response.headers["Retry-After"]) > 0


async def test_the_session_ends_with_its_source(web: Web) -> None:
    client, peer_id, camera = await doctor(web)
    response = await play(web, peer_id)
    session = web.url + response.headers["Location"]
    await client.good("closeProducer", {"producerId": camera})
    assert (await web.http.get(session)).status == 204  # sound goes on
    await client.good("leave", {})
    await asyncio.sleep(0)
    assert (await web.http.get(session)).status == 404


async def test_later_tracks_are_not_offered_to_a_player(web: Web) -> None:
    await doctor(web)
    await play(web, "wang")
    router = web.signaling.plane.routers[ROOM]
    before = len(router.consumers)
    assert (await whip.post(web)).status == 201
    consumers = list(router.consumers.values())[before:]
    assert len(consumers) == 2  # the doctor's, of sound and picture


async def test_ice_restart_and_refusals(web: Web) -> None:
    await doctor(web)
    response = await play(web, "wang")
    session = web.url + response.headers["Location"]
    restart = b"a=ice-ufrag:abcd\r\na=ice-pwd:" + b"p" * 22 + b"\r\n"
    trickle = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*"}
    fresh = await web.http.patch(session, data=restart, headers=trickle)
    assert fresh.status == 200
    assert fresh.headers["ETag"] != response.headers["ETag"]
    assert await code(await play(web, "wang", Authorization="")) == (401, "token_missing")
    assert await code(await play(web, "wang", RoomGrant(ROOM, subscribe=False))) == (403, "not_granted")
    assert await code(await play(web, "wang", Content_Type="text/plain")) == (415, "unsupported_media_type")
    assert await code(await play(web, "wang", Accept="text/html")) == (406, "not_acceptable")
    assert (await code(await play(web, "wang", body=b"v=0\r\nrubbish")))[0] == 400
    for wrong in (b"a=sendonly", b"a=inactive"):
        sent = OFFER.replace(b"a=recvonly", wrong)
        assert await code(await play(web, "wang", body=sent)) == (422, "whip_offer_unusable")
    assert (await web.http.options(f"{web.url}/whep/wang")).headers["Accept-Post"] == "application/sdp"
    assert (await web.http.put(session)).status == 405


async def test_a_closed_room_and_a_lost_transport_end_the_session(web: Web) -> None:
    await doctor(web)
    response = await play(web, "wang")
    router = web.signaling.plane.routers[ROOM]
    router.events.transport_state(router.transports[-1], "failed")
    await asyncio.sleep(0)
    assert (await web.http.get(web.url + response.headers["Location"])).status == 404
    response = await play(web, "wang")
    await web.signaling.service.close_room(ROOM, "ended")
    assert (await web.http.get(web.url + response.headers["Location"])).status == 404
