"""WHIP (RFC 9725): a device publishes by one HTTP exchange. ``media.whip`` translates, this answers HTTP.

The session is a peer of the room with one sending transport. Its URL cannot be guessed and is the capability
to end it; a bearer token that is given with it must still be of the same user.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from media.errors import LIMIT_REACHED, MALFORMED, NOT_FOUND, TOO_LARGE, Fault, RemoteProtocolError
from media.whip import WhipOffer, build_answer, parse_offer
from signaling.access import RoomClaims, may_publish
from signaling.errors import PRECONDITION_FAILED, UNSUPPORTED_MEDIA_TYPE
from signaling.ice_servers import link_headers
from signaling.limits import WHIP_SDP_BYTES_MAX, WHIP_SESSIONS_MAX
from signaling.room import Room
from signaling.service import RoomService

logger = logging.getLogger(__name__)

SDP: Final = "application/sdp"
TRICKLE: Final = "application/trickle-ice-sdpfrag"
SOURCE_OF_KIND: Final = {"video": "ultrasound", "audio": "microphone"}
_STREAM = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "OPTIONS, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Accept-Patch, Accept-Post",
}

Handler = Callable[[web.Request], Awaitable[web.Response]]


class WhipSession:
    """A device in a room. Implements `signaling.room.Channel`: it hears of its transport and nothing else."""

    def __init__(self, gateway: WhipGateway, stream: str, claims: RoomClaims, room: Room) -> None:
        self.id = secrets.token_urlsafe(18)
        self.stream = stream
        self.claims = claims
        self.room = room
        self.peer_id = ""
        self.etag = f'"{secrets.token_hex(8)}"'
        self._gateway = gateway

    def send(self, event: str, payload: dict[str, Any]) -> None:
        if event == "transportState" and payload["state"] in ("failed", "closed"):
            # Not from inside the transport's own callback.
            asyncio.get_running_loop().call_soon(self.leave, "lost")

    def close(self) -> None:
        """The room let it go."""
        self._gateway.forget(self)

    def leave(self, reason: str) -> None:
        """Out of the room. Idempotent."""
        self._gateway.forget(self)
        self.room.leave(self.peer_id, reason)


class WhipGateway:
    """The endpoint ``/whip/{stream}`` and its sessions."""

    def __init__(self, rooms: RoomService) -> None:
        self._rooms = rooms
        self._sessions: dict[str, WhipSession] = {}

    def attach(self, app: web.Application) -> None:
        """Mount the endpoint."""
        router = app.router
        router.add_route("POST", "/whip/{stream}", _answered(self._post))
        router.add_route("OPTIONS", "/whip/{stream}", _answered(_options))
        router.add_route("OPTIONS", "/whip/{stream}/{session}", _answered(_options))
        router.add_route("DELETE", "/whip/{stream}/{session}", _answered(self._delete))
        router.add_route("PATCH", "/whip/{stream}/{session}", _answered(self._patch))

    async def close(self) -> None:
        """End every session. Idempotent."""
        for session in list(self._sessions.values()):
            session.leave("room_closed")

    def forget(self, session: WhipSession) -> None:
        """Idempotent."""
        self._sessions.pop(session.id, None)

    async def _post(self, request: web.Request) -> web.Response:
        claims = self._rooms.verify(_bearer(request))
        stream = _stream(request)
        _require_type(request, SDP)
        offer = parse_offer(await _body(request), self._rooms.router_rtp_capabilities)
        for part in offer.parts:
            may_publish(claims.grant, SOURCE_OF_KIND[part.kind], part.kind)
        room = self._rooms.room_for(claims)
        self._replace_earlier(claims, stream)
        if len(self._sessions) >= WHIP_SESSIONS_MAX:
            raise RemoteProtocolError(LIMIT_REACHED, "WHIP sessions")
        session = WhipSession(self, stream, claims, room)
        answer = self._publish(session, offer)
        self._sessions[session.id] = session
        headers = {
            "Location": f"/whip/{stream}/{session.id}",
            "ETag": session.etag,
            "Accept-Patch": TRICKLE,
            **_CORS,
        }
        response = web.Response(status=201, text=answer, content_type=SDP, headers=headers)
        for link in link_headers(self._rooms.ice_servers_for(session.peer_id)):
            response.headers.add("Link", link)
        return response

    def _publish(self, session: WhipSession, offer: WhipOffer) -> str:
        """Join, connect and produce; all or nothing. The SDP answer."""
        room = session.room
        one_way = replace(session.claims.grant, subscribe=False)
        session.peer_id = room.add_peer(session.claims, one_way, session).id
        try:
            transport = room.tracks.of(session.peer_id).sending_transport()
            answer = build_answer(offer, transport.as_json())
            for part in offer.parts:
                source = SOURCE_OF_KIND[part.kind]
                room.tracks.produce_on(transport, session.peer_id, part.kind, part.rtp_parameters, source)
            transport.connect(offer.dtls.as_json())
        except Fault:
            room.leave(session.peer_id, "left")
            raise
        return answer

    def _replace_earlier(self, claims: RoomClaims, stream: str) -> None:
        for session in list(self._sessions.values()):
            if session.stream == stream and session.claims.user_id == claims.user_id:
                session.leave("replaced")

    async def _delete(self, request: web.Request) -> web.Response:
        self._session(request).leave("left")
        return web.Response(status=200, headers=_CORS)

    async def _patch(self, request: web.Request) -> web.Response:
        session = self._session(request)
        _require_type(request, TRICKLE)
        expected = request.headers.get("If-Match")
        if expected not in (None, "*", session.etag):
            raise RemoteProtocolError(PRECONDITION_FAILED)
        fragment = await _body(request)
        if "a=ice-ufrag:" in fragment and expected == "*":
            return self._restart(session)
        # ICE-lite: candidates are learnt from the checks themselves (RFC 8445 section 2.5); none is needed.
        return web.Response(status=204, headers=_CORS)

    def _restart(self, session: WhipSession) -> web.Response:
        parameters = session.room.tracks.of(session.peer_id).sending_transport().restart_ice()
        session.etag = f'"{secrets.token_hex(8)}"'
        fragment = f"a=ice-ufrag:{parameters['usernameFragment']}\r\na=ice-pwd:{parameters['password']}\r\n"
        headers = {"ETag": session.etag, **_CORS}
        return web.Response(status=200, text=fragment, content_type=TRICKLE, headers=headers)

    def _session(self, request: web.Request) -> WhipSession:
        session = self._sessions.get(request.match_info["session"])
        if session is None or session.stream != request.match_info["stream"]:
            raise RemoteProtocolError(NOT_FOUND, "WHIP session")
        if "Authorization" in request.headers:
            claims = self._rooms.verify(_bearer(request))
            if claims.user_id != session.claims.user_id:
                raise RemoteProtocolError(NOT_FOUND, "WHIP session")
        return session


async def _options(_request: web.Request) -> web.Response:
    return web.Response(status=204, headers={"Accept-Post": SDP, "Accept-Patch": TRICKLE, **_CORS})


def _answered(handler: Handler) -> Handler:
    """A `Fault` becomes a problem document (RFC 9457)."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except Fault as fault:
            return _problem(fault)

    return answer


