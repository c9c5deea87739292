"""STUN binding messages as ICE uses them (RFC 8489, RFC 8445 section 7.1), bytes in and bytes out."""

from __future__ import annotations

import hmac
import ipaddress
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from media.errors import RemoteProtocolError
from media.limits import MAX_STUN_ATTRIBUTES
from media.transport.errors import STUN_MALFORMED

Address = tuple[str, int]
"""IP address in text form and port."""
TcpAddress = tuple[str, int, int]
"""The far end of one TCP connection: IP address, port, and a number that no later connection has."""
PeerAddress = Address | TcpAddress

MAGIC_COOKIE = 0x2112A442
HEADER_LENGTH = 20
_INTEGRITY_LENGTH = 24
_FINGERPRINT_LENGTH = 8
_FINGERPRINT_XOR = 0x5354554E


class MessageType(IntEnum):
    """Method Binding in its four classes (RFC 8489 section 5)."""

    BINDING_REQUEST = 0x0001
    BINDING_INDICATION = 0x0011
    BINDING_RESPONSE = 0x0101
    BINDING_ERROR = 0x0111


class Attribute(IntEnum):
    """Attribute types this product reads or writes (IANA STUN Attributes)."""

    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    SOFTWARE = 0x8022
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A


@dataclass(frozen=True, slots=True)
class StunMessage:
    """One parsed message.

    :param attributes: type and value in order, up to and including MESSAGE-INTEGRITY; what follows it is not
        protected and is left out (RFC 8489 section 14.5).
    :param raw: the whole datagram.
    :param integrity_offset: where MESSAGE-INTEGRITY begins in ``raw``, or None.
    """

    kind: MessageType
    transaction_id: bytes
    attributes: tuple[tuple[int, bytes], ...]
    raw: bytes
    integrity_offset: int | None

    def get(self, kind: int) -> bytes | None:
        """Value of the first attribute of this type, or None."""
        return next((value for name, value in self.attributes if name == kind), None)

    @property
    def username(self) -> str | None:
        """USERNAME, ``ufrag of the receiver:ufrag of the sender`` in ICE."""
        value = self.get(Attribute.USERNAME)
        return None if value is None else value.decode("utf-8", "replace")

    @property
    def priority(self) -> int | None:
        """PRIORITY, 32 bits."""
        value = self.get(Attribute.PRIORITY)
        return None if value is None or len(value) != 4 else int.from_bytes(value, "big")

    @property
    def use_candidate(self) -> bool:
        """The controlling end nominates this pair (RFC 8445 section 8.1.1)."""
        return self.get(Attribute.USE_CANDIDATE) is not None

    @property
    def controlled(self) -> bool:
        """The sender believes that it is the controlled end."""
        return self.get(Attribute.ICE_CONTROLLED) is not None

    @property
    def error_code(self) -> int | None:
        """ERROR-CODE as a number, 300..699."""
        value = self.get(Attribute.ERROR_CODE)
        return None if value is None or len(value) < 4 else (value[2] & 7) * 100 + value[3]

    @property
    def mapped_address(self) -> Address | None:
        """XOR-MAPPED-ADDRESS: the sender of the request as the answering end saw it."""
        value = self.get(Attribute.XOR_MAPPED_ADDRESS)
        return None if value is None else _unmask_address(value, self.transaction_id)

    def has_integrity(self, password: str) -> bool:
        """Whether MESSAGE-INTEGRITY is there and right for ``password`` (RFC 8489 section 14.5)."""
        if self.integrity_offset is None:
            return False
        expected = _integrity(self.raw[: self.integrity_offset], password)
        return hmac.compare_digest(expected, self.get(Attribute.MESSAGE_INTEGRITY) or b"")


def parse(datagram: bytes) -> StunMessage:
    """Read one STUN binding message.

    :raises RemoteProtocolError: stun_malformed, for anything that is not a whole, well-formed binding message
        with the RFC 8489 cookie and, when there is one, a right FINGERPRINT.
    """
    if len(datagram) < HEADER_LENGTH or len(datagram) % 4:
        raise RemoteProtocolError(STUN_MALFORMED, "length")
    kind, length, cookie = struct.unpack_from("!HHI", datagram)
    if cookie != MAGIC_COOKIE or length != len(datagram) - HEADER_LENGTH:
        raise RemoteProtocolError(STUN_MALFORMED, "header")
    try:
        message_type = MessageType(kind)
    except ValueError:
        raise RemoteProtocolError(STUN_MALFORMED, "not a binding message") from None
    attributes, integrity_offset = _parse_attributes(datagram)
    return StunMessage(message_type, datagram[8:20], attributes, datagram, integrity_offset)


