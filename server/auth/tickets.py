"""Tickets: short-lived signed permission to fetch one recording's files.

A media element cannot send headers, so the permission stands in the address: ``expiry.signature``, where the
signature is HMAC-SHA-256 over subject and expiry (RFC 2104). It is checked without a database.
"""

from __future__ import annotations

import hashlib
import hmac

from media.errors import RemoteProtocolError
from server.errors import TICKET_INVALID

_LONGEST = 128  # characters; ours has 75


def make_ticket(key: bytes, subject: str, expires_at: int) -> str:
    """A ticket for ``subject`` that ends at ``expires_at`` (Unix seconds)."""
    return f"{expires_at}.{_signature(key, subject, expires_at)}"


def check_ticket(key: bytes, subject: str, ticket: str, now: float) -> None:
    """Raise RemoteProtocolError(ticket_invalid) unless ``ticket`` is ours, for ``subject``, and not over."""
    expiry, _, signature = ticket[:_LONGEST].partition(".")
    if not (expiry.isascii() and expiry.isdigit()):
        raise RemoteProtocolError(TICKET_INVALID, "malformed")
    if not hmac.compare_digest(signature.encode(), _signature(key, subject, int(expiry)).encode()):
        raise RemoteProtocolError(TICKET_INVALID, "signature")
    if now >= int(expiry):
        raise RemoteProtocolError(TICKET_INVALID, "expired")


def _signature(key: bytes, subject: str, expires_at: int) -> str:
    return hmac.new(key, f"{subject}\n{expires_at}".encode(), hashlib.sha256).hexdigest()
