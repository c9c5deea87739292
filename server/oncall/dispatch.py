"""Whom to ring now.

Sans-I/O. The order is the rota's: the first layer, then the backups, then the desk (UNFILLED, a standing
alarm).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from server.consults.vocabulary import Kind


@dataclass(frozen=True, slots=True)
class Policy:
    """How to escalate.

    :param everyone_by_s: so many seconds after an urgent request was made, everyone left is being rung
        and the desk is alarmed.
    """

    everyone_by_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody on call. ``online``: a ring would reach a screen now."""

    practitioner_id: str
    online: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """``ring`` together; nobody = UNFILLED. ``alarm_desk``: the desk is told as well."""

    ring: tuple[str, ...]
    alarm_desk: bool


def decide(
    candidates: Sequence[Candidate],
    tried: Collection[str],
    kind: Kind,
    elapsed_s: float,
    ring_s: float,
    policy: Policy,
) -> Decision:
    """The next ring.

    :param candidates: who is on call, in order, without the requester.
    :param tried: who declined, did not answer, or gave the consult back.
    :param elapsed_s: seconds since the request was made.
    :param ring_s: how long one ring lasts.
    """
    left = [each for each in candidates if each.practitioner_id not in tried]
    if not left:
        return Decision((), alarm_desk=True)
    if kind is Kind.URGENT and elapsed_s + ring_s >= policy.everyone_by_s:
        return Decision(tuple(each.practitioner_id for each in left), alarm_desk=True)
    return Decision(_first_reachable(left), alarm_desk=False)


def _first_reachable(left: Sequence[Candidate]) -> tuple[str, ...]:
    """The first of the line; when nobody sits at that screen, those after too, up to the first who does.

    An offline expert is still rung (the ring waits for the sign-in), but costs the patient no minute.
    """
    for index, each in enumerate(left):
        if each.online:
            return tuple(one.practitioner_id for one in left[: index + 1])
    return (left[0].practitioner_id,)
