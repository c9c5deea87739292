"""Whom to ring now.

Sans-I/O. Two questions: in which order the people on call stand (`in_order`), and who of them is rung next
(`decide`). After the last of them: the desk (UNFILLED, a standing alarm).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from server.consults.vocabulary import Kind
from server.oncall.policy import Policy, default_policy


class Way(IntEnum):
    """How a ring would reach somebody now, the best first."""

    SCREEN = 0
    ELSEWHERE = 1  # a push to a browser or a telephone
    NONE = 2


GREEN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"stroke": ("neurology", "emergency"), "infarction": ("cardiology", "emergency")}
)
"""Channel -> the specialties that it rings at once, besides the one that was asked for."""

SHARED_S = 8 * 3600.0
"""Equals share the work of a shift. Were it longer, whoever comes back from leave would get everything."""

MUCH = 5
"""Unfinished consults at some ten minutes each are an hour's work: whoever has more is spared, whatever they
have done before."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Somebody on call, with all that the order looks at.

    :param tier: how far up the level of their rota is; 0 is the nearest.
    :param line: line of defence of the rota; 1 is rung first.
    :param skilled: is of the wanted specialty. Whoever is not, though a rota names them, comes last.
    :param speaks: shares a language with the requester.
    :param way: how a ring would reach them now.
    :param engaged: is in a session now, and could not answer.
    :param load: consults that they have accepted and not yet finished, and other rings that run.
    :param taken: consults that they accepted within `SHARED_S` and did not give back, and such rings.
    :param last_rung: Unix seconds of their latest ring; 0 = never.
    """

    practitioner_id: str
    tier: int = 0
    line: int = 1
    skilled: bool = True
    speaks: bool = True
    way: Way = Way.SCREEN
    engaged: bool = False
    load: int = 0
    taken: int = 0
    last_rung: float = 0.0

    @property
    def reachable(self) -> bool:
        return self.way is not Way.NONE and not self.engaged


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody on call, in the order in which to ring. ``online``: could answer a ring now."""

    practitioner_id: str
    online: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """``ring`` together; nobody = UNFILLED. ``alarm_desk``: the desk is told as well.

    :param seconds: how long this ring lasts; None: as the class of the request says.
    """

    ring: tuple[str, ...]
    alarm_desk: bool
    seconds: float | None = None


def in_order(people: Iterable[Standing], requester_id: str) -> list[Candidate]:
    """The line for one request: nobody twice, never the requester.

    The nearest level first, then up the levels; within a level line by line, across its rotas. Of one line:
    who could answer now, at a screen before a push or a telephone, and who shares a language. Those are
    equals: whoever has more than `MUCH` to do is spared; then who has taken less of the shift's work (so that
    whoever was away for an hour makes up for it), who has less to do now, who was rung least recently.
    """
    best: dict[str, tuple[tuple[object, ...], Standing]] = {}
    for one in people:
        key = _key(one)
        known = best.get(one.practitioner_id)
        if one.practitioner_id != requester_id and (known is None or key < known[0]):
            best[one.practitioner_id] = (key, one)
    line = sorted(best.values(), key=lambda each: each[0])
    return [Candidate(one.practitioner_id, one.reachable) for _, one in line]


def _key(one: Standing) -> tuple[object, ...]:
    place = (not one.skilled, one.tier, one.line)
    likely = (not one.reachable, one.way)
    share = (max(one.load - MUCH, 0), one.taken, one.load, one.last_rung)
    return (*place, *likely, not one.speaks, *share, one.practitioner_id)


def decide(
    candidates: Sequence[Candidate],
    tried: Collection[str],
    kind: Kind,
    elapsed_s: float,
    ring_s: float,
    policy: Policy | None = None,
    rings: int = 0,
) -> Decision:
    """The next ring.

    :param candidates: who is on call, in order, without the requester.
    :param tried: who declined, did not answer, or gave the consult back.
    :param elapsed_s: seconds since the request was made.
    :param ring_s: how long a ring lasts when the policy does not say.
    :param rings: how many rings there were in this round.
    """
    policy = policy or default_policy(kind)
    left = [each for each in candidates if each.practitioner_id not in tried]
    if not left:
        return Decision((), alarm_desk=True)
    step = policy.step(rings)
    lasts = ring_s if step.seconds is None else step.seconds
    if kind is Kind.URGENT and elapsed_s + lasts >= policy.everyone_by_s:
        return Decision(_ids(left), alarm_desk=True, seconds=step.seconds)
    rung = _ids(left) if step.together is None else _first_reachable(left, step.together)
    return Decision(rung, alarm_desk=step.desk, seconds=step.seconds)


def decide_green(
    lines: Mapping[str, Sequence[Candidate]],
    tried: Collection[str],
    elapsed_s: float,
    ring_s: float,
    policy: Policy | None = None,
    rings: int = 0,
) -> Decision:
    """The next ring of a green channel: of every specialty at once, and the desk from the first one on.

    :param lines: specialty code -> who is on call for it, in order. The first accept of any of them wins.
    """
    each = [
        decide(line, tried, Kind.URGENT, elapsed_s, ring_s, policy, rings)
        for _, line in sorted(lines.items())
    ]
    ring = tuple(dict.fromkeys(one for decision in each for one in decision.ring))
    seconds = min((one.seconds for one in each if one.seconds is not None), default=None)
    return Decision(ring, alarm_desk=True, seconds=seconds)


def _ids(people: Iterable[Candidate]) -> tuple[str, ...]:
    return tuple(each.practitioner_id for each in people)


def _first_reachable(left: Sequence[Candidate], together: int) -> tuple[str, ...]:
    """The first ``together`` of the line who can answer, and those before them who cannot.

    An offline expert is still rung (the ring waits for the sign-in), but costs the patient no minute. With
    nobody at a screen, the first so many.
    """
    reachable = [index for index, each in enumerate(left) if each.online]
    if not reachable:
        return _ids(left[:together])
    return _ids(left[: reachable[:together][-1] + 1])
