"""Account tokens:

JWT (RFC 7519), HS256, audience ``account``. Room tokens are signaling's (signaling/access.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import jwt

from media.errors import RemoteProtocolError
from server.archive.ids import new_id
from server.auth.actor import ActorKind
from server.errors import TOKEN_EXPIRED, TOKEN_INVALID

ISSUER = "huizhen"
AUDIENCE = "account"
_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class AccountClaims:
    """What a valid account token says.

    ``subject``: practitioner id; ``account``: the row it was signed in with.
    """

    subject: str
    kind: ActorKind
    account: str
    expires_at: float


def mint_account_token(
    secret: str, claims: AccountClaims, roles: list[str], organization: str, now: float
) -> str:
    """A signed token;

    ``roles`` and ``organization`` are for the client's eyes, the server asks its database.
    """
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": claims.subject,
        "kind": str(claims.kind),
        "acc": claims.account,
        "org": organization,
        "roles": roles,
        "jti": new_id("tok"),
        "iat": int(now),
        "exp": int(claims.expires_at),
    }
    return jwt.encode(payload, secret, algorithm=_ALGORITHM)


def verify_account_token(secret: str, token: str, now: float) -> AccountClaims:
    """The claims of ``token``; RemoteProtocolError(token_invalid | token_expired)."""
    try:
        payload = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            # Time is compared below with the injected clock.
            options={"verify_exp": False, "verify_iat": False, "require": ["sub", "kind", "acc", "exp"]},
        )
        kind = ActorKind(payload["kind"])
    except (jwt.InvalidTokenError, ValueError):
        raise RemoteProtocolError(TOKEN_INVALID) from None
    if now >= payload["exp"]:
        raise RemoteProtocolError(TOKEN_EXPIRED)
    return AccountClaims(payload["sub"], kind, payload["acc"], float(payload["exp"]))
