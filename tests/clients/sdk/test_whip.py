"""The WHIP client against an endpoint made of media.whip and a real media socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clients.sdk.errors import ConnectionLost, RequestRefused
from clients.sdk.media_sink import MediaSink
from clients.sdk.media_source import EncodedSource, OpusSource, Vp8Source, moving_picture, tone
from clients.sdk.whip import WhipPublisher
from media.clock import SystemClock
from media.ortc import router_rtp_capabilities
from media.rtp.packet import RtpPacket
from media.rtp.rtcp import PictureLoss, pack
from media.transport import MediaSocket, MediaSocketConfig, PeerTransport
from media.whip import build_answer, parse_offer


class Endpoint:
    """POST makes a transport and a sink for each track; DELETE closes it."""

    def __init__(self, socket: MediaSocket) -> None:
        self.socket = socket
        self.clock = SystemClock()
        self.sinks: dict[str, MediaSink] = {}
        self.transport: PeerTransport | None = None
        self.deleted = asyncio.Event()
        self.received = asyncio.Event()

    async def post(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer room-token":
            problem = {"code": "token_invalid", "message": {"zh": "令牌无效。", "en": "No."}}
            return web.json_response(problem, status=401)
        offer = parse_offer(await request.text(), router_rtp_capabilities())
        transport = self.transport = self.socket.create_transport(self)
        for part in offer.parts:
            sink = MediaSink(
                {"id": part.mid, "producerId": "", "kind": part.kind, "rtpParameters": part.rtp_parameters},
                self.clock,
            )
            self.sinks[part.kind] = sink
        transport.connect(offer.dtls)
        json: dict[str, Any] = {
            "id": transport.id,
            "iceParameters": transport.ice_parameters.as_json(),
            "iceCandidates": [candidate.as_json() for candidate in transport.ice_candidates],
            "dtlsParameters": transport.dtls_parameters.as_json(),
        }
        return web.Response(status=201, text=build_answer(offer, json), headers={"Location": "/session/1"})

    async def delete(self, request: web.Request) -> web.Response:
        self.deleted.set()
        return web.Response()

    def rtp_received(self, packet: bytearray, now: float) -> None:
        parsed = RtpPacket.parse(packet)
        for sink in self.sinks.values():
            if parsed.ssrc in (sink.ssrc, sink.rtx_ssrc):
                sink.rtp_received(parsed, now)
        self.received.set()

    def rtcp_received(self, packet: bytes, now: float) -> None: ...

    def state_changed(self, state: str) -> None: ...

    def data_received(self, stream_id: int, payload: str | bytes) -> None: ...


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    socket = await MediaSocket.open(MediaSocketConfig(listen_ip="127.0.0.1"), SystemClock())
    yield Endpoint(socket)
    await socket.close()


@pytest.fixture
async def server(endpoint: Endpoint) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_post("/whip/us-1", endpoint.post)
    app.router.add_delete("/session/1", endpoint.delete)
    server = TestServer(app)
    await server.start_server()
    yield server
    await server.close()


async def test_picture_and_sound_are_published(endpoint: Endpoint, server: TestServer) -> None:
    sources: list[EncodedSource] = [OpusSource(tone()), Vp8Source(moving_picture(), frames_per_second=30)]
    publisher = await WhipPublisher.publish(str(server.make_url("/whip/us-1")), "room-token", sources)
    for kind in ("audio", "video"):
        await asyncio.wait_for(endpoint.sinks[kind].first_frame.wait(), 10)
    assert endpoint.sinks["audio"].decode_level() > 0
    assert endpoint.sinks["video"].decode_pictures()
    video = publisher.tracks[1]
    assert endpoint.transport is not None
    endpoint.transport.send_rtcp(pack(PictureLoss(1, video.ssrc)))
    async with asyncio.timeout(10):
        while endpoint.sinks["video"].stats.key_frames < 2:
            endpoint.received.clear()
            await endpoint.received.wait()
    await publisher.close()
    await publisher.close()
    assert endpoint.deleted.is_set()


async def test_refusal_carries_the_code(server: TestServer) -> None:
    with pytest.raises(RequestRefused) as caught:
        await WhipPublisher.publish(str(server.make_url("/whip/us-1")), "wrong", [OpusSource(tone())])
    assert (caught.value.code, caught.value.status, caught.value.zh) == ("token_invalid", 401, "令牌无效。")


async def test_no_server_is_a_lost_connection() -> None:
    with pytest.raises(ConnectionLost):
        await WhipPublisher.publish("http://127.0.0.1:9/whip/x", "t", [OpusSource(tone())])


async def test_server_that_closes_media_is_noticed(endpoint: Endpoint, server: TestServer) -> None:
    url = str(server.make_url("/whip/us-1"))
    publisher = await WhipPublisher.publish(url, "room-token", [OpusSource(tone())])
    assert endpoint.transport is not None
    await endpoint.transport.close()
    await asyncio.wait_for(publisher.lost.wait(), 10)
    await publisher.close()
