"""What WHIP (RFC 9725) and WHEP share on HTTP: sessions with an ETag, PATCH, DELETE, CORS, and refusals.

A session is a peer of the room with one transport. Its URL cannot be guessed and is the capability to change
and end it; a bearer token that is given with it must still be of the same user.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from media.errors import LIMIT_REACHED, MALFORMED, NOT_FOUND, TOO_LARGE, Fault, RemoteProtocolError
from media.whip import parse_fragment, restart_fragment
from signaling.access import RoomClaims
from signaling.errors import (
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    PRECONDITION_FAILED,
    PRECONDITION_REQUIRED,
    STREAM_NOT_LIVE,
    UNSUPPORTED_MEDIA_TYPE,
)
from signaling.ice_servers import link_headers
from signaling.limits import SDP_SESSIONS_MAX, WHIP_SDP_BYTES_MAX
from signaling.room import Room
from signaling.service import RoomService

SDP: Final = "application/sdp"
TRICKLE: Final = "application/trickle-ice-sdpfrag"
RETRY_AFTER_S: Final = 2
"""Told to a player that came before its picture: a device is on the air within this."""
_STREAM = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "OPTIONS, GET, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Accept-Patch, Accept-Post, Retry-After",
    "Access-Control-Max-Age": "86400",
}
_ACCEPT: Final = {"Accept-Post": SDP, "Accept-Patch": TRICKLE}

Handler = Callable[[web.Request], Awaitable[web.Response]]


class SdpSession:
    """Implements `signaling.room.Channel`: it hears of its transport and its tracks and nothing else.

    :param sends: whether the peer sends to us (WHIP) or receives (WHEP).
    """

    def __init__(self, gateway: SdpGateway, stream: str, claims: RoomClaims, room: Room, sends: bool) -> None:
        self.id = secrets.token_urlsafe(18)
        self.stream = stream
        self.claims = claims
        self.room = room
        self.sends = sends
        self.peer_id = ""
        self.etag = _new_etag()
        self._gateway = gateway

    def send(self, event: str, payload: dict[str, Any]) -> None:
        if event == "transportState" and payload["state"] in ("failed", "closed"):
            self._leave_soon("lost")
        elif event == "consumerClosed" and not self.room.tracks.of(self.peer_id).consumers:
            self._leave_soon("source_ended")

    def close(self) -> None:
        """The room let it go."""
        self._gateway.forget(self)

    def leave(self, reason: str) -> None:
        """Out of the room. Idempotent."""
        self._gateway.forget(self)
        self.room.leave(self.peer_id, reason)

    def restart_ice(self) -> str:
        """A new ICE session with a new ETag: the fragment that says so."""
        media = self.room.tracks.of(self.peer_id)
        transport = media.sending_transport() if self.sends else media.receiving_transport()
        fragment = restart_fragment(transport.restart_ice())
        self.etag = _new_etag()
        return fragment

    def _leave_soon(self, reason: str) -> None:
        # Not from inside the transport's own callback.
        asyncio.get_running_loop().call_soon(self.leave, reason)


class SdpGateway:
    """One endpoint ``/{name}/{stream}`` and its sessions; the subclass says what a POST does."""

    name: str
    sends: bool

    def __init__(self, rooms: RoomService) -> None:
        self._rooms = rooms
        self._sessions: dict[str, SdpSession] = {}

    def attach(self, app: web.Application) -> None:
        """Mount the endpoint."""
        endpoint, session = f"/{self.name}/{{stream}}", f"/{self.name}/{{stream}}/{{session}}"
        handlers = {
            endpoint: {"POST": self._post, "OPTIONS": options, "GET": _nothing},
            session: {
                "PATCH": self._patch,
                "DELETE": self._delete,
                "OPTIONS": options,
                "GET": self._get_session,
            },
        }
        for path, methods in handlers.items():
            for method, handler in methods.items():
                app.router.add_route(method, path, answered(handler))
            app.router.add_route("*", path, answered(_refuse_method(", ".join(sorted(methods)))))

    async def close(self) -> None:
        """End every session. Idempotent."""
        for session in list(self._sessions.values()):
            session.leave("room_closed")

    def forget(self, session: SdpSession) -> None:
        """Idempotent."""
        self._sessions.pop(session.id, None)

    def begin(self, session: SdpSession, offer: str) -> str:
        """Join the room with what ``offer`` says, all or nothing: the SDP answer.

        :raises RemoteProtocolError: the offer's faults, not_granted, and those of joining.
        """
        raise NotImplementedError

    def session(self, claims: RoomClaims, stream: str) -> SdpSession:
        """A session that is not in its room yet."""
        return SdpSession(self, stream, claims, self._rooms.room_for(claims), self.sends)

    async def _post(self, request: web.Request) -> web.Response:
        claims = self._rooms.verify(bearer(request))
        stream = _stream(request)
        require_type(request, SDP)
        _require_accept(request)
        offer = await body(request)
        if len(self._sessions) >= SDP_SESSIONS_MAX:
            raise RemoteProtocolError(LIMIT_REACHED, f"{self.name} sessions")
        try:
            await self._rooms.place(claims)
        except RemoteProtocolError as fault:
            # RFC 9725 section 4.5: clients follow a 307 with the same method and body.
            raise web.HTTPTemporaryRedirect(f"{fault.detail}/{self.name}/{stream}", headers=_CORS) from None
        session = self.session(claims, stream)
        answer = self.begin(session, offer)
        self._sessions[session.id] = session
        headers = {
            "Location": f"/{self.name}/{stream}/{session.id}",
            "ETag": session.etag,
            "Accept-Patch": TRICKLE,
            **_CORS,
        }
        response = web.Response(status=201, text=answer, content_type=SDP, headers=headers)
        for link in link_headers(self._rooms.ice_servers_for(session.peer_id)):
            response.headers.add("Link", link)
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        self._session_of(request).leave("left")
        return web.Response(status=200, headers=_CORS)

    async def _get_session(self, request: web.Request) -> web.Response:
        self._session_of(request)
        return await _nothing(request)

    async def _patch(self, request: web.Request) -> web.Response:
        session = self._session_of(request)
        require_type(request, TRICKLE)
        expected = request.headers.get("If-Match")
        if expected is None:
            raise RemoteProtocolError(PRECONDITION_REQUIRED, "If-Match")
        fragment = parse_fragment(await body(request))
        if expected == "*":
            if fragment.ufrag is None:
                raise RemoteProtocolError(MALFORMED, "an ICE restart names ice-ufrag and ice-pwd")
            headers = {**_CORS}
            text = session.restart_ice()
            headers["ETag"] = session.etag
            return web.Response(status=200, text=text, content_type=TRICKLE, headers=headers)
        if session.etag not in [tag.strip() for tag in expected.split(",")]:
            raise RemoteProtocolError(PRECONDITION_FAILED)
        # ICE-lite: candidates are learnt from the checks themselves (RFC 8445 section 2.5); none is needed.
        return web.Response(status=204, headers=_CORS)

    def _session_of(self, request: web.Request) -> SdpSession:
        session = self._sessions.get(request.match_info["session"])
        if session is None or session.stream != request.match_info["stream"]:
            raise RemoteProtocolError(NOT_FOUND, f"{self.name} session")
        if "Authorization" in request.headers:
            claims = self._rooms.verify(bearer(request))
            if claims.user_id != session.claims.user_id:
                raise RemoteProtocolError(NOT_FOUND, f"{self.name} session")
        return session


def _new_etag() -> str:
    """A strong entity tag (RFC 9110 section 8.8.3)."""
    return f'"{secrets.token_hex(8)}"'


async def options(_request: web.Request) -> web.Response:
    """CORS, and what may be posted (W3C LDP section 7.1)."""
    return web.Response(status=200, headers={**_ACCEPT, **_CORS})


async def _nothing(_request: web.Request) -> web.Response:
    """RFC 9725 section 4.1: these resources have no representation."""
    return web.Response(status=204, headers=_CORS)


def _refuse_method(allowed: str) -> Handler:
    async def refuse(_request: web.Request) -> web.Response:
        response = problem(RemoteProtocolError(METHOD_NOT_ALLOWED))
        response.headers["Allow"] = allowed
        return response

    return refuse


def answered(handler: Handler) -> Handler:
    """A `Fault` becomes a problem document (RFC 9457)."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except Fault as fault:
            return problem(fault)

    return answer


