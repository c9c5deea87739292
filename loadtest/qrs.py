"""What the ECG analysis finds of known beats, and what it says of noise. No server: the analysis alone, as
fast as it runs.

Beats of records are matched one to one, in time order, within `WINDOW_S` of the reference; nothing is left
out at the beginning. ECGs of known rhythm and noises are made (`qrs_signals`) and played in blocks of one
second, as the server does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from loadtest import qrs_beside
from loadtest import qrs_signals as made
from loadtest.report import Report, machine
from media.signals.analysis.alarms import AlarmBook, AlarmLimits
from media.signals.analysis.analyzer import Block, StreamAnalyzer
from media.signals.analysis.findings import TECHNICAL, Analysis
from media.signals.descriptor import StreamDescriptor
from media.signals.formats import Waveform, read_file
from media.signals.frames import Samples

WINDOW_S: Final = 0.15
"""On either side of a reference beat (IEC 60601-2-47, ANSI/AAMI EC57)."""
BEAT_SYMBOLS: Final = frozenset("NLRBAaJSVrFejnE/fQ?")
"""What WFDB's annotations count as a beat; the rest are marks of rhythm, quality and waves."""
EPOCH: Final = 1_767_225_600.0
RATES: Final = (30, 40, 60, 80, 100, 120, 150, 180, 200, 220, 240)
SECONDS: Final = 60.0
STEP_LIMITS: Final = AlarmLimits(low=60, high=100)
"""Those of the steps 80 -> 120 and 80 -> 40, as IEC 60601-2-27 tests them; the tachycardia meets the
defaults."""


@dataclass
class Played:
    """What was told while a signal was played.

    :param alarms: (seconds since the start, kind) as they were raised.
    """

    analyses: list[Analysis] = field(default_factory=list)
    alarms: list[tuple[float, str]] = field(default_factory=list)

    @property
    def beats(self) -> list[float]:
        """Seconds since the start."""
        return [beat - EPOCH for analysis in self.analyses for beat in analysis.beats]

    def first(self, kind: str, after: float = 0.0) -> float:
        """Seconds from ``after`` to the first alarm of ``kind``; NaN when there was none."""
        return next((at - after for at, raised in self.alarms if raised == kind and at >= after), np.nan)

    @property
    def of_the_heart(self) -> list[str]:
        return [kind for _, kind in self.alarms if kind not in TECHNICAL]


def play(samples: Samples, stream: StreamDescriptor, limits: AlarmLimits | None = None) -> Played:
    """The analysis of a whole record, block by block.

    :param samples: int16, shape (samples, leads).
    """
    analyzer = StreamAnalyzer(stream, limits or AlarmLimits())
    book = AlarmBook(stream.stream_id, lambda: "a-1")
    played = Played()
    step = round(stream.sampling_rate_hz)
    for first in range(0, len(samples), step):
        begin = first / stream.sampling_rate_hz
        block = Block(EPOCH + begin, samples[first : first + step])
        at = begin + len(block.samples) / stream.sampling_rate_hz
        found = analyzer.push([block], at)
        played.analyses.append(found.analysis)
        changed = book.update(found.conditions, at, found.analysis.device_time)
        played.alarms += [(at, alarm.kind) for alarm in changed if alarm.state == "raised"]
    return played


@dataclass(frozen=True, slots=True)
class Score:
    """Beats of one record."""

    found: int
    missed: int
    extra: int

    @property
    def sensitivity_percent(self) -> float:
        return 100 * self.found / max(1, self.found + self.missed)

    @property
    def positive_predictivity_percent(self) -> float:
        return 100 * self.found / max(1, self.found + self.extra)


def match(reference: Sequence[float], found: Sequence[float], window_s: float = WINDOW_S) -> Score:
    """Pair beats in order of time, each at most once, within the window.

    :param reference: seconds, ascending; so ``found``.
    """
    here = there = pairs = 0
    while here < len(reference) and there < len(found):
        difference = found[there] - reference[here]
        if abs(difference) <= window_s:
            pairs += 1
        here += difference >= -window_s
        there += difference <= window_s
    return Score(pairs, len(reference) - pairs, len(found) - pairs)


def reference_beats(record: Waveform) -> list[float]:
    """Seconds since the start."""
    return sorted(
        note.position / record.sampling_rate_hz for note in record.notes if note.symbol in BEAT_SYMBOLS
    )


def score(record: Waveform) -> Score:
    """How the analysis does on a record with reference beats."""
    return match(reference_beats(record), play(record.samples, record.descriptor(made.STREAM_ID)).beats)


def records(directory: Path) -> Iterable[tuple[str, Waveform]]:
    """The records of ``directory`` that have reference beats."""
    for beats in sorted(directory.glob("*.atr")):
        record = read_file(beats.with_suffix(".hea"))[0]
        if reference_beats(record):
            yield beats.stem, record


def run(report: Report, directory: Path | None, beside_s: float, say: Callable[[str], None]) -> None:
    """Fill ``report``; shortfalls are noted as they are found.

    :param beside_s: for how long 300 streams are analysed beside an event loop; 0 leaves that out.
    """
    report.conditions = {**machine(), "window_ms": WINDOW_S * 1000, "block_s": 1.0, "leads": len(made.CODES)}
    if directory is not None:
        measure_records(report, directory, say)
    _rates(report, say)
    measure_steps(report, say)
    _false_alarms(report, say)
    if beside_s:
        asyncio.run(qrs_beside.run(report, beside_s, say))


