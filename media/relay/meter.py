"""What a layer costs: its bits per second, and how they are spread over key frames and temporal layers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import Protocol

from media.limits import RATE_READING_S, RATE_READINGS, RATE_WINDOW_S
from media.relay.rewrite import MediaPacket

TEMPORAL_LAYERS = 4  # VP8's TID has two bits
_ENCODERS_OWN = {1: (1.0,), 2: (0.6, 1.0), 3: (0.4, 0.6, 1.0), 4: (0.25, 0.4, 0.6, 1.0)}
"""How libwebrtc spreads a layer's rate over temporal layers, cumulative (kLayerRateAllocation)."""

_LOOKED_AT = 0.5  # of what came in a window must have been looked at to tell its spread
_BURST = 2.5  # times what the rest of a window holds: a key frame
_BURST_PARTS = 4
_SWELLS = 1.25  # times the window's mean: less than `ALLOCATION_EASE` has to spare
KEY_FRAMES_OF_ITS_OWN_S = 2.5  # closer together than this they are not ours alone: FFmpeg's come each second

Reading = tuple[float, int, tuple[int, ...]]  # at, all octets, octets by temporal layer


def _smoothed(before: float, now: float) -> float:
    """One large frame moves the spread of a second; at five looks a second this is the spread of two."""
    return before + 0.1 * (now - before)


class FrameCount:
    """What each packet that is looked at adds to."""

    __slots__ = ("_key_timestamp", "_next_key", "key_at", "key_gap", "key_octets", "spread")

    def __init__(self) -> None:
        self.spread = [0] * TEMPORAL_LAYERS  # octets by temporal layer
        self._key_timestamp = -1
        self._next_key = 0
        self.key_at = -inf  # of the last key frame
        self.key_gap = inf  # seconds between the last two key frames
        self.key_octets = 0  # of the last whole key frame

    def count(self, packet: MediaPacket, now: float) -> None:
        size = packet.payload_end
        self.spread[packet.temporal_layer] += size
        if packet.keyframe and packet.timestamp != self._key_timestamp:
            self._key_timestamp = packet.timestamp
            self.key_gap, self.key_at = now - self.key_at, now
            self.key_octets, self._next_key = self._next_key, 0
        if packet.timestamp == self._key_timestamp:
            self._next_key += size


class Frames(Protocol):
    """`FrameCount`, as it is read."""

    @property
    def spread(self) -> Sequence[int]: ...
    @property
    def key_at(self) -> float: ...
    @property
    def key_gap(self) -> float: ...
    @property
    def key_octets(self) -> int: ...


class Meter:
    """Prices one layer. Its total is known always; the spread only while somebody is sent the layer, as
    payloads are not looked at otherwise. Then the last one known holds, before any the encoder's own."""

    __slots__ = ("_frames", "_parts", "_readings", "_shares")

    def __init__(self, frames: Frames) -> None:
        self._readings: deque[Reading] = deque(maxlen=RATE_READINGS)
        self._parts: list[Reading] | None = None  # as cut from the readings, once they are asked for
        self._shares: tuple[float, ...] = ()  # cumulative, as last measured
        self._frames = frames

    def read(self, octets: int, now: float) -> None:
        """Take a reading of ``octets`` counted since the layer began; too early a one is left out."""
        readings = self._readings
        if readings and octets < readings[-1][1]:
            readings.clear()  # another stream stands behind the layer
        if not readings or now - readings[-1][0] >= RATE_READING_S:
            readings.append((now, octets, tuple(self._frames.spread)))
        while len(readings) > 2 and now - readings[1][0] >= RATE_WINDOW_S:
            readings.popleft()
        self._parts = None

    @property
    def swells(self) -> bool:
        """So much more came since the last reading than the window's mean that the price is out of date."""
        if len(self._readings) < 3:
            return False
        first_at, first, _ = self._readings[0]
        (before_at, before, _), (at, octets, _) = self._readings[-2], self._readings[-1]
        fresh, mean = (octets - before) * (at - first_at), (octets - first) * (at - before_at)
        return fresh > _SWELLS * mean

    @property
    def bps(self) -> int | None:
        """Bits per second over the window; None while one reading is all there is."""
        parts = self._cut()
        if not parts:
            return None
        return round(8 * sum([part[1] for part in parts]) / sum([part[0] for part in parts]))

    def cumulative(self, declared: int) -> tuple[float, ...]:
        """The share of the rate up to each temporal layer; the last is 1.

        :param declared: number of temporal layers that the publisher named.
        """
        parts = self._cut()
        measured = [sum([part[2][layer] for part in parts]) for layer in range(TEMPORAL_LAYERS)]
        total = sum(measured)
        if total and total >= _LOOKED_AT * sum([part[1] for part in parts]):
            highest = max(index for index, octets in enumerate(measured) if octets)
            shares = tuple(sum(measured[: index + 1]) / total for index in range(highest + 1))
            steady = len(shares) == len(self._shares)
            self._shares = tuple(map(_smoothed, self._shares, shares)) if steady else shares
        return self._shares or _ENCODERS_OWN[min(declared, TEMPORAL_LAYERS)]

    def _cut(self) -> list[Reading]:
        """What was counted from one reading to the next: seconds, octets, octets by temporal layer.

        A key frame that was asked for is no price, as it is paid once: what it fills is left out. Where key
        frames come by themselves they are.
        """
        if self._parts is None:
            self._parts = self._cut_anew()
        return self._parts

    def _cut_anew(self) -> list[Reading]:
        readings, frames = list(self._readings), self._frames
        alone = len(readings) > _BURST_PARTS and frames.key_gap > KEY_FRAMES_OF_ITS_OWN_S
        parts = [
            (until - since, after - before, tuple(b - a for a, b in zip(one, other, strict=True)))
            for (since, before, one), (until, after, other) in pairwise(readings)
            if not (alone and since < frames.key_at <= until)
        ]
        # by its size, where no packet is looked at, and what came late of it
        if alone and len(parts) >= _BURST_PARTS:
            fullest = max(range(len(parts)), key=lambda index: parts[index][1])
            rest = parts[:fullest] + parts[fullest + 1 :]
            if parts[fullest][1] > _BURST * sum([part[1] for part in rest]) / len(rest):
                return rest
        return parts

    @property
    def temporal_layers(self) -> int:
        """How many were ever seen, for a publisher that does not name them (WHIP has no word for it)."""
        return max((index + 1 for index, octets in enumerate(self._frames.spread) if octets), default=1)

    def key_frames_bps(self, most_gap_s: float, asked_at: float, now: float) -> int | None:
        """What the key frames alone take; None when they come too seldom to make a picture.

        :param asked_at: when one was last asked for. What comes because we ask is no picture to follow.
        """
        frames = self._frames
        if asked_at > frames.key_at - frames.key_gap:
            return None
        if frames.key_gap > most_gap_s or now - frames.key_at > most_gap_s or not frames.key_octets:
            return None
        return round(8 * frames.key_octets / max(frames.key_gap, 1e-3))
