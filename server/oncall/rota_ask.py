"""What a doctor may only ask for: a swap of shifts, and leave. Sans-I/O.

::

    swap    PROPOSED --agree (the other)--> AGREED --approve (desk)--> APPROVED
    leave   PROPOSED --approve (desk)--> APPROVED
    both    PROPOSED, AGREED --refuse (the other, desk)--> REFUSED
                             --withdraw (who asked)--> WITHDRAWN
                             --expire (time)--> EXPIRED
            APPROVED leave --withdraw (who asked, desk)--> WITHDRAWN

A swap becomes overrides when it is approved, and only if both still have their shifts then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from media.errors import WRONG_STATE, RemoteProtocolError
from server.oncall import rota_errors as errors
from server.oncall.limits import ASK_WAITS_S
from server.oncall.rota import Change, Override, Schedule
from server.oncall.rota_check import check_free
from server.oncall.rota_line import timeline


class Stage(StrEnum):
    PROPOSED = "proposed"
    AGREED = "agreed"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


OPEN = frozenset({Stage.PROPOSED, Stage.AGREED})


class Step(StrEnum):
    AGREE = "agree"
    APPROVE = "approve"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"


class Refusal(StrEnum):
    """Why a swap or a leave is refused; ``OTHER`` says it in words."""

    TOO_FEW = "too_few"  # too few are there then
    GAP = "gap"
    TWO_LINES = "two_lines"  # one would stand on two lines
    TOO_LONG = "too_long"  # one would stand too long without a break
    TOO_LATE = "too_late"  # asked too late to arrange it
    ENGAGED = "engaged"  # the other has something else then
    OTHER = "other"


class Part(StrEnum):
    """Who somebody is to a swap or a leave."""

    ASKER = "asker"
    OTHER = "other"
    DESK = "desk"
    SYSTEM = "system"


_SWAP = {
    (Stage.PROPOSED, Step.AGREE): (Stage.AGREED, {Part.OTHER}),
    (Stage.AGREED, Step.APPROVE): (Stage.APPROVED, {Part.DESK}),
    (Stage.PROPOSED, Step.REFUSE): (Stage.REFUSED, {Part.OTHER, Part.DESK}),
    (Stage.AGREED, Step.REFUSE): (Stage.REFUSED, {Part.OTHER, Part.DESK}),
    (Stage.PROPOSED, Step.WITHDRAW): (Stage.WITHDRAWN, {Part.ASKER}),
    (Stage.AGREED, Step.WITHDRAW): (Stage.WITHDRAWN, {Part.ASKER}),
    (Stage.PROPOSED, Step.EXPIRE): (Stage.EXPIRED, {Part.SYSTEM}),
    (Stage.AGREED, Step.EXPIRE): (Stage.EXPIRED, {Part.SYSTEM}),
}
_LEAVE = {
    (Stage.PROPOSED, Step.APPROVE): (Stage.APPROVED, {Part.DESK}),
    (Stage.PROPOSED, Step.REFUSE): (Stage.REFUSED, {Part.DESK}),
    (Stage.PROPOSED, Step.WITHDRAW): (Stage.WITHDRAWN, {Part.ASKER}),
    (Stage.APPROVED, Step.WITHDRAW): (Stage.WITHDRAWN, {Part.ASKER, Part.DESK}),
    (Stage.PROPOSED, Step.EXPIRE): (Stage.EXPIRED, {Part.SYSTEM}),
}


class Ask(StrEnum):
    SWAP = "swap"
    LEAVE = "leave"


_TABLES = {Ask.SWAP: _SWAP, Ask.LEAVE: _LEAVE}


def step(ask: Ask, stage: Stage, action: Step, parts: frozenset[Part]) -> Stage:
    """The stage after ``action`` by somebody who is ``parts``.

    Raises RemoteProtocolError: wrong_state, not_yours_to_decide.
    """
    row = _TABLES[ask].get((stage, action))
    if row is None:
        raise RemoteProtocolError(WRONG_STATE, stage.value)
    after, allowed = row
    if parts.isdisjoint(allowed):
        raise RemoteProtocolError(errors.NOT_YOURS_TO_DECIDE)
    return after


def steps(ask: Ask, stage: Stage, parts: frozenset[Part]) -> list[Step]:
    """What somebody who is ``parts`` may do now."""
    table = _TABLES[ask].items()
    return [action for (at, action), (_, allowed) in table if at is stage and not parts.isdisjoint(allowed)]


def check_refusal(parts: frozenset[Part], why: Refusal | None, words: str) -> None:
    """The desk says why. The other doctor may, but owes nobody a reason for keeping their own shift.

    Raises RemoteProtocolError(reason_required).
    """
    if Part.OTHER not in parts and (why is None or (why is Refusal.OTHER and not words.strip())):
        raise RemoteProtocolError(errors.REASON_REQUIRED)


@dataclass(frozen=True, slots=True)
class Piece:
    """Time of one person on one line, Unix seconds: what is given away."""

    level: int
    starts: float
    ends: float


@dataclass(frozen=True, slots=True)
class Swap:
    """``asker`` gives ``given`` to ``other``, who gives ``back`` in return (None: nothing)."""

    id: str
    asker: str
    other: str
    given: Piece
    back: Piece | None

    @property
    def pieces(self) -> tuple[tuple[str, str, Piece], ...]:
        """(who goes, who comes, when)."""
        first = (self.asker, self.other, self.given)
        return (first,) if self.back is None else (first, (self.other, self.asker, self.back))


def check_swap(schedule: Schedule, swap: Swap, now: float) -> None:
    """Both are on call for all of what they give, free for what they take, and nothing has begun."""
    if swap.asker == swap.other:
        raise RemoteProtocolError(errors.SWAP_WITH_ONESELF)
    for who, by, piece in swap.pieces:
        if piece.ends <= piece.starts:
            raise RemoteProtocolError(errors.OVERRIDE_ENDS_EARLY)
        if piece.starts <= now:
            raise RemoteProtocolError(errors.SWAP_TOO_LATE)
        if piece.level not in schedule.levels:
            raise RemoteProtocolError(errors.UNKNOWN_LEVEL)
        if not holds(schedule, who, piece):
            raise RemoteProtocolError(errors.NOT_YOUR_SHIFT, who)
        check_free(schedule, by, piece.starts, piece.ends)


def holds(schedule: Schedule, who: str, piece: Piece) -> bool:
    """Whether ``who`` is on call on that line all through the piece."""
    lines = timeline(schedule, piece.starts, piece.ends)
    return all(who in one.people for one in lines if one.level == piece.level)


def overrides_of(swap: Swap) -> tuple[Override, ...]:
    """What an approved swap does."""
    return tuple(
        Override(f"{swap.id}-{number}", piece.level, Change.REPLACE, piece.starts, piece.ends, who, by)
        for number, (who, by, piece) in enumerate(swap.pieces, 1)
    )


def expires_at(asked_at: float, starts: Sequence[float]) -> float:
    """When nobody's answer is waited for any longer: an ask that would come too late is over by itself."""
    return min(asked_at + ASK_WAITS_S, *starts)
