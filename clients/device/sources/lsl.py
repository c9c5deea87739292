"""A stream of the Lab Streaming Layer, by pylsl (whose wheel brings liblsl): the optional extra ``lsl``.

liblsl blocks, so one thread waits for it. Whole numbers of 16 bits are kept as they are; anything else is
kept in steps of the signal's scale (1 of its unit, when the outlet does not say), rounded to the nearest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np

from clients.device import faults
from clients.device.faults import DeviceFault
from clients.device.sources.source import FrameLength, Gatherer, Piece, Signal, Sleep, Tell
from media.clock import Clock
from media.limits import SIGNAL_MAX_LEADS, SIGNAL_MAX_RATE_HZ
from media.signals.descriptor import INT16, Lead
from media.signals.kinds import KINDS

RESOLVE_S = 1.0  # how long one look for the outlet takes
PULL_SAMPLES = 4096  # of one pull; more is pulled next
BUFFER_S = 60  # what liblsl keeps for us while our disk stalls
_UNITS = {"microvolts": "uV", "millivolts": "mV", "mmhg": "mm[Hg]", "bpm": "/min"}
_KINDS = {"ecg": "ecg", "ekg": "ecg", "resp": "respiration", "ppg": "pleth"}


class LslSource:
    """The outlet of a name, found again whenever it is lost.

    :raises DeviceFault: pylsl is not installed, or finds no liblsl.
    """

    def __init__(self, name: str, clock: Clock, sleep: Sleep, tell: Tell, length: FrameLength) -> None:
        try:
            import pylsl
            from pylsl.util import LostError
        except (ImportError, RuntimeError, OSError) as problem:
            detail = "pip install huizhen[lsl]"
            raise DeviceFault(faults.EXIT_USAGE, faults.EXTRA_MISSING, detail) from problem
        self._lsl: Any = pylsl
        self._losses: tuple[type[Exception], ...] = (LostError, TimeoutError)
        self._name = name
        self._clock = clock
        self._sleep = sleep
        self._tell = tell
        self._length = length

    @property
    def signals(self) -> tuple[Signal, ...]:
        """None before the outlet is found."""
        return ()

    async def pieces(self) -> AsyncIterator[Piece]:
        """See `Source`."""
        missed = False
        while True:
            found = await asyncio.to_thread(self._lsl.resolve_byprop, "name", self._name, 1, RESOLVE_S)
            if not found:
                if not missed:
                    self._tell(faults.SOURCE_LOST, f"LSL {self._name}")
                missed = True
                continue
            missed = False
            inlet = self._lsl.StreamInlet(found[0], max_buflen=BUFFER_S, recover=False)
            try:
                signal, exact = signal_of(await asyncio.to_thread(inlet.info, 5.0))
                gatherer = Gatherer(signal, self._clock, self._length)
                while True:
                    # Half a frame: a whole one would make each sample up to two frames late.
                    wait_s = self._length.ms / 2000
                    chunk, _ = await asyncio.to_thread(inlet.pull_chunk, wait_s, PULL_SAMPLES)
                    if not chunk:
                        continue
                    samples = whole(chunk, signal, exact)
                    if samples is None:
                        self._tell(faults.FEED_MALFORMED, f"LSL {self._name}: beyond 16 bits")
                        gatherer.break_off()
                        continue
                    for piece in gatherer.add(samples):
                        yield piece
            except self._losses:
                self._tell(faults.SOURCE_LOST, f"LSL {self._name}")
            finally:
                inlet.close_stream()


def whole(
    chunk: list[list[float]], signal: Signal, exact: bool
) -> np.ndarray[Any, np.dtype[np.int16]] | None:
    """A chunk as samples; None when a value does not fit 16 bits."""
    values = np.asarray(chunk, dtype=np.float64)
    if not exact:
        values = np.rint(values / np.array([lead.scale for lead in signal.leads]))
    if not np.isfinite(values).all() or values.min() < INT16.min or values.max() > INT16.max:
        return None
    return values.astype(np.int16)


def signal_of(info: Any) -> tuple[Signal, bool]:
    """What an outlet measures, by the XDF description of its channels; whether it gives 16-bit numbers
    itself.

    :raises DeviceFault: no rate, or too many channels.
    """
    rate, count = float(info.nominal_srate()), int(info.channel_count())
    if not 0.001 <= rate <= SIGNAL_MAX_RATE_HZ or not 0 < count <= SIGNAL_MAX_LEADS:
        raise DeviceFault(faults.EXIT_USAGE, faults.FEED_MALFORMED, f"LSL: {count} x {rate} Hz")
    kind = _KINDS.get(str(info.type()).lower(), str(info.type()).lower() or "ecg")
    known = KINDS.get(kind)
    leads = []
    channel = info.desc().child("channels").child("channel")
    for number in range(count):
        code = channel.child_value("label") or f"ch{number + 1}"
        unit = channel.child_value("unit")
        unit = _UNITS.get(unit.lower(), unit) or (known.unit if known is not None else "1")
        scale = float(channel.child_value("scaling_factor") or 1.0)
        leads.append(Lead(code, code, scale, 0, unit))
        channel = channel.next_sibling("channel")
    exact = info.channel_format() == 5  # cft_int16 of liblsl's lsl_c.h
    return Signal(kind, str(info.name()), rate, tuple(leads)), exact
