"""What a browser may try to find out what its network lets through; signaling runs the tests themselves."""

from __future__ import annotations

from typing import Any, Literal

from server.api.context import RequestContext
from server.api.models import ApiModel
from server.api.routing import endpoint


class PathOut(ApiModel):
    """One way to the server: ICE candidates of ours, or URLs."""

    path: Literal["udp", "tcp", "turn", "websocket"]
    candidates: list[dict[str, Any]]
    urls: list[str]


class ConnectivityOut(ApiModel):
    """``ice_servers`` is RTCIceServer JSON with credentials; ``seconds`` is how long one test lasts."""

    paths: list[PathOut]
    ice_servers: list[dict[str, Any]]
    seconds: float


@endpoint("GET", "/api/v1/connectivity", summary="Ways to the server, to be tried one by one")
async def get_connectivity(ctx: RequestContext) -> ConnectivityOut:
    """Each test is ``POST /connectivity/{path}`` as signaling/PROTOCOL.md has it."""
    return ConnectivityOut.model_validate(ctx.services.gateway.connectivity.describe())
