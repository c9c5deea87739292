"""Reads untrusted JSON values: each reader returns the asked type or blames the peer."""

from __future__ import annotations

from typing import Any

from media import limits
from media.errors import ErrorCode, RemoteProtocolError

U32_MAX = 0xFFFFFFFF


def _harmless(text: str) -> bool:
    """Short and printable: what one peer says here ends up in other peers' SDP, where a line break rules."""
    return len(text) <= limits.ORTC_MAX_TEXT and text.isprintable()


class Reader:
    """One JSON object, and the error code that says what it was meant to be."""

    __slots__ = ("_code", "_fields", "_what")

    def __init__(self, value: object, what: str, code: ErrorCode) -> None:
        self._what = what
        self._code = code
        if not isinstance(value, dict):
            raise RemoteProtocolError(code, f"{what} is not an object")
        self._fields: dict[str, Any] = value

    def fail(self, detail: str) -> RemoteProtocolError:
        """The error to raise; ``detail`` names the field, never its value."""
        return RemoteProtocolError(self._code, f"{self._what}: {detail}")

    def has(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        """A string of bounded length; required unless a default is given."""
        value = self._fields.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not _harmless(value):
            raise self.fail(f"{name} is not a printable text of at most {limits.ORTC_MAX_TEXT} characters")
        return value

    def number(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """An integer within ``low..high``; required unless a default is given."""
        value = self._fields.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.fail(f"{name} is not an integer within {low}..{high}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._fields.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fail(f"{name} is not a boolean")
        return value

    def child(self, name: str) -> Reader | None:
        """An optional object."""
        value = self._fields.get(name)
        return None if value is None else Reader(value, f"{self._what}.{name}", self._code)

    def children(self, name: str, most: int, required: bool = False) -> list[Reader]:
        """A list of at most ``most`` objects."""
        value = self._fields.get(name)
        if value is None and not required:
            return []
        if not isinstance(value, list) or len(value) > most:
            raise self.fail(f"{name} is not a list of at most {most}")
        return [Reader(item, f"{self._what}.{name}[{at}]", self._code) for at, item in enumerate(value)]

    def scalars(self, name: str, most: int) -> tuple[tuple[str, int | str], ...]:
        """An optional object of texts and integers, as pairs; null and boolean values are left out."""
        value = self._fields.get(name)
        if value is None:
            return ()
        if not isinstance(value, dict) or len(value) > most:
            raise self.fail(f"{name} is not an object of at most {most}")
        pairs: list[tuple[str, int | str]] = []
        for key, item in value.items():
            if item is None or isinstance(item, bool):
                continue
            if not isinstance(item, int | str) or not _harmless(str(key)):
                raise self.fail(f"{name} holds something else than texts and integers")
            if not _harmless(item) if isinstance(item, str) else abs(item) > U32_MAX:
                raise self.fail(f"{name} holds a value that is too long or not printable")
            pairs.append((str(key), item))
        return tuple(pairs)
