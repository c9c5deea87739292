"""What a client raises.

::

    SdkError
    ├── RequestRefused    the server said no: its stable code, whom it blames, its sentences
    └── ConnectionLost    no answer: not reachable, timed out, or cut
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ROOM_ELSEWHERE: Final = "room_elsewhere"
"""The code by which a node says that another has the room; ``detail`` is that one's address."""


class SdkError(Exception):
    """Base of every error of the sdk."""


class ConnectionLost(SdkError):
    """The server is not there, or not any more."""


class RequestRefused(SdkError):
    """The server's error: ``code`` for programs, ``zh`` and ``en`` for people.

    :param status: the HTTP status where there was one, else 0.
    """

    def __init__(
        self, code: str, blame: str = "peer", zh: str = "", en: str = "", detail: str = "", status: int = 0
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.blame = blame
        self.zh = zh
        self.en = en
        self.detail = detail
        self.status = status

    @classmethod
    def from_json(cls, json: object, status: int = 0) -> RequestRefused:
        """From an error object of signaling, or a problem document of HTTP (RFC 9457)."""
        fields: Mapping[str, Any] = json if isinstance(json, Mapping) else {}
        message = fields.get("message")
        sentences: Mapping[str, Any] = message if isinstance(message, Mapping) else {}
        return cls(
            code=str(fields.get("code") or f"http_{status}"),
            blame=str(fields.get("blame") or ("server" if status >= 500 else "peer")),
            zh=str(sentences.get("zh", "")),
            en=str(sentences.get("en", "")),
            detail=str(fields.get("detail", "")),
            status=status,
        )
