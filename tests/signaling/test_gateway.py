"""The gateway with real Socket.IO clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import socketio

from signaling.access import RoomGrant
from signaling.gateway import SIGNED_OUT
from signaling.limits import ACCOUNT_SOCKETS_MAX
from tests.signaling.fake_plane import CAPABILITIES
from tests.signaling.support import EVERYTHING, ROOM, kept_room
from tests.signaling.web import TIMEOUT_S, RoomClient, Web, running_web

JOIN = {"rtpCapabilities": CAPABILITIES}


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with running_web(tmp_path) as running:
        yield running


async def joined(web: Web, user_id: str, **options: Any) -> tuple[RoomClient, dict[str, Any]]:
    client = await web.client({"token": web.signaling.token(user_id, **options)})
    return client, await client.good("join", JOIN)


async def refused_connect(web: Web, auth: dict[str, Any], namespace: str = "/room") -> dict[str, Any]:
    with pytest.raises(socketio.exceptions.ConnectionError):
        await web.client(auth, namespace)
    refusal: dict[str, Any] = web.clients[-1].refusal
    return refusal["data"]  # type: ignore[no-any-return]


async def test_two_people_meet(web: Web) -> None:
    first, reply = await joined(web, "a")
    second, _ = await joined(web, "b")
    assert (await first.next("peerJoined"))["peer"]["displayName"] == "Name b"
    produce = {
        "transportId": reply["sendTransport"]["id"],
        "kind": "video",
        "rtpParameters": {},
        "source": "camera",
    }
    producer_id = (await first.good("produce", produce))["id"]
    offered = await second.next("newConsumers")
    assert offered["consumers"][0]["producerId"] == producer_id
    await second.good("resumeConsumers", {"consumerIds": [offered["consumers"][0]["id"]]})
    await second.good("chat", {"text": "看到了"})
    assert (await first.next("chat"))["text"] == "看到了"
    await second.good("leave")
    assert (await first.next("peerLeft"))["reason"] == "left"


async def test_an_event_comes_after_the_acknowledgement_that_caused_it(web: Web) -> None:
    client, _ = await joined(web, "a")
    order: list[str] = []

    async def call() -> None:
        await client.sio.emit(
            "chat", {"text": "x"}, namespace="/room", callback=lambda *_: order.append("ack")
        )
        await client.next("chat")
        order.append("event")

    await asyncio.wait_for(call(), TIMEOUT_S)
    assert order == ["ack", "event"]


async def test_a_cut_is_mended_with_the_resume_token(web: Web) -> None:
    first, _ = await joined(web, "a")
    second, reply = await joined(web, "b")
    await second.sio.eio.ws.close()
    await second.wait_gone()
    again = await web.client({"token": web.signaling.token("b"), "resume": reply["resumeToken"]})
    back = await again.good("join", JOIN)
    assert back["resumed"] is True
    assert back["peerId"] == reply["peerId"]
    await again.good("chat", {"text": "back"})
    names: list[str] = []
    while not names or names[-1] != "chat":
        names.append((await asyncio.wait_for(first.events.get(), TIMEOUT_S))[0])
    assert names == ["peerJoined", "chat"]


async def test_a_removed_person_is_told_and_disconnected(web: Web) -> None:
    chair, _ = await joined(web, "chair", grant=EVERYTHING)
    guest, reply = await joined(web, "g")
    await chair.good("removePeer", {"peerId": reply["peerId"], "reason": "wrong room"})
    assert await guest.next("removed") == {"reason": "removed", "text": "wrong room"}
    await guest.wait_gone()
    error = await refused_connect(web, {"token": web.signaling.token("g")})
    assert error["code"] == "token_revoked"


async def test_a_closed_room_says_so(web: Web) -> None:
    kept_room(web.signaling)
    client, _ = await joined(web, "a")
    await web.signaling.service.close_room(ROOM, "ended")
    assert await client.next("roomClosed") == {"reason": "ended"}
    await client.wait_gone()
    error = await refused_connect(web, {"token": web.signaling.token("a")})
    assert error["code"] == "room_closed"


async def test_tokens_that_are_not_good(web: Web) -> None:
    ended = web.signaling.token("a", ttl_s=1)
    web.signaling.clock.advance(2)
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "token_missing"),
        ({"token": "rubbish"}, "token_invalid"),
        ({"token": web.signaling.token("a") + "x"}, "token_invalid"),
        ({"token": ended}, "token_expired"),
        ({"token": ["a", "list"]}, "token_invalid"),
    ]
    for auth, code in cases:
        error = await refused_connect(web, auth)
        assert (error["code"], error["blame"]) == (code, "peer")
        assert error["message"]["zh"]


async def test_an_account_gets_its_pushes_and_nothing_else(web: Web) -> None:
    connected: list[str] = []
    web.gateway.on_user_connected = connected.append
    assert not web.gateway.online("wang")
    await web.gateway.notify("wang", "ring", {})
    wang = await web.client({"token": "account:wang"}, "/events")
    other = await web.client({"token": "account:li"}, "/events")
    assert web.gateway.online("wang")
    await web.gateway.notify("wang", "ring", {"offerId": "o-1"})
    await web.gateway.notify("li", "consultation", {"id": "c-1"})
    assert await wang.next("ring") == {"offerId": "o-1"}
    assert (await asyncio.wait_for(other.events.get(), TIMEOUT_S))[0] == "consultation"
    assert await wang.refused("ring", {}) == "unknown_event"
    assert sorted(connected) == ["li", "wang"]
    await wang.close()
    await wang.wait_gone()
    await web.client({"token": "account:li"}, "/events")
    assert not web.gateway.online("wang")
    assert (await refused_connect(web, {"token": "rubbish"}, "/events"))["code"] == "token_invalid"
    assert (await refused_connect(web, {}, "/events"))["code"] == "token_missing"


async def test_an_account_that_ends_hears_it_and_nothing_more(web: Web) -> None:
    wang = await web.client({"token": "account:wang"}, "/events")
    other = await web.client({"token": "account:li"}, "/events")
    await web.gateway.notify("wang", SIGNED_OUT, {})
    assert await wang.next(SIGNED_OUT) == {}
    await wang.wait_gone()
    assert not web.gateway.online("wang")
    await web.gateway.notify("li", "ring", {})
    assert await other.next("ring") == {}


async def test_what_the_application_pushes_on_connect_arrives(web: Web) -> None:
    async def push(user_id: str) -> None:
        await web.gateway.notify(user_id, "ring", {"again": True})

    web.gateway.on_user_connected = push
    client = await web.client({"token": "account:wang"}, "/events")
    assert await client.next("ring") == {"again": True}


async def test_sockets_of_an_account_are_bounded(web: Web) -> None:
    clients = [await web.client({"token": "account:wang"}, "/events") for _ in range(ACCOUNT_SOCKETS_MAX + 1)]
    await clients[0].wait_gone()
    await web.gateway.notify("wang", "ring", {})
    await clients[-1].next("ring")


async def test_polling_works_too(web: Web) -> None:
    client = RoomClient("/room")
    web.clients.append(client)
    token = web.signaling.token("a")
    await client.sio.connect(web.url, auth={"token": token}, namespaces=["/room"], transports=["polling"])
    assert (await client.good("join", JOIN))["peerId"]


async def test_an_observer_may_not_publish(web: Web) -> None:
    client, reply = await joined(web, "w", grant=RoomGrant(ROOM))
    produce = {
        "transportId": reply["sendTransport"]["id"],
        "kind": "video",
        "rtpParameters": {},
        "source": "camera",
    }
    assert await client.refused("produce", produce) == "not_granted"
