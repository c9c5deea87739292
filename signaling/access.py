"""Who may do what: room tokens and the checks of their grants.

A room token is a JWT (RFC 7519, HS256) for one room and one person. No clock is read: ``now`` is passed.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import jwt

from media.errors import LocalProtocolError, RemoteProtocolError
from signaling.errors import (
    NOT_GRANTED,
    TOKEN_EXPIRED,
    TOKEN_FOREIGN,
    TOKEN_INVALID,
    TOKEN_MISSING,
)
from signaling.limits import DISPLAY_NAME_MAX, IDENTIFIER_MAX, TOKEN_BYTES_MAX
from signaling.personal import Personal

ISSUER: Final = "huizhen"
AUDIENCE: Final = "room"
ALGORITHM: Final = "HS256"

Role = Literal["requester", "expert", "chair", "guest", "observer", "device", "desk"]
Source = Literal["microphone", "camera", "screen", "ultrasound"]
SignalRight = Literal["watch", "publish", "acknowledge"]

ROLES: Final[frozenset[str]] = frozenset(get_args(Role))
SOURCES: Final[frozenset[str]] = frozenset(get_args(Source))
SIGNAL_RIGHTS: Final[frozenset[str]] = frozenset(get_args(SignalRight))

KINDS_OF_SOURCE: Final[Mapping[str, frozenset[str]]] = {
    "microphone": frozenset({"audio"}),
    "camera": frozenset({"video"}),
    "ultrasound": frozenset({"video"}),
    "screen": frozenset({"audio", "video"}),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token speaks for.

    :param user_id: the account, guest or device; one value per person (RFC 7519 section 4.1.2, ``sub``).
    :param display_name: what the others read; a person's name, so wrapped.
    :param role: one of `ROLES`.
    """

    user_id: str
    display_name: Personal[str]
    role: str


@dataclass(frozen=True, slots=True)
class RoomGrant:
    """What a token allows in one room."""

    room_id: str
    publish: frozenset[str] = frozenset()
    subscribe: bool = True
    chat: bool = True
    chair: bool = False
    record: bool = False
    signals: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, Any]:
        """The ``grants`` object of PROTOCOL.md (without the room)."""
        return {
            "publish": sorted(self.publish),
            "subscribe": self.subscribe,
            "chat": self.chat,
            "chair": self.chair,
            "record": self.record,
            "signals": sorted(self.signals),
        }


@dataclass(frozen=True, slots=True)
class RoomClaims:
    """A verified token."""

    identity: Identity
    grant: RoomGrant
    token_id: str
    expires_at: float = field(compare=False)

    @property
    def user_id(self) -> str:
        return self.identity.user_id

    @property
    def room_id(self) -> str:
        return self.grant.room_id

    @property
    def role(self) -> str:
        return self.identity.role


def mint_room_token(
    secret: str,
    identity: Identity,
    grant: RoomGrant,
    now: float,
    ttl_s: int,
    token_id: str | None = None,
) -> str:
    """A signed room token.

    :param now: Unix seconds.
    :param ttl_s: seconds it stays good, > 0.
    :param token_id: the ``jti``; a new random one when None. Guests of one link share theirs,
        so that the link can be ended.
    :raises LocalProtocolError: a role, source or right that does not exist, or no lifetime.
    """
    _check_ours(identity, grant, ttl_s)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": identity.user_id,
        "name": identity.display_name.reveal()[:DISPLAY_NAME_MAX],
        "role": identity.role,
        "room": grant.room_id,
        "grants": grant.as_json(),
        "jti": token_id or f"t-{uuid.uuid4().hex}",
        "iat": int(now),
        "exp": int(now) + ttl_s,
    }
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def _check_ours(identity: Identity, grant: RoomGrant, ttl_s: int) -> None:
    unknown = (grant.publish - SOURCES) | (grant.signals - SIGNAL_RIGHTS) | ({identity.role} - ROLES)
    if unknown:
        raise LocalProtocolError(TOKEN_INVALID, f"unknown {sorted(unknown)}")
    if ttl_s <= 0 or not identity.user_id or not grant.room_id:
        raise LocalProtocolError(TOKEN_INVALID, "a token needs a lifetime, a user and a room")


