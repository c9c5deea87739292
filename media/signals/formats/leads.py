"""Names, codes and units of leads: DICOM CID 3001, ISO/IEEE 11073-10101, and what files call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_MAX_LABEL, SIGNAL_MAX_LEADS, SIGNAL_MAX_RATE_HZ
from media.signals.descriptor import MAX_BASELINE, MAX_SCALE, Band, Lead
from media.signals.errors import SIGNAL_FILE_BROKEN, SIGNAL_UNSUPPORTED
from media.signals.kinds import ECG, KINDS

# PS3.16 CID 3001: usual name -> code value in scheme MDC, which is ``2:n`` for code n of ISO/IEEE 11073-10101
# partition 2. As one number, which FHIR uses, it is MDC_ECG_ELEC_POTL (131328) + n: lead I is 131329.
LEAD_NUMBERS = {
    "I": 1,
    "II": 2,
    "V1": 3,
    "V2": 4,
    "V3": 5,
    "V4": 6,
    "V5": 7,
    "V6": 8,
    "V7": 9,
    "V2R": 10,
    "V3R": 11,
    "V4R": 12,
    "V5R": 13,
    "V6R": 14,
    "V7R": 15,
    "X": 16,
    "Y": 17,
    "Z": 18,
    "III": 61,
    "aVR": 62,
    "aVL": 63,
    "aVF": 64,
    "V8": 66,
    "V9": 67,
    "V8R": 68,
    "V9R": 69,
}
LEAD_OF_NUMBER = {number: name for name, number in LEAD_NUMBERS.items()}
_USUAL = {name.casefold(): name for name in LEAD_NUMBERS}
_PREFIXES = ("ecg ", "ekg ", "lead ")
_IN_MICROVOLTS = {"uV": 1.0, "µV": 1.0, "μV": 1.0, "mV": 1000.0, "V": 1_000_000.0}
_UCUM = {"mmHg": "mm[Hg]", "bpm": "/min", "NU": "1"}


def usual_code(label: str) -> str:
    """``ECG v1`` -> ``V1``; an unknown name stays as it is, without the prefix."""
    name = label.strip()
    for prefix in _PREFIXES:
        if name.casefold().startswith(prefix):
            name = name[len(prefix) :].strip()
            break
    return _USUAL.get(name.casefold(), name)


def tidy(value: float) -> float:
    """The decimal that ``value`` was before some file wrote its inverse: 12 significant digits."""
    return float(f"{value:.12g}")


def make_lead(label: str, unit: str, scale: float, zero: float, index: int, band: Band | None = None) -> Lead:
    """A lead from what a file says of it; potentials come in microvolts.

    :param scale: ``unit`` per LSB.
    :param zero: the sample value that measures 0, rounded to a whole one.
    :raises RemoteProtocolError: ``signal_file_broken`` for a scale or baseline that no device has.
    """
    factor = _IN_MICROVOLTS.get(unit)
    scale = tidy(scale * (factor or 1.0))
    if not (abs(scale) <= MAX_SCALE and scale) or not abs(zero) <= MAX_BASELINE:
        raise RemoteProtocolError(SIGNAL_FILE_BROKEN, f"scale or baseline of signal {index + 1}")
    code = usual_code(label)[:SIGNAL_MAX_LABEL] or f"ch{index + 1}"
    unit = "uV" if factor else _UCUM.get(unit, unit[:SIGNAL_MAX_LABEL])
    return Lead(code, code, scale, round(zero), unit, band=band)


def distinct(leads: list[Lead]) -> tuple[Lead, ...]:
    """The same leads; a code that comes again gets its place as a suffix."""
    seen: set[str] = set()
    found: list[Lead] = []
    for index, lead in enumerate(leads):
        code = lead.code if lead.code not in seen else f"{lead.code[: SIGNAL_MAX_LABEL - 4]}#{index + 1}"
        seen.add(code)
        found.append(lead if code == lead.code else replace(lead, code=code, name=code))
    return tuple(found)


def kind_of(leads: tuple[Lead, ...]) -> str:
    """The stream's kind: one lead known by its name makes it an ECG, and so do potentials alone."""
    if any(is_ecg(lead.code) for lead in leads) or all(lead.unit == "uV" for lead in leads):
        return ECG.kind
    whole = (kind.kind for kind in KINDS.values() if all(lead.code in kind.channels for lead in leads))
    return next(whole, "signal")


def is_ecg(label: str) -> bool:
    """Whether a signal is named as an ECG lead; ``MLII``, ``MCL1`` and ``CM5`` are modified ones."""
    name = label.strip().upper()
    return name.startswith(("ECG", "EKG", "MLI", "MCL", "CM")) or usual_code(label) in LEAD_NUMBERS


def groups_by_rate(labels: Sequence[str], rates: Sequence[float]) -> list[list[int]]:
    """Which signals belong together, by index: one list a rate, the one with most ECG leads first."""
    found: dict[float, list[int]] = {}
    for index, rate in enumerate(rates):
        found.setdefault(rate, []).append(index)
    return sorted(found.values(), key=lambda group: (-sum(is_ecg(labels[i]) for i in group), -len(group)))


def check_shape(rate: float, leads: int, samples: int) -> None:
    """:raises RemoteProtocolError: ``signal_unsupported`` for what no stream can carry."""
    if not 0 < rate <= SIGNAL_MAX_RATE_HZ:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, f"sampling rate {rate:g} Hz")
    if not 0 < leads <= SIGNAL_MAX_LEADS:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, f"{leads} leads")
    if not samples:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "no samples")