def _parse_attributes(datagram: bytes) -> tuple[tuple[tuple[int, bytes], ...], int | None]:
    attributes: list[tuple[int, bytes]] = []
    integrity_offset = None
    position = HEADER_LENGTH
    while position < len(datagram):
        kind, length = struct.unpack_from("!HH", datagram, position)
        value = datagram[position + 4 : position + 4 + length]
        if len(value) != length:
            raise RemoteProtocolError(STUN_MALFORMED, "attribute length")
        if kind == Attribute.FINGERPRINT:
            _check_fingerprint(datagram, position, value)
        elif integrity_offset is None:
            attributes.append((kind, value))
            if kind == Attribute.MESSAGE_INTEGRITY:
                integrity_offset = position
        if len(attributes) > MAX_STUN_ATTRIBUTES:
            raise RemoteProtocolError(STUN_MALFORMED, "too many attributes")
        position += 4 + length + (-length % 4)
    return tuple(attributes), integrity_offset


def _check_fingerprint(datagram: bytes, position: int, value: bytes) -> None:
    if position + _FINGERPRINT_LENGTH != len(datagram) or value != _fingerprint(datagram[:position]):
        raise RemoteProtocolError(STUN_MALFORMED, "fingerprint")


def build(
    kind: MessageType,
    transaction_id: bytes,
    attributes: Sequence[tuple[int, bytes]],
    password: str | None = None,
) -> bytes:
    """One message with FINGERPRINT, and with MESSAGE-INTEGRITY before it when ``password`` is given.

    :param transaction_id: 12 bytes.
    :param password: the short-term credential of the end that is asked (RFC 8445 section 7.2.2).
    """
    body = b"".join(
        struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4) for name, value in attributes
    )
    message = struct.pack("!HHI", kind, len(body), MAGIC_COOKIE) + transaction_id + body
    if password is not None:
        digest = _integrity(message, password)
        message = _with_length(message, _INTEGRITY_LENGTH)
        message += struct.pack("!HH", Attribute.MESSAGE_INTEGRITY, 20) + digest
    message = _with_length(message, _FINGERPRINT_LENGTH)
    return message + struct.pack("!HH", Attribute.FINGERPRINT, 4) + _checksum(message)


def xor_mapped_address(address: PeerAddress, transaction_id: bytes) -> tuple[int, bytes]:
    """The XOR-MAPPED-ADDRESS attribute for ``address`` (RFC 8489 section 14.2)."""
    ip = ipaddress.ip_address(address[0].partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped  # how a socket bound to :: sees an IPv4 peer; the peer knows nothing of it
    mask = struct.pack("!I", MAGIC_COOKIE) + transaction_id
    masked = bytes(a ^ b for a, b in zip(ip.packed, mask, strict=False))
    port = address[1] ^ (MAGIC_COOKIE >> 16)
    return Attribute.XOR_MAPPED_ADDRESS, struct.pack("!BBH", 0, 1 if ip.version == 4 else 2, port) + masked


def error_code(code: int, reason: str) -> tuple[int, bytes]:
    """The ERROR-CODE attribute (RFC 8489 section 14.8)."""
    return Attribute.ERROR_CODE, struct.pack("!HBB", 0, code // 100, code % 100) + reason.encode()


def candidate_priority(type_preference: int, local_preference: int, component: int = 1) -> int:
    """RFC 8445 section 5.1.2.1; 126 is the host type, 110 peer-reflexive."""
    return (type_preference << 24) | (local_preference << 8) | (256 - component)


def _unmask_address(value: bytes, transaction_id: bytes) -> Address | None:
    if len(value) != {1: 8, 2: 20}.get(value[1] if len(value) > 1 else 0):
        return None
    mask = struct.pack("!I", MAGIC_COOKIE) + transaction_id
    packed = bytes(a ^ b for a, b in zip(value[4:], mask, strict=False))
    return str(ipaddress.ip_address(packed)), struct.unpack_from("!H", value, 2)[0] ^ (MAGIC_COOKIE >> 16)


def _with_length(message: bytes, extra: int) -> bytes:
    """The header's length field counts an attribute before that attribute is computed."""
    return message[:2] + struct.pack("!H", len(message) - HEADER_LENGTH + extra) + message[4:]


def _integrity(message: bytes, password: str) -> bytes:
    return hmac.digest(password.encode(), _with_length(message, _INTEGRITY_LENGTH), "sha1")


def _checksum(message: bytes) -> bytes:
    return struct.pack("!I", zlib.crc32(message) ^ _FINGERPRINT_XOR)


def _fingerprint(message: bytes) -> bytes:
    return _checksum(_with_length(message, _FINGERPRINT_LENGTH))
