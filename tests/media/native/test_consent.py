"""Checks that change nothing: the engine answers them as `IceLiteAgent` does, and leaves all others to it."""

from __future__ import annotations

import random
import select
import socket
from collections.abc import Iterator

import pytest

from media import native
from media.limits import ENGINE_UP_BYTES, ICE_CONSENT_TIMEOUT_S
from media.transport.ice import IceLiteAgent
from media.transport.parameters import IceParameters
from media.transport.stun import Attribute, MessageType, build, parse

pytestmark = pytest.mark.skipif(not native.available(), reason=f"compiled module: {native.problem()}")

if native.available():
    from media import _native
    from media._native import Engine

OURS = IceParameters("serverufrag", "s" * 32, ice_lite=True)
WAIT_S = 10
LAST = b"\x00\x01\x00\x00" + b"the last of them"
USERNAME = (Attribute.USERNAME, f"{OURS.username_fragment}:theirs".encode())
NOMINATES = (Attribute.USE_CANDIDATE, b"")
PRIORITY = (Attribute.PRIORITY, bytes((110, 0, 1, 255)))


def check(*attributes: tuple[int, bytes], password: str = OURS.password, number: int = 7) -> bytes:
    return build(
        MessageType.BINDING_REQUEST, number.to_bytes(12, "big"), attributes or (USERNAME, PRIORITY), password
    )


class Bench:
    """An engine on a socket, a far end that it knows as a peer, and a stranger."""

    def __init__(self, bound: str = "127.0.0.1", far: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in bound else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind((bound, 0))
        self.socket.setblocking(False)
        far_family = socket.AF_INET6 if ":" in far else socket.AF_INET
        self.far, self.stranger = (socket.socket(far_family, socket.SOCK_DGRAM) for _ in range(2))
        for one in (self.far, self.stranger):
            one.bind((far, 0))
            one.settimeout(WAIT_S)
        self.address = (far, self.socket.getsockname()[1])
        self.engine = Engine(self.socket.fileno(), native.new_rule(), 8, ENGINE_UP_BYTES)
        ip, port = self.far.getsockname()[:2]
        self.source = (f"::ffff:{ip}" if family != far_family else ip, port)
        self.peer = self.engine.peer("peer")
        self.peer.add_address(*self.source)
        self.peer.set_way(_native.WAY_UDP, *self.source)
        self.peer.set_consent(OURS.username_fragment, OURS.password, True)

    def comes_up(self, datagram: bytes, by: socket.socket | None = None) -> bool:
        """Whether a datagram is left to Python; the engine reads in order, and what is sent last comes up."""
        by = self.far if by is None else by
        for one in (datagram, LAST):
            by.sendto(one, self.address)
        told: list[bytes] = []
        while LAST not in told:
            assert select.select([self.engine.fileno()], [], [], WAIT_S)[0], self.engine.counters
            told += [one[2] for one in self.engine.take()]
        return len(told) > 1

    def close(self) -> None:
        self.engine.close()
        for one in (self.socket, self.far, self.stranger):
            one.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    one.close()


def expected(datagram: bytes, source: tuple[str, int], nominated: bool = True) -> bytes | None:
    """What Python's agent answers; None where the check would change something of its state."""
    agent = IceLiteAgent(OURS, ICE_CONSENT_TIMEOUT_S)
    agent.receive(parse(check(USERNAME, NOMINATES) if nominated else check()), source, 1.0)
    before = agent.selected, agent.state, agent.nominated
    answer = agent.receive(parse(datagram), source, 2.0)
    return answer if (agent.selected, agent.state, agent.nominated) == before else None


@pytest.mark.parametrize(
    ("bound", "far"), [("127.0.0.1", "127.0.0.1"), ("::", "127.0.0.1"), ("::", "::1")], ids=["4", "4in6", "6"]
)
def test_a_check_from_where_the_peer_is_reached_is_answered_as_python_would(bound: str, far: str) -> None:
    bench = Bench(bound, far)
    for number, attributes in enumerate([(USERNAME,), (PRIORITY, USERNAME), (USERNAME, NOMINATES)]):
        datagram = check(*attributes, number=1 << 80 | number)
        assert not bench.comes_up(datagram)
        assert bench.far.recv(2048) == expected(datagram, bench.source)
    assert bench.engine.counters["checks"] == 3
    assert bench.peer.heard > 0
    bench.close()


def test_what_is_not_right_or_would_change_something_comes_up(bench: Bench) -> None:
    right = check()
    at = len(right) - 8
    elsewhere = build(MessageType.BINDING_INDICATION, bytes(12), (USERNAME,), OURS.password)
    cases = {
        "password": check(password="x" * 32),
        "another's": check((Attribute.USERNAME, b"somebody:theirs")),
        "longer": check((Attribute.USERNAME, b"serverufragment:theirs")),
        "shorter": check((Attribute.USERNAME, b"serverufra:theirs")),
        "no name": check(PRIORITY),
        "no integrity": build(MessageType.BINDING_REQUEST, bytes(12), (USERNAME,)),
        "role": check(USERNAME, (Attribute.ICE_CONTROLLED, bytes(8))),
        "fingerprint": right[:-1] + bytes((right[-1] ^ 1,)),
        "digest": right[: at - 1] + bytes((right[at - 1] ^ 1,)) + right[at:],
        "cut": right[:-4],
        "indication": elsewhere,
        "many": check(USERNAME, *[PRIORITY] * 40),
    }
    for name, datagram in cases.items():
        assert bench.comes_up(datagram), name
    assert bench.comes_up(right, bench.stranger)
    assert bench.engine.counters["checks"] == 0


def test_what_it_may_answer_is_pythons_to_say(bench: Bench) -> None:
    bench.peer.set_consent(OURS.username_fragment, OURS.password, False)
    assert bench.comes_up(check(USERNAME, NOMINATES))  # the first nomination
    assert not bench.comes_up(check())
    bench.peer.set_way(_native.WAY_NONE)
    assert bench.comes_up(check())
    bench.peer.set_way(_native.WAY_UDP, *bench.source)
    bench.peer.set_consent("", "", False)
    assert bench.comes_up(check())
    for ufrag, password in (("u" * 33, "p"), ("u", "p" * 65)):
        with pytest.raises(ValueError, match="at most"):
            bench.peer.set_consent(ufrag, password, False)
    bench.peer.close()
    with pytest.raises(RuntimeError, match="closed"):
        bench.peer.set_consent("u", "p", False)


def test_of_mangled_checks_it_answers_none_that_python_would_not(bench: Bench) -> None:
    chance = random.Random(5)
    answered = 0
    for number in range(1500):
        extra = [(0x8000 + chance.randrange(40), chance.randbytes(chance.randrange(9))) for _ in range(3)]
        attributes = [USERNAME, PRIORITY, *extra[: chance.randrange(4)]]
        chance.shuffle(attributes)
        mangled = bytearray(check(*attributes, number=number))
        for _ in range(chance.randrange(3)):
            mangled[chance.randrange(len(mangled))] ^= 1 << chance.randrange(8)
        datagram = bytes(mangled[: len(mangled) - 4 * chance.choice((0, 0, 0, 1, 2))])
        if not bench.comes_up(datagram) and datagram[:2] == b"\x00\x01":
            answered += 1
            assert bench.far.recv(2048) == expected(datagram, bench.source), datagram
    assert answered == bench.engine.counters["checks"] > 200
