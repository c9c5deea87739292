"""FHIR R4 Observation with a SampledData component for each lead.

Source: http://hl7.org/fhir/R4/datatypes.html#SampledData. Codes: LOINC 11524-6 "EKG study", leads from
ISO/IEEE 11073-10101. Value = data * factor + origin; a gap is ``E``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, BinaryIO

import numpy as np

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_EXPORT_MAX_FHIR_VALUES, SIGNAL_MAX_LABEL
from media.signals.descriptor import Lead
from media.signals.errors import SIGNAL_FILE_BROKEN, SIGNAL_UNSUPPORTED
from media.signals.formats.grid import gaps_of
from media.signals.formats.leads import (
    LEAD_NUMBERS,
    LEAD_OF_NUMBER,
    check_shape,
    distinct,
    kind_of,
    make_lead,
    tidy,
)
from media.signals.formats.source import EPOCH, About, Source, filled_blocks
from media.signals.formats.waveform import Note, Waveform
from media.signals.kinds import ECG, KINDS

MDC = "urn:iso:std:iso:11073:10101"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
ECG_POTENTIAL = 131_328  # MDC_ECG_ELEC_POTL; lead n of CID 3001 is this plus n
_NOTE = re.compile(r"@(\d+) (.*)", re.DOTALL)


def observation(source: Source, about: About) -> dict[str, Any]:
    """The resource as JSON.

    :raises LocalProtocolError: ``signal_export_too_long``.
    """
    source.check_length(SIGNAL_EXPORT_MAX_FHIR_VALUES)
    columns = _columns(source)
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": about.identifier,
        "status": "final",
        "category": [CATEGORY],
        "code": code_of(source.kind, source.label),
        "effectivePeriod": {"start": instant(source.start), "end": instant(source.at(source.periods))},
        "component": [
            _component(lead, source.sampling_rate_hz, column)
            for lead, column in zip(source.leads, columns, strict=True)
        ],
    }
    if about.subject:
        resource["subject"] = {"reference": about.subject}
    if source.label or about.device:
        resource["device"] = {"display": source.label or about.device}
    if source.notes:
        resource["note"] = [{"text": f"@{note.position} {note.as_text()}"} for note in source.notes]
    return resource


def write_fhir(source: Source, about: About, file: BinaryIO) -> None:
    """Write the Observation as a JSON file; of the patient it has a reference.

    :raises LocalProtocolError: ``signal_export_too_long``.
    """
    text = json.dumps(observation(source, about), ensure_ascii=False, separators=(",", ":"))
    file.write(text.encode())


def read_fhir(data: bytes) -> Waveform:
    """Read an Observation whose components are SampledData of one period.

    :raises RemoteProtocolError: ``signal_file_broken``, ``signal_unsupported``.
    """
    try:
        resource = json.loads(data)
        if not isinstance(resource, dict) or resource.get("resourceType") != "Observation":
            raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "no FHIR Observation")
        return _read(resource)
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as problem:
        raise RemoteProtocolError(
            SIGNAL_FILE_BROKEN, f"FHIR Observation ({type(problem).__name__})"
        ) from problem


def _columns(source: Source) -> list[str]:
    """Each lead's samples as the text of SampledData.data."""
    raw = np.concatenate(list(filled_blocks(source, 0)))
    missing = np.ones(len(raw), dtype=bool)
    for piece in source.pieces:
        missing[piece.offset : piece.offset + piece.count] = False
    holes = np.flatnonzero(missing).tolist()
    columns: list[str] = []
    for column in raw.T.tolist():
        words = list(map(str, column))
        for place in holes:
            words[place] = "E"
        columns.append(" ".join(words))
    return columns


def _component(lead: Lead, rate: float, data: str) -> dict[str, Any]:
    sampled: dict[str, Any] = {
        "origin": {
            "value": tidy(-lead.baseline * lead.scale),
            "unit": lead.unit,
            "system": UCUM,
            "code": lead.unit,
        },
        "period": float(f"{1000 / rate:.15g}"),
        "factor": lead.scale,
        "dimensions": 1,
        "data": data,
    }
    return {"code": lead_code(lead), "valueSampledData": sampled}


