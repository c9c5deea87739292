"""Which STUN and TURN servers a client is told of, with TURN credentials that end by themselves.

Credentials are made as coturn's ``use-auth-secret`` and draft-uberti-behave-turn-rest (expired) have it: the
user name is the time of their end and a word of ours, the password its HMAC-SHA-1 under a secret shared with
the TURN server. Nothing is stored, and a leaked pair is worth nothing tomorrow. No clock is read here.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

IceServer = dict[str, Any]
"""``RTCIceServer`` of the W3C WebRTC API as JSON: ``urls``, and ``username`` and ``credential`` for TURN."""


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A TURN server that shares a secret with us.

    :param urls: as RFC 7065 has them, ``turn:host:port?transport=udp|tcp`` and ``turns:``.
    :param secret: coturn's ``static-auth-secret``.
    :param ttl_s: seconds that credentials last.
    """

    urls: tuple[str, ...]
    secret: str = field(repr=False)
    ttl_s: int

    def credentials(self, word: str, now: float) -> tuple[str, str]:
        """User name and password for one client.

        :param word: tells clients apart in the TURN server's log and quotas; nothing personal.
        :param now: Unix seconds.
        """
        username = f"{int(now) + self.ttl_s}:{word}"
        digest = hmac.digest(self.secret.encode(), username.encode(), "sha1")
        return username, base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class IceServers:
    """All that clients are told.

    :param fixed: given as they are.
    """

    fixed: tuple[IceServer, ...] = ()
    turn: TurnServer | None = None

    def for_client(self, word: str, now: float) -> list[IceServer]:
        """The servers for one client, with fresh credentials; as `TurnServer.credentials`."""
        if self.turn is None:
            return list(self.fixed)
        username, credential = self.turn.credentials(word, now)
        turn = {"urls": list(self.turn.urls), "username": username, "credential": credential}
        return [*self.fixed, turn]


def link_headers(servers: Sequence[IceServer]) -> list[str]:
    """``Link`` headers for WHIP and WHEP, one for each URL (RFC 9725 section 4.6)."""
    links = []
    for server in servers:
        urls = server.get("urls", [])
        for url in [urls] if isinstance(urls, str) else urls:
            link = f'<{url}>; rel="ice-server"'
            if "username" in server:
                link += f'; username="{server["username"]}"; credential="{server["credential"]}"'
                link += '; credential-type="password"'
            links.append(link)
    return links
