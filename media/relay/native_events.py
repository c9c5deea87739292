"""What the compiled plane tells Python."""

from __future__ import annotations

from typing import Protocol

STUCK, FEEDBACK_DUE, HELD, GAP, KEY_WANTED, KEY_CAME, SWITCHED, STARVED, LEVELS, HEARD = (
    1 << n for n in range(10)
)
"""``enum rule_event_kind`` of ``media/native/rule.h``."""


class Told(Protocol):
    """Whom an event concerns."""

    def told(self, kinds: int, now: float) -> None:
        """``kinds`` of them, as a sum."""
