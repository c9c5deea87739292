"""The server's own secret, made at the first start, and what is derived from it.

One file of 32 random bytes, readable by its owner only. Every use gets a key of its own by HKDF (RFC 5869),
so that a token of one kind can never pass for another.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FILE_NAME = "secret.key"
_LENGTH = 32  # bytes, as long as the output of SHA-256


class Keys:
    """Keys for signing and sealing; hands out derived ones only."""

    def __init__(self, master: bytes) -> None:
        if len(master) != _LENGTH:
            raise ValueError(f"the secret has {len(master)} bytes instead of {_LENGTH}")
        self._master = master

    @classmethod
    def load_or_create(cls, directory: Path) -> Keys:
        """Read ``secret.key`` in ``directory``, making it (mode 0600) when it is not there."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / FILE_NAME
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_LENGTH))
                file.flush()
                os.fsync(file.fileno())
        return cls(path.read_bytes())

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one ``purpose``, the same at every start."""
        hkdf = HKDF(algorithm=SHA256(), length=_LENGTH, salt=None, info=purpose.encode())
        return hkdf.derive(self._master)

    @property
    def account_secret(self) -> str:
        """Signs account tokens."""
        return self.derive("account-token").hex()

    @property
    def room_secret(self) -> str:
        """Signs room tokens; shared with the signaling layer."""
        return self.derive("room-token").hex()

    @property
    def audit_key(self) -> bytes:
        """Signs the anchor of the audit trail."""
        return self.derive("audit-head")

    @property
    def ticket_key(self) -> bytes:
        """Signs the links to recordings' files."""
        return self.derive("file-ticket")
