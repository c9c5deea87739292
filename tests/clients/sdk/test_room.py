"""Participants of this sdk in a real room: gateway, relay and UDP on 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients.sdk.errors import ConnectionLost, RequestRefused
from clients.sdk.events import EventStream
from clients.sdk.media_source import OpusSource, Vp8Source, moving_picture, tone
from clients.sdk.room import RoomSession
from clients.sdk.room_events import (
    ChatReceived,
    ConsumerClosed,
    ConsumerPaused,
    ConsumerResumed,
    DataReceived,
    DataStreamAdded,
    PeerJoined,
    PeerLeft,
    Removed,
    RoomClosed,
    SignalingLost,
)
from clients.sdk.whip import WhipPublisher
from tests.clients.sdk.real_server import ROOM, RealServer, running_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    async with running_server(tmp_path) as running:
        yield running


async def village(server: RealServer) -> RoomSession:
    return await RoomSession.join(server.url, server.token("li"))


async def expert(server: RealServer) -> RoomSession:
    return await RoomSession.join(server.url, server.token("wang", "expert", chair=True, record=True))


async def test_two_people_see_and_hear_each_other(server: RealServer) -> None:
    one, two = await village(server), await expert(server)
    assert (await one.wait_for(PeerJoined)).peer.role == "expert"
    camera = await one.publish(Vp8Source(moving_picture(), frames_per_second=30), "camera")
    await one.publish(OpusSource(tone()), "microphone")
    picture = await two.wait_for_sink(lambda sink: sink.kind == "video")
    sound = await two.wait_for_sink(lambda sink: sink.kind == "audio")
    assert (picture.source, sound.source, picture.peer_id) == ("camera", "microphone", one.peer_id)
    await sound.wait_frames(10)
    assert picture.decode_pictures()[0].shape == (240, 320, 3)
    assert sound.decode_level() > 0.05
    assert (picture.stats.lost, sound.stats.lost) == (0, 0)
    assert camera.stats.key_frame_requests >= 1, "the relay asks for a key frame for a new receiver"
    await two.publish(OpusSource(tone()), "microphone")
    answer = await one.wait_for_sink()
    await answer.wait_frames(10)
    assert answer.decode_level() > 0.05
    await one.leave()
    assert (await two.wait_for(PeerLeft)).reason == "left"
    await two.close()
    await two.close()


async def test_the_server_learns_how_much_our_line_carries(server: RealServer) -> None:
    one, two = await village(server), await expert(server)
    await one.publish(Vp8Source(moving_picture(), frames_per_second=30), "camera")
    sink = await two.wait_for_sink(lambda sink: sink.kind == "video")
    room = server.rooms.room_for(server.rooms.verify(server.token("wang")))

    def known() -> list[object]:
        return [line.stats()["outgoing"]["available"] for line in room.tracks.of(two.peer_id).transports()]

    async with asyncio.timeout(10):
        while not any(known()):
            await sink.wait_frames(5)
    await one.close()
    await two.close()


async def test_late_comer_gets_the_picture_with_the_join(server: RealServer) -> None:
    one = await village(server)
    await one.publish(Vp8Source(moving_picture(), frames_per_second=30), "camera")
    two = await expert(server)
    assert [peer.role for peer in two.peers.values()] == ["requester"]
    assert len(two.sinks) == 1
    sink = await two.wait_for_sink()
    assert sink.decode_pictures()
    await one.close()
    await two.close()


async def test_mute_is_told_and_unmute_brings_sound_back(server: RealServer) -> None:
    one, two = await village(server), await expert(server)
    track = await one.publish(OpusSource(tone()), "microphone")
    sink = await two.wait_for_sink()
    await one.set_paused(track, True)
    await two.wait_for(ConsumerPaused)
    assert sink.paused
    await one.set_paused(track, False)
    await two.wait_for(ConsumerResumed)
    await sink.wait_frames(1)
    await one.unpublish(track)
    await two.wait_for(ConsumerClosed)
    assert two.sinks == {}
    await one.close()
    await two.close()


async def test_chat_is_told_and_kept(server: RealServer) -> None:
    one, two = await village(server), await expert(server)
    message = await one.chat("心电图 ready?")
    heard = await two.wait_for(ChatReceived)
    assert (heard.id, heard.text.reveal(), heard.sender) == (message, "心电图 ready?", one.peer_id)
    assert "心电图" not in repr(heard)
    three = await RoomSession.join(server.url, server.token("guest-1", "guest", publish=()))
    assert [line.text.reveal() for line in three.chat_history] == ["心电图 ready?"]
    for session in (one, two, three):
        await session.close()


async def test_data_reaches_the_others(server: RealServer) -> None:
    one, two = await village(server), await expert(server)
    stream = await one.open_data("pointer")
    added = await two.wait_for(DataStreamAdded)
    assert (added.label, added.peer_id) == ("pointer", one.peer_id)
    assert one.send_data(stream, "12,30")
    assert one.send_data(stream, b"\x01\x02")
    received = [(await two.wait_for(DataReceived)).payload for _ in range(2)]
    assert received == ["12,30", b"\x01\x02"]
    await one.close()
    await two.close()


async def test_chair_puts_someone_out(server: RealServer) -> None:
    one, two = await village(server), await expert(server)
    with pytest.raises(RequestRefused) as caught:
        await one.remove_peer(two.peer_id)
    assert caught.value.code == "not_granted"
    await two.remove_peer(one.peer_id, "wrong room")
    assert (await one.wait_for(Removed)).reason == "removed"
    with pytest.raises(RequestRefused):
        await village_again(server, one)
    await one.close()
    await two.close()


async def village_again(server: RealServer, session: RoomSession) -> None:
    await RoomSession.join(server.url, session._token)


async def test_signaling_is_cut_and_resumed_while_media_goes_on(server: RealServer) -> None:
    one, two = await village(server), await expert(server)
    await one.publish(OpusSource(tone()), "microphone")
    sink = await two.wait_for_sink()
    peer_id = one.peer_id
    await one.cut()
    await one.wait_for(SignalingLost)
    await one.resume()
    assert one.resumed
    assert one.peer_id == peer_id
    assert len(one.tracks) == 1
    await sink.wait_frames(5)
    await one.chat("back")
    await two.wait_for(ChatReceived)
    await one.close()
    await two.close()


async def test_closed_room_is_told(server: RealServer) -> None:
    one = await village(server)
    await server.rooms.close_room(ROOM, "ended")
    assert (await one.wait_for(RoomClosed)).reason == "ended"
    await one.close()


async def test_bad_token_and_no_server_are_told_apart(server: RealServer) -> None:
    with pytest.raises(RequestRefused) as caught:
        await RoomSession.join(server.url, "no token")
    assert caught.value.code == "token_invalid"
    assert caught.value.zh
    with pytest.raises(ConnectionLost):
        await RoomSession.join("http://127.0.0.1:9", server.token("li"))


async def test_device_publishes_by_whip_into_the_room(server: RealServer) -> None:
    doctor = await expert(server)
    token = server.token("dev-us-1", "device", publish=("ultrasound",))
    source = Vp8Source(moving_picture(), frames_per_second=30)
    publisher = await WhipPublisher.publish(f"{server.url}/whip/dev-us-1", token, [source])
    sink = await doctor.wait_for_sink(lambda sink: sink.source == "ultrasound")
    assert sink.decode_pictures()
    await publisher.close()
    await doctor.wait_for(ConsumerClosed)
    await doctor.close()


async def test_account_events(server: RealServer) -> None:
    stream = await EventStream.connect(server.url, "account:wang")
    await server.gateway.notify("wang", "ring", {"offerId": "o-1"})
    await server.gateway.notify("li", "ring", {"offerId": "o-2"})
    assert await stream.wait_for("ring") == {"offerId": "o-1"}
    await stream.close()
    with pytest.raises(RequestRefused):
        await EventStream.connect(server.url, "nobody")
