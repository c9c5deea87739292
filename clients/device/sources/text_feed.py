"""The text that monitors send: one JSON object a line, samples in a string. No I/O here.

::

    {"lead": "II", "rate": 250, "scale": 1.5, "baseline": 2047, "range": [0, 4095], "samples": "2047 2049
    2051"} {"leads": ["I", "II"], "rate": 500, "samples": {"I": "1 2 3", "II": "4 5 6"}}

``kind`` is ``ecg`` unless said, ``unit`` the kind's own, ``scale`` 1, ``baseline`` 0; ``name`` tells two
sensors of one kind apart. Samples are whole numbers, parted by spaces or commas, or a JSON list of them. What
is outside
``range`` (or 16 bits) is an error of the source: that message is not kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clients.device.sources.source import Signal
from media.limits import SIGNAL_MAX_LABEL, SIGNAL_MAX_LEADS, SIGNAL_MAX_RATE_HZ
from media.signals.descriptor import INT16, Lead
from media.signals.frames import Samples
from media.signals.kinds import KINDS

MESSAGE_BYTES = 256 * 1024  # ten seconds of 12 leads at 1 kHz as text are 480 kB, and nobody waits so long
_PARTS = re.compile(r"[\s,;]+")


class FeedError(ValueError):
    """A message that cannot be used; the text says why and quotes nothing of a patient."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One message: samples of shape (samples, leads) of a signal."""

    signal: Signal
    samples: Samples


def parse(text: str | bytes) -> Measured:
    """Read one message.

    :raises FeedError: it is too long, not JSON, or says something impossible.
    """
    if len(text) > MESSAGE_BYTES:
        raise FeedError(f"longer than {MESSAGE_BYTES} bytes")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise FeedError("not JSON") from None
    if not isinstance(message, dict):
        raise FeedError("not an object")
    codes = _codes(message)
    signal = _signal(message, codes)
    return Measured(signal, _samples(message, signal))


def _codes(message: Mapping[str, object]) -> tuple[str, ...]:
    listed = message.get("leads", [message.get("lead")])
    if not isinstance(listed, list) or not 0 < len(listed) <= SIGNAL_MAX_LEADS:
        raise FeedError("leads")
    codes = tuple(code for code in listed if isinstance(code, str) and 0 < len(code) <= SIGNAL_MAX_LABEL)
    if len(codes) != len(listed) or len(set(codes)) != len(codes):
        raise FeedError("leads")
    return codes


def _signal(message: Mapping[str, object], codes: tuple[str, ...]) -> Signal:
    kind = _text(message, "kind", "ecg")
    known = KINDS.get(kind)
    unit = _text(message, "unit", known.unit if known is not None else "1")
    scale = _number(message, "scale", 1.0)
    rate = _number(message, "rate", None)
    if not 0.001 <= rate <= SIGNAL_MAX_RATE_HZ or not scale:
        raise FeedError("rate or scale")
    baseline = _number(message, "baseline", 0)
    if baseline != int(baseline) or abs(baseline) > -INT16.min:
        raise FeedError("baseline")
    limits = _limits(message.get("range"))
    leads = tuple(Lead(code, code, scale, int(baseline), unit, limits) for code in codes)
    return Signal(kind, _text(message, "name", known.en if known is not None else kind), rate, leads)


def _limits(value: object) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or [type(one) for one in value] != [int, int]:
        raise FeedError("range")
    low, high = value
    if not INT16.min <= low < high <= INT16.max:
        raise FeedError("range")
    return low, high


def _samples(message: Mapping[str, object], signal: Signal) -> Samples:
    given = message.get("samples")
    codes = [lead.code for lead in signal.leads]
    columns = given if isinstance(given, dict) else {codes[0]: given}
    if set(columns) != set(codes):
        raise FeedError("samples are not of the leads named")
    values = [_numbers(columns[code]) for code in codes]
    if len({len(one) for one in values}) != 1 or not values[0]:
        raise FeedError("leads of different length")
    low, high = signal.leads[0].limits or (INT16.min, INT16.max)
    if min(map(min, values)) < low or max(map(max, values)) > high:
        raise FeedError(f"a sample is outside {low}..{high}")
    return np.array(values, dtype=np.int16).T


def _numbers(value: object) -> list[int]:
    try:
        if isinstance(value, str):
            return [int(part) for part in _PARTS.split(value.strip()) if part]
        if isinstance(value, list) and all(type(one) is int for one in value):
            return value
    except ValueError:
        pass
    raise FeedError("a sample is no whole number")


def _text(message: Mapping[str, object], key: str, default: str) -> str:
    value = message.get(key, default)
    if not isinstance(value, str) or not 0 < len(value) <= SIGNAL_MAX_LABEL:
        raise FeedError(key)
    return value


def _number(message: Mapping[str, object], key: str, default: float | None) -> float:
    value = message.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
        raise FeedError(key)
    return float(value)
