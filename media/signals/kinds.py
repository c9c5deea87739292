"""The kinds of signal that a bedside sends: units, usual ranges, rates, and their standard codes.

A range says what such a signal usually lies in: an axis begins with it, and a value outside is looked at
twice. It is no alarm limit and no bound of the wire (that is `Lead.limits`, the device's
own).

Codes: MDC is ISO/IEEE 11073-10101 as DICOM writes it (partition:code), DCM and LN as in PS3.16 CID 3001 (ECG
leads), CID 3004 (arterial pulse), CID 3005 (respiration), CID 12019 (fetal heart rate). Units are UCUM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """A concept of a coding scheme.

    :param scheme: ``MDC``, ``DCM`` or ``LN`` (LOINC).
    """

    scheme: str
    value: str


@dataclass(frozen=True, slots=True)
class Channel:
    """One lead or channel that a kind may have, with all codes it is known by; the first is the one to
    write.
    """

    code: str
    codes: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True)
class SignalKind:
    """What a stream of one ``kind`` measures.

    :param unit: UCUM; what `Lead.unit` usually is.
    :param usual: lowest and highest usual value, in ``unit``.
    :param rates_hz: lowest and highest usual sampling rate.
    :param channels: by `Lead.code`; a stream may have others.
    """

    kind: str
    zh: str
    en: str
    unit: str
    usual: tuple[float, float]
    rates_hz: tuple[float, float]
    channels: Mapping[str, Channel] = field(default_factory=dict)


def _mdc(code: str, value: str) -> Channel:
    return Channel(code, (Code("MDC", value),))


def _by_code(*channels: Channel) -> Mapping[str, Channel]:
    return {channel.code: channel for channel in channels}


_LIMB = (("I", "2:1"), ("II", "2:2"), ("III", "2:61"), ("aVR", "2:62"), ("aVL", "2:63"), ("aVF", "2:64"))
_CHEST = tuple((f"V{number}", f"2:{number + 2}") for number in range(1, 8))
_BACK = (("V8", "2:66"), ("V9", "2:67"))
_RIGHT = (("V2R", "2:10"), ("V3R", "2:11"), ("V4R", "2:12"), ("V5R", "2:13"))

LEADS_12: Final = tuple(code for code, _ in (*_LIMB, *_CHEST[:6]))
LEADS_15: Final = (*LEADS_12, "V7", "V8", "V9")
LEADS_18: Final = (*LEADS_15, "V3R", "V4R", "V5R")

ECG: Final = SignalKind(
    "ecg",
    "心电",
    "ECG",
    "uV",
    (-5_000.0, 5_000.0),
    (250.0, 1000.0),
    _by_code(*(_mdc(code, value) for code, value in (*_LIMB, *_CHEST, *_BACK, *_RIGHT))),
)
# By impedance of the chest; a belt or an airflow sensor gives its own unit.
RESPIRATION: Final = SignalKind(
    "respiration",
    "呼吸",
    "Respiration",
    "Ohm",
    (-3.0, 3.0),
    (25.0, 250.0),
    _by_code(Channel("RESP", (Code("DCM", "109117"), Code("MDC", "2:20480")))),
)
# Without a unit of its own: the share of light that pulses, scaled by the oximeter as it likes.
PLETH: Final = SignalKind(
    "pleth",
    "血氧容积波",
    "SpO2 pleth",
    "1",
    (0.0, 1.0),
    (60.0, 250.0),
    _by_code(Channel("PLETH", (Code("MDC", "2:19380"), Code("DCM", "109116")))),
)
ARTERIAL_PRESSURE: Final = SignalKind(
    "arterial_pressure",
    "有创动脉压",
    "Arterial pressure",
    "mm[Hg]",
    (0.0, 250.0),
    (100.0, 500.0),
    _by_code(Channel("ABP", (Code("MDC", "2:18960"),))),
)
# FIGO intrapartum monitoring: baseline 110-160 /min; paper shows 50-210. 0 is "no signal" on most monitors.
FETAL_HEART_RATE: Final = SignalKind(
    "fetal_heart_rate",
    "胎心率",
    "Fetal heart rate",
    "/min",
    (50.0, 210.0),
    (1.0, 4.0),
    _by_code(Channel("FHR1", (Code("LN", "11948-7"),)), Channel("FHR2", (Code("LN", "11948-7"),))),
)
# From outside (tocodynamometer) relative 0-100; a catheter inside gives mm[Hg] in the same range. No code of
# the standards above says either.
UTERINE_ACTIVITY: Final = SignalKind(
    "uterine_activity",
    "宫缩",
    "Uterine activity",
    "1",
    (0.0, 100.0),
    (1.0, 4.0),
    _by_code(Channel("TOCO"), Channel("IUP")),
)

KINDS: Final[Mapping[str, SignalKind]] = {
    kind.kind: kind
    for kind in (ECG, RESPIRATION, PLETH, ARTERIAL_PRESSURE, FETAL_HEART_RATE, UTERINE_ACTIVITY)
}


def channel_of(code: Code) -> tuple[SignalKind, Channel] | None:
    """The kind and channel that a standard's code stands for, as a file names it."""
    for kind in KINDS.values():
        for channel in kind.channels.values():
            if code in channel.codes:
                return kind, channel
    return None
