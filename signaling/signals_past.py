"""``/signals/past/{stream}``: stored signals of an open room, for those of its viewers who look back.

Plain HTTP beside the live socket, so that a page of the past never stands in line before what is live.
"""

from __future__ import annotations

import math

from aiohttp import web

from media.errors import RemoteProtocolError
from media.signals.errors import SIGNAL_PAST_RANGE
from media.signals.past import extent
from signaling.access import may_use_signals
from signaling.sdp_http import answered, bearer
from signaling.service import RoomService

NO_STORE = {"Cache-Control": "no-store"}


class SignalsPast:
    """The three resources of a stream: its extent, a part of its frames, an overview of one lead."""

    def __init__(self, rooms: RoomService) -> None:
        self._rooms = rooms

    def attach(self, app: web.Application) -> None:
        """Mount the endpoints."""
        app.router.add_get("/signals/past/{stream}", answered(self._extent))
        app.router.add_get("/signals/past/{stream}/part", answered(self._part))
        app.router.add_get("/signals/past/{stream}/overview", answered(self._overview))

    def _admit(self, request: web.Request) -> tuple[str, str, str]:
        """Who asks, the room, the stream.

        :raises RemoteProtocolError: a token code, not_granted, room_closed.
        """
        claims = self._rooms.verify(bearer(request))
        may_use_signals(claims.grant, "watch")
        return claims.user_id, self._rooms.room_for(claims).id, request.match_info["stream"]

    async def _extent(self, request: web.Request) -> web.Response:
        stored = await self._rooms.signal_store.past.stored(*self._admit(request))
        return web.json_response(extent(stored), headers=NO_STORE)

    async def _part(self, request: web.Request) -> web.Response:
        asked = self._admit(request)
        data = await self._rooms.signal_store.past.part(*asked, *period(request))
        return web.Response(body=data, content_type="application/octet-stream", headers=NO_STORE)

    async def _overview(self, request: web.Request) -> web.Response:
        asked = self._admit(request)
        lead = number(request, "lead")
        data = await self._rooms.signal_store.past.overview(*asked, *period(request), int(lead))
        return web.Response(body=data, content_type="application/octet-stream", headers=NO_STORE)


def period(request: web.Request) -> tuple[float, float]:
    """:raises RemoteProtocolError: signal_past_range."""
    return number(request, "from"), number(request, "to")


def number(request: web.Request, name: str) -> float:
    """:raises RemoteProtocolError: signal_past_range."""
    try:
        value = float(request.query.get(name, ""))
    except ValueError:
        raise RemoteProtocolError(SIGNAL_PAST_RANGE, name) from None
    if not math.isfinite(value):
        raise RemoteProtocolError(SIGNAL_PAST_RANGE, name)
    return value
