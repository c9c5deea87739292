"""The pure state of a room."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from media.errors import RemoteProtocolError
from signaling.events import PeerJoined, PeerLeft, PeerRemoved
from signaling.limits import (
    CHAT_BURST,
    CHAT_KEPT_MAX,
    DETACHED_PEER_S,
    PEERS_PER_USER_MAX,
    REVOKED_TOKENS_MAX,
)
from signaling.rooms import Output, ProducerInfo, RoomSettings, RoomState, Tell
from tests.signaling.support import DOCTOR, EVERYTHING, ROOM, claims


def room(max_peers: int = 250) -> RoomState:
    return RoomState(ROOM, RoomSettings(True, max_peers), 1000.0)


def join(
    state: RoomState, peer_id: str, user_id: str = "", grant: object = DOCTOR, token_id: str = ""
) -> list[Output]:
    who = claims(user_id or peer_id, grant, token_id)  # type: ignore[arg-type]
    for replaced in state.admit(who):
        state.leave(replaced, "replaced", 1000.0)
    return state.join(peer_id, who, f"resume-{peer_id}", 0.0, 1000.0)[1]


def tells(outputs: list[Output]) -> list[tuple[tuple[str, ...], str]]:
    return [(output.to, output.event) for output in outputs if isinstance(output, Tell)]


def test_who_is_here_is_told_of_who_comes_and_goes() -> None:
    state = room()
    join(state, "a")
    outputs = join(state, "b")
    assert tells(outputs) == [(("a",), "peerJoined")]
    assert PeerJoined(ROOM, "b", "requester", 1000.0, "b") in outputs
    outputs = state.leave("b", "left", 1001.0)
    assert tells(outputs) == [(("a",), "peerLeft")]
    assert PeerLeft(ROOM, "b", "requester", "left", 1001.0, "b") in outputs
    assert state.leave("b", "left", 1001.0) == []


def test_a_full_room_refuses() -> None:
    state = room(max_peers=2)
    join(state, "a")
    join(state, "b")
    with pytest.raises(RemoteProtocolError, match="room_full"):
        join(state, "c")
    join(state, "a2", "a", token_id="t-a")  # a reload takes its own place
    assert set(state.peers) == {"a2", "b"}


def test_a_reload_replaces_and_a_second_tab_does_not() -> None:
    state = room()
    join(state, "a1", "a", token_id="t1")
    join(state, "a2", "a", token_id="t2")
    assert set(state.peers) == {"a1", "a2"}
    assert state.admit(claims("a", token_id="t1")) == ["a1"]
    state.detach("a2", 5.0)
    assert state.admit(claims("a", token_id="t3")) == ["a2"]


def test_guests_of_one_link_share_a_token_id_and_do_not_replace_each_other() -> None:
    state = room()
    join(state, "g1", "guest-1", token_id="link")
    assert state.admit(claims("guest-2", token_id="link")) == []


def test_one_person_has_a_bounded_number_of_places() -> None:
    state = room()
    for number in range(PEERS_PER_USER_MAX + 2):
        join(state, f"a{number}", "a", token_id=f"t{number}")
    assert set(state.peers) == {"a2", "a3", "a4"}


def test_a_lost_peer_resumes_once_within_its_time() -> None:
    state = room()
    join(state, "a")
    state.detach("a", 10.0)
    assert state.lost(10.0 + DETACHED_PEER_S - 0.1) == []
    assert state.resume(claims("a"), "wrong", "next") is None
    assert state.resume(claims("b"), "resume-a", "next") is None
    peer = state.resume(claims("a"), "resume-a", "next")
    assert peer is not None
    assert peer.id == "a"
    assert state.lost(1000.0) == []
    assert state.resume(claims("a"), "resume-a", "again") is None
    state.detach("a", 20.0)
    assert state.lost(20.0 + DETACHED_PEER_S) == ["a"]


def test_a_lost_peer_whose_media_is_lost_too_is_gone_at_once() -> None:
    state = room()
    join(state, "a")
    state.path_changed("a", "send", "connected")
    state.path_changed("a", "recv", "connected")
    state.path_changed("a", "send", "failed")
    state.detach("a", 10.0)
    assert state.lost(11.0) == []
    state.path_changed("a", "recv", "failed")
    assert state.lost(11.0) == ["a"]
    state.path_changed("a", "recv", "connected")
    assert state.lost(10.0 + DETACHED_PEER_S - 0.1) == []
    state.path_changed("gone", "recv", "failed")


def test_only_the_chair_removes_and_the_token_is_ended() -> None:
    state = room()
    join(state, "a")
    join(state, "chair", grant=EVERYTHING)
    with pytest.raises(RemoteProtocolError, match="not_granted"):
        state.removal("a", "chair", 1.0)
    with pytest.raises(RemoteProtocolError, match="wrong_state"):
        state.removal("chair", "chair", 1.0)
    with pytest.raises(RemoteProtocolError, match="not_found"):
        state.removal("chair", "nobody", 1.0)
    assert state.removal("chair", "a", 1.0) == [PeerRemoved(ROOM, "a", "requester", 1.0, "chair")]
    state.leave("a", "removed", 1.0)
    with pytest.raises(RemoteProtocolError, match="token_revoked"):
        join(state, "a2", "a")
    join(state, "a3", "a", token_id="a new token")


def test_ending_a_link_ends_it_for_all_its_guests() -> None:
    state = room()
    join(state, "g1", "guest-1", token_id="link")
    join(state, "g2", "guest-2", token_id="link")
    join(state, "a")
    assert state.matching(None, "link") == ["g1", "g2"]
    assert state.matching(None, None) == []
    state.revoke("link")
    assert state.is_revoked(claims("guest-3", token_id="link"))
    assert not state.is_revoked(claims("a"))


def test_ended_tokens_are_bounded() -> None:
    state = room()
    for number in range(REVOKED_TOKENS_MAX + 5):
        state.revoke(f"t{number}")
    assert not state.is_revoked(claims("x", token_id="t0"))
    assert state.is_revoked(claims("x", token_id=f"t{REVOKED_TOKENS_MAX + 4}"))


def test_a_source_is_published_once_and_seen_by_others() -> None:
    state = room()
    join(state, "a")
    join(state, "b")
    assert tells(state.add_producer("a", ProducerInfo("p1", "video", "camera", False))) == [
        (("b",), "producerAdded")
    ]
    with pytest.raises(RemoteProtocolError, match="wrong_state"):
        state.check_new_producer("a", "video", "camera")
    state.check_new_producer("a", "audio", "screen")
    assert state.as_json("b")["peers"][0]["producers"] == [
        {"id": "p1", "kind": "video", "source": "camera", "paused": False}
    ]
    assert tells(state.remove_producer("a", "p1", "a")) == [(("b",), "producerClosed")]
    assert state.remove_producer("a", "p1", "a") == []


def test_a_mute_by_the_chair_is_told_to_the_owner_too() -> None:
    state = room()
    join(state, "a")
    join(state, "chair", grant=EVERYTHING)
    state.add_producer("a", ProducerInfo("p1", "audio", "microphone", False))
    assert state.to_mute("chair", "a", "microphone") == ["p1"]
    with pytest.raises(RemoteProtocolError, match="not_found"):
        state.to_mute("chair", "a", "camera")
    with pytest.raises(RemoteProtocolError, match="not_granted"):
        state.to_mute("a", "chair", "camera")
    outputs = state.set_producer_paused("a", "p1", True, "chair")
    assert tells(outputs) == [(("a",), "producerPaused")]
    assert state.set_producer_paused("a", "p1", True, "chair") == []
    assert tells(state.set_producer_paused("a", "p1", False, "a")) == [(("chair",), "producerResumed")]


def test_chat_is_kept_up_to_a_bound_and_held_to_a_rate() -> None:
    state = room()
    join(state, "a")
    for number in range(int(CHAT_BURST)):
        state.chat("a", f"m{number}", "text", 0.0, 1.0)
    with pytest.raises(RemoteProtocolError, match="rate_limited"):
        state.chat("a", "m", "text", 0.0, 1.0)
    for number in range(CHAT_KEPT_MAX + 10):
        state.chat("a", f"n{number}", "text", 10.0 * (number + 1), 1.0)
    kept = state.as_json("a")["chat"]
    assert len(kept) == CHAT_KEPT_MAX
    assert kept[-1]["id"] == f"n{CHAT_KEPT_MAX + 9}"


def test_the_recording_mark_goes_to_everyone() -> None:
    state = room()
    join(state, "a")
    join(state, "b")
    outputs = state.set_recording("rec-1", 5.0)
    assert tells(outputs) == [(("a", "b"), "recording")]
    assert state.recording_json() == {"state": "on", "startedAt": 5.0, "recordingId": "rec-1"}
    state.set_recording(None, 6.0)
    assert state.recording_json()["state"] == "off"


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order, nobody is told who is not here, and bounds hold."""

    def __init__(self) -> None:
        super().__init__()
        self.state = room(max_peers=4)
        self.now = 0.0
        self.count = 0

    def check(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Tell):
                assert set(output.to) <= set(self.state.peers)

    @rule(user=st.sampled_from("abcdef"), token=st.sampled_from("xyz"))
    def join(self, user: str, token: str) -> None:
        self.count += 1
        try:
            replaced = self.state.admit(claims(user, token_id=token))
        except RemoteProtocolError:
            return
        for peer_id in replaced:
            self.check(self.state.leave(peer_id, "replaced", self.now))
        _, outputs = self.state.join(f"p{self.count}", claims(user, token_id=token), "r", self.now, self.now)
        self.check(outputs)

    @rule(index=st.integers(0, 5))
    def leave(self, index: int) -> None:
        if index < len(self.state.peers):
            self.check(self.state.leave(list(self.state.peers)[index], "left", self.now))

    @rule(index=st.integers(0, 5))
    def detach(self, index: int) -> None:
        if index < len(self.state.peers):
            self.state.detach(list(self.state.peers)[index], self.now)

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for peer_id in self.state.lost(self.now):
            self.check(self.state.leave(peer_id, "lost", self.now))

    @rule(token=st.sampled_from("xyz"))
    def end_token(self, token: str) -> None:
        for peer_id in self.state.matching(None, token):
            self.check(self.state.leave(peer_id, "token_ended", self.now))
        self.state.revoke(token)

    @invariant()
    def bounded(self) -> None:
        assert len(self.state.peers) <= 4
        users = [peer.claims.user_id for peer in self.state.peers.values()]
        assert all(users.count(user) <= PEERS_PER_USER_MAX for user in users)
        assert not any(self.state.is_revoked(peer.claims) for peer in self.state.peers.values())


TestAnyOrder = AnyOrder.TestCase
