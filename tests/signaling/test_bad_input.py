"""Whatever one client sends, it gets one clear error, and nobody else is disturbed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import WSMsgType
from hypothesis import given
from hypothesis import strategies as st

from signaling.gateway_packets import REQUEST, RequestPacket
from signaling.limits import (
    MESSAGE_BYTES_MAX,
    OUTGOING_QUEUE_MAX,
    REFUSED_CONNECTS_MAX,
    SOCKET_MESSAGE_BYTES_MAX,
)
from tests.signaling.fake_plane import CAPABILITIES
from tests.signaling.web import TIMEOUT_S, RoomClient, Web, running_web


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with running_web(tmp_path) as running:
        yield running


async def joined(web: Web, user_id: str) -> RoomClient:
    client = await web.client({"token": web.signaling.token(user_id)})
    await client.good("join", {"rtpCapabilities": CAPABILITIES})
    return client


async def still_well(web: Web, bystander: RoomClient) -> None:
    """The bystander works, was told of nobody's leaving, and has seen no error."""
    await bystander.good("chat", {"text": "still here"})
    while (event := await asyncio.wait_for(bystander.events.get(), TIMEOUT_S))[0] != "chat":
        assert event[0] == "peerJoined", event


async def test_unknown_events_and_reserved_names(web: Web) -> None:
    bystander, client = await joined(web, "b"), await joined(web, "a")
    for name in ("launch", "", "connect", "disconnect", "message", REQUEST, "x" * 500):
        assert await client.refused(name, {}) in ("unknown_event", "malformed"), name
    await client.good("stats")
    await still_well(web, bystander)


@pytest.mark.parametrize(
    "text",
    [
        '42/room,7["chat",{"text":',
        "42/room,7",
        "42/room,7{}",
        "42/room,7[]",
        "42/room,7[17]",
        "42/room,7nonsense",
        '451-/room,7["chat",{"_placeholder":true,"num":0}]',
        '45999999-/room,7["chat",{"_placeholder":true,"num":0}]',
        "42/room,7" + "[" * 100_000,
    ],
)
async def test_malformed_messages_are_answered(web: Web, text: str) -> None:
    bystander, client = await joined(web, "b"), await joined(web, "a")
    answer: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
    client.sio.callbacks.setdefault(client.sio.namespaces["/room"], {})[7] = answer.set_result
    client.sio.callbacks.setdefault("/room", {})[7] = answer.set_result
    await client.send_raw(text)
    reply = await asyncio.wait_for(answer, TIMEOUT_S)
    assert reply["ok"] is False
    assert reply["error"]["code"] == "malformed"  # type: ignore[index]
    await client.good("stats")
    await still_well(web, bystander)


async def test_without_an_acknowledgement_the_error_is_an_event(web: Web) -> None:
    client = await joined(web, "a")
    await client.sio.emit("launch", {}, namespace="/room")
    assert (await client.next("protocolError"))["code"] == "unknown_event"
    await client.sio.emit("chat", {"text": 5}, namespace="/room")
    assert (await client.next("protocolError"))["code"] == "malformed"


@pytest.mark.parametrize("rubbish", ["hello", "", "9", "\x00", "4\ud7ff", "3", "1", "6", "2probe"])
async def test_rubbish_below_the_protocol_disturbs_nobody(
    web: Web, rubbish: str, caplog: pytest.LogCaptureFixture
) -> None:
    bystander, client = await joined(web, "b"), await joined(web, "a")
    await client.send_raw(rubbish)
    await client.send_raw(b"\xff\xfe\x00rubbish")
    await still_well(web, bystander)
    ours = [record for record in caplog.records if record.name.startswith(("signaling", "aiohttp"))]
    assert [record.getMessage() for record in ours if record.levelno >= logging.WARNING] == []


async def test_a_message_of_ten_megabytes_is_refused_and_the_socket_lives(web: Web) -> None:
    bystander, client = await joined(web, "b"), await joined(web, "a")
    text = "x" * 10_000_000
    assert await client.refused("chat", {"text": text}) == "too_large"
    await client.sio.emit("chat", {"text": text}, namespace="/room")
    assert (await client.next("protocolError"))["code"] == "too_large"
    await client.good("stats")
    await still_well(web, bystander)


