"""STUN against the vectors of RFC 5769, against itself, and against garbage."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.transport.stun import (
    Attribute,
    MessageType,
    build,
    candidate_priority,
    error_code,
    parse,
    xor_mapped_address,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "rfc5769.json").read_text())
PASSWORD: str = VECTORS["password"]
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")


def vector(name: str) -> bytes:
    return bytes.fromhex(VECTORS[name])


def test_request_of_the_rfc_is_read() -> None:
    message = parse(vector("request"))
    assert message.kind is MessageType.BINDING_REQUEST
    assert message.transaction_id == TRANSACTION
    assert message.username == "evtj:h6vY"
    assert message.priority == 0x6E0001FF
    assert message.controlled
    assert not message.use_candidate
    assert message.get(Attribute.SOFTWARE) == b"STUN test client"
    assert message.has_integrity(PASSWORD)
    assert not message.has_integrity(PASSWORD + "x")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("response_ipv4", ("192.0.2.1", 32853)),
        ("response_ipv6", ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
    ],
)
def test_responses_of_the_rfc_are_read(name: str, address: tuple[str, int]) -> None:
    message = parse(vector(name))
    assert message.kind is MessageType.BINDING_RESPONSE
    assert message.mapped_address == address
    assert message.has_integrity(PASSWORD)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("response_ipv4", ("192.0.2.1", 32853)),
        ("response_ipv6", ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
    ],
)
def test_response_is_built_byte_for_byte_but_for_its_padding(name: str, address: tuple[str, int]) -> None:
    # The RFC pads SOFTWARE with a space where we pad with zero, so both digests differ from the RFC's.
    built = build(
        MessageType.BINDING_RESPONSE,
        TRANSACTION,
        [(Attribute.SOFTWARE, b"test vector"), xor_mapped_address(address, TRANSACTION)],
        PASSWORD,
    )
    expected = vector(name)
    assert len(built) == len(expected)
    same = len(expected) - 32
    assert built[:same].replace(b"vector\0", b"vector ") == expected[:same]
    assert parse(built).has_integrity(PASSWORD)


@pytest.mark.parametrize("position", range(0, 108, 7))
def test_a_changed_byte_never_passes(position: int) -> None:
    broken = bytearray(vector("request"))
    broken[position] ^= 0x10
    try:
        message = parse(bytes(broken))
    except RemoteProtocolError:
        return
    pytest.fail(f"read as {message}")


def test_integrity_without_fingerprint_is_read() -> None:
    whole = vector("request")
    cut = whole[:2] + (len(whole) - 28).to_bytes(2, "big") + whole[4:-8]
    assert parse(cut).has_integrity(PASSWORD)


def test_attributes_after_integrity_are_not_believed() -> None:
    honest = build(MessageType.BINDING_REQUEST, TRANSACTION, [(Attribute.USERNAME, b"a:b")], PASSWORD)
    body = honest[:-8] + b"\x00\x25\x00\x00"
    forged = body[:2] + (len(body) - 20).to_bytes(2, "big") + body[4:]
    assert not parse(forged).use_candidate


def test_error_code_survives() -> None:
    built = build(MessageType.BINDING_ERROR, TRANSACTION, [error_code(487, "Role Conflict")])
    assert parse(built).error_code == 487


def test_ipv4_peer_of_an_ipv6_socket_is_told_its_ipv4_address() -> None:
    attribute = xor_mapped_address(("::ffff:192.0.2.1", 32853), TRANSACTION)
    built = build(MessageType.BINDING_RESPONSE, TRANSACTION, [attribute])
    assert parse(built).mapped_address == ("192.0.2.1", 32853)


def test_priority_of_a_host_candidate() -> None:
    assert candidate_priority(126, 65535) == 2130706431  # RFC 8445 section 5.1.2.1


@given(st.binary(max_size=200))
def test_garbage_is_read_or_refused(datagram: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse(datagram)


@given(st.binary(max_size=120), st.integers(0, 120))
def test_garbage_with_a_right_header_is_read_or_refused(body: bytes, wrong: int) -> None:
    header = (
        b"\x00\x01" + (len(body) if wrong else wrong).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + TRANSACTION
    )
    try:
        message = parse(header + body)
    except RemoteProtocolError:
        return
    assert not message.has_integrity(PASSWORD)
    _ = (message.username, message.priority, message.error_code, message.mapped_address)


@given(
    st.lists(
        st.tuples(st.integers(0x8000, 0x8020), st.binary(max_size=40)),
        max_size=8,
    ),
    st.text(min_size=22, max_size=40),
)
def test_what_is_built_is_read_back(attributes: list[tuple[int, bytes]], password: str) -> None:
    message = parse(build(MessageType.BINDING_REQUEST, TRANSACTION, attributes, password))
    assert list(message.attributes[:-1]) == attributes
    assert message.has_integrity(password)
