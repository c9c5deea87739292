"""Account tokens and file tickets: what is ours, for this, and not over."""

from __future__ import annotations

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from server.auth.actor import ActorKind
from server.auth.tickets import check_ticket, make_ticket
from server.auth.tokens import AccountClaims, mint_account_token, verify_account_token
from signaling.access import Identity, RoomGrant, mint_room_token
from signaling.personal import Personal

SECRET = "s" * 64
NOW = 1_767_225_600.0
CLAIMS = AccountClaims("prc-1", ActorKind.PRACTITIONER, "acc-1", NOW + 60)
KEY = b"k" * 32


def token() -> str:
    return mint_account_token(SECRET, CLAIMS, ["expert"], "org-1", NOW)


def test_a_token_says_whose_it_is() -> None:
    assert verify_account_token(SECRET, token(), NOW + 59) == CLAIMS


def test_a_token_ends() -> None:
    with pytest.raises(RemoteProtocolError, match="token_expired"):
        verify_account_token(SECRET, token(), NOW + 60)


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "a.b.c",
        "\x00",
        token()[:-2],
        jwt.encode({"sub": "prc-1"}, SECRET, algorithm="HS256"),
        jwt.encode({"sub": "prc-1", "aud": "account", "iss": "huizhen"}, "x" * 64, algorithm="HS256"),
        mint_account_token("t" * 64, CLAIMS, [], "org-1", NOW),
        mint_room_token(SECRET, Identity("prc-1", Personal("n"), "expert"), RoomGrant("r"), NOW, 60),
    ],
)
def test_anything_else_is_invalid(foreign: str) -> None:
    with pytest.raises(RemoteProtocolError, match="token_invalid"):
        verify_account_token(SECRET, foreign, NOW)


def test_a_ticket_opens_its_subject_until_it_ends() -> None:
    ticket = make_ticket(KEY, "rec-1", int(NOW) + 60)
    check_ticket(KEY, "rec-1", ticket, NOW)
    for subject, now in (("rec-2", NOW), ("rec-1", NOW + 60)):
        with pytest.raises(RemoteProtocolError, match="ticket_invalid"):
            check_ticket(KEY, subject, ticket, now)


def test_a_ticket_cannot_be_prolonged() -> None:
    _, _, signature = make_ticket(KEY, "rec-1", int(NOW)).partition(".")
    with pytest.raises(RemoteProtocolError, match="signature"):
        check_ticket(KEY, "rec-1", f"{int(NOW) + 9999}.{signature}", NOW)


@given(st.text(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(ticket: str) -> None:
    with pytest.raises(RemoteProtocolError, match="ticket_invalid"):
        check_ticket(KEY, "rec-1", ticket, NOW)