async def test_beyond_what_is_read_at_all_the_socket_closes(web: Web) -> None:
    bystander, client = await joined(web, "b"), await joined(web, "a")
    await client.sio.emit("chat", {"text": "x" * SOCKET_MESSAGE_BYTES_MAX}, namespace="/room")
    await client.wait_gone()
    await still_well(web, bystander)


async def test_the_largest_message_is_still_read(web: Web) -> None:
    client = await joined(web, "a")
    text = "x" * (MESSAGE_BYTES_MAX - 100)
    assert await client.refused("chat", {"text": text}) == "malformed"
    await client.good("stats")


async def test_a_chat_flood_is_refused(web: Web) -> None:
    bystander, client = await joined(web, "b"), await joined(web, "a")
    answers = [await client.ask("chat", {"text": str(number)}) for number in range(30)]
    assert [answer["ok"] for answer in answers].count(True) == 10
    assert answers[-1]["error"]["code"] == "rate_limited"
    for number in range(10):
        assert (await bystander.next("chat"))["text"] == str(number)


async def test_a_flood_of_requests_ends_in_a_closed_socket(web: Web) -> None:
    bystander, client = await joined(web, "b"), await joined(web, "a")
    for _ in range(400):
        await client.sio.emit("stats", {}, namespace="/room")
    await client.wait_gone()
    await still_well(web, bystander)


async def test_who_knocks_again_and_again_is_dropped(web: Web) -> None:
    ws = await web.http.ws_connect(f"{web.url}/socket.io/?EIO=4&transport=websocket")
    await ws.receive_str()
    for _ in range(REFUSED_CONNECTS_MAX):
        await ws.send_str('40/room,{"token":"wrong"}')
        assert (await ws.receive_str()).startswith("44/room,")
    await ws.send_str('40/room,{"token":"wrong"}')
    message = await asyncio.wait_for(ws.receive(), TIMEOUT_S)
    assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)


async def test_a_socket_that_does_not_read_is_dropped_and_others_go_on(web: Web) -> None:
    bystander = await joined(web, "b")
    ws = await web.http.ws_connect(f"{web.url}/socket.io/?EIO=4&transport=websocket")
    await ws.receive_str()
    await ws.send_str('40/events,{"token":"account:slow"}')
    await ws.receive_str()
    connection = ws._conn  # the client's TCP connection: stop reading from it
    assert connection is not None
    assert connection.transport is not None
    connection.transport.pause_reading()
    payload = {"text": "x" * 60_000}
    sent = 0
    while web.gateway.online("slow"):
        await web.gateway.notify("slow", "consultation", payload)
        sent += 1
        await asyncio.sleep(0)
        assert sent < 4 * OUTGOING_QUEUE_MAX
    assert sent > OUTGOING_QUEUE_MAX
    await still_well(web, bystander)
    connection.transport.resume_reading()
    await ws.close()


async def test_an_error_of_ours_is_told_as_internal_and_logged(
    web: Web, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await joined(web, "a")

    def broken(*_: object) -> dict[str, object]:
        raise KeyError("a bug")

    monkeypatch.setitem(__import__("signaling.handlers", fromlist=["x"]).HANDLERS, "stats", broken)
    answer = await client.ask("stats")
    assert (answer["error"]["code"], answer["error"]["blame"]) == ("internal", "server")
    assert "a request failed" in caplog.text
    await client.good("chat", {"text": "goes on"})


async def test_the_log_names_nobody(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = await joined(web, "a")
    await client.good("chat", {"text": "患者李秀兰"})
    await client.refused("chat", {"text": ["患者李秀兰"]})
    await client.send_raw('42/room,["chat",{"text":"患者李秀兰"')
    await client.next("protocolError")
    ours = [record for record in caplog.records if record.name.startswith(("signaling", "media"))]
    assert ours
    text = "\n".join(record.getMessage() for record in ours)
    assert "李秀兰" not in text
    assert "Name a" not in text
    assert web.signaling.token("a") not in text


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60), st.text(max_size=30).map(lambda t: f"2{t}")))
def test_a_packet_of_anything_is_a_connect_a_disconnect_or_a_request(data: str | bytes) -> None:
    packet = RequestPacket(encoded_packet=data)
    if packet.packet_type in (0, 1) or not data:
        return
    assert packet.packet_type == 2
    name, _, arguments, wants_ack, fault = packet.data
    assert name == REQUEST
    assert isinstance(arguments, tuple)
    assert isinstance(wants_ack, bool)
    assert fault is None or fault.code.code == "malformed"
