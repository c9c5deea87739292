"""Two reports side by side: what got better, what got worse. No I/O but reading them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CONDITIONS = (
    "case",
    "plane",
    "profile",
    "fan_out",
    "packet_bytes",
    "load",
    "loss_percent",
    "rooms",
    "name",
    "parser",
)
"""Fields that say which case an object of a list is, rather than what was measured."""
_MORE_IS_BETTER = ("per_second", "knee", "success_percent", "frames_decoded", "received", "mos")
_NEUTRAL = ("runs", "checked", "sent", "participants", "delay_at_packets_per_second", "wakeups")
NOISE_PERCENT = 5.0
"""Differences below it are what the same thing shows when it is measured twice."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure in both reports."""

    name: str
    before: float
    after: float

    @property
    def percent(self) -> float | None:
        """Growth; None from nothing to something."""
        return 100 * (self.after - self.before) / abs(self.before) if self.before else None

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, or empty where it is noise or no matter of good or bad."""
        last = self.name.rpartition(" ")[2]
        percent = self.percent
        if any(word in last for word in _NEUTRAL) and not last.startswith("knee"):
            return ""
        if self.before == self.after or (percent is not None and abs(percent) < NOISE_PERCENT):
            return ""
        grew = self.after > self.before
        return "better" if grew == any(word in last for word in _MORE_IS_BETTER) else "worse"


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Every numeric figure that both reports have, in the order of the second.

    :raises ValueError: they are of different scenarios.
    """
    if before.get("scenario") != after.get("scenario"):
        raise ValueError(f"one report is of {before.get('scenario')}, the other of {after.get('scenario')}")
    old = dict(_numbers(before.get("figures", {}), ""))
    return [
        Difference(name, old[name], value)
        for name, value in _numbers(after.get("figures", {}), "")
        if name in old
    ]


def alone(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What only one of the two has, one line each: a case that is gone did not get better."""
    old, new = (dict(_numbers(one.get("figures", {}), "")) for one in (before, after))
    return _without("first", old, new) + _without("second", new, old)


def _without(which: str, here: Mapping[str, float], there: Mapping[str, float]) -> list[str]:
    """A case as a whole where nothing of it is ``there``."""
    known = {name.rpartition(" ")[0] for name in there}
    gone: dict[str, list[str]] = {}
    for name in here:
        case = name.rpartition(" ")[0]
        if name not in there:
            gone.setdefault(name if case in known else case, []).append(name)
    return [
        f"only in the {which}: {name}"
        + (f" = {here[name]:g}" if names == [name] else f" ({len(names)} figures)")
        for name, names in gone.items()
    ]


def shortfalls(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What falls short, one line each."""
    old, new = before.get("shortfalls", []), after.get("shortfalls", [])
    return [
        *(f"short in the first: {one}" for one in old),
        *(f"short in the second: {one}" for one in new),
    ]


def read(path: Path) -> dict[str, Any]:
    """A report's file.

    :raises ValueError: it is none, or cannot be read; says which and why.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("figures"), dict):
        raise ValueError(f"{path} is no load test's report")
    return found


def changed_conditions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What was not the same, one line each: figures are to be read with it."""
    old, new = before.get("conditions", {}), after.get("conditions", {})
    return [
        f"{key}: {old.get(key)} -> {new.get(key)}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def table(found: list[Difference]) -> list[str]:
    """For a terminal."""
    width = max((len(one.name) for one in found), default=0)
    return [
        f"{one.name:<{width}}  {one.before:>12g} {one.after:>12g} "
        f"{'' if one.percent is None else format(one.percent, '+.1f') + ' %':>10}  {one.verdict}".rstrip()
        for one in found
    ]


def _numbers(figures: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for key, value in figures.items():
        if isinstance(value, bool) or key == "timeline":
            continue
        if isinstance(value, int | float):
            yield f"{prefix}{key}", float(value)
        elif isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key} ")
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, Mapping):
                    which = " ".join(str(one[name]) for name in _CONDITIONS if name in one)
                    # Lists within are details of how it was measured, such as turns that were made again.
                    rest = {
                        name: item
                        for name, item in one.items()
                        if name not in _CONDITIONS and not isinstance(item, list)
                    }
                    yield from _numbers(rest, f"{prefix}{which} ")
