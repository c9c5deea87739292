"""Where may be pushed to, when it is tried again, how a webhook is signed. No I/O."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from media.errors import LocalProtocolError, RemoteProtocolError
from server.errors import CONFIG_INVALID
from server.reach.errors import PUSH_SERVICE
from server.reach.limits import ENDPOINT_LETTERS, FIRST_RETRY_S, LONGEST_RETRY_S, PUSH_TTL_S

_SECRET_BYTES = (24, 64)  # Standard Webhooks: between 24 and 64
_ENCODED = "whsec_"  # before the base64 of random bytes, as its libraries write it


class State(StrEnum):
    """Of one delivery. ``dead``: given up; the operator sees it. ``over``: no longer wanted."""

    WAITING = "waiting"
    SENT = "sent"
    SEEN = "seen"
    DEAD = "dead"
    OVER = "over"


class Outcome(StrEnum):
    """What a try came to."""

    TAKEN = "taken"
    GONE = "gone"
    REFUSED = "refused"
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of a delivery; ``at`` only while it waits."""

    state: State
    at: float | None = None


def outcome_of(status: int | None) -> Outcome:
    """What an HTTP status means (RFC 8030 sections 5 and 7.3); None = no answer came."""
    if status is None or status in (408, 425, 429) or status >= 500:
        return Outcome.AGAIN
    if 200 <= status < 300:
        return Outcome.TAKEN
    return Outcome.GONE if status in (404, 410) else Outcome.REFUSED


def after_try(
    outcome: Outcome, tries: int, now: float, expires_at: float, longest_s: float = LONGEST_RETRY_S
) -> Next:
    """:param tries: how often it was tried by now, this one counted.
    :param longest_s: the longest pause between two tries."""
    if outcome is Outcome.TAKEN:
        return Next(State.SENT)
    if outcome is not Outcome.AGAIN:
        return Next(State.DEAD)
    at = now + min(FIRST_RETRY_S * 2 ** min(tries - 1, 10), longest_s)
    return Next(State.DEAD) if at >= expires_at else Next(State.WAITING, at)


def service_of(endpoint: str, allowed: Iterable[str]) -> str | None:
    """Which of the push services that we send to takes a browser's endpoint: its entry in ``allowed``.

    All hosts below ``*.`` are one service: browsers bring the hosts, the operator bounds the services.

    :param allowed: host names (``*.`` in front: any below it), reached by https on its own port; or whole
        origins (``http://10.0.0.5:8088``), which the operator vouches for.
    """
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    plain = parts.username is None and parts.password is None and not parts.fragment
    if len(endpoint) > ENDPOINT_LETTERS or not plain or not endpoint.isascii() or not endpoint.isprintable():
        return None
    usual = parts.scheme == "https" and port in (None, 443)
    for one in allowed:
        if "://" in one:
            if one == f"{parts.scheme}://{parts.netloc}":
                return one
        elif usual and (host == one or (one.startswith("*.") and host.endswith(one[1:]))):
            return one
    return None


def check_endpoint(endpoint: str, allowed: Iterable[str]) -> None:
    """Whether a browser's push endpoint is one that we send to: the address comes from outside.

    :raises RemoteProtocolError: push_service_unknown.
    """
    if service_of(endpoint, allowed) is None:
        raise RemoteProtocolError(PUSH_SERVICE)


def vouched_hosts(addresses: Iterable[str]) -> frozenset[str]:
    """Hosts of addresses that the operator wrote down whole: they may be private."""
    return frozenset(urlsplit(one).hostname or "" for one in addresses if "://" in one)


def may_connect(host: str, address: str, vouched: Iterable[str]) -> bool:
    """A name that is not vouched for must lead to the public network: not to us, nor to our neighbours."""
    return host in vouched or ipaddress.ip_address(address.partition("%")[0]).is_global


def check_webhooks(addresses: Iterable[str], secret: str) -> None:
    """:raises LocalProtocolError: config_invalid."""
    wanted = list(addresses)
    for one in wanted:
        parts = urlsplit(one)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise LocalProtocolError(CONFIG_INVALID, f"[reach] webhooks: {one} is no http address")
    if wanted:
        webhook_key(secret)


def webhook_key(secret: str) -> bytes:
    """The bytes that sign: those of ``whsec_`` and base64 (Standard Webhooks), else the letters themselves.

    :raises LocalProtocolError: config_invalid; the secret is not in it.
    """
    least, most = _SECRET_BYTES
    if not secret.startswith(_ENCODED):
        if len(secret) < least:
            raise LocalProtocolError(CONFIG_INVALID, f"[reach] webhook_secret needs {least} letters")
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    except ValueError:
        raise LocalProtocolError(CONFIG_INVALID, "[reach] webhook_secret: whsec_ and base64") from None
    if not least <= len(key) <= most:
        wanted = f"[reach] webhook_secret: {least} to {most} bytes after whsec_, not {len(key)}"
        raise LocalProtocolError(CONFIG_INVALID, wanted)
    return key


def push_headers(subject: str, urgency: str, left_s: float) -> dict[str, str]:
    """How a push service is to treat a message (RFC 8030 sections 5.2 to 5.4).

    What was not fetched yet is replaced by what comes later about the same: a ring by its end, a swap that is
    asked for by its approval. The topic is a hash of what stands before the point of ``subject``.

    :param urgency: of RFC 8030 section 5.3.
    :param left_s: for how long the message is worth anything.
    """
    topic = hashlib.sha256(subject.partition(".")[0].encode()).digest()[:24]
    return {
        "TTL": str(int(min(max(left_s, 0.0), PUSH_TTL_S))),
        "Urgency": urgency,
        "Topic": base64.urlsafe_b64encode(topic).decode(),
    }


def webhook_headers(secret: str, delivery_id: str, now: float, body: bytes) -> dict[str, str]:
    """Standard Webhooks 1.0.0: HMAC-SHA256 over ``id.timestamp.body``, base64.

    The receiver refuses a timestamp more than five minutes off, and an id that it has seen.
    """
    timestamp = str(int(now))
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    digest = hmac.new(webhook_key(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        "content-type": "application/json",
    }
