"""Room tokens by the hundred, made as the server's operator can: with the secret in its data directory.

`huizhen token room` makes one token a second; this is the same signature (README of the server: keys).
"""

from __future__ import annotations

import time
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from signaling.access import Identity, RoomGrant, mint_room_token
from signaling.personal import Personal

LIFETIME_S = 6 * 3600


class TokenMaker:
    """Signs for one running server.

    :param data: its data directory, in which ``secret.key`` stands.
    """

    def __init__(self, data: Path) -> None:
        hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"room-token")
        self._secret = hkdf.derive((data / "secret.key").read_bytes()).hex()

    def make(
        self,
        room: str,
        user: str,
        role: str,
        publish: frozenset[str] = frozenset(),
        subscribe: bool = True,
        signals: frozenset[str] = frozenset(),
    ) -> str:
        """A token without the grants to chat, chair or record."""
        grant = RoomGrant(room, publish, subscribe, chat=False, signals=signals)
        return mint_room_token(
            self._secret, Identity(user, Personal(user), role), grant, time.time(), LIFETIME_S
        )
