"""The lines on which a consult is measured, and what must hold on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from loadtest.impair_line import Conditions

Who = Literal["expert", "village", "guest"]
"""Both doctors are Chromium pages; the guest (a family member) is on the sdk."""

FREEZE_AT_LOSS_3_MS = 500
CONCEALED_AT_LOSS_10_PERCENT = 2.0
STALL_MS = 1000
"""A picture that stands longer than this has stalled; only a frozen picture, not a low frame rate, does."""
AUDIO_WHOLE_CONCEALED_PERCENT = 1.0
"""Sound is called whole up to here: below 1 % concealment nobody hears any."""
SETTLE_SECONDS = 3.0
"""A line that becomes narrow within no time has this long until its sound is judged as whole or not."""
TRANSITION_CONCEALED_MS = 500
"""And meanwhile no more than this is made up: a word. The line's own queue holds 0.3 s each way; for so long
nobody can know, and what is sent comes late or not at all."""
RECOVERED_AFTER_STEP_UP_S = 10.0
RECONNECT_AFTER_ADDRESS_CHANGE_S = 2.0
REJOIN_AFTER_CUT_S = 3.0

MEASURE_SECONDS = 20.0
THIN_SECONDS = 15.0
"""How long the thin part of a step lasts."""
SHRINK_SECONDS = 10.0
"""How long each step of a shrinking line lasts: time to give up something and to show it."""
CUT_SECONDS = 10.0
WATCH_RECOVERY_SECONDS = 20.0
"""Twice what a recovery may take, so that a slow one is measured and not only missed."""


@dataclass(frozen=True)
class Case:
    """One line of one person, over time.

    :param line: whose line is bad; both directions of it.
    :param steps: seconds from the begin, and what the line is like from then on.
    :param seconds: how long figures are taken from the begin.
    :param restored_s: when the line is good again and recovery is watched; None when it stays as it is.
    :param change: at the begin the person's one interface gets another address, or it is lost while a
        second one is up already.
    """

    name: str
    line: Who
    steps: tuple[tuple[float, Conditions], ...]
    seconds: float = MEASURE_SECONDS
    restored_s: float | None = None
    change: Literal["address", "interface"] | None = None

    def conditions(self) -> dict[str, Any]:
        """For the report: everything needed to lay the same line again."""
        found: dict[str, Any] = {
            "line": self.line,
            "seconds": self.seconds,
            "steps": [{"at_s": at, **_readable(conditions)} for at, conditions in self.steps],
        }
        if self.change:
            found[f"{self.change}_change_at_s"] = 0
        return found


def _readable(conditions: Conditions) -> dict[str, Any]:
    if conditions.cut:
        return {"cut": True}
    return {
        "round_trip_ms": round(2 * conditions.delay_ms),
        "loss_percent": conditions.loss_percent,
        "burst_packets": conditions.burst_packets,
        "rate_kbps": conditions.rate_kbps,
    }


def line(
    loss: float = 0.0, burst: float = 0.0, round_trip: float = 20.0, rate: float | None = None
) -> Conditions:
    """One direction: loss in percent, burst in packets, round trip (of both) in ms, rate in kbit/s."""
    return Conditions(delay_ms=round_trip / 2, loss_percent=loss, burst_packets=burst, rate_kbps=rate)


GOOD = line()
CUT = Conditions(cut=True)


def _steady(name: str, conditions: Conditions, who: Who = "expert") -> Case:
    return Case(name, who, ((0.0, conditions),))


def _cut(name: str, who: Who) -> Case:
    total = CUT_SECONDS + WATCH_RECOVERY_SECONDS
    return Case(name, who, ((0.0, CUT), (CUT_SECONDS, GOOD)), total, CUT_SECONDS)


def _step(name: str, who: Who, wide: float, thin: float) -> Case:
    steps = ((0.0, line(rate=thin)), (THIN_SECONDS, line(rate=wide)))
    return Case(name, who, steps, THIN_SECONDS + WATCH_RECOVERY_SECONDS, THIN_SECONDS)


def shrink(name: str, who: Who, rates: Sequence[float], seconds: float = SHRINK_SECONDS) -> Case:
    """Each rate for ``seconds``, then a good line again."""
    steps = [(number * seconds, line(rate=rate)) for number, rate in enumerate(rates)]
    restored = len(rates) * seconds
    return Case(name, who, (*steps, (restored, GOOD)), restored + WATCH_RECOVERY_SECONDS, restored)


def _change(name: str, who: Who, change: Literal["address", "interface"]) -> Case:
    return Case(name, who, ((0.0, GOOD),), WATCH_RECOVERY_SECONDS, 0.0, change)


CASES: tuple[Case, ...] = (
    _steady("clean", GOOD),
    _steady("loss-3", line(loss=3)),
    _steady("loss-10", line(loss=10)),
    _steady("loss-20", line(loss=20)),
    _steady("burst-3", line(loss=3, burst=5)),
    _steady("burst-10", line(loss=10, burst=5)),
    _steady("burst-20", line(loss=20, burst=5)),
    _steady("rtt-200", line(round_trip=200)),
    _steady("rtt-400", line(round_trip=400)),
    _steady("loss-3-rtt-200", line(loss=3, round_trip=200)),
    _steady("rate-4000", line(rate=4000)),
    _steady("rate-1000", line(rate=1000)),
    _steady("rate-300", line(rate=300)),
    _step("step-300", "expert", wide=4000, thin=300),
    _step("step-1000", "expert", wide=4000, thin=1000),
    shrink("shrink", "expert", (4000, 2000, 1000, 600, 300)),
    _cut("cut-10s", "expert"),
    _change("address-change", "expert", "address"),
    _change("interface-change", "expert", "interface"),
    _steady("village-loss-3", line(loss=3), "village"),
    _steady("village-loss-10", line(loss=10), "village"),
    _steady("village-rate-1000", line(rate=1000), "village"),
    _steady("village-rate-300", line(rate=300), "village"),
    _step("village-step-300", "village", wide=4000, thin=300),
    _cut("village-cut-10s", "village"),
    _change("village-address-change", "village", "address"),
    _change("village-interface-change", "village", "interface"),
    _steady("guest-loss-10", line(loss=10), "guest"),
    _steady("guest-rate-300", line(rate=300), "guest"),
)


def chosen(names: str) -> Sequence[Case]:
    """The cases that a comma-separated list names, in its order; all of them for an empty one.

    :raises ValueError: a name that no case has.
    """
    if not names:
        return CASES
    by_name = {case.name: case for case in CASES}
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise ValueError(f"no case is called {', '.join(unknown)}; there are {', '.join(by_name)}")
    return [by_name[name] for name in wanted]


def shortfalls(name: str, figures: dict[str, Any]) -> list[str]:
    """What fell short of the thresholds in one case, one sentence each."""
    checks: list[tuple[str, float]] = []
    if name in ("loss-3", "burst-3", "loss-3-rtt-200", "village-loss-3"):
        checks.append(("longest_freeze_ms", FREEZE_AT_LOSS_3_MS))
    if name in ("loss-10", "burst-10", "village-loss-10"):
        checks.append(("audio_concealed_percent", CONCEALED_AT_LOSS_10_PERCENT))
    if name in ("rate-300", "village-rate-300"):
        checks.append(("longest_freeze_ms", STALL_MS))
        checks.append(("settled_concealed_percent", AUDIO_WHOLE_CONCEALED_PERCENT))
        checks.append(("transition_concealed_ms", TRANSITION_CONCEALED_MS))
        checks.append(("ecg_gaps", 0))
    if "step-" in name or name == "shrink":
        checks.append(("recovered_after_s", RECOVERED_AFTER_STEP_UP_S))
    if name == "shrink":
        checks.append(("audio_concealed_percent", AUDIO_WHOLE_CONCEALED_PERCENT))
        checks.append(("ecg_gaps", 0))
    if name.startswith("guest-"):
        checks.append(("longest_freeze_ms", FREEZE_AT_LOSS_3_MS))
    if name.endswith("-change"):
        checks.append(("media_back_after_s", RECONNECT_AFTER_ADDRESS_CHANGE_S))
    if name.endswith("cut-10s"):
        checks.append(("media_back_after_s", REJOIN_AFTER_CUT_S))
    found = [
        sentence
        for figure, limit in checks
        if (sentence := _missed(name, figure, figures.get(figure), limit))
    ]
    if figures.get("same_identity") is False:
        found.append(f"{name}: came back as another peer")
    if name in ("rate-300", "village-rate-300") and not figures.get("sources_moving"):
        found.append(f"{name}: no picture moves any more")
    if figures.get("clinical_order_kept") is False:
        found.append(f"{name}: the ultrasound was lowered before the camera")
    return found


def _missed(case: str, figure: str, value: float | None, limit: float) -> str | None:
    if value is None:
        return f"{case}: {figure} could not be measured (it never came)"
    return f"{case}: {figure} is {value:g}, the limit is {limit:g}" if value > limit else None
