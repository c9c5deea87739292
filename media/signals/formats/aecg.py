"""Reading an HL7 annotated ECG (aECG, PORT_MT020001 of 2003-12): the samples of its rhythm, nothing else.

::

    AnnotatedECG / component / series / component / sequenceSet / component / sequence
        code TIME_ABSOLUTE or TIME_RELATIVE    value GLIST: head, increment
        code MDC_ECG_LEAD_...                  value SLIST_PQ: origin, scale, digits

A value is origin + scale * digit. Representative beats, annotations and the patient are not read.
"""

from __future__ import annotations

import io
import re
import warnings
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_FILE_MAX_XML_BYTES, SIGNAL_FILE_MAX_XML_ELEMENTS
from media.signals.descriptor import INT16, Band, Lead
from media.signals.errors import (
    SIGNAL_FILE_BROKEN,
    SIGNAL_FILE_RANGE,
    SIGNAL_FILE_TOO_LARGE,
    SIGNAL_UNSUPPORTED,
)
from media.signals.formats.leads import check_shape, distinct, kind_of, make_lead, tidy
from media.signals.formats.source import EPOCH
from media.signals.formats.waveform import Waveform
from media.signals.frames import Samples

AECG_ROOT = b"AnnotatedECG"
_LEAD = "MDC_ECG_LEAD_"
_TIMES = ("TIME_ABSOLUTE", "TIME_RELATIVE")
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_FILTER = "MDC_ECG_CTL_VBL_ATTR_FILTER_"
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(?:(\d\d)(\.\d{1,9})?)?)?([+-]\d{4})?")
_PROBLEMS = (ParseError, DefusedXmlException, DeprecationWarning, ValueError, LookupError, ArithmeticError)
"""`DeprecationWarning`: numpy's word for digits that are no numbers."""


def read_aecg(data: bytes) -> Waveform:
    """Read the first rhythm whose leads were all recorded at the same time. A document type is refused, and
    with it every entity (defusedxml).

    :raises RemoteProtocolError: ``signal_file_broken``, ``signal_file_range``, ``signal_file_too_large``,
        ``signal_unsupported``.
    """
    try:
        return _waveform(_parse(data))
    except _PROBLEMS as problem:
        raise RemoteProtocolError(SIGNAL_FILE_BROKEN, f"HL7 aECG ({type(problem).__name__})") from problem


def _parse(data: bytes) -> Element:
    if len(data) > SIGNAL_FILE_MAX_XML_BYTES:
        raise RemoteProtocolError(
            SIGNAL_FILE_TOO_LARGE, f"XML of more than {SIGNAL_FILE_MAX_XML_BYTES} bytes"
        )
    root: Element | None = None
    for count, (_, element) in enumerate(iterparse(io.BytesIO(data), events=("start",), forbid_dtd=True)):
        root = element if root is None else root
        if count >= SIGNAL_FILE_MAX_XML_ELEMENTS:
            raise RemoteProtocolError(SIGNAL_FILE_TOO_LARGE, f"more than {count} elements")
    if root is None or not root.tag.endswith(AECG_ROOT.decode()):
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "no AnnotatedECG")
    return root


def _waveform(root: Element) -> Waveform:
    series = root.findall("{*}component/{*}series")
    chosen = next((one for one in series if _code(one) == "RHYTHM"), series[0] if series else root)
    sets = chosen.findall("{*}component/{*}sequenceSet")
    if len(sets) != 1:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, f"{len(sets)} sets of leads; one is read")
    sequences = {_code(one): one for one in sets[0].findall("{*}component/{*}sequence")}
    rate, start = _times(chosen, sequences)
    found = [(code, one) for code, one in sequences.items() if code not in _TIMES]
    check_shape(rate, len(found), 1)
    band = _band(chosen)
    read = [_lead(code, one, index, band) for index, (code, one) in enumerate(found)]
    if len({len(column) for _, column in read}) != 1:
        raise ValueError("leads of different lengths")
    samples: Samples = np.stack([column for _, column in read], axis=1).astype(np.int16)
    check_shape(rate, len(read), len(samples))
    leads = distinct([lead for lead, _ in read])
    return Waveform(rate, leads, samples, start, kind=kind_of(leads))


def _lead(code: str, sequence: Element, index: int, band: Band | None) -> tuple[Lead, np.ndarray]:
    """A lead, and its digits as they stand."""
    origin, scale, digits = (
        sequence.find(f"{{*}}value/{{*}}{name}") for name in ("origin", "scale", "digits")
    )
    if origin is None or scale is None or digits is None:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, f"{code} is no SLIST_PQ")
    step, unit = float(scale.attrib["value"]), scale.get("unit", "")
    offset = float(origin.get("value", 0.0))
    if not step or (offset and origin.get("unit", unit) != unit):
        raise ValueError("origin and scale")
    zero = -offset / step
    if abs(zero - round(zero)) > 1e-6:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, f"{code}: the origin is no multiple of the scale")
    values = _digits(digits.text or "")
    if values.size and (values.min() < INT16.min or values.max() > INT16.max):
        raise RemoteProtocolError(SIGNAL_FILE_RANGE, code)
    return make_lead(code.removeprefix(_LEAD), unit, step, zero, index, band), values


def _digits(text: str) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        return np.fromstring(text, dtype=np.int64, sep=" ")


def _times(series: Element, sequences: dict[str, Element]) -> tuple[float, int | None]:
    """Samples a second, and when the first was measured: the series' begin where times are relative."""
    name = next((name for name in _TIMES if name in sequences), None)
    increment = None if name is None else sequences[name].find("{*}value/{*}increment")
    if name is None or increment is None:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "no time sequence")
    rate = tidy(1 / (float(increment.attrib["value"]) * _SECONDS[increment.get("unit", "s")]))
    if name == _TIMES[0]:
        return rate, _start(sequences[name].find("{*}value/{*}head"))
    return rate, _start(series.find("{*}effectiveTime/{*}low"))


def _start(moment: Element | None) -> int | None:
    """ns Unix of an HL7 time; UTC where no zone is given, None where nothing is."""
    text = "" if moment is None else moment.get("value", "")
    if not text:
        return None
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("time")
    year, month, day, hour, minute, second, part, zone = match.groups()
    words = f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone or '+0000'}"
    whole = datetime.strptime(words, "%Y-%m-%dT%H:%M:%S%z") - EPOCH
    return (whole // timedelta(microseconds=1) + round(float(part or 0.0) * 1e6)) * 1000


def _band(series: Element) -> Band | None:
    """The filters that the series says it went through."""
    found: dict[str, float] = {}
    for variable in series.iterfind(".//{*}controlVariable"):
        code, value = _code(variable), variable.find("{*}component//{*}value")
        if code.startswith(_FILTER) and value is not None:
            found.setdefault(code.removeprefix(_FILTER), float(value.attrib["value"]))
    return Band.of(found.get("HIGH_PASS"), found.get("LOW_PASS"), found.get("NOTCH"))


def _code(element: Element) -> str:
    code = element.find("{*}code")
    return "" if code is None else code.get("code", "")
