"""Whose fault it was, said once.

::

    Fault
    ├── RemoteProtocolError   the peer sent something wrong; it gets the code and a sentence
    └── LocalProtocolError    our own caller used us wrongly; a bug, or a request that came too late

A program reads ``code.code``, which never changes; a person reads ``code.zh`` or ``code.en``.
``detail`` adds what was wrong in this one case and holds no personal data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A stable name for one way to fail.

    :param code: for programs, snake_case, never renamed.
    :param status: the HTTP status it becomes where it meets HTTP.
    :param zh: the sentence for people, Chinese.
    :param en: the sentence for people, English.
    """

    code: str
    status: int
    zh: str
    en: str


MALFORMED = ErrorCode("malformed", 400, "收到的数据格式不正确。", "The data received is malformed.")
TOO_LARGE = ErrorCode("too_large", 413, "收到的数据过大。", "The data received is too large.")
LIMIT_REACHED = ErrorCode(
    "limit_reached", 429, "已达到服务器允许的上限。", "A limit of the server is reached."
)
CLOSED = ErrorCode("closed", 409, "该资源已关闭。", "This resource is already closed.")
WRONG_STATE = ErrorCode(
    "wrong_state", 409, "当前状态不允许此操作。", "The current state does not allow this."
)
NOT_FOUND = ErrorCode("not_found", 404, "找不到所请求的内容。", "What was asked for does not exist.")


class Fault(Exception):
    """Base of every error this product raises on purpose."""

    blame: str = "server"

    def __init__(self, code: ErrorCode, detail: str = "") -> None:
        super().__init__(f"{code.code}: {detail}" if detail else code.code)
        self.code = code
        self.detail = detail

    def as_json(self) -> dict[str, Any]:
        """The form in which a peer is told: code, blame, both sentences, detail."""
        return {
            "code": self.code.code,
            "blame": self.blame,
            "message": {"zh": self.code.zh, "en": self.code.en},
            "detail": self.detail,
        }


class RemoteProtocolError(Fault):
    """The peer broke the rules."""

    blame = "peer"


class LocalProtocolError(Fault):
    """We, or our caller, broke the rules."""

    blame = "server"
