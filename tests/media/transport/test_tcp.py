"""ICE over TCP: media and data on a real connection, and a port that strangers cannot wear out."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import AsyncIterator

import pytest
import uvloop

from media.clock import CountedClock, SystemClock
from media.errors import RemoteProtocolError
from media.limits import MAX_DATAGRAM, MAX_TCP_STRANGERS, TCP_SEND_BUFFER_BYTES, TCP_STRANGER_S
from media.transport import ClientTransport, IceCandidate, MediaSocket, MediaSocketConfig
from media.transport.framed_stream import FramedStream
from media.transport.framing import frame_header
from media.transport.stun import MessageType, build
from tests.media.transport.loopback import WAIT_S, Ends, open_socket, until

pytestmark = pytest.mark.usefixtures("each_plane")

RTP = bytes.fromhex("80600001000000010000007b") + bytes(1100)
TCP_ONLY = MediaSocketConfig(listen_ip="127.0.0.1", udp_announce=False)


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """A pair connected over TCP."""
    socket = await MediaSocket.open(TCP_ONLY, SystemClock())
    pair = Ends(socket)
    await pair.connect()
    yield pair
    await pair.client.close()
    await socket.close()


async def soon(queue: asyncio.Queue[bytes]) -> bytes:
    return await asyncio.wait_for(queue.get(), WAIT_S)


async def flows(ends: Ends) -> None:
    """A packet arrives each way."""
    number = ends.client.counters.packets_sent + 2
    packet = RTP[:2] + number.to_bytes(2, "big") + RTP[4:]
    assert ends.client.send_rtp(packet)
    assert await soon(ends.at_server.rtp) == packet
    assert ends.server.send_rtp(packet)
    assert await soon(ends.at_client.rtp) == packet


async def test_the_candidate_is_passive_and_below_every_udp_one() -> None:
    async with open_socket() as socket:
        udp, tcp = socket.candidates
    assert (udp.protocol, tcp.protocol, tcp.port) == ("udp", "tcp", socket.port)
    assert tcp.as_json()["tcpType"] == "passive"
    assert "tcpType" not in udp.as_json()
    assert tcp.priority < udp.priority
    assert IceCandidate.from_json(tcp.as_json()) == tcp


async def test_media_and_data_flow_over_tcp_alone(ends: Ends) -> None:
    assert ends.server.protocol == "tcp"
    assert [candidate.protocol for candidate in ends.server.ice_candidates] == ["tcp"]
    await flows(ends)
    ends.client.open_data_stream(0)
    ends.server.open_data_stream(0)
    long = "会诊" * 20_000
    assert ends.client.send_data(0, long)
    assert await asyncio.wait_for(ends.at_server.data.get(), WAIT_S) == (0, long)
    assert ends.server.send_data(0, long)
    assert await asyncio.wait_for(ends.at_client.data.get(), WAIT_S) == (0, long)


async def test_udp_wins_when_both_work() -> None:
    async with open_socket() as socket:
        pair = Ends(socket)
        await pair.connect()
        assert pair.server.protocol == "udp"
        assert socket.tcp_connections == 0
        await pair.client.close()


async def test_a_lost_connection_is_made_again_with_the_same_keys(ends: Ends) -> None:
    before = ends.server.selected_address
    assert before is not None
    assert ends.socket._tcp is not None
    ends.socket._tcp._refuse(before)  # type: ignore[arg-type]
    assert not ends.server.send_rtp(RTP)
    await until(lambda: ends.server.selected_address is not None)
    assert ends.server.selected_address != before
    await flows(ends)
    assert ends.at_server.states == ["connecting", "connected"]


async def test_a_new_network_and_an_ice_restart_over_tcp(ends: Ends) -> None:
    before = ends.server.selected_address
    ends.client.change_network()
    await until(lambda: ends.server.selected_address not in (None, before))
    await flows(ends)
    fresh = ends.server.restart_ice()
    await asyncio.wait_for(ends.client.restart_ice(fresh), WAIT_S)
    await flows(ends)


async def test_closing_a_transport_closes_its_connection(ends: Ends) -> None:
    assert ends.socket.tcp_connections == 1
    await ends.server.close()
    assert ends.socket.tcp_connections == 0
    await ends.at_client.state("closed")


async def test_a_client_that_leaves_is_seen_at_once(ends: Ends) -> None:
    await ends.client.close()
    await ends.at_server.state("closed")


CHECK_OF_NOBODY = build(MessageType.BINDING_REQUEST, bytes(12), [(6, b"nobody:x")], "p" * 22)


def framed(datagram: bytes) -> bytes:
    return frame_header(len(datagram)) + datagram


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff" * 4096,
        frame_header(MAX_DATAGRAM + 1),
        framed(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        framed(RTP),
        framed(CHECK_OF_NOBODY),
        framed(CHECK_OF_NOBODY[:-4]),
    ],
    ids=["http", "ones", "too-long", "tls", "rtp", "nobody", "cut"],
)
async def test_what_is_no_check_closes_that_connection_alone(ends: Ends, rubbish: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ends.socket.tcp_port)
    writer.write(rubbish)
    assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
    writer.close()
    await flows(ends)
    assert ends.socket.tcp_connections == 1


async def test_garbage_after_a_good_check_closes_the_connection_and_the_client_comes_back(ends: Ends) -> None:
    before = ends.server.selected_address
    (stream,) = ends.client._streams.values()
    stream.send(b"\x50" * 40)
    await until(lambda: ends.server.selected_address not in (None, before))
    await flows(ends)


async def test_a_stranger_that_says_nothing_goes_after_ten_seconds() -> None:
    clock = CountedClock()
    socket = await MediaSocket.open(TCP_ONLY, clock)
    reader, writer = await asyncio.open_connection("127.0.0.1", socket.tcp_port)
    await until(lambda: socket.tcp_connections == 1)
    clock.advance(TCP_STRANGER_S - 0.1)
    socket._tick()
    assert socket.tcp_connections == 1
    clock.advance(0.1)
    socket._tick()
    assert socket.tcp_connections == 0
    assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
    writer.close()
    await socket.close()


async def test_strangers_are_bounded_and_the_oldest_goes_first(ends: Ends) -> None:
    strangers = [sockets.create_connection(("127.0.0.1", ends.socket.tcp_port)) for _ in range(8)]
    await until(lambda: ends.socket.tcp_connections == 9)
    strangers += [
        sockets.create_connection(("127.0.0.1", ends.socket.tcp_port)) for _ in range(MAX_TCP_STRANGERS)
    ]
    await until(lambda: ends.socket.tcp_counters.refused == 8)
    assert ends.socket.tcp_connections == MAX_TCP_STRANGERS + 1
    strangers[0].settimeout(WAIT_S)
    assert strangers[0].recv(1) == b""
    await flows(ends)
    for stranger in strangers:
        stranger.close()


async def test_a_slow_line_loses_new_media_whole_and_keeps_room_for_checks() -> None:
    near, far = _tcp_pair()
    stream = FramedStream(near, asyncio.get_running_loop(), lambda _: None, lambda: None)
    packet = RTP
    while stream.send(packet):
        pass
    assert stream.waiting_bytes <= TCP_SEND_BUFFER_BYTES
    assert stream.dropped == 1
    assert stream.send(CHECK_OF_NOBODY)
    far.setblocking(False)
    received = b""
    loop = asyncio.get_running_loop()
    while len(received) % len(framed(packet)) != len(framed(CHECK_OF_NOBODY)) or stream.waiting_bytes:
        received += await asyncio.wait_for(loop.sock_recv(far, 65_536), WAIT_S)
    assert received.endswith(framed(packet) + framed(CHECK_OF_NOBODY))
    stream.close()
    far.close()


def _tcp_pair() -> tuple[sockets.socket, sockets.socket]:
    with sockets.create_server(("127.0.0.1", 0)) as listening:
        near = sockets.create_connection(listening.getsockname())
        far, _ = listening.accept()
    return near, far


async def test_no_server_there_is_told() -> None:
    client = ClientTransport(SystemClock(), protocols=("tcp",))
    async with open_socket() as socket:
        transport = socket.create_transport()
        with pytest.raises(RemoteProtocolError):
            await client.connect(transport.ice_parameters, [socket.candidates[0]], transport.dtls_parameters)
    await client.close()


async def test_several_addresses_of_both_families_are_announced_and_reached() -> None:
    config = MediaSocketConfig(listen_ip="::", announced_addresses=("::1", "127.0.0.1"))
    socket = await MediaSocket.open(config, SystemClock())
    described = [(c.ip, c.protocol) for c in socket.candidates]
    assert described == [("::1", "udp"), ("127.0.0.1", "udp"), ("::1", "tcp"), ("127.0.0.1", "tcp")]
    assert len({c.priority for c in socket.candidates}) == 4
    for candidate in socket.candidates:
        pair = Ends(socket)
        pair.server.ice_candidates = (candidate,)
        await pair.connect()
        assert pair.server.protocol == candidate.protocol
        await flows(pair)
        await pair.client.close()
    await socket.close()


async def test_no_tcp_port_when_it_is_turned_off() -> None:
    config = MediaSocketConfig(listen_ip="127.0.0.1", tcp_port=0)
    socket = await MediaSocket.open(config, SystemClock())
    assert (socket.tcp_port, socket.tcp_connections) == (0, 0)
    assert [c.protocol for c in socket.candidates] == ["udp"]
    await socket.close()
    with pytest.raises(ValueError, match="announced"):
        MediaSocketConfig(tcp_port=0, udp_announce=False)


def test_the_same_on_uvloop() -> None:
    async def scenario() -> None:
        socket = await MediaSocket.open(TCP_ONLY, SystemClock())
        pair = Ends(socket)
        await pair.connect()
        await flows(pair)
        pair.client.change_network()
        await flows(pair)
        await pair.client.close()
        await socket.close()

    uvloop.run(scenario())