def _problem(fault: Fault) -> web.Response:
    code = fault.code
    body = {
        "type": f"urn:huizhen:error:{code.code}",
        "title": code.en,
        "status": code.status,
        "code": code.code,
        "detail": fault.detail,
        "message": {"zh": code.zh, "en": code.en},
    }
    headers = dict(_CORS)
    if code.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response(
        body, status=code.status, content_type="application/problem+json", headers=headers
    )


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _stream(request: web.Request) -> str:
    stream = request.match_info["stream"]
    if not _STREAM.fullmatch(stream):
        raise RemoteProtocolError(MALFORMED, "stream name")
    return stream


def _require_type(request: web.Request, content_type: str) -> None:
    if request.content_type != content_type:
        raise RemoteProtocolError(UNSUPPORTED_MEDIA_TYPE, content_type)


async def _body(request: web.Request) -> str:
    data = await request.content.read(WHIP_SDP_BYTES_MAX + 1)
    while len(data) <= WHIP_SDP_BYTES_MAX and not request.content.at_eof():
        data += await request.content.read(WHIP_SDP_BYTES_MAX + 1 - len(data))
    if len(data) > WHIP_SDP_BYTES_MAX:
        raise RemoteProtocolError(TOO_LARGE, "SDP")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError(MALFORMED, "SDP is UTF-8") from None
