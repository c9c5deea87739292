"""From samples to a signal in which QRS complexes stand out: scaling, decimation, one matched filter.

The filter is the second derivative of a Gaussian (Ricker wavelet), about 11.5 Hz: nothing of the baseline is
left (0.5 Hz: -46 dB), nothing of the mains (50 Hz: -57 dB, 60 Hz: -59 dB), little of P and T waves. It is
symmetric, so an R wave stays where it was; what a causal filter pays for that is a delay of half its length,
`QrsFilter.delay_s` (72 ms at 250 Hz). Wavelets of this kind for QRS: Li, Zheng, Tai, IEEE Trans. Biomed. Eng.
42:21, 1995.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from media.signals.descriptor import Lead
from media.signals.frames import Samples

Signal = NDArray[np.float32]
"""float32, shape (leads, samples), microvolt."""

WORKING_RATE_HZ: Final = 250.0
"""Rates above are brought down to about this one; enough for QRS (Hamilton works with 200 Hz)."""
QRS_HZ: Final = 11.5
_HALF_WIDTHS: Final = 3.5  # of the Gaussian, on either side: what is cut off is below 0.3 %

_MICROVOLTS: Final = {"uV": 1.0, "µV": 1.0, "mV": 1e3, "V": 1e6, "nV": 1e-3}


def is_voltage(leads: Sequence[Lead]) -> bool:
    """Whether every lead is in a unit that can be brought to microvolt."""
    return bool(leads) and all(lead.unit in _MICROVOLTS for lead in leads)


class Decimator:
    """Means of `factor` samples each; what does not fill a mean waits for the next block.

    :param rate_hz: of the samples.
    """

    def __init__(self, leads: Sequence[Lead], rate_hz: float) -> None:
        self.factor = max(1, round(rate_hz / WORKING_RATE_HZ))
        self.rate_hz = rate_hz / self.factor
        scale = np.array([lead.scale * _MICROVOLTS[lead.unit] for lead in leads])
        self._scale = scale.astype(np.float32)[:, None]
        self._zero = np.array([lead.baseline for lead in leads], np.float32)[:, None]
        self._rest: Samples = np.empty((0, len(leads)), np.int16)

    @property
    def waiting(self) -> int:
        """Samples that do not fill a mean yet."""
        return len(self._rest)

    def push(self, samples: Samples) -> Signal:
        """int16 of shape (samples, leads) -> microvolt of shape (leads, samples / factor)."""
        joined = np.concatenate((self._rest, samples)) if len(self._rest) else samples
        whole = len(joined) // self.factor * self.factor
        self._rest = joined[whole:].copy()
        sums = joined[:whole].reshape(-1, self.factor, joined.shape[1]).sum(axis=1, dtype=np.float32)
        means = sums / np.float32(self.factor)
        signal: Signal = (np.ascontiguousarray(means.T) - self._zero) * self._scale
        return signal


def ricker(rate_hz: float, peak_hz: float = QRS_HZ) -> NDArray[np.float32]:
    """The filter's taps, odd in number, with a response of 1 at ``peak_hz`` and of 0 to a constant."""
    sigma = math.sqrt(2) / (2 * math.pi * peak_hz) * rate_hz
    half = math.ceil(_HALF_WIDTHS * sigma)
    at = np.arange(-half, half + 1)
    taps = (1 - (at / sigma) ** 2) * np.exp(-((at / sigma) ** 2) / 2)
    taps -= taps.mean()
    taps /= abs(np.sum(taps * np.cos(2 * np.pi * peak_hz / rate_hz * at)))
    return taps.astype(np.float32)


class QrsFilter:
    """`ricker` over blocks: its output is ``delay`` samples behind its input."""

    def __init__(self, leads: int, rate_hz: float) -> None:
        self.taps = ricker(rate_hz)
        self.delay = len(self.taps) // 2
        self.delay_s = self.delay / rate_hz
        self._leads = leads
        self._past: Signal | None = None

    def push(self, signal: Signal) -> Signal:
        """As many samples as come in. The first block is preceded by its first sample, standing still."""
        if self._past is None:
            self._past = np.repeat(signal[:, :1], len(self.taps) - 1, axis=1)
        joined = np.concatenate((self._past, signal), axis=1)
        self._past = joined[:, joined.shape[1] - len(self.taps) + 1 :].copy()
        # All leads in one row: what runs from one into the next lies behind each lead's last whole value.
        row = np.convolve(joined.ravel(), self.taps)[len(self.taps) - 1 :]
        return np.ascontiguousarray(row.reshape(joined.shape)[:, : signal.shape[1]])
