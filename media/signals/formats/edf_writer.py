"""Writing EDF+ (Kemp and Olivan 2003): continuous where there is no gap, else discontinuous (EDF+D).

Data records lie on the grid of the record's sampling periods. One that would hold no sample is left out;
where a part of one is missing it is filled, and an annotation ``gap`` with a duration says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from media.errors import LocalProtocolError
from media.limits import SIGNAL_EXPORT_MAX_VALUES
from media.signals.descriptor import Band, Lead
from media.signals.errors import SIGNAL_EXPORT_UNFIT
from media.signals.formats.edf import EDF_MAGIC, GAP
from media.signals.formats.leads import LEAD_NUMBERS, tidy
from media.signals.formats.source import About, Source, placed_blocks
from media.signals.frames import Samples

LOW, HIGH = -32768, 32767
# Seconds a data record may last: a second by custom; 1000 fit any rate in millihertz.
_DURATIONS = tuple(
    Fraction(text)
    for text in "1 1/2 1/5 1/10 1/4 1/8 2 5 10 20 25 50 100 125 200 250 500 1000".split()  # noqa: SIM905
)
_MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the record is cut.

    :param duration: seconds a data record lasts.
    :param samples: of each lead in a data record.
    :param numbers: of the data records on the grid that are written, ascending.
    :param texts: the annotation bytes of each of them.
    :param width: bytes that the annotations take in every data record, even.
    """

    duration: Fraction
    samples: int
    numbers: list[int]
    texts: list[bytes]
    width: int


def write_edf(source: Source, about: About, file: BinaryIO) -> None:
    """Write one file.

    :raises LocalProtocolError: ``signal_export_unfit`` for a scale that 8 characters cannot say,
        ``signal_export_too_long``.
    """
    source.check_length(SIGNAL_EXPORT_MAX_VALUES)
    plan = _plan(source)
    file.write(_header(source, about, plan))
    for text, block in zip(plan.texts, _records(source, plan), strict=True):
        file.write(np.ascontiguousarray(block.T).astype("<i2", copy=False).tobytes())
        file.write(text.ljust(plan.width, b"\x00"))


def _plan(source: Source) -> _Plan:
    rate = Fraction(round(source.sampling_rate_hz * 1000), 1000)
    duration = next(d for d in _DURATIONS if (rate * d).denominator == 1 and rate * d >= 1)
    samples = int(rate * duration)
    numbers: list[int] = []
    for piece in source.pieces:
        first = piece.offset // samples
        last = (piece.offset + piece.count - 1) // samples
        begin = max(first, numbers[-1] + 1) if numbers else first
        numbers.extend(range(begin, last + 1))
    fraction = Fraction(source.start_ns % 10**9, 10**9)
    stamps = [_tal(fraction + number * duration, None, "") for number in numbers]
    queue = _annotations(source, samples, numbers, rate, fraction)
    texts, width = _spread(numbers, stamps, queue)
    return _Plan(duration, samples, numbers, texts, width)


