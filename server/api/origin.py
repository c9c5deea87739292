"""Where this installation is found: what stands on paper has to lead here again, for years."""

from __future__ import annotations

from aiohttp import web

from server.config import Config


def public_origin(config: Config, request: web.Request) -> str:
    """``https://host``: the configured one, or where the request found us.

    Behind a proxy that holds the certificate, or inside the hospital's own network, a request does not know
    where others would find us.
    """
    return config.http.public_url or f"{request.url.scheme}://{request.host}"
