"""When to try again: bounds, and a whole county that lost its server at one moment."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.device.policy import (
    FIRST_DELAY_S,
    IDLE_DELAY_S,
    LONGEST_DELAY_S,
    SURE_PART,
    Verdict,
    judge,
    reconnect_delay,
)

COUNTY = 394


@given(
    attempt=st.integers(0, 10_000),
    uniform=st.floats(0, 1, exclude_max=True),
    longest_s=st.sampled_from([LONGEST_DELAY_S, IDLE_DELAY_S]),
)
def test_delay_doubles_is_bounded_and_scattered(attempt: int, uniform: float, longest_s: float) -> None:
    delay = reconnect_delay(attempt, uniform, longest_s)
    assert SURE_PART * FIRST_DELAY_S <= delay <= longest_s
    assert delay <= reconnect_delay(attempt + 1, 0.999, longest_s) * 1.001
    assert reconnect_delay(attempt, 0.0, longest_s) < reconnect_delay(attempt, 0.9, longest_s)


@pytest.mark.parametrize("away_s", [0.1, 0.3, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 20.0, 600.0])
def test_a_county_comes_back_soon_and_not_at_one_moment(away_s: float) -> None:
    """All lose the server at 0; who tries while it is away is refused at once."""
    chance = random.Random(away_s)
    back = [_back_at(away_s, chance) for _ in range(COUNTY)]
    assert max(back) <= away_s + LONGEST_DELAY_S
    per_100_ms = Counter(int(10 * moment) for moment in back)
    assert max(per_100_ms.values()) <= 60


def _back_at(away_s: float, chance: random.Random) -> float:
    now, attempt = 0.0, 0
    while True:
        now += reconnect_delay(attempt, chance.random())
        if now >= away_s:
            return now
        attempt += 1


def test_refusals_are_judged() -> None:
    assert judge("store_full", "server") is Verdict.RETRY
    assert judge("signal_timeout", "peer") is Verdict.RETRY
    assert judge("token_expired", "peer") is Verdict.AWAIT_ASSIGNMENT
    assert judge("room_closed", "peer") is Verdict.OVER
    assert judge("signal_lead_set_changed", "peer") is Verdict.STOP
