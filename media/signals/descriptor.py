"""What a signal stream measures: leads, scale, sampling rate. Fixed for the life of a stream."""

from __future__ import annotations

import json
import struct
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_MAX_LABEL, SIGNAL_MAX_LEADS, SIGNAL_MAX_RATE_HZ
from media.signals.errors import SIGNAL_MALFORMED, SIGNAL_TOO_LARGE

MAX_SCALE = 1e6  # units per LSB; a scale beyond this is a mistake of units
MAX_BASELINE = 65_536  # int16 samples cannot be centred further out
INT16 = np.iinfo(np.int16)


MAX_FILTER_HZ = 1e5  # no device's band reaches further


@dataclass(frozen=True, slots=True)
class Band:
    """The filters that a device put a lead through before anybody had its samples, as far as it says.

    :param low_hz: the high pass's cut-off.
    :param high_hz: the low pass's.
    :param notch_hz: a mains filter's middle.
    """

    low_hz: float | None = None
    high_hz: float | None = None
    notch_hz: float | None = None

    @classmethod
    def of(cls, low: float | None, high: float | None, notch: float | None) -> Band | None:
        """None when nothing is said; a frequency of 0, or one that no device has, says nothing."""
        said = [hz if hz is not None and 0 < hz <= MAX_FILTER_HZ else None for hz in (low, high, notch)]
        return cls(*said) if any(said) else None

    def as_json(self) -> dict[str, float]:
        fields = {"lowHz": self.low_hz, "highHz": self.high_hz, "notchHz": self.notch_hz}
        return {name: hz for name, hz in fields.items() if hz is not None}


@dataclass(frozen=True, slots=True)
class Lead:
    """One channel.

    :param code: its standard short name, unique in the stream (``I``, ``aVR``, ``V7``).
    :param name: what a person reads; empty means the code.
    :param scale: units per least significant bit (uV per LSB for an ECG).
    :param baseline: the sample value that means zero.
    :param unit: UCUM unit of ``scale``.
    :param limits: lowest and highest sample that the device can give, when it says so; others are its fault.
    :param band: what it was filtered by, when the device says so; no part of what a sample means.
    """

    code: str
    name: str = ""
    scale: float = 1.0
    baseline: int = 0
    unit: str = "uV"
    limits: tuple[int, int] | None = None
    band: Band | None = field(default=None, compare=False)

    def as_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "code": self.code,
            "name": self.name or self.code,
            "scale": self.scale,
            "baseline": self.baseline,
            "unit": self.unit,
        }
        if self.limits is not None:
            fields["limits"] = list(self.limits)
        if self.band is not None:
            fields["band"] = self.band.as_json()
        return fields

    @classmethod
    def from_json(cls, value: object) -> Lead:
        """:raises RemoteProtocolError: ``signal_malformed`` for anything that is not a lead."""
        fields = _mapping(value, "lead")
        return cls(
            code=_text(fields, "code", required=True),
            name=_text(fields, "name"),
            scale=_number(fields, "scale", -MAX_SCALE, MAX_SCALE),
            baseline=_integer(fields, "baseline", MAX_BASELINE),
            unit=_text(fields, "unit") or "uV",
            limits=_limits(fields),
            band=_band(fields),
        )


