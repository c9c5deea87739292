"""The browser client's files, and the headers that every reply carries."""

from __future__ import annotations

import base64
import hashlib
import html
import mimetypes
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ETag, web

from media.errors import NOT_FOUND, RemoteProtocolError
from server.config import DEFAULT_ZONE

_HASHED = re.compile(r"assets/.*-[A-Za-z0-9_-]{8,}\.\w+$")
_HOST = re.compile(r"[A-Za-z0-9.\-:\[\]]{1,255}")
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_SERVER_PATHS = ("api/", "socket.io/", "whip/", "whep/", "signals/", "fhir/")
_NOT_BUILT = "The web client is not built. Run: make setup\n"

_PERMISSIONS = (
    "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), fullscreen=(self), "
    "screen-wake-lock=(self), picture-in-picture=(self), geolocation=(), payment=(), usb=()"
)


def add_web_client(
    app: web.Application,
    directory: Path,
    nodes: Callable[[], Collection[str]] = tuple,
    zone: str = DEFAULT_ZONE,
) -> None:
    """Serve ``directory`` on ``/``; must come last, it takes every GET that nobody else took.

    Addresses that are no file get index.html, where the client's own router takes over. Files with ``.br`` or
    ``.gz`` beside them are sent compressed to browsers that can (aiohttp's FileResponse).

    :param nodes: addresses of the other nodes, whose rooms our pages enter.
    :param zone: the clinics', which index.html names when it is another than the client's own.
    """
    files = _files_below(directory)
    scripts = _inline_scripts(files.get("index.html"))
    index = _Index.of(files.get("index.html"), zone)

    async def serve(request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        if path.startswith(_SERVER_PATHS):
            raise RemoteProtocolError(NOT_FOUND)
        if path in files and (index is None or path != "index.html"):
            return _file(files[path], path)
        if "index.html" not in files:
            return web.Response(text=_NOT_BUILT, status=503)
        if path.startswith("assets/"):
            raise RemoteProtocolError(NOT_FOUND)
        return _file(files["index.html"], "index.html") if index is None else index.reply(request)

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        _add_security_headers(request, response, scripts, nodes())

    app.router.add_get("/{path:.*}", serve)
    app.on_response_prepare.append(add_headers)


@dataclass(frozen=True, slots=True)
class _Index:
    """index.html with the zone's name: there it is known before anything runs, also to guests."""

    body: bytes
    etag: ETag

    @classmethod
    def of(cls, path: Path | None, zone: str) -> _Index | None:
        """None where the file says all there is to say."""
        if path is None or zone == DEFAULT_ZONE:
            return None
        text = path.read_text(encoding="utf-8")
        body = text.replace("<html ", f'<html data-zone="{html.escape(zone)}" ', 1).encode()
        return cls(body, ETag(hashlib.sha256(body).hexdigest()[:32], is_weak=True))

    def reply(self, request: web.Request) -> web.Response:
        known = self.etag in (request.if_none_match or ())
        response = web.Response(status=304) if known else web.Response(body=self.body)
        response.etag = self.etag
        response.headers["Cache-Control"] = "no-cache"
        if not known:
            response.content_type, response.charset = "text/html", "utf-8"
            response.enable_compression()
        return response


def _files_below(directory: Path) -> dict[str, Path]:
    # Listed once: a name that is not in the list cannot be asked for, so no path leads out of the directory.
    return {
        path.relative_to(directory).as_posix(): path
        for path in directory.rglob("*")
        if path.is_file() and path.suffix not in (".br", ".gz", ".map")
    }


def _file(path: Path, name: str) -> web.FileResponse:
    response = web.FileResponse(path)
    guessed, _ = mimetypes.guess_type(path.name)
    response.content_type = guessed or "application/octet-stream"
    if guessed is not None and (guessed.startswith("text/") or guessed.endswith("javascript")):
        response.charset = "utf-8"
    lasting = _HASHED.search(name) is not None
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if lasting else "no-cache"
    return response


def _inline_scripts(index: Path | None) -> tuple[str, ...]:
    """The hashes of index.html's inline scripts, as CSP names them (level 3 section 2.3.1)."""
    page = index.read_text(encoding="utf-8") if index else ""
    return tuple(
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in _INLINE_SCRIPT.findall(page)
    )


def _add_security_headers(
    request: web.Request, response: web.StreamResponse, scripts: Sequence[str], nodes: Collection[str]
) -> None:
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    # A guest's link stands in the address: it must not travel on as a referrer.
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Permissions-Policy", _PERMISSIONS)
    if response.content_type == "text/html":
        headers.setdefault("Content-Security-Policy", content_security_policy(request.host, scripts, nodes))
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")


def content_security_policy(host: str, scripts: Sequence[str] = (), nodes: Collection[str] = ()) -> str:
    """CSP level 3. WebSockets are named with the host: older Safari does not count them as 'self'.

    :param scripts: SHA-256, base64, of the inline scripts that may run; no other does.
    :param nodes: origins of other nodes, ``http(s)://host:port``.
    """
    hashes = "".join(f" 'sha256-{digest}'" for digest in scripts)
    sockets = f"ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    sockets += "".join(f" {node} {node.replace('http', 'ws', 1)}" for node in sorted(nodes))
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'wasm-unsafe-eval'{hashes}",
            "worker-src 'self' blob:",
            f"connect-src 'self' blob: {sockets}".rstrip(),
            "img-src 'self' data: blob:",
            "media-src 'self' blob: mediastream:",
            "style-src 'self' 'unsafe-inline'",
            "font-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
