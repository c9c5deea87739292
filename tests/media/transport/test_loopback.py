"""Client and server over 127.0.0.1: handshake in both roles, media and data both ways, garbage, closing."""

from __future__ import annotations

import asyncio
import socket as sockets
from typing import Literal, TypeVar

import pytest
import uvloop

import media.transport
from media.clock import CountedClock, SystemClock
from media.errors import LocalProtocolError, RemoteProtocolError
from media.limits import MAX_DATA_MESSAGE
from media.transport import (
    ClientTransport,
    DtlsParameters,
    IceCandidate,
    IceParameters,
    MediaSocket,
    MediaSocketConfig,
)
from tests.media.transport.loopback import WAIT_S, Ends, connected, open_socket, until

pytestmark = pytest.mark.usefixtures("each_plane")

RTP = bytes.fromhex("80600001000000010000007b") + bytes(1100)
RTCP = bytes.fromhex("80c90001000000ff")


T = TypeVar("T")


async def soon(queue: asyncio.Queue[T]) -> T:
    return await asyncio.wait_for(queue.get(), WAIT_S)


@pytest.mark.parametrize("role", ["client", "server"])
async def test_media_flows_both_ways_in_both_dtls_roles(role: Literal["client", "server"]) -> None:
    async with connected(role) as ends:
        assert ends.server.state == ends.client.state == "connected"
        assert ends.server.srtp_profile == "AEAD_AES_128_GCM"
        assert ends.client.send_rtp(RTP)
        assert await soon(ends.at_server.rtp) == RTP
        assert ends.server.send_rtp(bytearray(RTP))
        assert await soon(ends.at_client.rtp) == RTP
        assert ends.client.send_rtcp(RTCP)
        assert await soon(ends.at_server.rtcp) == RTCP
        assert ends.server.send_rtcp(RTCP)
        assert await soon(ends.at_client.rtcp) == RTCP
        assert ends.server.counters.packets_sent == 2
        assert ends.at_server.states == ["connecting", "connected"]


async def test_data_flows_both_ways_and_starts_late() -> None:
    async with connected() as ends:
        ends.client.open_data_stream(0, label="chat")
        assert ends.client.send_data(0, "before the server opened it")
        ends.server.open_data_stream(0, label="chat")
        assert await soon(ends.at_server.data) == (0, "before the server opened it")
        assert ends.server.send_data(0, b"\x00\x01")
        assert await soon(ends.at_client.data) == (0, b"\x00\x01")
        ends.server.open_data_stream(7, ordered=False, max_retransmits=0)
        ends.client.open_data_stream(7, ordered=False, max_retransmits=0)
        assert ends.server.send_data(7, "")
        assert await soon(ends.at_client.data) == (7, "")
        long = "会诊" * 40_000
        assert ends.client.send_data(0, long)
        assert await soon(ends.at_server.data) == (0, long)


async def test_data_that_cannot_be_sent_is_dropped_and_counted() -> None:
    async with connected() as ends:
        assert not ends.server.send_data(3, "no such stream")
        ends.server.open_data_stream(3)
        assert not ends.server.send_data(3, bytes(MAX_DATA_MESSAGE + 1))
        sent = sum(ends.server.send_data(3, bytes(MAX_DATA_MESSAGE)) for _ in range(10))
        assert sent == 4
        assert ends.server.data_dropped == 8
        with pytest.raises(RemoteProtocolError):
            ends.server.open_data_stream(3)
        with pytest.raises(RemoteProtocolError):
            ends.server.open_data_stream(65_535)
        ends.server.close_data_stream(3)
        ends.server.close_data_stream(3)


async def test_peer_is_followed_to_its_new_address() -> None:
    async with connected() as ends:
        before = ends.server.selected_address
        ends.client.change_network()
        ends.client.send_rtp(RTP)
        assert await soon(ends.at_server.rtp) == RTP
        assert ends.server.selected_address != before
        assert ends.server.send_rtp(RTP)
        assert await soon(ends.at_client.rtp) == RTP
        assert ends.at_server.states == ["connecting", "connected"]


async def test_ice_restart_keeps_the_keys() -> None:
    async with connected() as ends:
        old = ends.server.ice_parameters
        fresh = ends.server.restart_ice()
        assert fresh != old
        await asyncio.wait_for(ends.client.restart_ice(fresh), WAIT_S)
        assert ends.server.send_rtp(RTP)
        assert await soon(ends.at_client.rtp) == RTP


async def test_dtls_that_comes_before_connect_is_kept() -> None:
    async with open_socket() as socket:
        ends = Ends(socket)
        connecting = asyncio.ensure_future(
            ends.client.connect(
                ends.server.ice_parameters, list(ends.server.ice_candidates), ends.server.dtls_parameters
            )
        )
        await ends.at_server.state("connecting")
        await until(lambda: ends.server.counters.packets_received > 0)
        ends.server.connect(ends.client.dtls_parameters)
        await asyncio.wait_for(connecting, 0.9)  # sooner than the client's first repetition
        await ends.client.close()


