"""Identifiers: a short prefix that tells people what it names, and 80 random bits.

No time stands inside: an identifier appears in addresses and logs, and should not say when a patient was ill.
Lists are ordered by their own time columns.
"""

from __future__ import annotations

import secrets

# Crockford's base 32 without i, l, o, u: can be read aloud over a telephone.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 16  # 16 x 5 bits = 80 bits: no collision to expect below 10^11 rows


def new_id(prefix: str) -> str:
    """A new identifier such as ``con-8k2m...`` (prefix, hyphen, 16 characters of base 32)."""
    return f"{prefix}-" + "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))
