"""Personal data in a wrapper that cannot be logged by accident.

``Personal("王建国")`` prints as ``<personal 3f9a1c>``. The token is a keyed digest, so that two log lines
about one person can be told to belong together within a run, and nobody can be found by trying names.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Generic, TypeVar

T = TypeVar("T")

# Made anew for each process and never stored: tokens of different runs cannot be joined.
_RUN_KEY = secrets.token_bytes(16)


class Personal(Generic[T]):
    """A value that belongs to a person: a name, a number, a picture, a phone.

    Every way to turn it into text (``str``, ``repr``, ``format``, ``%s``) gives the token;
    `reveal` is the one door, so that uses can be found by searching for it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The value itself, for the person's own screen or record; never for a log or a metric."""
        return self._value

    def token(self) -> str:
        """Six hex digits that stand for the value within this run."""
        digest = hashlib.blake2s(repr(self._value).encode(), key=_RUN_KEY, digest_size=3)
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f"<personal {self.token()}>"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Personal) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("personal data is not pickled")