async def test_wrong_fingerprint_fails_both_and_names_the_reason() -> None:
    async with open_socket() as socket:
        ends = Ends(socket)
        wrong = DtlsParameters("client", (("sha-256", ":".join(["00"] * 32)),))
        ends.server.connect(wrong)
        connecting = asyncio.ensure_future(
            ends.client.connect(
                ends.server.ice_parameters, list(ends.server.ice_candidates), ends.server.dtls_parameters
            )
        )
        await ends.at_server.state("failed")
        assert ends.server.failure == "fingerprint mismatch"
        assert not ends.server.send_rtp(RTP)
        connecting.cancel()
        await ends.client.close()


async def test_connect_twice_is_the_callers_mistake() -> None:
    async with connected() as ends:
        with pytest.raises(RemoteProtocolError) as caught:
            ends.server.connect(ends.client.dtls_parameters)
        assert caught.value.code.code == "transport_connected"


async def test_closing_one_end_tells_the_other_and_twice_is_harmless() -> None:
    async with connected() as ends:
        await ends.server.close()
        await ends.server.close()
        assert ends.server.state == "closed"
        assert ends.at_server.states.count("closed") == 1
        await ends.at_client.state("closed")
        assert not ends.server.send_rtp(RTP)
        assert ends.socket.transports == 0
        with pytest.raises(LocalProtocolError):
            ends.server.connect(ends.client.dtls_parameters)


async def test_client_that_leaves_is_seen_as_closed() -> None:
    async with connected() as ends:
        await ends.client.close()
        await ends.at_server.state("closed")


async def test_closing_the_socket_closes_its_transports() -> None:
    socket = await MediaSocket.open(MediaSocketConfig(listen_ip="127.0.0.1"), SystemClock())
    transport = socket.create_transport()
    await socket.close()
    await socket.close()
    assert transport.state == "closed"
    with pytest.raises(LocalProtocolError):
        socket.create_transport()


async def test_garbage_disturbs_nobody() -> None:
    async with connected() as ends:
        with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as stranger:
            for datagram in (
                b"",
                b"x",
                bytes(1400),
                b"\x00\x01" + bytes(30),
                b"\x16\xfe\xfd" + bytes(50),
                RTP,
                b"\x90" * 1400,
                b"\x40" * 60_000,
            ):
                stranger.sendto(datagram, ("127.0.0.1", ends.socket.port))
        ends.client.send_rtp(RTP)
        assert await soon(ends.at_server.rtp) == RTP
        assert ends.socket.counters.garbage >= 4
        assert ends.socket.counters.unknown >= 3


async def test_forged_media_from_the_right_address_is_refused_and_counted() -> None:
    async with connected() as ends:
        ends.client._send_to(RTP, ("127.0.0.1", ends.socket.port))
        ends.client._send_to(b"\x17\xfe\xfd" + bytes(60), ("127.0.0.1", ends.socket.port))
        ends.client.send_rtp(RTP[:3] + b"\x02" + RTP[4:])
        assert (await soon(ends.at_server.rtp))[3] == 2
        assert ends.server.counters.packets_refused == 1
        assert ends.server.state == "connected"


async def test_server_that_is_not_there_is_told_without_waiting_on_close() -> None:
    client = ClientTransport(SystemClock())
    with pytest.raises(RemoteProtocolError):
        await client.connect(IceParameters("abcd", "p" * 22), [], DtlsParameters("auto", ()))
    attempt = asyncio.ensure_future(
        client.connect(
            IceParameters("abcd", "p" * 22),
            [IceCandidate("1", 1, "127.0.0.1", 9)],
            DtlsParameters("auto", (("sha-256", "00"),)),
        )
    )
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(RemoteProtocolError) as caught:
        await attempt
    assert caught.value.code.code == "transport_failed"


def test_the_same_on_uvloop() -> None:
    async def scenario() -> None:
        async with connected() as ends:
            ends.client.send_rtp(RTP)
            assert await soon(ends.at_server.rtp) == RTP

    uvloop.run(scenario())


def test_config_is_checked() -> None:
    with pytest.raises(ValueError, match="consent"):
        MediaSocketConfig(consent_timeout_s=5)
    with pytest.raises(ValueError, match="address"):
        MediaSocketConfig(announced_addresses=("media.example",))


def test_what_is_exported_is_chosen() -> None:
    public = {name for name in vars(media.transport) if name[0].isupper()}
    assert public == set(media.transport.__all__)


async def test_silence_and_a_handshake_that_never_comes_both_end_in_failed() -> None:
    clock = CountedClock()
    socket = await MediaSocket.open(MediaSocketConfig(listen_ip="127.0.0.1"), clock)
    ends = Ends(socket)
    await ends.connect()
    waiting = socket.create_transport()
    waiting.connect(ends.client.dtls_parameters)
    clock.advance(13.0)
    ends.server.tick(clock.monotonic())
    assert ends.at_server.states[-1] == "connected"
    clock.advance(0.5)
    ends.server.tick(clock.monotonic())
    assert ends.server.state == "failed"
    clock.advance(16.5)
    for transport in (ends.server, waiting):
        transport.tick(clock.monotonic())
        assert transport.state == "failed"
    assert (ends.server.failure, waiting.failure) == ("peer silent", "no handshake in time")
    assert not ends.server.send_rtp(RTP)
    ends.at_server.states.clear()
    ends.client.change_network()
    await ends.at_server.state("connected")
    await ends.client.close()
    await socket.close()
