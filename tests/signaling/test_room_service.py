"""Rooms bound to a (counting) media plane: who gets what, who is told, who closes whom."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from media.errors import RemoteProtocolError
from signaling.access import RoomGrant
from signaling.events import RecordingStopped
from signaling.limits import DETACHED_PEER_S, IDLE_ROOM_S
from signaling.rooms import RoomSettings
from signaling.service import SignalingConfig
from signaling.session import RoomSession
from tests.signaling.fake_plane import CAPABILITIES
from tests.signaling.support import (
    DOCTOR,
    EVERYTHING,
    ROOM,
    FakeChannel,
    Signaling,
    claims,
    kept_room,
    running_signaling,
)


@pytest.fixture
async def signaling(tmp_path: Path) -> AsyncIterator[Signaling]:
    async with running_signaling(tmp_path) as running:
        yield running


class Person:
    """Somebody with a session, as the gateway makes one."""

    def __init__(
        self, signaling: Signaling, user_id: str, grant: RoomGrant = DOCTOR, resume: str | None = None
    ) -> None:
        self.channel = FakeChannel()
        self.session = RoomSession(signaling.service, claims(user_id, grant), resume, self.channel)
        self.reply: dict[str, Any] = {}

    def join(self, capabilities: dict[str, Any] | None = CAPABILITIES) -> Person:
        data = {} if capabilities is None else {"rtpCapabilities": capabilities}
        self.reply = self.ask("join", data)
        return self

    def ask(self, event: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.session.request(event, (data or {},))

    def produce(self, source: str = "camera", kind: str = "video", **more: Any) -> str:
        data = {
            "transportId": self.reply["sendTransport"]["id"],
            "kind": kind,
            "rtpParameters": {},
            "source": source,
        }
        producer_id: str = self.ask("produce", data | more)["id"]
        return producer_id

    @property
    def id(self) -> str:
        peer_id: str = self.reply["peerId"]
        return peer_id


def refused(call: Any, *arguments: Any) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        call(*arguments)
    return caught.value.code.code


async def test_a_join_gives_everything_at_once(signaling: Signaling) -> None:
    first = Person(signaling, "a").join()
    first.produce()
    first.produce("microphone", "audio")
    first.ask("chat", {"text": "您好"})
    second = Person(signaling, "b").join()
    reply = second.reply
    assert reply["sendTransport"]["id"] != reply["recvTransport"]["id"]
    assert reply["routerRtpCapabilities"] == CAPABILITIES
    assert [peer["id"] for peer in reply["peers"]] == [first.id]
    assert [(one["source"], one["paused"], one["peerId"]) for one in reply["consumers"]] == [
        ("camera", False, first.id),
        ("microphone", False, first.id),
    ]
    assert reply["chat"][0]["text"] == "您好"
    assert reply["recording"] == {"state": "off", "startedAt": None, "recordingId": None}
    assert reply["resumed"] is False
    assert json.dumps(reply)
    assert first.channel.names()[-1] == "peerJoined"


async def test_malformed_capabilities_are_refused_to_their_sender(signaling: Signaling) -> None:
    broken = Person(signaling, "a").join(capabilities=None)
    code = refused(broken.ask, "subscribe", {"rtpCapabilities": {"codecs": "all"}})
    assert code == "malformed_rtp_capabilities"
    Person(signaling, "b").join().produce()


async def test_capabilities_may_come_after_the_join(signaling: Signaling) -> None:
    Person(signaling, "a").join().produce()
    late = Person(signaling, "b").join(capabilities=None)
    assert late.reply["consumers"] == []
    assert len(late.ask("subscribe", {"rtpCapabilities": CAPABILITIES})["consumers"]) == 1
    assert refused(late.ask, "subscribe", {"rtpCapabilities": CAPABILITIES}) == "wrong_state"


async def test_a_new_track_is_offered_paused_and_resumed_by_its_receiver(signaling: Signaling) -> None:
    first, second = Person(signaling, "a").join(), Person(signaling, "b").join()
    second.channel.take()
    producer_id = first.produce()
    (added, offered) = second.channel.take()
    assert added[0] == "producerAdded"
    assert offered[0] == "newConsumers"
    consumer = offered[1]["consumers"][0]
    assert (consumer["producerId"], consumer["paused"]) == (producer_id, True)
    second.ask("resumeConsumers", {"consumerIds": [consumer["id"]]})
    router = signaling.plane.routers[ROOM]
    assert router.consumers[consumer["id"]].paused is False
    second.ask("setPreferredLayers", {"consumerId": consumer["id"], "spatialLayer": 1})
    second.ask("requestKeyFrame", {"consumerId": consumer["id"]})
    second.ask("pauseConsumers", {"consumerIds": [consumer["id"]]})
    fake = router.consumers[consumer["id"]]
    assert (fake.layers, fake.key_frame_requests, fake.paused) == ((1, None), 1, True)
    assert refused(first.ask, "resumeConsumers", {"consumerIds": [consumer["id"]]}) == "not_found"


async def test_who_cannot_decode_gets_no_consumer(signaling: Signaling) -> None:
    Person(signaling, "a").join().produce()
    assert Person(signaling, "b").join({"codecs": []}).reply["consumers"] == []


async def test_pausing_and_closing_reach_the_receiver(signaling: Signaling) -> None:
    first, second = Person(signaling, "a").join(), Person(signaling, "b").join()
    producer_id = first.produce()
    second.channel.take()
    first.ask("pauseProducer", {"producerId": producer_id})
    first.ask("resumeProducer", {"producerId": producer_id})
    first.ask("closeProducer", {"producerId": producer_id})
    assert second.channel.names() == [
        "consumerPaused",
        "producerPaused",
        "consumerResumed",
        "producerResumed",
        "consumerClosed",
        "producerClosed",
    ]
    assert refused(first.ask, "closeProducer", {"producerId": producer_id}) == "not_found"
    assert refused(second.ask, "pauseProducer", {"producerId": producer_id}) == "not_found"
    first.produce()  # the source is free again


async def test_producing_needs_the_grant_and_the_sending_transport(signaling: Signaling) -> None:
    person = Person(signaling, "a").join()
    assert refused(person.produce, "ultrasound") == "not_granted"
    wrong = {"transportId": person.reply["recvTransport"]["id"]}
    with pytest.raises(RemoteProtocolError, match="wrong_state"):
        person.produce(**wrong)
    with pytest.raises(RemoteProtocolError, match="malformed"):
        person.produce(rtpParameters={"broken": True})
    person.produce()
    assert refused(person.produce) == "wrong_state"


async def test_an_observer_has_no_sending_transport(signaling: Signaling) -> None:
    watcher = Person(signaling, "w", RoomGrant(ROOM, chat=False)).join()
    assert watcher.reply["sendTransport"] is None
    assert refused(watcher.ask, "chat", {"text": "x"}) == "not_granted"
    deaf = Person(signaling, "d", RoomGrant(ROOM, subscribe=False)).join()
    assert deaf.reply["recvTransport"] is None
    assert refused(deaf.ask, "subscribe", {"rtpCapabilities": CAPABILITIES}) == "not_granted"


async def test_data_channels_reach_everyone_and_late_joiners(signaling: Signaling) -> None:
    first, second = Person(signaling, "a").join(), Person(signaling, "b").join()
    second.channel.take()
    data = {
        "transportId": first.reply["sendTransport"]["id"],
        "sctpStreamParameters": {"streamId": 0},
        "label": "pointer",
    }
    data_producer_id = first.ask("produceData", data)["id"]
    ((event, payload),) = second.channel.take()
    assert event == "newDataConsumers"
    assert payload["dataConsumers"][0] | {"id": "x"} == {
        "id": "x",
        "dataProducerId": data_producer_id,
        "peerId": first.id,
        "sctpStreamParameters": {"streamId": 0, "ordered": True},
        "label": "pointer",
        "protocol": "",
    }
    late = Person(signaling, "c").join()
    assert len(late.reply["dataConsumers"]) == 1
    first.ask("closeDataProducer", {"dataProducerId": data_producer_id})
    assert second.channel.names()[-1] == "dataConsumerClosed"
    assert refused(first.ask, "closeDataProducer", {"dataProducerId": data_producer_id}) == "not_found"


async def test_transports(signaling: Signaling) -> None:
    person = Person(signaling, "a").join()
    transport_id = person.reply["sendTransport"]["id"]
    connect = {"transportId": transport_id, "dtlsParameters": {"role": "client"}}
    assert person.ask("connectTransport", connect) == {}
    assert ("transportState", {"transportId": transport_id, "state": "connected"}) in person.channel.sent
    assert refused(person.ask, "connectTransport", connect) == "wrong_state"
    assert person.ask("restartIce", {"transportId": transport_id})["iceParameters"]["iceLite"]
    assert refused(person.ask, "restartIce", {"transportId": "other"}) == "not_found"
    assert len(person.ask("stats")["transports"]) == 2
    await signaling.service.close()
    assert signaling.listener.names()[:2] == ["PeerJoined", "MediaStarted"]


async def test_before_the_join_nothing_goes(signaling: Signaling) -> None:
    person = Person(signaling, "a")
    assert refused(person.ask, "chat", {"text": "x"}) == "not_joined"
    person.join()
    assert refused(person.join) == "wrong_state"
    person.ask("leave")
    assert refused(person.ask, "stats") == "not_joined"


async def test_leaving_closes_what_was_published(signaling: Signaling) -> None:
    first, second = Person(signaling, "a").join(), Person(signaling, "b").join()
    first.produce()
    second.channel.take()
    first.ask("leave")
    assert second.channel.names() == ["consumerClosed", "producerClosed", "peerLeft"]
    router = signaling.plane.routers[ROOM]
    assert router.producers == {}
    assert router.consumers == {}
    assert not first.channel.closed


async def test_the_chair_mutes_and_removes(signaling: Signaling) -> None:
    chair, guest = Person(signaling, "chair", EVERYTHING).join(), Person(signaling, "g").join()
    producer_id = guest.produce("microphone", "audio")
    guest.channel.take()
    chair.ask("mutePeer", {"peerId": guest.id, "source": "microphone"})
    paused = {"producerId": producer_id, "peerId": guest.id, "by": chair.id}
    assert guest.channel.take() == [("producerPaused", paused)]
    assert refused(guest.ask, "removePeer", {"peerId": chair.id}) == "not_granted"
    chair.ask("removePeer", {"peerId": guest.id, "reason": "wrong room"})
    assert guest.channel.take() == [("removed", {"reason": "removed", "text": "wrong room"})]
    assert guest.channel.closed
    assert refused(Person(signaling, "g").join) == "token_revoked"
    assert refused(guest.ask, "stats") == "not_found"


async def test_a_lost_peer_resumes_with_everything(signaling: Signaling) -> None:
    first, second = Person(signaling, "a").join(), Person(signaling, "b").join()
    first.produce()
    old = second.reply
    second.session.lost()
    signaling.clock.advance(DETACHED_PEER_S - 0.1)
    await signaling.service.sweep(signaling.clock.monotonic())
    first.produce("microphone", "audio")
    back = Person(signaling, "b", resume=old["resumeToken"]).join()
    assert back.reply["resumed"] is True
    assert back.id == old["peerId"]
    assert back.reply["recvTransport"] == old["recvTransport"]
    assert [(one["source"], one["paused"]) for one in back.reply["consumers"]] == [
        ("camera", True),
        ("microphone", False),
    ]
    assert back.reply["resumeToken"] != old["resumeToken"]
    second.session.lost()  # the old socket ends late: the new one stays
    assert signaling.service.snapshot(ROOM).peers[1].attached  # type: ignore[union-attr]
    assert "peerLeft" not in first.channel.names()


async def test_a_peer_that_does_not_come_back_is_gone(signaling: Signaling) -> None:
    first, second = Person(signaling, "a").join(), Person(signaling, "b").join()
    second.session.lost()
    signaling.clock.advance(DETACHED_PEER_S)
    await signaling.service.sweep(signaling.clock.monotonic())
    assert first.channel.take()[-1] == ("peerLeft", {"peerId": second.id, "reason": "lost"})
    back = Person(signaling, "b", resume=second.reply["resumeToken"]).join()
    assert back.reply["resumed"] is False


async def test_a_reload_takes_the_old_place(signaling: Signaling) -> None:
    first, second = Person(signaling, "a").join(), Person(signaling, "b").join()
    again = Person(signaling, "b").join()
    assert second.channel.take()[-1] == ("removed", {"reason": "replaced", "text": None})
    assert second.channel.closed
    assert [peer["id"] for peer in again.reply["peers"]] == [first.id]


async def test_recording_needs_consent_and_grant(signaling: Signaling) -> None:
    chair, guest = Person(signaling, "chair", EVERYTHING).join(), Person(signaling, "g").join()
    guest.produce()
    assert refused(chair.ask, "startRecording") == "recording_not_allowed"
    kept_room(signaling)
    assert refused(guest.ask, "startRecording") == "not_granted"
    recording_id = chair.ask("startRecording")["recordingId"]
    assert refused(chair.ask, "startRecording") == "wrong_state"
    guest.produce("microphone", "audio")
    assert [peer for _, peer in signaling.plane.recorders[recording_id].added] == [guest.id, guest.id]
    chair.ask("stopRecording")
    assert chair.channel.sent[-1] == ("recording", {"state": "off", "startedAt": None, "recordingId": None})
    chair.ask("stopRecording")
    await signaling.service.stop_recording(ROOM)
    await signaling.service.close()
    stopped = [event for event in signaling.listener.events if isinstance(event, RecordingStopped)]
    assert len(stopped) == 1
    assert json.loads(stopped[0].manifest_path.read_text()) == {"tracks": 2}


async def test_a_withdrawn_consent_stops_the_recording(signaling: Signaling) -> None:
    kept_room(signaling)
    person = Person(signaling, "a").join()
    await signaling.service.start_recording(ROOM)
    assert person.channel.sent[-1][1]["state"] == "on"
    signaling.service.open_room(ROOM, RoomSettings(record_allowed=False))
    assert person.channel.sent[-1][1]["state"] == "off"
    with pytest.raises(RemoteProtocolError, match="recording_not_allowed"):
        await signaling.service.start_recording(ROOM)


async def test_a_closed_room_stays_closed_until_it_is_opened(signaling: Signaling) -> None:
    kept_room(signaling)
    person = Person(signaling, "a").join()
    await signaling.service.close_room(ROOM, "ended")
    await signaling.service.close_room(ROOM, "ended")
    assert person.channel.sent[-1] == ("roomClosed", {"reason": "ended"})
    assert person.channel.closed
    assert signaling.service.snapshot(ROOM) is None
    assert refused(Person(signaling, "a").join) == "room_closed"
    kept_room(signaling)
    Person(signaling, "a").join()


async def test_an_ended_guest_link_sends_its_guests_out(signaling: Signaling) -> None:
    kept_room(signaling)
    guests = []
    for name in ("g1", "g2"):
        guest = Person(signaling, name)
        guest.session = RoomSession(signaling.service, claims(name, token_id="link"), None, guest.channel)
        guests.append(guest.join())
    doctor = Person(signaling, "a").join()
    await signaling.service.remove_peers(ROOM, token_id="link", reason="link_ended")
    assert [guest.channel.closed for guest in guests] == [True, True]
    assert not doctor.channel.closed
    later = RoomSession(signaling.service, claims("g3", token_id="link"), None, FakeChannel())
    assert refused(later.request, "join", ({},)) == "token_revoked"
    await signaling.service.remove_peers("c-other", token_id="link", reason="link_ended")


async def test_a_room_that_nobody_keeps_goes_when_it_is_empty(signaling: Signaling) -> None:
    person = Person(signaling, "a").join()
    signaling.clock.advance(1000)
    await signaling.service.sweep(signaling.clock.monotonic())
    assert signaling.service.snapshot(ROOM) is not None
    person.ask("leave")
    signaling.clock.advance(IDLE_ROOM_S)
    await signaling.service.sweep(signaling.clock.monotonic())
    assert signaling.service.snapshot(ROOM) is None
    Person(signaling, "a").join()  # nobody closed it on purpose


async def test_rooms_and_people_are_bounded(tmp_path: Path) -> None:
    async with running_signaling(tmp_path, SignalingConfig(max_rooms=1)) as signaling:
        kept_room(signaling, max_peers=1)
        Person(signaling, "a").join()
        assert refused(Person(signaling, "b").join) == "room_full"
        other = RoomSession(signaling.service, claims("a", RoomGrant("c-2")), None, FakeChannel())
        assert refused(other.request, "join", ({},)) == "too_many_rooms"


async def test_requests_are_held_to_a_rate(signaling: Signaling) -> None:
    person = Person(signaling, "a").join()
    codes = []
    while not person.session.flooding:
        try:
            person.ask("stats")
        except RemoteProtocolError as fault:
            codes.append(fault.code.code)
    assert set(codes) == {"rate_limited"}
    signaling.clock.advance(1)
    person.ask("stats")
    assert not person.session.flooding


async def test_the_snapshot_tells_who_is_there(signaling: Signaling) -> None:
    kept_room(signaling)
    assert signaling.service.snapshot("c-none") is None
    person = Person(signaling, "a").join()
    person.produce()
    snapshot = signaling.service.snapshot(ROOM)
    assert snapshot is not None
    assert snapshot.has_user("a")
    assert not snapshot.has_user("b")
    assert snapshot.peers[0].sources == ("camera",)


async def test_a_failing_listener_loses_one_event(
    signaling: Signaling, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    async def fails_once(event: object) -> None:
        calls.append(event)
        if len(calls) == 1:
            raise KeyError("listener")

    signaling.listener.room_event = fails_once  # type: ignore[method-assign]
    Person(signaling, "a").join()
    Person(signaling, "b").join()
    await signaling.service.close()
    assert len(calls) >= 3
    assert "room event PeerJoined failed" in caplog.text


async def test_closing_the_service_closes_everything_once(signaling: Signaling) -> None:
    person = Person(signaling, "a").join()
    await signaling.service.close()
    await signaling.service.close()
    assert person.channel.sent[-1] == ("roomClosed", {"reason": "server_stopped"})
    assert signaling.plane.closed
    assert signaling.listener.names()[-1] == "RoomClosed"
