"""The compiled module's own SRTP and batches, against pylibsrtp and plain sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from media import native
from media.limits import MAX_DATAGRAM
from media.transport.srtp import SRTP_PROFILES, PacketBuffer, SrtpContext, SrtpProfile

pytestmark = pytest.mark.skipif(not native.available(), reason=f"compiled module: {native.problem()}")

if native.available():
    from media import _native
    from media._native import PLAIN, RECORD, RTCP, RTP, Batch

REPORT = bytes.fromhex("80c8000611223344") + bytes(20)


def rtp(sequence: int, payload: bytes = b"x" * 100) -> bytes:
    return struct.pack("!BBHII", 0x80, 0xE0, sequence, 90 * sequence, 0x11223344) + payload


def udp(ip: str = "127.0.0.1") -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((ip, 0))
    one.setblocking(False)
    return one


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    with udp() as ours, udp() as theirs:
        yield ours, theirs


def address_of(one: socket.socket) -> tuple[str, int]:
    ip, port = one.getsockname()
    return ip, port


def key_of(profile: SrtpProfile) -> bytes:
    return bytes(range(profile.key_length + profile.salt_length))


@pytest.mark.parametrize("profile", SRTP_PROFILES, ids=lambda profile: profile.name)
def test_gives_the_bytes_that_the_python_plane_gives(profile: SrtpProfile) -> None:
    ours = native.srtp(profile, key_of(profile), True)
    theirs = SrtpContext(profile, key_of(profile), True, PacketBuffer())
    back = native.srtp(profile, key_of(profile), False)
    for sequence in (1, 2, 5, 65535, 0, 3):
        protected = theirs.rtp(rtp(sequence % 65536))
        assert protected is not None
        assert ours.rtp(rtp(sequence % 65536)) == bytes(protected)
        assert back.rtp(bytes(protected)) == rtp(sequence % 65536)
    assert back.rtcp(ours.rtcp(REPORT) or b"") == REPORT


@pytest.mark.parametrize("packet", [b"", b"\x80", bytes(MAX_DATAGRAM + 1), b"\x80" * 12], ids=len)
def test_refuses_what_is_no_packet(packet: bytes) -> None:
    profile = SRTP_PROFILES[0]
    assert native.srtp(profile, key_of(profile), False).rtp(packet) is None
    assert native.srtp(profile, key_of(profile), False).rtcp(packet) is None


def test_a_replayed_or_changed_packet_is_refused() -> None:
    profile = SRTP_PROFILES[0]
    protected = native.srtp(profile, key_of(profile), True).rtp(rtp(1)) or b""
    back = native.srtp(profile, key_of(profile), False)
    assert back.rtp(protected[:-1] + b"?") is None
    assert back.rtp(protected) == rtp(1)
    assert back.rtp(protected) is None


def test_sends_protected_and_plain_datagrams_in_order(sockets: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sockets
    profile = SRTP_PROFILES[0]
    batch = Batch(ours.fileno(), slots=4)
    peer = batch.add_peer(*theirs.getsockname())
    batch.set_keys(peer, native.srtp(profile, key_of(profile), True), None)
    items = [(peer, RTP, rtp(sequence)) for sequence in range(9)]
    assert batch.send([(peer, PLAIN, b"hello"), *items, (peer, RTCP, REPORT)]) == 11
    back = native.srtp(profile, key_of(profile), False)
    got = [theirs.recv(2048) for _ in range(11)]
    assert got[0] == b"hello"
    assert [back.rtp(one) for one in got[1:10]] == [packet for _, _, packet in items]
    assert back.rtcp(got[10]) == REPORT
    assert batch.counters["sent"] == 11
    assert batch.counters["send_calls"] == 3


def test_joins_runs_of_one_size_and_keeps_each_receivers_order() -> None:
    with udp() as ours, udp() as first, udp() as second:
        batch = Batch(ours.fileno(), slots=64)
        peers = [batch.add_peer(*one.getsockname()) for one in (first, second)]
        sizes = [500, 500, 500, 200, 500, 700, 700]
        items = [(peer, PLAIN, bytes([number]) * size) for number, size in enumerate(sizes) for peer in peers]
        assert batch.send(items, gso=True) == 14
        assert batch.counters["send_calls"] == 1
        for one in (first, second):
            assert [one.recv(2048) for _ in sizes] == [bytes([n]) * size for n, size in enumerate(sizes)]
            with pytest.raises(BlockingIOError):
                one.recv(2048)


@pytest.mark.parametrize("slots", [2, 64])
def test_nothing_is_sent_when_an_item_is_wrong(
    sockets: tuple[socket.socket, socket.socket], slots: int
) -> None:
    ours, theirs = sockets
    batch = Batch(ours.fileno(), slots=slots)
    peer = batch.add_peer(*theirs.getsockname())
    for wrong in ((peer, RTP, rtp(1)), (peer, PLAIN, bytes(2049)), (peer + 1, PLAIN, b"")):
        with pytest.raises(ValueError, match=r"no peer|too long"):
            batch.send([(peer, PLAIN, b"good"), (peer, PLAIN, b"good"), wrong])
    with pytest.raises(BlockingIOError):
        theirs.recv(2048)


def test_tells_media_by_records_and_the_rest_one_by_one(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    profile = SRTP_PROFILES[2]
    protect = native.srtp(profile, key_of(profile), True)
    batch = Batch(ours.fileno(), slots=4)
    peer = batch.add_peer(*address_of(theirs), tag=77)
    batch.set_keys(peer, None, native.srtp(profile, key_of(profile), False))
    target = ours.getsockname()
    before = _native.monotonic_ns()
    for datagram in (*[protect.rtp(rtp(n)) for n in range(6)], protect.rtcp(REPORT), b"\x00\x01stun!!!"):
        theirs.sendto(datagram or b"", target)
    # one CSRC and a header extension before the payload
    extended = rtp(8)[:12] + bytes(4) + bytes.fromhex("bede0001") + bytes(4) + b"payload"
    theirs.sendto(protect.rtp(bytes([0x91]) + extended[1:]) or b"", target)
    theirs.sendto(bytes([0x80]) + bytes(40), target)
    with udp() as stranger:
        stranger.sendto(b"\x00\x01who are you", target)
        count, others = batch.receive()
    assert count == 8
    records = list(struct.iter_unpack(RECORD, batch.records[: 48 * count]))
    assert [(tag, ssrc, sequence) for tag, ssrc, sequence, *_ in records[:6]] == [
        (77, 0x11223344, n) for n in range(6)
    ]
    _, _, _, length, timestamp, arrival, payload_type, flags, payload_at, _, head = records[1]
    assert (length, timestamp, payload_type, flags, payload_at) == (112, 90, 96, 1, 12)
    assert head == b"x" * 16
    assert before <= arrival <= _native.monotonic_ns()
    assert records[6][8] == 12 + 4 + 8
    assert records[6][10] == b"payload".ljust(16, b"\0")
    assert records[7][7] == 2  # not authentic
    assert [(one[0], one[1], one[2]) for one in others] == [
        (peer, 77, REPORT),
        (peer, 77, b"\x00\x01stun!!!"),
        (-1, 0, b"\x00\x01who are you"),
    ]
    assert others[1][3:5] == theirs.getsockname()
    assert {name: batch.counters[name] for name in ("received", "refused", "unknown")} == {
        "received": 11,
        "refused": 1,
        "unknown": 1,
    }


def test_one_socket_speaks_for_many_local_addresses() -> None:
    with udp("0.0.0.0") as ours, udp() as theirs:
        batch = Batch(ours.fileno())
        address = address_of(theirs)
        peers = [batch.add_peer(*address, local_ip=f"127.0.1.{n}", tag=n) for n in range(1, 4)]
        assert batch.send([(peer, PLAIN, b"from %d" % peer) for peer in peers]) == 3
        sources = [theirs.recvfrom(2048)[1] for _ in peers]
        assert [ip for ip, _ in sources] == ["127.0.1.1", "127.0.1.2", "127.0.1.3"]
        for source in reversed(sources):
            theirs.sendto(b"\x00answer to you", source)
        _, others = batch.receive()
        assert [tag for _, tag, *_ in others] == [3, 2, 1]


def test_reads_no_more_than_asked_and_whole_packets_on_request(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    batch = Batch(ours.fileno(), slots=4, records=8)
    batch.add_peer(*address_of(theirs), tag=5)
    for sequence in range(20):
        theirs.sendto(rtp(sequence), ours.getsockname())
    assert batch.receive(6)[0] == 6
    assert [packet for _, _, packet, *_ in batch.receive_packets(3)] == [rtp(n) for n in (6, 7, 8)]
    assert batch.receive()[0] == 8  # as many as there is room for
    assert batch.receive()[0] == 3
    assert batch.receive() == (0, [])


def test_a_removed_peer_is_a_stranger(sockets: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sockets
    batch = Batch(ours.fileno())
    for _ in range(200):
        peer = batch.add_peer(*theirs.getsockname())
        with pytest.raises(ValueError, match="known"):
            batch.add_peer(*theirs.getsockname())
        batch.remove_peer(peer)
    theirs.sendto(rtp(1), ours.getsockname())
    assert [one[0] for one in batch.receive()[1]] == [-1]
    with pytest.raises(ValueError, match="no peer"):
        batch.remove_peer(peer)


def test_the_table_finds_thousands_of_addresses_while_half_of_them_go(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    batch = Batch(sockets[0].fileno())
    peers = [batch.add_peer(f"10.1.{n >> 8}.{n & 255}", 1000 + n % 7) for n in range(5000)]
    for peer in peers[::2]:
        batch.remove_peer(peer)
    for number in range(1, 5000, 2):
        with pytest.raises(ValueError, match="known"):
            batch.add_peer(f"10.1.{number >> 8}.{number & 255}", 1000 + number % 7)
    again = [batch.add_peer(f"10.1.{n >> 8}.{n & 255}", 1000 + n % 7) for n in range(0, 5000, 2)]
    assert sorted(again) == peers[::2]


def test_addresses_and_keys_must_fit(sockets: tuple[socket.socket, socket.socket]) -> None:
    batch = Batch(sockets[0].fileno())
    profile = SRTP_PROFILES[0]
    with pytest.raises(ValueError, match="address"):
        batch.add_peer("::1", 5)
    with pytest.raises(ValueError, match="local"):
        batch.add_peer("127.0.0.1", 5, local_ip="x")
    peer = batch.add_peer("127.0.0.1", 5)
    with pytest.raises(TypeError):
        batch.set_keys(peer, native.srtp(profile, key_of(profile), False), None)
    with pytest.raises(ValueError, match="slots"):
        Batch(sockets[0].fileno(), slots=0)
    with pytest.raises(OSError, match="descriptor"):
        Batch(-1)
