"""When an alarm is raised and when its condition has passed; who has seen it.

After the ideas of IEC 60601-2-27 (ECG monitors) and IEC 60601-1-8 (alarms) as manuals of monitors quote them,
for we had no text of either: this is no monitor, replaces none and is tested by no clause. Manuals state,
under 201.7.9.2.9.101 b) 5) and 6), how fast rate and alarm follow (80 to 120 and 80 to 40 /min, tachycardia:
11 s and less). A rate beyond its limit is told within 10 s; a signal that cannot be relied on raises no alarm
of the heart, but one of its own; alarms of the heart are latched. Time is that of the signal, so the rules do
not depend on how often they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from media.errors import NOT_FOUND, RemoteProtocolError
from media.signals.analysis.findings import Alarm, Kind, Quality, Severity

RAISE_S: Final = 2.0
END_S: Final = 5.0
HYSTERESIS: Final = 3
"""Beats per minute inside the limit before the condition has passed."""
PAUSE_RATIO: Final = 1.6
"""Of the usual interval: a slow rhythm is not a row of pauses."""
LEAD_OFF_S: Final = 3.0
POOR_S: Final = 10.0
NO_DATA_S: Final = 10.0

Preset = Literal["adult", "child", "neonate"]


@dataclass(frozen=True, slots=True)
class AlarmLimits:
    """Heart rate per minute, times in seconds."""

    low: int = 50
    high: int = 120
    pause_s: float = 2.0
    long_pause_s: float = 3.0
    asystole_s: float = 4.0


PRESETS: Final[Mapping[str, AlarmLimits]] = {
    "adult": AlarmLimits(),
    "child": AlarmLimits(low=75, high=160),
    "neonate": AlarmLimits(low=100, high=200, asystole_s=3.0),
}
"""The defaults that bedside monitors come with."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the rules look at, as of ``time`` (seconds of the signal).

    :param trusted: beats are found and look alike; nothing of the heart is judged otherwise.
    :param quiet: nothing but beats stands out, so that a missing one is missing.
    :param rate: per minute.
    :param gap_s: since the last beat, None when there was none since a hole or the leads went quiet by fault.
    :param usual_s: the usual interval.
    :param ended_gaps: intervals that ended since the last time, seconds.
    """

    time: float
    quality: Quality
    trusted: bool
    quiet: bool
    rate: float | None
    gap_s: float | None
    usual_s: float | None
    ended_gaps: tuple[float, ...]
    off: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is so now; the rules give all that hold."""

    kind: Kind
    severity: Severity
    evidence: Mapping[str, Any] = field(default_factory=dict)


class _Held:
    """True after ``on`` seconds of yes, False again after ``off`` seconds of no; None leaves it as it is."""

    def __init__(self, on: float, off: float) -> None:
        self.active = False
        self._on, self._off = on, off
        self._changing_since: float | None = None

    def push(self, value: bool | None, time: float) -> bool:
        if value is None or value == self.active:
            self._changing_since = None
            return self.active
        if self._changing_since is None:
            self._changing_since = time
        if time - self._changing_since >= (self._off if self.active else self._on):
            self.active, self._changing_since = value, None
        return self.active