def problem(fault: Fault) -> web.Response:
    """The problem document of a fault."""
    code = fault.code
    document = {
        "type": f"urn:huizhen:error:{code.code}",
        "title": code.en,
        "status": code.status,
        "code": code.code,
        "detail": fault.detail,
        "message": {"zh": code.zh, "en": code.en},
    }
    headers = {**_CORS}
    if code.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if code is STREAM_NOT_LIVE:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if code is UNSUPPORTED_MEDIA_TYPE:
        headers |= _ACCEPT
    return web.json_response(
        document, status=code.status, content_type="application/problem+json", headers=headers
    )


def bearer(request: web.Request) -> str:
    """The bearer token (RFC 6750 section 2.1), empty without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def require_type(request: web.Request, content_type: str) -> None:
    """:raises RemoteProtocolError: unsupported_media_type."""
    if request.content_type != content_type:
        raise RemoteProtocolError(UNSUPPORTED_MEDIA_TYPE, content_type)


async def body(request: web.Request) -> str:
    """The body as text. :raises RemoteProtocolError: too_large, malformed."""
    data = await request.content.read(WHIP_SDP_BYTES_MAX + 1)
    while len(data) <= WHIP_SDP_BYTES_MAX and not request.content.at_eof():
        data += await request.content.read(WHIP_SDP_BYTES_MAX + 1 - len(data))
    if len(data) > WHIP_SDP_BYTES_MAX:
        raise RemoteProtocolError(TOO_LARGE, "SDP")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError(MALFORMED, "SDP is UTF-8") from None


def _stream(request: web.Request) -> str:
    stream = request.match_info["stream"]
    if not _STREAM.fullmatch(stream):
        raise RemoteProtocolError(MALFORMED, "stream name")
    return stream


def _require_accept(request: web.Request) -> None:
    """RFC 9110 section 12.5.1: who takes no SDP gets none."""
    accepted = [
        part.partition(";")[0].strip().lower() for part in request.headers.get("Accept", "").split(",")
    ]
    if any(accepted) and not {SDP, "application/*", "*/*"} & set(accepted):
        raise RemoteProtocolError(NOT_ACCEPTABLE, SDP)


def cors_headers() -> Mapping[str, str]:
    """For answers that a page of any origin may read: all of ours are guarded by tokens, not by cookies."""
    return _CORS
