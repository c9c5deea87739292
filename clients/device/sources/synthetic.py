"""A patient who does not exist: ECG at a set rate, with noise and leads off, and the signals beside it.

For trials and tests. Never mixed with a real record: its streams are named synthetic, and so is the view's
label.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray

from clients.device import faults
from clients.device.faults import DeviceFault
from clients.device.sources.source import FrameLength, Pacer, Piece, Signal, Sleep
from media.clock import Clock
from media.limits import SIGNAL_MAX_RATE_HZ
from media.signals.descriptor import INT16, Lead
from media.signals.frames import Samples
from media.signals.kinds import KINDS, LEADS_12, LEADS_15, LEADS_18, SignalKind

Curve = NDArray[np.float64]
_LEADS = {1: ("II",), 12: LEADS_12, 15: LEADS_15, 18: LEADS_18}
_RAIL = INT16.max  # what a converter gives while an electrode is off

# One beat: place as a part of the beat, width in seconds, height in uV of lead II (P, Q, R, S, T), as in
# McSharry et al. 2003 (a sum of Gaussians), laid along time instead of round a circle.
_WAVES = (
    (0.20, 0.025, 120.0),
    (0.355, 0.010, -80.0),
    (0.375, 0.011, 1000.0),
    (0.395, 0.010, -160.0),
    (0.60, 0.050, 260.0),
)
# How high the beat stands in each lead, against lead II: a heart that points down and to the left.
_HEIGHT = {
    "I": 0.6, "II": 1.0, "III": 0.4, "aVR": -0.8, "aVL": 0.1, "aVF": 0.7,
    "V1": -0.5, "V2": -0.3, "V3": 0.4, "V4": 1.1, "V5": 1.2, "V6": 0.9,
    "V7": 0.7, "V8": 0.5, "V9": 0.4, "V3R": -0.3, "V4R": -0.25, "V5R": -0.2,
}  # fmt: skip
_SCALES = {"ecg": 1.25, "respiration": 0.001, "pleth": 1e-4, "arterial_pressure": 0.01}
_RATES = {"respiration": 50.0, "pleth": 100.0, "arterial_pressure": 125.0}
_SLOW_HZ = 4.0


@dataclass(frozen=True, slots=True)
class Patient:
    """What is made.

    :param rate: beats a minute.
    :param hz: samples a second of the ECG.
    :param noise: standard deviation, in steps of the converter.
    :param off: leads whose electrode is off.
    """

    kinds: tuple[str, ...] = ("ecg",)
    rate: float = 72.0
    noise: float = 0.0
    leads: int = 12
    hz: float = 500.0
    off: frozenset[str] = frozenset()
    seed: int = 1


def patient_of(url: str) -> Patient:
    """Read ``synthetic:ecg,pleth?rate=72&noise=3&leads=12&hz=500&off=V3&seed=1``; all of it optional.

    :raises DeviceFault: a kind or a value that there is not.
    """
    parts = urlsplit(url)
    given = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    try:
        patient = Patient(
            tuple(parts.path.split(",")) if parts.path else ("ecg",),
            rate=float(given.pop("rate", 72)),
            noise=float(given.pop("noise", 0)),
            leads=int(given.pop("leads", 12)),
            hz=float(given.pop("hz", 500)),
            off=frozenset(filter(None, given.pop("off", "").split(","))),
            seed=int(given.pop("seed", 1)),
        )
    except ValueError:
        raise DeviceFault(faults.EXIT_USAGE, faults.SOURCE_UNKNOWN, url) from None
    known = set(patient.kinds) <= KINDS.keys() and patient.leads in _LEADS
    if (
        given
        or not known
        or not 20 <= patient.rate <= 300
        or patient.noise < 0
        or not 1 <= patient.hz <= SIGNAL_MAX_RATE_HZ
    ):
        raise DeviceFault(faults.EXIT_USAGE, faults.SOURCE_UNKNOWN, url)
    return patient


class SyntheticSource:
    """Signals of one `Patient`, for ever, all on one clock."""

    def __init__(self, patient: Patient, clock: Clock, sleep: Sleep, length: FrameLength) -> None:
        self._patient = patient
        self._signals = tuple(signal_of(KINDS[kind], patient) for kind in patient.kinds)
        self._clock = clock
        self._sleep = sleep
        self._length = length

    @property
    def signals(self) -> tuple[Signal, ...]:
        """See `Source`."""
        return self._signals

    async def pieces(self) -> AsyncIterator[Piece]:
        """See `Source`."""
        pacer = Pacer(self._clock, self._sleep)
        random = np.random.default_rng(self._patient.seed)
        done = [0] * len(self._signals)
        end_ms = 0.0
        while True:
            begin_s, end_ms = end_ms / 1000, end_ms + self._length.ms
            end_s = end_ms / 1000
            start_ns, slept = await pacer.pass_by(begin_s, end_s)
            for index, signal in enumerate(self._signals):
                rate = signal.sampling_rate_hz
                upto = int(end_s * rate + 1e-6)
                if upto <= done[index]:
                    continue  # a slow signal has no sample in this tick
                samples = make(signal, self._patient, done[index], upto, random)
                time_ns = start_ns + round((done[index] / rate - begin_s) * 1e9)
                yield Piece(signal, samples, time_ns, slept or done[index] == 0)
                done[index] = upto


def signal_of(kind: SignalKind, patient: Patient) -> Signal:
    """The stream of one kind."""
    rate = patient.hz if kind.kind == "ecg" else _RATES.get(kind.kind, _SLOW_HZ)
    codes = _LEADS[patient.leads] if kind.kind == "ecg" else tuple(kind.channels)[:1]
    scale = _SCALES.get(kind.kind, 0.25)
    leads = tuple(Lead(code, code, scale, 0, kind.unit) for code in codes)
    return Signal(kind.kind, f"{kind.en} (synthetic)", rate, leads)


def make(signal: Signal, patient: Patient, first: int, end: int, random: np.random.Generator) -> Samples:
    """Samples first..end of a signal, int16, shape (samples, leads)."""
    seconds = np.arange(first, end) / signal.sampling_rate_hz
    columns = []
    for lead in signal.leads:
        values = _CURVES[signal.kind](seconds, patient.rate)
        if signal.kind == "ecg":
            values = values * _HEIGHT[lead.code]
        steps = values / lead.scale + random.normal(0, patient.noise, len(seconds))
        if lead.code in patient.off:
            steps = np.full(len(seconds), float(_RAIL))
        columns.append(np.clip(np.rint(steps), INT16.min, INT16.max))
    return np.stack(columns, axis=1).astype(np.int16)


def _ecg(seconds: Curve, rate: float) -> Curve:
    beat_s = 60.0 / rate
    phase = (seconds / beat_s) % 1.0
    total = np.zeros_like(seconds)
    for place, width_s, height in _WAVES:
        # P and T come nearer to the R wave as the beat gets shorter; QRS keeps its width.
        total += height * np.exp(-0.5 * (((phase - place) * beat_s) / width_s) ** 2)
    return total


def _pulse(seconds: Curve, rate: float) -> Curve:
    """0..1: a steep rise, a slow fall with a notch."""
    phase = (seconds * rate / 60.0) % 1.0
    rise = np.exp(-0.5 * ((phase - 0.25) / 0.08) ** 2)
    fall = 0.45 * np.exp(-0.5 * ((phase - 0.55) / 0.12) ** 2)
    return np.asarray(np.clip(rise + fall, 0.0, 1.0))


def _respiration(seconds: Curve, rate: float) -> Curve:
    return np.asarray(np.sin(2 * np.pi * seconds * 15 / 60))


def _pressure(seconds: Curve, rate: float) -> Curve:
    return 75 + 45 * _pulse(seconds, rate)


def _fetal(seconds: Curve, rate: float) -> Curve:
    """140 /min with a swing of 10 and an acceleration of 20 every two minutes."""
    acceleration = 20 * np.exp(-0.5 * (((seconds % 120) - 60) / 10) ** 2)
    return np.asarray(140 + 5 * np.sin(2 * np.pi * seconds / 20) + acceleration)


def _uterine(seconds: Curve, rate: float) -> Curve:
    """A contraction of a minute every three."""
    return np.asarray(10 + 60 * np.exp(-0.5 * (((seconds % 180) - 90) / 20) ** 2))


_CURVES = {
    "ecg": _ecg,
    "pleth": _pulse,
    "respiration": _respiration,
    "arterial_pressure": _pressure,
    "fetal_heart_rate": _fetal,
    "uterine_activity": _uterine,
}
