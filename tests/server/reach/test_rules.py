"""Encryption against the RFC's example, where may be pushed to, when it is tried again."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from media.errors import LocalProtocolError, RemoteProtocolError
from server.config import ReachConfig
from server.reach.limits import LONGEST_RETRY_S
from server.reach.rules import (
    Outcome,
    State,
    after_try,
    check_endpoint,
    check_webhooks,
    may_connect,
    outcome_of,
    vouched_hosts,
    webhook_headers,
)
from server.reach.webpush import Receiver, Vapid, encrypt, unb64
from tests.server.reach.fake_push import Browser

ALLOWED = ReachConfig().push_services


def test_the_rfcs_own_message_comes_out_byte_for_byte() -> None:
    """RFC 8291 appendix A."""
    key = ec.derive_private_key(
        int.from_bytes(unb64("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1()
    )
    receiver = Receiver.from_text(
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
    )
    body = encrypt(
        b"When I grow up, I want to be a watermelon", receiver, key, unb64("DGv6ra1nlYgDCS1FRnbzlw")
    )
    assert body == unb64(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
        "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@given(st.binary(max_size=3000))
def test_what_is_encrypted_is_read_by_the_browser_alone(message: bytes) -> None:
    browser = Browser()
    assert browser.decrypt(encrypt(message, Receiver(browser.point, browser.auth))) == message


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [("", "BTBZMqHH6r4Tts7J_aSIgg"), ("AAAA", "x"), ("B" * 87, "BTBZMqHH6r4Tts7J_aSIgg"), ("é", "é")],
)
def test_keys_that_are_none_are_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Receiver.from_text(p256dh, auth)


def test_the_identity_is_the_same_at_every_start() -> None:
    assert Vapid(b"x" * 32, "").public_key == Vapid(b"x" * 32, "mailto:a@b").public_key
    assert len(unb64(Vapid(b"\xff" * 32, "").public_key)) == 65


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/abc",
        "https://updates.push.services.mozilla.com/wpush/v2/abc",
        "https://web.push.apple.com/abc",
        "https://fcm.googleapis.com:443/x",
        "http://10.0.0.5:8088/x",
    ],
)
def test_known_services_are_pushed_to(endpoint: str) -> None:
    check_endpoint(endpoint, (*ALLOWED, "http://10.0.0.5:8088"))


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "x",
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evilpush.apple.com/x",
        "https://.push.apple.com@10.0.0.1/x",
        "https://user@fcm.googleapis.com/x",
        "https://fcm.googleapis.com/x#y",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.5/x",
        "http://10.0.0.5:8089/x",
        "https://10.0.0.5:8088/x",
        "https://localhost/x",
        "file:///etc/passwd",
        "https://fcm.googleapis.com/\r\nX: y",
        "https://fcm.googleapis.com/" + "x" * 1000,
        "https://fcm.googleapis.com:99999/x",
        "https://[broken/x",
    ],
)
def test_no_other_address_is(endpoint: str) -> None:
    with pytest.raises(RemoteProtocolError):
        check_endpoint(endpoint, (*ALLOWED, "http://10.0.0.5:8088"))


def test_a_known_name_that_leads_inside_is_not_connected_to() -> None:
    vouched = vouched_hosts(("http://push.hospital:8088", "fcm.googleapis.com"))
    for address in (
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.1",
        "169.254.169.254",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
    ):
        assert not may_connect("fcm.googleapis.com", address, vouched)
        assert may_connect("push.hospital", address, vouched)
    assert may_connect("fcm.googleapis.com", "142.250.1.95", vouched)


@given(st.integers(1, 50), st.floats(0, 1e9), st.floats(0, 7200))
def test_trying_again_ends(tries: int, now: float, left: float) -> None:
    then = after_try(Outcome.AGAIN, tries, now, now + left)
    if then.state is State.WAITING:
        assert then.at is not None
        assert now < then.at < now + left
        assert then.at - now <= LONGEST_RETRY_S + 1e-6 * now
    else:
        assert (then.state, then.at) == (State.DEAD, None)


def test_what_a_status_means() -> None:
    meant = {
        201: Outcome.TAKEN,
        410: Outcome.GONE,
        404: Outcome.GONE,
        400: Outcome.REFUSED,
        302: Outcome.REFUSED,
    }
    meant |= {429: Outcome.AGAIN, 503: Outcome.AGAIN}
    assert {status: outcome_of(status) for status in meant} == meant
    assert outcome_of(None) is Outcome.AGAIN


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("ftp://x", "s" * 24),
        ("http://x", "short"),
        ("nonsense", "s" * 24),
        ("http://x", "whsec_not base64 at all, whatever"),
        ("http://x", "whsec_c2hvcnQ="),  # five bytes
    ],
)
def test_a_gateway_that_cannot_be_is_a_mistake_of_the_configuration(address: str, secret: str) -> None:
    with pytest.raises(LocalProtocolError):
        check_webhooks((address,), secret)
    check_webhooks((), "")


def test_a_secret_of_the_standard_signs_as_its_published_vector() -> None:
    """Secret, message and signature of the reference libraries of Standard Webhooks."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = webhook_headers(
        secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330.9, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    check_webhooks(("http://x",), secret)
