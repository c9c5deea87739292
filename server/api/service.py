"""What operators and their machines ask: alive, ready, figures, and the API's own description."""

from __future__ import annotations

from typing import Any, Literal

from aiohttp import web
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from media.errors import LocalProtocolError
from server.api.context import RequestContext
from server.api.models import ApiModel
from server.api.routing import endpoint
from server.errors import NOT_READY
from server.nodes.node import Node


class HealthOut(ApiModel):
    status: Literal["ok"] = "ok"


class ReadyOut(ApiModel):
    """``media_port``: the UDP port that browsers must reach; ``media_plane``: what moves packets;
    ``media_build``: which build of the compiled plane, the beginning of its sources' digest; else empty.

    ``signal_store``: ``ok``, or the code of why signals are not stored (``store_full``). The server goes on
    with it: pictures and sound need no disk, and devices keep their signals.
    ``nodes``: ``alone``, ``ok``, or the code of what is wrong between several (``bus_away``,
    ``bus_foreign``): every node goes on, and calls of the others are found some seconds later.
    """

    status: Literal["ok"] = "ok"
    media_port: int
    media_plane: Literal["python", "native"]
    media_build: str = ""
    signal_store: str = "ok"
    nodes: str = "alone"


@endpoint("GET", "/healthz", summary="The process answers", public=True)
async def healthz(ctx: RequestContext) -> HealthOut:
    return HealthOut()


@endpoint("GET", "/readyz", summary="The database answers, the media port is bound, timers run", public=True)
async def readyz(ctx: RequestContext) -> ReadyOut:
    try:
        await ctx.session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        raise LocalProtocolError(NOT_READY, "database") from None
    if not ctx.services.dispatcher.running:
        raise LocalProtocolError(NOT_READY, "dispatcher")
    socket, trouble = ctx.services.media_socket, ctx.services.signals.trouble
    return ReadyOut(
        media_port=socket.port,
        media_plane=socket.plane,
        media_build=socket.build,
        signal_store="ok" if trouble is None else trouble.code,
        nodes=_nodes(ctx.services.node),
    )


def _nodes(node: Node | None) -> str:
    if node is None:
        return "alone"
    return "ok" if node.trouble is None else node.trouble.code


@endpoint("GET", "/metrics", summary="Figures for Prometheus", public=True, media_type="text/plain")
async def metrics(ctx: RequestContext) -> web.Response:
    return web.Response(body=ctx.services.metrics.render(), content_type="text/plain", charset="utf-8")


@endpoint("GET", "/api/openapi.json", summary="This description", public=True)
async def openapi(ctx: RequestContext) -> dict[str, Any]:
    return ctx.services.openapi
