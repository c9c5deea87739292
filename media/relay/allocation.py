"""What one subscriber gets of a line that is too thin for all: the clinical order, as a pure function.

Audio is never reduced. Then, from what matters most: signals (they go by TCP and are only kept free),
ultrasound, screen, the speaker's camera, the other cameras. `plan` buys in a fixed order for as long as the
money lasts: every stream's floor by rank, then better steps by rank. So a stream that is reduced has nobody
below it above the floor, and a stream is paused only when its floor alone does not fit beside those above.

`allocate` adds patience: down at once, up only with headroom and after a while.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import groupby
from typing import Literal

from media.limits import (
    ALLOCATION_FAILED_S,
    ALLOCATION_HEADROOM,
    ALLOCATION_HOLD_FULL_S,
    ALLOCATION_HOLD_MAX_S,
    ALLOCATION_HOLD_S,
    ALLOCATION_SLACK,
)

State = Literal["full", "reduced", "paused"]
PAUSED = -1


class Rank(IntEnum):
    """The clinical order; a smaller number gives way later."""

    AUDIO = 0
    ULTRASOUND = 1
    SCREEN = 2
    SPEAKER = 3
    OTHERS = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One way to send a stream.

    :param temporal: highest temporal layer; `media.relay.layers.KEY_FRAMES` for key frames alone.
    :param bps: bits per second, measured.
    """

    spatial: int
    temporal: int
    bps: int


@dataclass(frozen=True, slots=True)
class Demand:
    """A stream that the subscriber wants.

    :param steps: ways to send it, cheapest first, at least one; the last is the whole stream.
    """

    key: str
    rank: Rank
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """``step`` is None when the stream is paused."""

    key: str
    state: State
    step: Step | None


@dataclass(frozen=True, slots=True)
class Allocation:
    """What was decided, and what the next decision must know of it.

    :param wanted_bps: what everything in full would take; above the available rate it is worth probing.
    :param roster: keys and ranks it was decided for.
    :param fits_since: since when something better fits with headroom; None while nothing does.
    :param hold_s: how long it must.
    """

    decisions: tuple[Decision, ...] = ()
    wanted_bps: int = 0
    roster: frozenset[tuple[str, Rank]] = frozenset()
    fits_since: float | None = None
    hold_s: float = ALLOCATION_HOLD_S
    raised_at: float | None = None
    by_key: Mapping[str, Decision] = field(default_factory=dict)


def plan(available_bps: float, demands: Sequence[Demand], kept: Sequence[int] = ()) -> list[int]:
    """The index of each demand's step, or `PAUSED`. Audio is sent whatever is available.

    :param kept: steps that are sent now: a floor among them is not given up for want of a little.
    """
    chosen = [PAUSED] * len(demands)
    left = float(available_bps)
    for index, demand in enumerate(demands):
        if demand.rank is Rank.AUDIO:
            chosen[index] = len(demand.steps) - 1
            left -= demand.steps[-1].bps
    order = sorted((i for i in range(len(demands)) if chosen[i] == PAUSED), key=lambda i: demands[i].rank)
    for index in order:
        floor = demands[index].steps[0].bps
        is_sent = bool(kept) and kept[index] != PAUSED
        if floor <= left + (ALLOCATION_SLACK * available_bps if is_sent else 0):
            chosen[index] = 0
            left -= floor
    for index, level in _raises(demands, [i for i in order if chosen[i] == 0]):
        cost = demands[index].steps[level].bps - demands[index].steps[level - 1].bps
        if cost > left:
            break
        chosen[index] = level
        left -= cost
    return chosen


