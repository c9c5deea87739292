"""The two ends of ICE over a wire of lists, with time as a number."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from media.limits import ICE_CONSENT_TIMEOUT_S, MAX_ADDRESSES_PER_TRANSPORT
from media.transport.ice import IceLiteAgent
from media.transport.ice_controlling import IceControllingAgent
from media.transport.parameters import IceParameters
from media.transport.stun import Address, Attribute, MessageType, StunMessage, build, parse

SERVER = IceParameters("serverufrag", "s" * 32, ice_lite=True)
CLIENT = IceParameters("clientufrag", "c" * 32)
HOME: Address = ("192.0.2.10", 5000)
MOBILE: Address = ("198.51.100.7", 6000)
PORT: Address = ("203.0.113.1", 40000)


def transactions() -> Callable[[], bytes]:
    numbers = count(1)
    return lambda: next(numbers).to_bytes(12, "big")


def check(
    ufrag: str = SERVER.username_fragment,
    password: str = SERVER.password,
    nominate: bool = True,
    extra: tuple[tuple[int, bytes], ...] = (),
) -> StunMessage:
    attributes: list[tuple[int, bytes]] = [(Attribute.USERNAME, f"{ufrag}:theirs".encode()), *extra]
    if nominate:
        attributes.append((Attribute.USE_CANDIDATE, b""))
    return parse(build(MessageType.BINDING_REQUEST, bytes(12), attributes, password))


class Wire:
    """A client at an address that may change and a lite server, with loss on demand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lite = IceLiteAgent(SERVER, ICE_CONSENT_TIMEOUT_S)
        self.client = IceControllingAgent(CLIENT, SERVER, [PORT], self.now, transactions())
        self.address = HOME
        self.lose = False
        self.sent = 0

    @property
    def states(self) -> tuple[str, str]:
        """The server's and the client's."""
        return self.lite.state, self.client.state

    def turn(self) -> None:
        """Deliver what the client wants to send now, and the answers."""
        for datagram, _ in self.client.datagrams_to_send(self.now):
            self.sent += 1
            if self.lose:
                continue
            answer = self.lite.receive(parse(datagram), self.address, self.now)
            if answer is not None:
                self.client.receive(parse(answer), PORT, self.now)

    def run(self, seconds: float) -> None:
        """Let time pass from timer to timer."""
        end = self.now + seconds
        while (due := self.client.next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.client.tick(self.now)
            self.lite.tick(self.now)
            self.turn()
        self.now = end
        self.client.tick(end)
        self.lite.tick(end)


def test_one_round_trip_connects_both() -> None:
    wire = Wire()
    wire.turn()
    assert (wire.lite.state, wire.lite.selected) == ("connected", HOME)
    assert (wire.client.state, wire.client.selected, wire.client.mapped) == ("connected", PORT, HOME)


def test_lost_checks_are_repeated_with_growing_waits() -> None:
    wire = Wire()
    wire.lose = True
    wire.run(1.5)
    assert wire.sent == 5  # at 0, 50, 150, 350, 750 ms; the next is due at 1.55 s
    wire.lose = False
    wire.run(0.8)
    assert wire.states[1] == "connected"


def test_nobody_there_fails_in_time() -> None:
    wire = Wire()
    wire.lose = True
    wire.run(14.9)
    assert wire.states[1] == "new"
    wire.run(0.2)
    assert wire.states[1] == "failed"
    assert wire.client.next_timer() is None


def test_consent_keeps_both_ends_for_an_hour_and_costs_little() -> None:
    wire = Wire()
    wire.turn()
    wire.run(3600)
    assert wire.states == ("connected", "connected")
    assert 600 <= wire.sent <= 900


def test_the_server_gives_a_silent_peer_up_after_14_s_the_client_after_30_and_a_late_peer_comes_back() -> (
    None
):
    wire = Wire()
    wire.turn()
    wire.lose = True
    wire.run(ICE_CONSENT_TIMEOUT_S - 0.1)
    assert wire.states == ("connected", "connected")
    wire.run(0.2)
    assert wire.states == ("failed", "connected")
    wire.run(17)
    assert wire.states == ("failed", "failed")
    assert wire.lite.receive(check(), MOBILE, wire.now) is not None
    assert (wire.lite.state, wire.lite.selected) == ("connected", MOBILE)


def test_a_cut_of_ten_seconds_is_survived_on_the_same_credentials() -> None:
    for phase in range(7):
        wire = Wire()
        wire.turn()
        wire.run(phase / 2)
        wire.lose = True
        wire.run(10)
        wire.lose = False
        wire.run(1)
        assert wire.client.state == "connected"
        assert wire.lite.state == "connected"


def test_tcp_is_tried_half_a_second_after_udp_and_at_once_without_it() -> None:
    stream = ("192.0.2.1", 40000, 0)
    both = IceControllingAgent(CLIENT, SERVER, [PORT, stream], 0.0, transactions())
    assert [address for _, address in both.datagrams_to_send(0.0)] == [PORT]
    assert stream in [address for _, address in both.datagrams_to_send(0.5)]
    alone = IceControllingAgent(CLIENT, SERVER, [stream], 0.0, transactions())
    assert [address for _, address in alone.datagrams_to_send(0.0)] == [stream]


def test_a_tcp_address_that_ended_is_left_for_another_and_the_next_check_is_followed() -> None:
    lite = IceLiteAgent(SERVER, 15.0)
    stream, later = ("198.51.100.7", 50000, 1), ("198.51.100.7", 50001, 2)
    lite.receive(check(), stream, 0.0)
    lite.forget(stream)
    assert (lite.selected, lite.addresses, lite.state) == (None, [], "connected")
    lite.receive(check(), later, 1.0)
    lite.receive(check(nominate=False), HOME, 1.0)
    assert lite.addresses == [later, HOME]
    lite.forget(later)
    lite.forget(later)
    assert lite.selected == HOME


def test_media_counts_as_a_sign_of_life() -> None:
    lite = IceLiteAgent(SERVER, consent_timeout_s=10.0)
    lite.receive(check(), HOME, 0.0)
    lite.heard(8.0)
    states = []
    for now in (17.9, 18.0):
        lite.tick(now)
        states.append(lite.state)
    assert states == ["connected", "failed"]


def test_address_change_is_followed_at_once() -> None:
    wire = Wire()
    wire.turn()
    wire.address = MOBILE
    wire.client.check_now(wire.now)
    wire.turn()
    assert wire.lite.selected == MOBILE


def test_check_without_nomination_does_not_move_a_nominated_pair() -> None:
    lite = IceLiteAgent(SERVER, 30.0)
    lite.receive(check(nominate=False), HOME, 0.0)
    assert lite.selected == HOME
    lite.receive(check(nominate=True), HOME, 0.0)
    lite.receive(check(nominate=False), MOBILE, 1.0)
    assert lite.selected == HOME
    assert lite.addresses == [HOME, MOBILE]


def test_wrong_password_is_refused_and_changes_nothing() -> None:
    lite = IceLiteAgent(SERVER, 30.0)
    answer = lite.receive(check(password="w" * 32), HOME, 0.0)
    assert answer is not None
    assert parse(answer).error_code == 401
    assert (lite.state, lite.addresses) == ("new", [])


def test_request_without_integrity_is_a_bad_request() -> None:
    lite = IceLiteAgent(SERVER, 30.0)
    bare = parse(build(MessageType.BINDING_REQUEST, bytes(12), [(Attribute.USERNAME, b"serverufrag:x")]))
    answer = lite.receive(bare, HOME, 0.0)
    assert answer is not None
    assert parse(answer).error_code == 400


def test_a_second_controlled_end_is_told_to_take_the_other_role() -> None:
    lite = IceLiteAgent(SERVER, 30.0)
    answer = lite.receive(check(extra=((Attribute.ICE_CONTROLLED, bytes(8)),)), HOME, 0.0)
    assert answer is not None
    assert parse(answer).error_code == 487
    assert lite.state == "new"


def test_restart_takes_both_credentials_until_the_new_are_used() -> None:
    lite = IceLiteAgent(SERVER, 30.0)
    lite.receive(check(), HOME, 0.0)
    fresh = lite.restart()
    assert fresh.username_fragment != SERVER.username_fragment
    lite.receive(check(), HOME, 1.0)
    assert lite.state == "connected"
    lite.receive(check(fresh.username_fragment, fresh.password), MOBILE, 2.0)
    assert lite.selected == MOBILE
    answer = lite.receive(check(), HOME, 3.0)
    assert answer is not None
    assert parse(answer).error_code == 401


def test_the_pair_in_use_outlasts_restarts_that_nobody_makes_use_of() -> None:
    lite = IceLiteAgent(SERVER, 30.0)
    lite.receive(check(), HOME, 0.0)
    unused = lite.restart()
    reserve = lite.restart()
    for at in (20.0, 40.0):
        lite.receive(check(), HOME, at)
        lite.tick(at + 20.0)
        assert lite.state == "connected"
    refusal = lite.receive(check(unused.username_fragment, unused.password), MOBILE, 61.0)
    assert refusal is not None
    assert parse(refusal).error_code == 401
    lite.receive(check(reserve.username_fragment, reserve.password), MOBILE, 62.0)
    assert lite.selected == MOBILE
    assert lite.previous is None


def test_after_a_restart_the_first_check_is_followed_before_it_is_nominated() -> None:
    lite = IceLiteAgent(SERVER, 30.0)
    lite.receive(check(nominate=True), HOME, 0.0)
    fresh = lite.restart()
    lite.receive(check(nominate=False), MOBILE, 1.0)
    assert lite.selected == HOME
    lite.receive(check(fresh.username_fragment, fresh.password, nominate=False), MOBILE, 2.0)
    assert lite.selected == MOBILE
    lite.receive(check(fresh.username_fragment, fresh.password), HOME, 3.0)
    lite.receive(check(fresh.username_fragment, fresh.password, nominate=False), MOBILE, 4.0)
    assert lite.selected == HOME


def test_controlling_end_restarts_with_new_credentials() -> None:
    wire = Wire()
    wire.turn()
    wire.client.restart(wire.lite.restart(), wire.now)
    assert wire.states[1] == "new"
    wire.turn()
    assert wire.states[1] == "connected"
    assert wire.lite.previous is None


def test_forged_answers_select_nothing() -> None:
    client = IceControllingAgent(CLIENT, SERVER, [PORT], 0.0, transactions())
    request = parse(client.datagrams_to_send(0.0)[0][0])
    forged = parse(build(MessageType.BINDING_RESPONSE, request.transaction_id, [], "w" * 32))
    client.receive(forged, PORT, 0.0)
    elsewhere = parse(build(MessageType.BINDING_RESPONSE, request.transaction_id, [], SERVER.password))
    client.receive(elsewhere, MOBILE, 0.0)
    assert client.state == "new"


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=60))
def test_addresses_stay_bounded_and_hold_the_selected_one(checks: list[tuple[int, bool]]) -> None:
    lite = IceLiteAgent(SERVER, 30.0)
    for now, (host, nominate) in enumerate(checks):
        lite.receive(check(nominate=nominate), (f"192.0.2.{host}", 1000), float(now))
        assert len(lite.addresses) <= MAX_ADDRESSES_PER_TRANSPORT
        assert lite.selected in lite.addresses