def code_of(kind_name: str, label: str) -> dict[str, Any]:
    """Observation.code of a signal of this kind."""
    if kind_name == ECG.kind:
        return _concept(LOINC, "11524-6", "EKG study")
    kind = KINDS.get(kind_name)
    return {"text": kind.en if kind else label or kind_name}


def lead_code(lead: Lead) -> dict[str, Any]:
    number = LEAD_NUMBERS.get(lead.code)
    if number is None:
        return {"text": lead.code}
    name = "MDC_ECG_ELEC_POTL_" + lead.code.upper()
    return {**_concept(MDC, str(ECG_POTENTIAL + number), name), "text": lead.code}


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}


CATEGORY = _concept("http://terminology.hl7.org/CodeSystem/observation-category", "procedure", "Procedure")


def instant(moment: datetime) -> str:
    """A FHIR ``instant`` in UTC, to the microsecond."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _read(resource: Mapping[str, Any]) -> Waveform:
    components = [item for item in resource.get("component", ()) if "valueSampledData" in item]
    if not components:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "a FHIR Observation without SampledData")
    sampled = [item["valueSampledData"] for item in components]
    if any(float(one["period"]) != float(sampled[0]["period"]) for one in sampled):
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "components of several periods")
    rate = tidy(1000 / float(sampled[0]["period"]))
    columns = [str(one["data"]).split() for one in sampled]
    check_shape(rate, len(columns), len(columns[0]))
    kept = [
        place for place, words in enumerate(zip(*columns, strict=True)) if any(word != "E" for word in words)
    ]
    check_shape(rate, len(columns), len(kept))
    samples = np.array(
        [[_value(one, column[place]) for place in kept] for one, column in zip(sampled, columns, strict=True)]
    )
    if np.any(np.abs(samples) > 32_768):
        raise ValueError("out of range")
    leads = distinct([_lead(item, index) for index, item in enumerate(components)])
    start = _start(resource)
    label = str(resource.get("device", {}).get("display", ""))[:SIGNAL_MAX_LABEL]
    notes = tuple(_notes(resource))
    raw = np.ascontiguousarray(samples.T.astype(np.int16))
    return Waveform(rate, leads, raw, start, gaps_of(np.array(kept)), notes, label, kind_of(leads))


def _value(sampled: Mapping[str, Any], word: str) -> int:
    """A sample; beyond a limit of detection it is the limit, missing in one lead alone it is zero."""
    if word in ("L", "U"):
        limit = float(sampled["lowerLimit" if word == "L" else "upperLimit"])
        return round((limit - float(sampled["origin"]["value"])) / float(sampled.get("factor", 1)))
    return 0 if word == "E" else int(word)


def _lead(component: Mapping[str, Any], index: int) -> Lead:
    sampled, code = component["valueSampledData"], component["code"]
    coding: Mapping[str, Any] = next(
        (one for one in code.get("coding", ()) if str(one.get("code", "")).isdecimal()), {}
    )
    known = LEAD_OF_NUMBER.get(int(coding.get("code", 0)) - ECG_POTENTIAL)
    name = known or code.get("text") or coding.get("display", "")
    factor = float(sampled.get("factor", 1))
    zero = -float(sampled["origin"]["value"]) / factor
    unit = str(sampled["origin"].get("code") or sampled["origin"].get("unit", "1"))
    return make_lead(str(name), unit, factor, zero, index)


def _start(resource: Mapping[str, Any]) -> int | None:
    text = resource.get("effectivePeriod", {}).get("start") or resource.get("effectiveDateTime")
    if not text:
        return None
    moment = datetime.fromisoformat(str(text))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=EPOCH.tzinfo)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def _notes(resource: Mapping[str, Any]) -> list[Note]:
    found = (_NOTE.fullmatch(str(item.get("text", ""))) for item in resource.get("note", ()))
    return [Note.of_text(int(match[1]), match[2]) for match in found if match]
