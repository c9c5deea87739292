"""Publishing by WHIP (RFC 9725): one POST, then media; DELETE at the end. For devices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urljoin

import aiohttp

from clients.sdk.errors import ConnectionLost, RequestRefused
from clients.sdk.limits import CONNECT_TIMEOUT_S, SDP_ANSWER_BYTES
from clients.sdk.media_source import EncodedSource
from clients.sdk.track_sender import TrackSender
from clients.sdk.trust import Trust
from clients.sdk.whip_offer import build_offer, parse_answer
from media.clock import Clock, SystemClock
from media.errors import RemoteProtocolError
from media.rtp.rtcp import parse_compound
from media.transport import ClientTransport

_MOVED: Final = 307


class WhipPublisher:
    """Sends tracks to a WHIP endpoint; made by `publish`, ended by `close`."""

    def __init__(self, clock: Clock, sources: Sequence[EncodedSource], ssl_verify: Trust) -> None:
        self.lost = asyncio.Event()
        """Set when the media connection failed or was closed by the server; publish anew."""
        self.transport = ClientTransport(clock, self)
        self.tracks = [
            TrackSender(source, str(index), self.transport, clock) for index, source in enumerate(sources)
        ]
        self._ssl_verify = ssl_verify
        self._session_url = ""
        self._token = ""

    @classmethod
    async def publish(
        cls,
        url: str,
        token: str,
        sources: Sequence[EncodedSource],
        *,
        clock: Clock | None = None,
        ssl_verify: Trust = True,
    ) -> WhipPublisher:
        """Publish ``sources`` at the endpoint ``url`` with ``token`` as bearer.

        :raises RequestRefused: the server's problem document, such as not_granted.
        :raises ConnectionLost: not reachable, by HTTP or by media.
        """
        publisher = cls(clock or SystemClock(), sources, ssl_verify)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await publisher._connect(url, token)
        except (aiohttp.ClientError, TimeoutError, RemoteProtocolError) as error:
            await publisher.close()
            raise ConnectionLost(f"WHIP: {error}") from error
        except BaseException:
            await publisher.close()
            raise
        return publisher

    async def close(self) -> None:
        """Stop, tell the server, close; idempotent. A server that does not answer changes nothing."""
        await asyncio.gather(*(track.stop() for track in self.tracks))
        await self.transport.close()
        url, self._session_url = self._session_url, ""
        if not url:
            return
        try:
            async with self._http() as http, http.delete(url, headers=self._headers()):
                pass
        except (aiohttp.ClientError, TimeoutError):
            return  # the server ends the session by itself when it hears no more of us

    async def _connect(self, url: str, token: str) -> None:
        self._token = token
        offer = build_offer(self.tracks, self.transport.ice_parameters, self.transport.dtls_parameters)
        headers = {**self._headers(), "Content-Type": "application/sdp"}
        async with self._http() as http:
            status, location, body = await _post(http, url, offer, headers)
            if status == _MOVED:
                # By hand: the library would drop the token (RFC 9725 section 4.5 wants it followed).
                status, location, body = await _post(http, location, offer, headers)
            if status != 201:
                raise RequestRefused.from_json(_problem(body), status)
            self._session_url = location
        answer = parse_answer(body)
        await self.transport.connect(answer.ice, answer.candidates, answer.dtls)
        for track in self.tracks:
            if track.mid not in answer.refused:
                track.start()

    def _http(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CONNECT_TIMEOUT_S),
            connector=aiohttp.TCPConnector(ssl=self._ssl_verify),
        )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    # handlers of the transport

    def rtp_received(self, packet: bytearray, now: float) -> None:
        """A WHIP server sends no media."""

    def rtcp_received(self, packet: bytes, now: float) -> None:
        try:
            items = parse_compound(packet)
        except RemoteProtocolError:
            return
        for item in items:
            for track in self.tracks:
                track.rtcp_received(item)

    def state_changed(self, state: str) -> None:
        if state in ("failed", "closed"):
            self.lost.set()

    def data_received(self, stream_id: int, payload: str | bytes) -> None:
        """WHIP has no data streams."""


async def _post(
    http: aiohttp.ClientSession, url: str, offer: str, headers: Mapping[str, str]
) -> tuple[int, str, str]:
    """Status, the whole address of ``Location``, body."""
    async with http.post(url, data=offer.encode(), headers=headers, allow_redirects=False) as response:
        body = (await response.content.read(SDP_ANSWER_BYTES)).decode("utf-8", "replace")
        return response.status, urljoin(url, response.headers.get("Location", "")), body


def _problem(body: str) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return {}