def verify_room_token(secrets: Sequence[str], token: object, now: float) -> RoomClaims:
    """The claims of ``token``, signed by any of ``secrets``.

    :param secrets: the newest first; older ones are kept over a rotation.
    :raises RemoteProtocolError: token_missing, token_invalid, token_expired or token_foreign.
    """
    if not token:
        raise RemoteProtocolError(TOKEN_MISSING)
    if not isinstance(token, str) or len(token) > TOKEN_BYTES_MAX:
        raise RemoteProtocolError(TOKEN_INVALID)
    payload = _verified_payload(secrets, token)
    if payload.get("iss") != ISSUER or payload.get("aud") != AUDIENCE:
        raise RemoteProtocolError(TOKEN_FOREIGN, "issuer or audience")
    claims = _claims(payload)
    if now >= claims.expires_at:
        raise RemoteProtocolError(TOKEN_EXPIRED)
    return claims


# The library would compare with the machine's clock; times are checked here, with the clock we were given.
_NO_CLAIM_CHECKS: Final[dict[str, Any]] = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "verify_iss": False,
}


def _verified_payload(secrets: Sequence[str], token: str) -> dict[str, Any]:
    for secret in secrets:
        try:
            payload: dict[str, Any] = jwt.decode(
                token,
                secret,
                algorithms=[ALGORITHM],
                options=_NO_CLAIM_CHECKS,  # type: ignore[arg-type]
            )
        except jwt.InvalidTokenError:
            continue
        return payload
    raise RemoteProtocolError(TOKEN_INVALID)


def _claims(payload: Mapping[str, Any]) -> RoomClaims:
    grants = payload.get("grants")
    if not isinstance(grants, dict):
        raise RemoteProtocolError(TOKEN_INVALID, "grants")
    identity = Identity(
        _text(payload, "sub"),
        Personal(str(payload.get("name", ""))[:DISPLAY_NAME_MAX]),
        _text(payload, "role"),
    )
    grant = RoomGrant(
        room_id=_text(payload, "room"),
        publish=_names(grants, "publish") & SOURCES,
        subscribe=grants.get("subscribe") is True,
        chat=grants.get("chat") is True,
        chair=grants.get("chair") is True,
        record=grants.get("record") is True,
        signals=_names(grants, "signals") & SIGNAL_RIGHTS,
    )
    expires_at = payload.get("exp")
    if not isinstance(expires_at, int | float):
        raise RemoteProtocolError(TOKEN_INVALID, "exp")
    return RoomClaims(identity, grant, _text(payload, "jti"), float(expires_at))


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value or len(value) > IDENTIFIER_MAX:
        raise RemoteProtocolError(TOKEN_INVALID, name)
    return value


def _names(grants: Mapping[str, Any], name: str) -> frozenset[str]:
    value = grants.get(name, [])
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise RemoteProtocolError(TOKEN_INVALID, f"grants.{name}")
    return frozenset(value)


def may_publish(grant: RoomGrant, source: str, kind: str) -> None:
    """:raises RemoteProtocolError: not_granted, also for a kind that the source cannot have."""
    if source not in grant.publish or kind not in KINDS_OF_SOURCE.get(source, frozenset()):
        raise RemoteProtocolError(NOT_GRANTED, f"publish {kind} as {source}")


def may_subscribe(grant: RoomGrant) -> None:
    """:raises RemoteProtocolError: not_granted."""
    _require(grant.subscribe, "subscribe")


def may_chat(grant: RoomGrant) -> None:
    """Chat and data channels. :raises RemoteProtocolError: not_granted."""
    _require(grant.chat, "chat")


def may_chair(grant: RoomGrant) -> None:
    """:raises RemoteProtocolError: not_granted."""
    _require(grant.chair, "chair")


def may_record(grant: RoomGrant) -> None:
    """:raises RemoteProtocolError: not_granted."""
    _require(grant.record, "record")


def may_use_signals(grant: RoomGrant, right: SignalRight) -> None:
    """:raises RemoteProtocolError: not_granted."""
    _require(right in grant.signals, f"signals {right}")


def _require(granted: bool, what: str) -> None:
    if not granted:
        raise RemoteProtocolError(NOT_GRANTED, what)