class AlarmRules:
    """The conditions of one stream."""

    def __init__(self, limits: AlarmLimits) -> None:
        self.limits = limits
        self._fast = _Held(RAISE_S, END_S)
        self._slow = _Held(RAISE_S, END_S)
        self._off = _Held(LEAD_OFF_S, LEAD_OFF_S)
        self._poor = _Held(POOR_S, RAISE_S)
        self._off_leads: tuple[str, ...] = ()
        self._rate = 0
        self._still = False

    def push(self, now: Measured) -> list[Condition]:
        """All conditions that hold."""
        return [*self._gap(now), *self._of_rate(now), *self._technical(now)]

    def _of_rate(self, now: Measured) -> Iterable[Condition]:
        rate = None if now.rate is None or not now.trusted else round(now.rate)
        if rate is not None:
            self._rate = rate
        high, low = self.limits.high, self.limits.low
        if self._fast.push(_beyond(rate, high, self._fast.active), now.time):
            yield Condition("tachycardia", "medium", {"heartRate": self._rate, "limit": high})
        mirrored = None if rate is None else -rate
        if self._slow.push(_beyond(mirrored, -low, self._slow.active), now.time):
            yield Condition("bradycardia", "medium", {"heartRate": self._rate, "limit": low})

    def _gap(self, now: Measured) -> Iterable[Condition]:
        was_still, self._still = self._still, False
        if not (now.trusted and now.quiet):
            return
        limits = self.limits
        ended = () if was_still else now.ended_gaps
        longest = max((*ended, now.gap_s or 0.0))
        self._still = (now.gap_s or 0.0) >= limits.asystole_s
        if self._still:
            yield Condition("asystole", "high", {"seconds": int(now.gap_s or 0.0)})
        elif longest >= max(limits.pause_s, PAUSE_RATIO * (now.usual_s or 0.0)):
            severity: Severity = "high" if longest > limits.long_pause_s else "medium"
            yield Condition("pause", severity, {"seconds": round(longest, 1)})

    def _technical(self, now: Measured) -> Iterable[Condition]:
        if now.off:
            self._off_leads = now.off
        if self._off.push(bool(now.off), now.time):
            severity: Severity = "medium" if now.quality == "off" else "low"
            yield Condition("lead_off", severity, {"leads": list(self._off_leads)})
        if self._poor.push(now.quality == "poor", now.time):
            yield Condition("poor_signal", "low")


def _beyond(rate: int | None, limit: int, active: bool) -> bool | None:
    """Above the limit; once active, until clearly below it."""
    return None if rate is None else rate > limit - (HYSTERESIS if active else 0)


class AlarmBook:
    """The alarms of one stream from raised to over: at most one of each kind at a time.

    :param new_id: makes identifiers that cannot be guessed.
    """

    def __init__(self, stream_id: str, new_id: Callable[[], str]) -> None:
        self._stream_id = stream_id
        self._new_id = new_id
        self._alarms: dict[Kind, Alarm] = {}

    @property
    def standing(self) -> list[Alarm]:
        """All that are not over, the oldest first."""
        return sorted(self._alarms.values(), key=lambda alarm: alarm.since)

    def update(self, conditions: Iterable[Condition], at: float, device_time: float) -> list[Alarm]:
        """What is so now: the alarms that changed by it.

        A condition that comes back before anybody has seen its alarm goes on under the same id.

        :param at: Unix seconds, this server's clock.
        """
        holding = {condition.kind: condition for condition in conditions}
        changed = [
            self._put(replace(alarm, ended_at=at))
            for alarm in self.standing
            if alarm.active and alarm.kind not in holding
        ]
        for kind, condition in holding.items():
            alarm = self._alarms.get(kind)
            if alarm is None:
                begun = Alarm(self._new_id(), self._stream_id, kind, condition.severity, at, device_time)
                changed.append(self._put(replace(begun, evidence=condition.evidence)))
            elif not alarm.active or _is_news(alarm, condition):
                severity = _higher(alarm.severity, condition.severity)
                told = replace(alarm, severity=severity, evidence=condition.evidence, ended_at=None)
                changed.append(self._put(told))
        return changed

    def acknowledge(self, alarm_id: str, user_id: str, role: str, at: float) -> Alarm | None:
        """A person has seen it; None when that was known.

        :raises RemoteProtocolError: not_found, also when it is over.
        """
        for alarm in self.standing:
            if alarm.id == alarm_id:
                if alarm.acknowledged_at is not None:
                    return None
                return self._put(
                    replace(alarm, acknowledged_at=at, acknowledged_by=user_id, acknowledged_role=role)
                )
        raise RemoteProtocolError(NOT_FOUND, "alarm")

    def _put(self, alarm: Alarm) -> Alarm:
        if alarm.over:
            self._alarms.pop(alarm.kind, None)
        else:
            self._alarms[alarm.kind] = alarm
        return alarm


_ORDER: Final[tuple[Severity, ...]] = ("low", "medium", "high")


def _higher(one: Severity, other: Severity) -> Severity:
    return max(one, other, key=_ORDER.index)


def _is_news(alarm: Alarm, condition: Condition) -> bool:
    """Worth telling again; a number that goes on growing is not."""
    rises = _ORDER.index(condition.severity) > _ORDER.index(alarm.severity)
    return rises or alarm.evidence.get("leads") != condition.evidence.get("leads")
