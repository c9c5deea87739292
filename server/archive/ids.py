"""Identifiers: a short prefix that tells people what it names, and 80 random bits.

No time stands inside: an identifier appears in addresses and logs, and should not say when a patient was ill.
Lists are ordered by their own time columns.
"""

from __future__ import annotations

import secrets
from base64 import b32encode

# Crockford's base 32 without i, l, o, u: can be read aloud over a telephone.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_BYTES = 10  # 80 bits are 16 letters: no collision to expect below 10^11 rows
_LETTERS = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET.encode())


def new_id(prefix: str) -> str:
    """A new identifier such as ``con-8k2m...`` (prefix, hyphen, 16 characters of base 32)."""
    return f"{prefix}-{b32encode(secrets.token_bytes(_BYTES)).translate(_LETTERS).decode()}"