def measure_records(report: Report, directory: Path, say: Callable[[str], None]) -> None:
    scores = {name: score(record) for name, record in records(directory)}
    if not scores:
        report.shortfalls.append(f"no record with reference beats (*.atr) in {directory}")
        return
    total = Score(
        *(sum(getattr(one, part) for one in scores.values()) for part in ("found", "missed", "extra"))
    )
    for name, one in scores.items():
        say(f"record {name}: {one.found} found, {one.missed} missed, {one.extra} extra")
    report.conditions["records"] = list(scores)
    report.figures |= {
        "beats": total.found + total.missed,
        "missed_beats": total.missed,
        "extra_beats": total.extra,
        "sensitivity_percent": total.sensitivity_percent,
        "positive_predictivity_percent": total.positive_predictivity_percent,
    }
    _at_least(report, "sensitivity_percent", 99.7)
    _at_least(report, "positive_predictivity_percent", 99.6)


def _rates(report: Report, say: Callable[[str], None]) -> None:
    worst = 0.0
    for rate in RATES:
        signal = made.ecg(made.beat_times([(rate, SECONDS)]), SECONDS)
        signal += made.white(signal.shape, 20, seed=rate)
        shown = [analysis.heart_rate for analysis in play(made.digitised(signal), made.descriptor()).analyses]
        settled = [value for value in shown[15:] if value is not None]
        error = max((abs(value - rate) / rate for value in settled), default=1.0) * 100
        missing = len(shown[15:]) - len(settled)
        say(f"{rate} per minute: off by {error:.1f} % at most, not shown for {missing} s")
        worst = max(worst, error if not missing else 100.0)
    report.figures["rate_error_max_percent"] = worst
    report.require("rate_error_max_percent", 5.0)


def measure_steps(report: Report, say: Callable[[str], None]) -> None:
    cases = (
        ("step_80_120_alarm_s", 120, "tachycardia", STEP_LIMITS),
        ("step_80_40_alarm_s", 40, "bradycardia", STEP_LIMITS),
        ("tachycardia_alarm_s", 206, "tachycardia", AlarmLimits()),
        ("standstill_alarm_s", 0, "asystole", AlarmLimits()),
    )
    for name, rate, kind, limits in cases:
        times = made.beat_times([(80, 30.0), (rate, 30.0)])
        signal = made.ecg(times, SECONDS) + made.white((len(made.CODES), 30_000), 20, seed=rate)
        changed_at = times[times < 30.0][-1]
        taken = play(made.digitised(signal), made.descriptor(), limits).first(kind, after=float(changed_at))
        say(f"{name}: {taken:.1f}")
        report.figures[name] = taken
        report.require(name, 10.99)


def noises() -> dict[str, made.Microvolts]:
    """What must raise no alarm of the heart, alone or on an ECG: 12 leads of a minute."""
    shape = (len(made.CODES), round(SECONDS * made.RATE_HZ))
    return {
        "white_50uv": made.white(shape, 50, 1),
        "white_200uv": made.white(shape, 200, 2),
        "mains_50hz_300uv": made.mains(shape, 300),
        "mains_50hz_1mv": made.mains(shape, 1000),
        "mains_60hz_1mv": made.mains(shape, 1000, 60.0),
        "motion_100uv": made.motion(shape, 100, 3),
        "motion_500uv": made.motion(shape, 500, 4),
        "motion_1500uv": made.motion(shape, 1500, 5),
        "wander_3mv": made.wander(shape, 3000),
    }


def lead_off(codes: Sequence[str], level: int = 32767) -> Samples:
    """A minute of 75 per minute in which ``codes`` are off from the 20th to the 40th second."""
    signal = made.ecg(made.beat_times([(75, SECONDS)]), SECONDS)
    samples = made.digitised(signal + made.white(signal.shape, 20, 6))
    for code in codes:
        samples[round(20.3 * made.RATE_HZ) : round(40.7 * made.RATE_HZ), made.CODES.index(code)] = level
    return samples


def false_alarm_cases() -> Iterable[tuple[str, Samples]]:
    """Signals that must raise no alarm of the heart."""
    beating = made.ecg(made.beat_times([(75, SECONDS)]), SECONDS)
    for name, noise in noises().items():
        yield f"{name} alone", made.digitised(noise)
        yield f"{name} on an ECG", made.digitised(beating + noise)
        later = noise.copy()
        later[:, : later.shape[1] // 2] = 0
        yield f"{name} coming upon an ECG", made.digitised(beating + later + made.white(noise.shape, 15, 7))
    yield "one lead off", lead_off(["V2"])
    yield "chest leads off", lead_off(made.CODES[6:], level=-2048)
    yield "all leads off", lead_off(made.CODES, level=0)


def _false_alarms(report: Report, say: Callable[[str], None]) -> None:
    raised = 0
    cases = 0
    for name, samples in false_alarm_cases():
        kinds = play(samples, made.descriptor()).of_the_heart
        cases += 1
        raised += len(kinds)
        if kinds:
            say(f"{name}: {', '.join(kinds)}")
    report.figures |= {"noise_cases": cases, "false_alarms": raised}
    report.require("false_alarms", 0)


def _at_least(report: Report, name: str, limit: float) -> None:
    if not report.figures[name] >= limit:
        report.shortfalls.append(f"{name} is {report.figures[name]:g}, wanted {limit:g}")
