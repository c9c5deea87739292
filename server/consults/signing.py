"""Signatures: who wrote this, and was a letter of it changed.

Ed25519 (RFC 8032), one key per practitioner. The private half is kept encrypted with AES-256-GCM under a key
that Argon2id (RFC 9106) makes from the practitioner's password: whoever has the database cannot sign for a
doctor.
Pure functions; `new_key` and `open_key` take tens of milliseconds and belong into a thread.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALGORITHM = "Ed25519"
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES = 16, 12, 32


@dataclass(frozen=True, slots=True)
class Cost:
    """What one derivation from a password costs (Argon2id)."""

    time_cost: int = 3
    memory_kib: int = 65_536
    parallelism: int = 4


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A key as it is stored; texts are base64. ``sealed`` = nonce and ciphertext."""

    public_key: str
    salt: str
    cost: Cost
    sealed: str


class WrongPasswordError(Exception):
    """The key does not open with this password."""


def new_key(password: str, practitioner_id: str, cost: Cost) -> tuple[SealedKey, Ed25519PrivateKey]:
    """Make a key pair and seal its private half under ``password``, bound to its owner."""
    private = Ed25519PrivateKey.generate()
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    cipher = AESGCM(_derive(password, salt, cost))
    sealed = nonce + cipher.encrypt(nonce, private.private_bytes_raw(), practitioner_id.encode())
    public = private.public_key().public_bytes_raw()
    return SealedKey(_text(public), _text(salt), cost, _text(sealed)), private


def open_key(stored: SealedKey, password: str, practitioner_id: str) -> Ed25519PrivateKey:
    """The private key. Raises WrongPasswordError, also when the row belongs to somebody else."""
    sealed = base64.b64decode(stored.sealed)
    cipher = AESGCM(_derive(password, base64.b64decode(stored.salt), stored.cost))
    try:
        raw = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], practitioner_id.encode())
    except InvalidTag:
        raise WrongPasswordError from None
    return Ed25519PrivateKey.from_private_bytes(raw)


def _derive(password: str, salt: bytes, cost: Cost) -> bytes:
    return hash_secret_raw(
        password.encode(),
        salt,
        time_cost=cost.time_cost,
        memory_cost=cost.memory_kib,
        parallelism=cost.parallelism,
        hash_len=_KEY_BYTES,
        type=Type.ID,
    )


def canonical(document: Mapping[str, str | bool | int]) -> bytes:
    """The bytes that are signed: JSON with sorted keys and no spaces, UTF-8 (RFC 8785 for these types)."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def sign(private: Ed25519PrivateKey, document: Mapping[str, str | bool | int]) -> str:
    """The signature of ``document``, base64."""
    return _text(private.sign(canonical(document)))


def verify(public_key: str, document: Mapping[str, str | bool | int], signature: str) -> bool:
    """True when ``signature`` is the key's, over exactly this document. Garbage is False."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), canonical(document))
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
