"""What the analysis of an ECG tells: the values themselves and their JSON, as viewers and the record read it.

Times are Unix seconds: ``device_time`` and beats on the device's own clock, as the frames' time stamps, all
others on this server's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

Quality = Literal["good", "fair", "poor", "off"]
Severity = Literal["high", "medium", "low"]
Kind = Literal["asystole", "tachycardia", "bradycardia", "pause", "lead_off", "poor_signal", "no_data"]
State = Literal["raised", "ended", "acknowledged"]

KINDS: Final[frozenset[str]] = frozenset(get_args(Kind))
TECHNICAL: Final[frozenset[str]] = frozenset({"lead_off", "poor_signal", "no_data"})
"""Alarms about the measuring, not about the patient (IEC 60601-1-8's distinction). They are not latched."""

_NOT_A_DIAGNOSIS: Final = ("（自动分析提示，不是诊断）", " (automatic hint, not a diagnosis)")
_SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "asystole": ("{seconds} 秒未检测到心搏", "No heart beat found for {seconds} s"),
    "tachycardia": (
        "心率 {heartRate} 次/分，高于上限 {limit}",
        "Heart rate {heartRate}/min, above the limit of {limit}",
    ),
    "bradycardia": (
        "心率 {heartRate} 次/分，低于下限 {limit}",
        "Heart rate {heartRate}/min, below the limit of {limit}",
    ),
    "pause": ("心搏间歇 {seconds} 秒", "A pause of {seconds} s between two beats"),
    "lead_off": ("电极脱落：{leads}", "Electrode off: {leads}"),
    "poor_signal": (
        "信号质量差，自动分析已暂停",
        "The signal is too poor: rate and alarms are suspended",
    ),
    "no_data": ("{seconds} 秒未收到心电数据", "No ECG data for {seconds} s"),
}


@dataclass(frozen=True, slots=True)
class RrFigures:
    """Variability of the intervals between accepted beats of the last ``seconds`` (Task Force of the ESC and
    NASPE, Circulation 93(5):1043-1065, 1996). Milliseconds and percent."""

    seconds: float
    beats: int
    mean_ms: float
    sdnn_ms: float
    rmssd_ms: float
    pnn50_percent: float

    def as_json(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 1),
            "beats": self.beats,
            "meanMs": round(self.mean_ms, 1),
            "sdnnMs": round(self.sdnn_ms, 1),
            "rmssdMs": round(self.rmssd_ms, 1),
            "pnn50Percent": round(self.pnn50_percent, 1),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RrFigures:
        """:raises KeyError, TypeError, ValueError: not such an object."""
        return cls(
            float(fields["seconds"]),
            int(fields["beats"]),
            float(fields["meanMs"]),
            float(fields["sdnnMs"]),
            float(fields["rmssdMs"]),
            float(fields["pnn50Percent"]),
        )


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one stream shows now.

    :param device_time: up to which samples it speaks.
    :param heart_rate: per minute; None while there is no rate to rely on.
    :param quality: of the leads that are worked with.
    :param leads: quality by the code of the lead.
    :param beats: times of the R waves that were found since the message before, ascending.
    :param low, high: limits of the heart rate's alarms, per minute.
    :param skipped_s: seconds of signal that were never analysed because the server was behind.
    """

    stream_id: str
    at: float
    device_time: float
    heart_rate: int | None
    quality: Quality
    leads: Mapping[str, Quality]
    rr: RrFigures | None
    beats: tuple[float, ...]
    low: int
    high: int
    skipped_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "streamId": self.stream_id,
            "at": round(self.at, 3),
            "deviceTime": round(self.device_time, 3),
            "heartRate": self.heart_rate,
            "quality": self.quality,
            "leads": dict(self.leads),
            "rr": None if self.rr is None else self.rr.as_json(),
            "beats": [round(beat, 4) for beat in self.beats],
            "limits": {"low": self.low, "high": self.high},
            "skippedSeconds": round(self.skipped_s, 1),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Analysis:
        """:raises KeyError, TypeError, ValueError: not such an object."""
        rate, rr, limits = fields["heartRate"], fields["rr"], fields["limits"]
        return cls(
            str(fields["streamId"]),
            float(fields["at"]),
            float(fields["deviceTime"]),
            None if rate is None else int(rate),
            fields["quality"],
            dict(fields["leads"]),
            None if rr is None else RrFigures.from_json(rr),
            tuple(float(beat) for beat in fields["beats"]),
            int(limits["low"]),
            int(limits["high"]),
            float(fields["skippedSeconds"]),
        )


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm, as it stands; every change is told as a whole new one of the same ``id``.

    A physiological alarm is latched: it stays until a person has acknowledged it, also when its condition has
    passed. A technical one goes with its condition.

    :param since: when it was raised, this server's clock.
    :param device_time: what it speaks of, the device's clock.
    :param evidence: the values that its sentence names, and ``leads``.
    :param ended_at: when its condition had passed; None while it holds.
    :param acknowledged_by: the ``sub`` of the person's room token; with ``acknowledged_role``.
    """

    id: str
    stream_id: str
    kind: Kind
    severity: Severity
    since: float
    device_time: float
    evidence: Mapping[str, Any] = field(default_factory=dict)
    ended_at: float | None = None
    acknowledged_at: float | None = None
    acknowledged_by: str | None = None
    acknowledged_role: str | None = None

    @property
    def technical(self) -> bool:
        return self.kind in TECHNICAL

    @property
    def active(self) -> bool:
        """Its condition holds."""
        return self.ended_at is None

    @property
    def state(self) -> State:
        if self.acknowledged_at is not None:
            return "acknowledged"
        return "raised" if self.active else "ended"

    @property
    def over(self) -> bool:
        """Nothing is left to show or to do."""
        return not self.active and (self.technical or self.acknowledged_at is not None)

    def message(self) -> dict[str, str]:
        """The sentence for a person."""
        shown = {name: _shown(value) for name, value in self.evidence.items()}
        return {
            language: sentence.format_map(shown) + note
            for language, sentence, note in zip(
                ("zh", "en"),
                _SENTENCES[self.kind],
                ("", "") if self.technical else _NOT_A_DIAGNOSIS,
                strict=True,
            )
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "streamId": self.stream_id,
            "kind": self.kind,
            "category": "technical" if self.technical else "physiological",
            "severity": self.severity,
            "state": self.state,
            "active": self.active,
            "over": self.over,
            "since": round(self.since, 3),
            "deviceTime": round(self.device_time, 3),
            "endedAt": self.ended_at,
            "acknowledgedAt": self.acknowledged_at,
            "acknowledgedBy": self.acknowledged_by
            and {"userId": self.acknowledged_by, "role": self.acknowledged_role},
            "evidence": dict(self.evidence),
            "message": self.message(),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Alarm:
        """:raises KeyError, TypeError, ValueError: not such an object."""
        if fields["kind"] not in KINDS:
            raise ValueError("kind")
        by = fields["acknowledgedBy"] or {}
        return cls(
            str(fields["id"]),
            str(fields["streamId"]),
            fields["kind"],
            fields["severity"],
            float(fields["since"]),
            float(fields["deviceTime"]),
            dict(fields["evidence"]),
            _time(fields["endedAt"]),
            _time(fields["acknowledgedAt"]),
            by.get("userId"),
            by.get("role"),
        )


def _time(value: Any) -> float | None:
    return None if value is None else float(value)


def _shown(value: Any) -> str:
    return "、".join(str(entry) for entry in value) if isinstance(value, list | tuple) else f"{value:g}"
