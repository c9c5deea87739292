"""The compiled plane and the reference do the same, byte for byte. The long form is `soak`."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media import native
from tests.media.native.soak import WEIGHTS, soak
from tests.media.native.twins import Twins

pytestmark = pytest.mark.skipif(not native.available(), reason=str(native.problem()))

HAPPENS = ("consumer_layers", "paused", "resumed", "consumer_reduced", "rtx", "wrap")
"""Layer switches, pauses and their ends, a receiver's narrow line, retransmission, numbers that wrap."""
STEP = st.tuples(
    st.sampled_from([name for name, weight in WEIGHTS.items() for _ in range(weight)]),
    st.integers(0, 2**32 - 1),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, min_size=10, max_size=100))
def test_both_planes_do_the_same(steps: list[tuple[str, int]]) -> None:
    twins = Twins()
    for name, number in steps:
        twins.do(name, number)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_both_planes_do_the_same_for_long(seed: int) -> None:
    twins = soak(1000, seed)
    assert twins.sent > 1000
    assert twins.rule_stats()["exhausted"] == 0
    for what in HAPPENS:  # or nothing was compared
        assert twins.happened[what], (what, twins.happened)


def test_feedback_that_is_no_news_is_gathered_alike() -> None:
    twins = Twins()
    chance = Random(5)
    for index in range(1500):
        name = ("voice", "feedback", "calm" if index % 8 == 0 else "voice")[index % 3]
        twins.do(name, chance.getrandbits(32))
        for side in twins.sides:
            side.house.run(0.01)
    assert twins.gathered > 10


def test_feedback_over_a_long_pause_is_told_alike() -> None:
    """Arrivals more than 8 s apart, which one feedback cannot tell: what it can is told of both planes."""
    twins = Twins()
    for number in range(30):
        twins.do("picture", number)
        for side in twins.sides:
            side.house.run(9.0)
        twins.do("voice", number)
        twins.do("feedback", number)


def test_what_was_kept_is_given_back() -> None:
    twins = soak(300, 7)
    assert twins.rule_stats()["pool_used"] > 0
    for side in twins.sides:
        side.house.router.close()
    twins.compare("close")
    assert twins.rule_stats()["pool_used"] == 0


def test_a_burst_of_arrivals_is_told_alike() -> None:
    """More than the compiled table begins with, and than either remembers; late ones, doubles, a jump."""
    twins = Twins()
    chance = Random(3)
    for burst in (300, 700, 5000):
        first = twins.number
        numbers = [(first + index) & 0xFFFF for index in range(burst)]
        for _ in range(burst // 10):
            at = chance.randrange(burst - 5)
            numbers[at], numbers[at + 4] = numbers[at + 4], numbers[chance.randrange(burst)]
        for number in numbers:
            twins.arrive(number)
        twins.number = numbers[-1] + 9000 & 0xFFFF
        twins.do("time", chance.getrandbits(32))
        twins.do("time", chance.getrandbits(32))
    twins.do("time", 5)