@dataclass(frozen=True)
class StreamDescriptor:
    """A stream, as the device announces it.

    :param stream_id: a UUID in its canonical text form; new for every measurement.
    :param kind: ``ecg`` or another signal the viewer knows.
    :param label: what a person reads; never holds personal data.
    :param sampling_rate_hz: of every lead, kept to the millihertz.
    :param group: the same text in all streams that one device measures by one clock; empty for a stream
        alone.
    """

    stream_id: str
    kind: str
    label: str
    sampling_rate_hz: float
    leads: tuple[Lead, ...] = field(default=())
    group: str = ""

    @cached_property
    def limits(self) -> tuple[tuple[int, int], ...] | None:
        """Lowest and highest sample of each lead; None when the device told of no lead."""
        if all(lead.limits is None for lead in self.leads):
            return None
        return tuple(lead.limits or (INT16.min, INT16.max) for lead in self.leads)

    @cached_property
    def stream_bytes(self) -> bytes:
        """The id as it stands in every frame, 16 bytes."""
        return uuid.UUID(self.stream_id).bytes

    @cached_property
    def sampling_rate_mhz(self) -> int:
        """The rate as it stands in every frame, millihertz."""
        return round(self.sampling_rate_hz * 1000)

    @cached_property
    def shape_bytes(self) -> bytes:
        """Rate and number of leads as they stand in every frame, 6 bytes."""
        return struct.pack("<IBB", self.sampling_rate_mhz, len(self.leads), 0)

    @cached_property
    def crc(self) -> int:
        """CRC-32 over the fields that give a sample its meaning; label and names may differ.

        The text is a JSON array of integers and strings without spaces, so that every language makes
        the same bytes: ``[kind, mHz, [[code, unit, scale in millionths, baseline], ...]]``.
        """
        leads = [[lead.code, lead.unit, round(lead.scale * 1e6), lead.baseline] for lead in self.leads]
        text = json.dumps(
            [self.kind, self.sampling_rate_mhz, leads], separators=(",", ":"), ensure_ascii=False
        )
        return zlib.crc32(text.encode())

    def as_json(self) -> dict[str, Any]:
        fields = {
            "streamId": self.stream_id,
            "kind": self.kind,
            "label": self.label,
            "samplingRateHz": self.sampling_rate_hz,
            "crc": self.crc,
            "leads": [lead.as_json() for lead in self.leads],
        }
        return {**fields, "group": self.group} if self.group else fields

    @classmethod
    def from_json(cls, value: object) -> StreamDescriptor:
        """:raises RemoteProtocolError: ``signal_malformed`` or ``signal_too_large``."""
        fields = _mapping(value, "stream")
        raw = fields.get("leads")
        if not isinstance(raw, list) or not raw:
            raise _malformed("leads")
        if len(raw) > SIGNAL_MAX_LEADS:
            raise RemoteProtocolError(SIGNAL_TOO_LARGE, f"at most {SIGNAL_MAX_LEADS} leads")
        leads = tuple(Lead.from_json(item) for item in raw)
        if len({lead.code for lead in leads}) != len(leads):
            raise _malformed("two leads of one code")
        return cls(
            stream_id=stream_uuid(fields.get("streamId")),
            kind=_text(fields, "kind", required=True),
            label=_text(fields, "label"),
            sampling_rate_hz=_number(fields, "samplingRateHz", 0.001, SIGNAL_MAX_RATE_HZ),
            leads=leads,
            group=_text(fields, "group"),
        )


def stream_uuid(value: object) -> str:
    """The canonical text of a UUID.

    :raises RemoteProtocolError: ``signal_malformed``.
    """
    if not isinstance(value, str) or len(value) != 36:
        raise _malformed("streamId")
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise _malformed("streamId") from None


def _malformed(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(SIGNAL_MALFORMED, what)


def _mapping(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _malformed(f"{what} is not an object")
    return value


def _text(fields: Mapping[str, object], key: str, required: bool = False) -> str:
    value = fields.get(key, "")
    if not isinstance(value, str) or len(value) > SIGNAL_MAX_LABEL or (required and not value):
        raise _malformed(key)
    return value


def _number(fields: Mapping[str, object], key: str, low: float, high: float) -> float:
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _malformed(key)
    # The bounds keep NaN and infinity out too, and do not fail over an integer that no float can hold.
    if not low <= value <= high or value == 0:
        raise _malformed(key)
    return float(value)


def _integer(fields: Mapping[str, object], key: str, bound: int) -> int:
    value = fields.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > bound:
        raise _malformed(key)
    return value


def _band(fields: Mapping[str, object]) -> Band | None:
    """Frequencies above 0, each of which may be missing, or nothing."""
    value = fields.get("band")
    if value is None:
        return None
    said = _mapping(value, "band")
    given = [
        _number(said, key, 0.0, MAX_FILTER_HZ) if said.get(key) is not None else None
        for key in ("lowHz", "highHz", "notchHz")
    ]
    return Band.of(*given)


def _limits(fields: Mapping[str, object]) -> tuple[int, int] | None:
    """Two samples, ascending, or nothing."""
    value = fields.get("limits")
    if value is None:
        return None
    if not isinstance(value, list) or [type(one) for one in value] != [int, int]:
        raise _malformed("limits")
    low, high = value
    if not INT16.min <= low < high <= INT16.max:
        raise _malformed("limits")
    return low, high
