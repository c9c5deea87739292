"""Message encryption for Web Push (RFC 8291 over RFC 8188) and VAPID (RFC 8292). No I/O.

Why not pywebpush: it needs http-ece, of which there is only a source package, and takes the time from the
machine. The forty lines here are held against RFC 8291's own example.
"""

from __future__ import annotations

import base64
import os
import struct
from dataclasses import dataclass
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from media.errors import RemoteProtocolError
from server.reach.errors import PUSH_KEYS

_RECORD_BYTES = 4096
_VAPID_S = 12 * 3600  # RFC 8292 section 2: at most 24 hours
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True, slots=True)
class Receiver:
    """A browser's keys. ``point``: its P-256 public key, uncompressed, 65 bytes; ``auth``: 16 bytes."""

    point: bytes
    auth: bytes

    @classmethod
    def from_text(cls, p256dh: str, auth: str) -> Receiver:
        """:raises RemoteProtocolError: push_keys_invalid."""
        try:
            receiver = cls(unb64(p256dh), unb64(auth))
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), receiver.point)
        except ValueError:
            raise RemoteProtocolError(PUSH_KEYS) from None
        if len(receiver.auth) != 16:
            raise RemoteProtocolError(PUSH_KEYS)
        return receiver


def encrypt(
    message: bytes,
    receiver: Receiver,
    key: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body of a push, one record (RFC 8188 section 2).

    :param key: the message's own key pair, and ``salt``, 16 bytes: made anew unless a test brings them.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    salt = os.urandom(16) if salt is None else salt
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), receiver.point)
    ours = _point(key)
    shared = key.exchange(ec.ECDH(), theirs)
    secret = _hkdf(receiver.auth, b"WebPush: info\x00" + receiver.point + ours, 32, shared)
    content_key = _hkdf(salt, b"Content-Encoding: aes128gcm\x00", 16, secret)
    nonce = _hkdf(salt, b"Content-Encoding: nonce\x00", 12, secret)
    header = salt + struct.pack("!IB", _RECORD_BYTES, len(ours)) + ours
    # 0x02 ends the last record; nothing is padded.
    return header + AESGCM(content_key).encrypt(nonce, message + b"\x02", None)


def _hkdf(salt: bytes, info: bytes, length: int, secret: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


class Vapid:
    """The server's identity towards push services.

    :param seed: 32 secret bytes, the same at every start: browsers are subscribed to this key.
    :param contact: ``mailto:`` or ``https:`` address that a push service may write to; "" = none.
    """

    def __init__(self, seed: bytes, contact: str) -> None:
        number = 1 + int.from_bytes(seed, "big") % (_P256_ORDER - 1)
        self._key = ec.derive_private_key(number, ec.SECP256R1())
        self._contact = contact
        self.public_key = b64(_point(self._key))

    def authorization(self, endpoint: str, now: float) -> str:
        """The Authorization header for a push to ``endpoint``."""
        parts = urlsplit(endpoint)
        claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": int(now) + _VAPID_S}
        if self._contact:
            claims["sub"] = self._contact
        return f"vapid t={jwt.encode(claims, self._key, 'ES256')}, k={self.public_key}"