def _annotations(
    source: Source, samples: int, numbers: list[int], rate: Fraction, fraction: Fraction
) -> list[tuple[int, bytes]]:
    """Every annotation with the number of the data record it belongs into, in order of time."""
    ends = [piece.offset + piece.count for piece in source.pieces]
    begins = [*(piece.offset for piece in source.pieces[1:]), (numbers[-1] + 1) * samples]
    found = [
        (end, _tal(fraction + end / rate, (begin - end) / rate, GAP))
        for end, begin in zip(ends, begins, strict=True)
        if begin > end
    ]
    found += [(n.position, _tal(fraction + n.position / rate, None, n.as_text())) for n in source.notes]
    return [(position // samples, text) for position, text in sorted(found, key=lambda item: item[0])]


def _spread(
    numbers: list[int], stamps: list[bytes], queue: list[tuple[int, bytes]]
) -> tuple[list[bytes], int]:
    """Put annotations into data records of one width; what finds no room goes into a later one."""
    longest = max((len(text) for _, text in queue), default=0)
    width = max(map(len, stamps)) + longest
    while True:
        texts, taken = list(stamps), 0
        for index, number in enumerate(numbers):
            bound = number if index + 1 < len(numbers) else math.inf
            while taken < len(queue) and queue[taken][0] <= bound:
                if len(texts[index]) + len(queue[taken][1]) > width:
                    break
                texts[index] += queue[taken][1]
                taken += 1
        if taken == len(queue):
            return texts, width + width % 2
        width += width // 2


def _tal(onset: Fraction, duration: Fraction | None, text: str) -> bytes:
    """A time-stamped annotation list (EDF+ 2.2.2); seconds to the nanosecond."""
    length = "" if duration is None else f"\x15{_seconds(duration)}"
    clean = "".join(sign for sign in text if sign >= " ")
    return f"+{_seconds(onset)}{length}\x14{clean}\x14\x00".encode()


def _seconds(value: Fraction) -> str:
    nanoseconds = round(value * 10**9)
    whole, rest = divmod(nanoseconds, 10**9)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".") if rest else str(whole)


def _records(source: Source, plan: _Plan) -> Iterator[Samples]:
    """The samples of each data record that is written, shape (samples, leads)."""
    places = placed_blocks(source)
    place, block = next(places)
    for number in plan.numbers:
        begin, end = number * plan.samples, (number + 1) * plan.samples
        record = np.full((plan.samples, len(source.leads)), LOW, np.int16)
        while place < end:
            part = block[: end - place]
            record[place - begin : place - begin + len(part)] = part
            place, block = place + len(part), block[len(part) :]
            if not len(block):
                place, block = next(places, (end, block))
        yield record


def _header(source: Source, about: About, plan: _Plan) -> bytes:
    leads = len(source.leads)
    whole = plan.numbers[-1] - plan.numbers[0] + 1 == len(plan.numbers)
    fixed = (
        (EDF_MAGIC.decode(), 8),
        (_patient(about), 80),
        (_recording(source, about), 80),
        (source.start.strftime("%d.%m.%y"), 8),
        (source.start.strftime("%H.%M.%S"), 8),
        (str(256 * (leads + 2)), 8),
        ("EDF+C" if whole else "EDF+D", 44),
        (str(len(plan.numbers)), 8),
        (_eight(float(plan.duration)), 8),
        (str(leads + 1), 4),
    )
    ranges = [_range(lead) for lead in source.leads]
    columns: tuple[tuple[list[str], int], ...] = (
        ([*(_label(lead) for lead in source.leads), "EDF Annotations"], 16),
        (
            [
                *(
                    f"LSB={scale!r} zero={lead.baseline}"
                    for lead, (scale, *_) in zip(source.leads, ranges, strict=True)
                ),
                "",
            ],
            80,
        ),
        ([*(unit for _, unit, _, _ in ranges), ""], 8),
        ([*(low for _, _, low, _ in ranges), "-1"], 8),
        ([*(high for _, _, _, high in ranges), "1"], 8),
        ([str(LOW)] * (leads + 1), 8),
        ([str(HIGH)] * (leads + 1), 8),
        ([*(_prefiltering(lead.band) for lead in source.leads), ""], 80),
        ([*[str(plan.samples)] * leads, str(plan.width // 2)], 8),
        ([""] * (leads + 1), 32),
    )
    fields = [*fixed, *((text, width) for texts, width in columns for text in texts)]
    return b"".join(_ascii(text, width) for text, width in fields)


def _prefiltering(band: Band | None) -> str:
    """As EDF writes it, ``HP:0.05Hz LP:150Hz N:50Hz``; empty when the device does not say."""
    if band is None:
        return ""
    said = (("HP", band.low_hz), ("LP", band.high_hz), ("N", band.notch_hz))
    return " ".join(f"{name}:{hz:g}Hz" for name, hz in said if hz is not None)


def _range(lead: Lead) -> tuple[float, str, str, str]:
    """Scale, unit, and what the lowest and the highest sample measure, in 8 characters each.

    Microvolts that do not fit become millivolts.
    """
    units = [(lead.unit, 1.0)] + ([("mV", 1000.0)] if lead.unit == "uV" else [])
    for unit, divisor in units:
        scale = tidy(lead.scale / divisor)
        low, high = (LOW - lead.baseline) * scale, (HIGH - lead.baseline) * scale
        try:
            texts = _eight(low), _eight(high)
        except ValueError:
            continue
        span = float(texts[1]) - float(texts[0])
        if abs(span / (HIGH - LOW) - scale) <= 5e-4 * abs(scale):
            return scale, unit, *texts
    raise LocalProtocolError(
        SIGNAL_EXPORT_UNFIT, f"EDF: scale {lead.scale:g} {lead.unit} of lead {lead.code}"
    )


def _eight(value: float) -> str:
    """At most 8 characters, no exponent, as near as that allows.

    :raises ValueError: it is too large.
    """
    for digits in range(7, -1, -1):
        text = f"{value:.{digits}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        if len(text) <= 8:
            return "0" if text == "-0" else text
    raise ValueError("too large")


def _label(lead: Lead) -> str:
    return f"ECG {lead.code}" if lead.code in LEAD_NUMBERS else lead.code


def _patient(about: About) -> str:
    """EDF+ 2.1.3.3: code, sex, birthdate, name."""
    sex = {"male": "M", "female": "F"}.get(about.sex, "X")
    return " ".join(
        (
            _field(about.patient_id),
            sex,
            _day(about.birth_date),
            _field(about.patient_name_en or about.patient_name),
        )
    )


def _recording(source: Source, about: About) -> str:
    """EDF+ 2.1.3.4: start date, administration code, technician, equipment."""
    return f"Startdate {_day(source.start.date())} X X {_field(source.label or about.device)}"


def _day(day: date | None) -> str:
    return f"{day.day:02d}-{_MONTHS[day.month - 1]}-{day.year}" if day else "X"


def _field(text: str) -> str:
    """A subfield holds no space; what ASCII cannot say becomes ``?``."""
    return "_".join(text.encode("ascii", "replace").decode().split()) or "X"


def _ascii(text: str, width: int) -> bytes:
    printable = "".join(sign if " " <= sign <= "~" else "?" for sign in text)
    return printable[:width].ljust(width).encode("ascii")
