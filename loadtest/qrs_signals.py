"""ECGs with known beats, and what else comes out of an electrode: noise, mains, motion, wander, a lead that
falls off.

A beat is a sum of Gaussians (the shapes of P. McSharry et al., IEEE Trans. Biomed. Eng. 50:289, 2003) and the
leads are projections of it, with a T wave of their own, so that they are not copies of one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.frames import Samples

Microvolts = NDArray[np.float64]
"""Shape (leads, samples)."""

STREAM_ID: Final = "6f1c2b5e-3c0f-4d0c-9a2f-6f1f3a2b4c5d"
RATE_HZ: Final = 500.0
SCALE_UV: Final = 2.5
CODES: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_QRS: Final = (0.6, 1.0, 0.4, -0.8, 0.1, 0.7, -0.7, -0.5, 0.6, 1.2, 1.1, 0.9)
_T: Final = (0.2, 0.3, 0.1, -0.25, 0.05, 0.2, -0.1, 0.4, 0.4, 0.35, 0.3, 0.25)
_WAVES: Final = ((0.12, -0.17, 0.025), (-0.1, -0.03, 0.008), (1.0, 0.0, 0.011), (-0.2, 0.03, 0.01))
_T_AT_S: Final = 0.24
_T_WIDTH_S: Final = 0.045


def descriptor(leads: int = 12, rate_hz: float = RATE_HZ) -> StreamDescriptor:
    """The stream that these samples belong to."""
    return StreamDescriptor(
        STREAM_ID,
        "ecg",
        "synthetic",
        rate_hz,
        tuple(Lead(code, scale=SCALE_UV) for code in CODES[:leads]),
    )


def beat_times(rates: Sequence[tuple[float, float]], first: float = 0.4) -> NDArray[np.float64]:
    """R waves of rhythms one after the other.

    :param rates: (beats per minute, seconds) each; 0 beats is a standstill.
    """
    times, at, end = [], first, 0.0
    for rate, seconds in rates:
        end += seconds
        while rate and at < end:
            times.append(at)
            at += 60 / rate
        at = max(at, end) if not rate else at
    return np.array(times)


def ecg(times: NDArray[np.float64], seconds: float, leads: int = 12, rate_hz: float = RATE_HZ) -> Microvolts:
    """The leads with a beat at each of ``times``; waves stand closer together in a fast rhythm (Bazett)."""
    clock = np.arange(round(seconds * rate_hz)) / rate_hz
    signal = np.zeros((leads, len(clock)))
    intervals = np.diff(times, append=times[-1] + 1.0) if len(times) else np.empty(0)
    for time, interval in zip(times, intervals, strict=True):
        tight = float(np.clip(np.sqrt(interval), 0.5, 1.1))
        first, last = np.searchsorted(clock, (time - 0.3, time + 0.5))
        near = clock[first:last] - time
        qrs = sum(
            height * np.exp(-(((near - at * (tight if at < -0.1 else 1)) / width) ** 2) / 2)
            for height, at, width in _WAVES
        )
        t_wave = np.exp(-(((near - _T_AT_S * tight) / (_T_WIDTH_S * tight)) ** 2) / 2)
        for lead in range(leads):
            signal[lead, first:last] += 1000 * (_QRS[lead] * qrs + _T[lead] * t_wave)
    return signal


def white(shape: tuple[int, int], microvolts: float, seed: int) -> Microvolts:
    """Noise of the muscles: white, independent on every lead."""
    return np.random.default_rng(seed).normal(0, microvolts, shape)


def mains(
    shape: tuple[int, int], microvolts: float, hz: float = 50.0, rate_hz: float = RATE_HZ
) -> Microvolts:
    """The mains on all leads, with a phase of each."""
    clock = np.arange(shape[1]) / rate_hz
    return microvolts * np.sin(2 * np.pi * hz * clock[None] + np.arange(shape[0])[:, None])


def motion(shape: tuple[int, int], microvolts: float, seed: int, rate_hz: float = RATE_HZ) -> Microvolts:
    """Electrode motion: noise of 0.5 to 25 Hz that falls with the frequency, as MIT's record ``em``, and
    jolts that decay."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.normal(0, 1, shape), axis=1)
    hz = np.fft.rfftfreq(shape[1], 1 / rate_hz)
    spectrum *= np.where((hz > 0.5) & (hz < 25), 1 / np.maximum(hz, 1), 0)
    noise = np.fft.irfft(spectrum, shape[1], axis=1)
    noise *= microvolts / noise.std()
    decay = np.exp(-np.arange(round(rate_hz)) / (0.3 * rate_hz))
    for at in rng.integers(0, shape[1] - len(decay), shape[1] // round(3 * rate_hz)):
        noise[rng.integers(0, shape[0]), at : at + len(decay)] += rng.choice((-3, 3)) * microvolts * decay
    return noise


def wander(
    shape: tuple[int, int], microvolts: float, hz: float = 0.3, rate_hz: float = RATE_HZ
) -> Microvolts:
    """Breathing on the baseline."""
    return mains(shape, microvolts, hz, rate_hz)


def digitised(signal: Microvolts) -> Samples:
    """As a device samples it, int16 of shape (samples, leads), clipped at its range."""
    return np.clip(np.rint(signal.T / SCALE_UV), -32768, 32767).astype(np.int16)
