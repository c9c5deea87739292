"""The gateway's state on one line: rewritten in place on a terminal, a line per change elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

from clients.device.faults import DeviceFault, Text

_CLEAR_LINE = "\r\x1b[K"


class StatusLine:
    """Says what the gateway does.

    :param name: which gateway.
    :param lang: ``zh`` or ``en``.
    """

    def __init__(self, name: Text, lang: str, out: TextIO | None = None) -> None:
        self._name = name.read(lang)
        self._lang = lang
        self._out = out or sys.stderr
        self._on_terminal = self._out.isatty()
        self._shown = ""

    def show(self, state: Text, counts: str = "") -> None:
        """The state; ``counts`` change often and are shown on a terminal only."""
        text = f"{self._name} · {state.read(self._lang)}"
        if self._on_terminal:
            self._write(f"{_CLEAR_LINE}{text}{' · ' if counts else ''}{counts}")
        elif text != self._shown:
            self._write(f"{text}\n")
        self._shown = text

    def fail(self, fault: DeviceFault) -> None:
        """An error, on a line that stays."""
        start = _CLEAR_LINE if self._on_terminal else ""
        self._write(f"{start}{self._name} · {fault.read(self._lang)}\n")
        self._shown = ""

    def count(self, number: int, what: Text) -> str:
        """``number`` and what it counts, in the line's language."""
        return f"{number} {what.read(self._lang)}"

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
