"""What a layer costs: its bits per second, and how they are spread over key frames and temporal layers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Protocol

from media.limits import RATE_READING_S, RATE_READINGS, RATE_WINDOW_S
from media.relay.rewrite import MediaPacket

TEMPORAL_LAYERS = 4  # VP8's TID has two bits
_ENCODERS_OWN = {1: (1.0,), 2: (0.6, 1.0), 3: (0.4, 0.6, 1.0), 4: (0.25, 0.4, 0.6, 1.0)}
"""How libwebrtc spreads a layer's rate over temporal layers, cumulative (kLayerRateAllocation)."""

Reading = tuple[float, int, tuple[int, ...]]  # at, all octets, octets by temporal layer


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

    __slots__ = ("_frames", "_readings", "_shares")

    def __init__(self, frames: Frames) -> None:
        self._readings: deque[Reading] = deque(maxlen=RATE_READINGS)
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

    @property
    def bps(self) -> int | None:
        """Bits per second over the window; None while one reading is all there is."""
        if len(self._readings) < 2:
            return None
        (since, before, _), (until, after, _) = self._readings[0], self._readings[-1]
        return round(8 * (after - before) / (until - since))

    def cumulative(self, declared: int) -> tuple[float, ...]:
        """The share of the rate up to each temporal layer; the last is 1.

        :param declared: number of temporal layers that the publisher named.
        """
        measured = self._measured()
        total = sum(measured)
        if total:
            highest = max(index for index, octets in enumerate(measured) if octets)
            self._shares = tuple(sum(measured[: index + 1]) / total for index in range(highest + 1))
        return self._shares or _ENCODERS_OWN[min(declared, TEMPORAL_LAYERS)]

    @property
    def temporal_layers(self) -> int:
        """How many were ever seen, for a publisher that does not name them (WHIP has no word for it)."""
        return max((index + 1 for index, octets in enumerate(self._frames.spread) if octets), default=1)

    def _measured(self) -> list[int]:
        if len(self._readings) < 2:
            return [0] * TEMPORAL_LAYERS
        first, last = self._readings[0][2], self._readings[-1][2]
        return [after - before for before, after in zip(first, last, strict=True)]

    def key_frames_bps(self, most_gap_s: float, now: float) -> int | None:
        """What the key frames alone take; None when they come too seldom to make a picture."""
        frames = self._frames
        if frames.key_gap > most_gap_s or now - frames.key_at > most_gap_s or not frames.key_octets:
            return None
        return round(8 * frames.key_octets / max(frames.key_gap, 1e-3))