def _raises(demands: Sequence[Demand], order: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Every step up in the order in which it is bought: by rank, equals in turn."""
    for _, equals in groupby(order, key=lambda i: demands[i].rank):
        group = list(equals)
        for level in range(1, max(len(demands[i].steps) for i in group)):
            yield from ((i, level) for i in group if level < len(demands[i].steps))


def allocate(
    available_bps: int | None, demands: Sequence[Demand], previous: Allocation, now: float
) -> Allocation:
    """Decide again.

    :param available_bps: None when nothing is known of the line: then nothing is reduced.
    :param demands: in an order that stays; equals are served in it.
    :param now: monotonic seconds.
    """
    full = [len(demand.steps) - 1 for demand in demands]
    roster = frozenset((demand.key, demand.rank) for demand in demands)
    if available_bps is None:
        return _decided(Allocation(roster=roster), demands, full)
    kept = _kept(demands, previous)
    if roster != previous.roster:
        chosen = plan(available_bps, demands)
        return _decided(replace(previous, roster=roster, fits_since=None), demands, chosen)
    if _cost(demands, kept) > available_bps and any(step >= 0 for step in _reducible(demands, kept)):
        chosen = plan(available_bps, demands, kept)
        lowered = previous if chosen == kept else _lowered(previous, now)
        return _decided(lowered, demands, chosen)
    better = plan(available_bps / ALLOCATION_HEADROOM, demands)
    if not _is_better(demands, better, kept):
        return _decided(replace(previous, fits_since=None), demands, kept)
    fits_since = now if previous.fits_since is None else previous.fits_since
    # steps that failed make patient, but not with a line that has become wide enough for everything
    hold_s = min(previous.hold_s, ALLOCATION_HOLD_FULL_S) if better == full else previous.hold_s
    if now - fits_since < hold_s:
        return _decided(replace(previous, fits_since=fits_since), demands, kept)
    return _decided(_raised(previous, now), demands, better)


def _decided(base: Allocation, demands: Sequence[Demand], chosen: Sequence[int]) -> Allocation:
    decisions = tuple(_decision(demand, step) for demand, step in zip(demands, chosen, strict=True))
    wanted = sum(demand.steps[-1].bps for demand in demands)
    by_key = {decision.key: decision for decision in decisions}
    return replace(base, decisions=decisions, wanted_bps=wanted, by_key=by_key)


def _decision(demand: Demand, step: int) -> Decision:
    if step == PAUSED:
        return Decision(demand.key, "paused", None)
    return Decision(demand.key, "full" if step == len(demand.steps) - 1 else "reduced", demand.steps[step])


def _lowered(previous: Allocation, now: float) -> Allocation:
    """A step down. Soon after a step up it makes the next one wait longer."""
    failed = previous.raised_at is not None and now - previous.raised_at < ALLOCATION_FAILED_S
    hold = min(ALLOCATION_HOLD_MAX_S, 2 * previous.hold_s) if failed else previous.hold_s
    return replace(previous, fits_since=None, hold_s=hold, raised_at=None)


def _raised(previous: Allocation, now: float) -> Allocation:
    """A step up. When the one before has held, patience begins anew."""
    held = previous.raised_at is not None and now - previous.raised_at >= ALLOCATION_FAILED_S
    hold = ALLOCATION_HOLD_S if held else previous.hold_s
    return replace(previous, fits_since=None, hold_s=hold, raised_at=now)


def _kept(demands: Sequence[Demand], previous: Allocation) -> list[int]:
    """The steps that continue what was decided, among the steps that there are now."""
    return [_continued(demand, previous.by_key.get(demand.key)) for demand in demands]


def _continued(demand: Demand, before: Decision | None) -> int:
    if demand.rank is Rank.AUDIO:
        return len(demand.steps) - 1
    if before is None or before.step is None:
        return PAUSED
    if before.state == "full":
        return len(demand.steps) - 1  # also when its steps are measured anew
    was = before.step
    for index, step in enumerate(demand.steps):
        if (step.spatial, step.temporal) == (was.spatial, was.temporal):
            return index
    return max((i for i, step in enumerate(demand.steps) if step.bps <= was.bps), default=0)


def _cost(demands: Sequence[Demand], chosen: Sequence[int]) -> int:
    return sum(d.steps[step].bps for d, step in zip(demands, chosen, strict=True) if step != PAUSED)


def _reducible(demands: Sequence[Demand], chosen: Sequence[int]) -> list[int]:
    return [step for d, step in zip(demands, chosen, strict=True) if d.rank is not Rank.AUDIO]


def _is_better(demands: Sequence[Demand], one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether the first difference, from what matters most, is in favour of ``one``."""
    order = sorted(range(len(demands)), key=lambda i: demands[i].rank)
    return [one[i] for i in order] > [other[i] for i in order]
