"""The code on a printed report: short enough to type, too many to guess.

Twelve letters of Crockford's base 32 (no I, L, O, U: crockford.com/base32.html), 60 random bits. With a
million reports and 60 tries a minute a guess hits one in about 36,000 years.
"""

from __future__ import annotations

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LETTERS, GROUP = 12, 4
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})


def new_code() -> str:
    """``ABCD-EFGH-JKMN``."""
    return _grouped("".join(secrets.choice(ALPHABET) for _ in range(LETTERS)))


def read_code(text: str) -> str | None:
    """A code as somebody typed it, in its one spelling; None when it cannot be one."""
    letters = "".join(text.upper().split()).replace("-", "").translate(_READ_AS)
    if len(letters) != LETTERS or not set(letters) <= set(ALPHABET):
        return None
    return _grouped(letters)


def _grouped(letters: str) -> str:
    return "-".join(letters[at : at + GROUP] for at in range(0, LETTERS, GROUP))
