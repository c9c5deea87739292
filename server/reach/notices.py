"""Notices: what a rota tells people, whether their page is open or closed. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from server.reach.messages import ASK, GAP, HANDOVER

PUSH = "rota"
"""The event of the ``/events`` namespace."""


class Kind(StrEnum):
    """What somebody may keep off the telephone; the pages show all of them."""

    HANDOVER = HANDOVER
    ASK = ASK
    GAP = GAP


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that some people are told.

    :param about: what it is about: what is told of that before, and waits, is called off. At most 27 letters,
        and no point among them.
    :param state: how things stand with it; each state is told once. At most 12 letters.
    :param page: the payload of the page's event.
    :param body: what leaves the house (`messages`); None: for the pages alone.
    :param until: Unix seconds; afterwards it is worth nothing.
    :param alone: only what waits for these very people is called off.
    """

    people: tuple[str, ...]
    about: str
    state: str
    page: dict[str, Any]
    body: dict[str, Any] | None = None
    until: float = 0.0
    alone: bool = False

    @property
    def subject(self) -> str:
        return f"{self.about}.{self.state}"
