"""What a layer costs: a key frame that was asked for is no price, at whatever moment it comes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from media.relay.meter import FrameCount, Meter

FRAME_S = 0.05
LOOK_S = 0.2


@dataclass
class Frame:
    """What the meter sees of a frame's one packet."""

    timestamp: int
    payload_end: int
    keyframe: bool
    temporal_layer: int


def metered(keys: tuple[int, ...], key_octets: int, offset_s: float) -> tuple[list[int], list[float]]:
    """Rates and shares of the lowest temporal layer, at each look; 100 kbit/s, key frames at ``keys``."""
    frames = FrameCount()
    meter = Meter(frames)
    octets, look, rates, shares = 0, offset_s, [], []
    for number in range(80):
        now = number * FRAME_S
        while look <= now:
            meter.read(octets, look)
            if look > 2:
                rates.append(meter.bps or 0)
                shares.append(meter.cumulative(3)[0])
            look += LOOK_S
        key = number in keys
        size = key_octets if key else 625
        octets += size
        frames.count(Frame(number, size, key, 0 if key else (0, 2, 1, 2)[number % 4]), now)  # type: ignore[arg-type]
    return rates, shares


@pytest.mark.parametrize("offset_s", [0.01, 0.03, 0.07, 0.12, 0.17])
@pytest.mark.parametrize("times", [2, 4, 20])
def test_a_key_frame_that_was_asked_for_is_no_price(times: int, offset_s: float) -> None:
    rates, shares = metered((0, 56), times * 625, offset_s)
    assert max(rates) <= 101_000
    assert max(shares) < 0.27


def test_key_frames_that_come_by_themselves_are_one() -> None:
    rates, _ = metered(tuple(range(0, 80, 20)), 4 * 625, 0.03)
    assert min(rates) >= 110_000
