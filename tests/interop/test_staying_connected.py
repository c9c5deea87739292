"""Moving, restarting and dying, through signaling and the real media plane, on a counted clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from media.clock import CountedClock, SystemClock
from media.limits import ICE_CONSENT_TIMEOUT_S
from media.transport import (
    ClientTransport,
    DtlsParameters,
    IceCandidate,
    IceParameters,
    MediaSocketConfig,
    PeerTransport,
)
from tests.interop.server import ROOM, Server, running_server
from tests.media.transport.loopback import WAIT_S, until
from tests.signaling.web import RoomClient

IPV6 = MediaSocketConfig("::", 0, ("::1",))
TCP_ONLY = MediaSocketConfig("127.0.0.1", 0, ("127.0.0.1",), udp_announce=False)
LOOPBACK = MediaSocketConfig("127.0.0.1", 0, ("127.0.0.1",))
RTCP = bytes.fromhex("80c90001000000ff")


@dataclass
class Member:
    """Somebody in the room: signaling, one transport, and the server's end of it."""

    signaling: RoomClient
    transport: ClientTransport
    transport_id: str
    far: PeerTransport

    async def heard(self) -> None:
        """Something of ours arrives at the server."""
        before = self.far.counters.packets_received
        self.transport.send_rtcp(RTCP)
        await until(lambda: self.far.counters.packets_received > before)
        assert self.far.counters.packets_refused == 0


@asynccontextmanager
async def member(server: Server) -> AsyncIterator[Member]:
    client = RoomClient("/room")
    auth = {"token": server.token("a")}
    await client.sio.connect(server.url, auth=auth, namespaces=["/room"], transports=["websocket"])
    offered = (await client.good("join", {}))["sendTransport"]
    transport = ClientTransport(SystemClock())
    dtls = transport.dtls_parameters.as_json()
    await client.good("connectTransport", {"transportId": offered["id"], "dtlsParameters": dtls})
    await asyncio.wait_for(
        transport.connect(
            IceParameters.from_json(offered["iceParameters"]),
            [IceCandidate.from_json(candidate) for candidate in offered["iceCandidates"]],
            DtlsParameters.from_json(offered["dtlsParameters"]),
        ),
        WAIT_S,
    )
    assert (await client.next("transportState"))["state"] == "connected"
    far = server.media._transports[offered["id"]]
    try:
        yield Member(client, transport, offered["id"], far)
    finally:
        await transport.close()
        await client.close()


@pytest.mark.parametrize("media", [LOOPBACK, IPV6, TCP_ONLY], ids=["udp", "ipv6", "tcp"])
async def test_a_new_address_goes_on_at_once_and_an_ice_restart_too(
    tmp_path: Path, media: MediaSocketConfig
) -> None:
    async with running_server(tmp_path, media=media) as server, member(server) as person:
        before = person.far.selected_address
        person.transport.change_network()
        await until(lambda: person.far.selected_address not in (None, before))
        await person.heard()
        moved = person.far.selected_address
        reply = await person.signaling.good("restartIce", {"transportId": person.transport_id})
        fresh = IceParameters.from_json(reply["iceParameters"])
        await asyncio.wait_for(person.transport.restart_ice(fresh), WAIT_S)
        await until(lambda: person.far.selected_address not in (None, moved))
        await person.heard()
        assert person.far.state == "connected"
        assert person.far.username_fragments == (fresh.username_fragment,)


async def test_a_dead_peer_is_gone_in_fifteen_seconds(tmp_path: Path) -> None:
    clock = CountedClock(wall=SystemClock().wall())
    async with running_server(tmp_path, clock=clock) as server, member(server) as person:
        # Its machine loses power: no goodbye, and its sockets say nothing any more.
        assert person.transport._udp is not None
        person.transport._loop.remove_reader(person.transport._udp)
        person.transport._udp.close()
        person.transport._udp = None
        await person.signaling.sio.eio.ws.close()
        await until(lambda: not _attached(server))
        clock.advance(ICE_CONSENT_TIMEOUT_S - 0.1)
        server.media._tick()
        await server.service.sweep(clock.monotonic())
        assert _peers(server) == 1
        clock.advance(1.1)  # the socket's tick of a second, then the sweep of the rooms
        server.media._tick()
        await server.service.sweep(clock.monotonic())
        assert _peers(server) == 0
        assert clock.monotonic() <= 15.0


def _peers(server: Server) -> int:
    snapshot = server.service.snapshot(ROOM)
    assert snapshot is not None
    return len(snapshot.peers)


def _attached(server: Server) -> bool:
    snapshot = server.service.snapshot(ROOM)
    assert snapshot is not None
    return any(peer.attached for peer in snapshot.peers)
