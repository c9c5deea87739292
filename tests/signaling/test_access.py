"""Room tokens: what goes in comes out, and nothing else is let in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import LocalProtocolError, RemoteProtocolError
from signaling import access
from signaling.access import Identity, RoomGrant, mint_room_token, verify_room_token
from signaling.personal import Personal
from tests.signaling.support import DOCTOR, EVERYTHING, SECRET

NOW = 1_767_225_600.0
LI = Identity("practitioner-1", Personal("李秀兰"), "requester")


def refused(token: object, now: float = NOW, secrets: tuple[str, ...] = (SECRET,)) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        verify_room_token(secrets, token, now)
    return caught.value.code.code


def forged(**changes: Any) -> str:
    payload = jwt.decode(mint_room_token(SECRET, LI, DOCTOR, NOW, 60), options={"verify_signature": False})
    return jwt.encode(payload | changes, SECRET, algorithm="HS256")


@given(
    publish=st.frozensets(st.sampled_from(sorted(access.SOURCES))),
    signals=st.frozensets(st.sampled_from(sorted(access.SIGNAL_RIGHTS))),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    role=st.sampled_from(sorted(access.ROLES)),
)
def test_a_token_carries_its_grant(
    publish: frozenset[str], signals: frozenset[str], flags: tuple[bool, bool, bool, bool], role: str
) -> None:
    grant = RoomGrant("c-1", publish, *flags, signals)
    identity = Identity("user", Personal("王建国"), role)
    claims = verify_room_token([SECRET], mint_room_token(SECRET, identity, grant, NOW, 60, "t-1"), NOW)
    assert claims.grant == grant
    assert claims.identity == identity
    assert claims.token_id == "t-1"


def test_ids_differ_unless_they_are_given() -> None:
    first, second = (mint_room_token(SECRET, LI, DOCTOR, NOW, 60) for _ in range(2))
    assert (
        verify_room_token([SECRET], first, NOW).token_id != verify_room_token([SECRET], second, NOW).token_id
    )


def test_the_lifetime_is_counted_by_the_clock_that_is_given() -> None:
    token = mint_room_token(SECRET, LI, DOCTOR, NOW, 60)
    assert verify_room_token([SECRET], token, NOW + 59).expires_at == NOW + 60
    assert refused(token, NOW + 60) == "token_expired"


def test_an_older_secret_still_verifies_and_an_unknown_one_does_not() -> None:
    token = mint_room_token("an-older-secret-of-thirty-two-bytes!", LI, DOCTOR, NOW, 60)
    assert verify_room_token([SECRET, "an-older-secret-of-thirty-two-bytes!"], token, NOW)
    assert refused(token) == "token_invalid"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, "token_missing"),
        ("", "token_missing"),
        (17, "token_invalid"),
        ("not a token", "token_invalid"),
        ("x" * 100_000, "token_invalid"),
        (forged(aud="account"), "token_foreign"),
        (forged(iss="somebody"), "token_foreign"),
        (forged(grants="all"), "token_invalid"),
        (forged(grants={"publish": "camera"}), "token_invalid"),
        (forged(sub=""), "token_invalid"),
        (forged(room=None), "token_invalid"),
        (forged(exp="never"), "token_invalid"),
        (jwt.encode({"sub": "x"}, "", algorithm="none"), "token_invalid"),
    ],
)
def test_what_is_not_a_token_of_ours_is_refused(token: object, code: str) -> None:
    assert refused(token) == code


def test_unknown_sources_in_a_token_grant_nothing() -> None:
    token = forged(grants={"publish": ["camera", "root"], "signals": ["everything"], "chair": "yes"})
    grant = verify_room_token([SECRET], token, NOW).grant
    assert grant.publish == {"camera"}
    assert not grant.signals
    assert not grant.chair


@pytest.mark.parametrize(
    ("identity", "grant", "ttl_s"),
    [
        (LI, RoomGrant("c-1", frozenset({"thermometer"})), 60),
        (Identity("u", Personal("x"), "king"), DOCTOR, 60),
        (LI, DOCTOR, 0),
        (LI, RoomGrant(""), 60),
    ],
)
def test_we_do_not_mint_nonsense(identity: Identity, grant: RoomGrant, ttl_s: int) -> None:
    with pytest.raises(LocalProtocolError):
        mint_room_token(SECRET, identity, grant, NOW, ttl_s)


def test_a_claim_prints_no_name() -> None:
    claims = verify_room_token([SECRET], mint_room_token(SECRET, LI, DOCTOR, NOW, 60), NOW)
    assert "李秀兰" not in repr(claims)


@pytest.mark.parametrize(
    ("source", "kind", "allowed"),
    [
        ("camera", "video", True),
        ("camera", "audio", False),
        ("microphone", "audio", True),
        ("screen", "audio", True),
        ("ultrasound", "video", True),
        ("thermometer", "video", False),
    ],
)
def test_a_source_has_its_kind(source: str, kind: str, allowed: bool) -> None:
    if allowed:
        access.may_publish(EVERYTHING, source, kind)
    else:
        with pytest.raises(RemoteProtocolError, match="not_granted"):
            access.may_publish(EVERYTHING, source, kind)


def test_without_a_grant_nothing_goes() -> None:
    nothing = RoomGrant("c-1", subscribe=False, chat=False)
    checks: list[Callable[[], None]] = [
        lambda: access.may_publish(nothing, "camera", "video"),
        lambda: access.may_subscribe(nothing),
        lambda: access.may_chat(nothing),
        lambda: access.may_chair(nothing),
        lambda: access.may_record(nothing),
        lambda: access.may_use_signals(nothing, "watch"),
    ]
    for check in checks:
        with pytest.raises(RemoteProtocolError, match="not_granted"):
            check()
