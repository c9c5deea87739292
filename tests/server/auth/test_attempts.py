"""Bounded password attempts, with times that are passed in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.auth.attempts import Attempts


def test_the_limit_makes_wait_until_the_oldest_failure_is_out_of_the_window() -> None:
    attempts = Attempts(limit=3, window_s=60, keys=10)
    for now in (0.0, 10.0, 20.0):
        assert attempts.wait_s("a", now) == 0
        attempts.failed("a", now)
    assert attempts.wait_s("a", 20.0) == 40.0
    assert attempts.wait_s("a", 60.0) == 0
    assert attempts.wait_s("b", 20.0) == 0


def test_success_forgets() -> None:
    attempts = Attempts(limit=1, window_s=60, keys=10)
    attempts.failed("a", 0)
    attempts.succeeded("a")
    assert attempts.wait_s("a", 1) == 0


def test_the_key_that_failed_longest_ago_is_forgotten_first() -> None:
    attempts = Attempts(limit=1, window_s=60, keys=2)
    for number, key in enumerate(("a", "b", "c")):
        attempts.failed(key, float(number))
    assert attempts.wait_s("a", 3) == 0
    assert attempts.wait_s("c", 3) > 0


@given(st.lists(st.floats(min_value=0, max_value=1000), max_size=30).map(sorted))
def test_within_a_window_never_more_than_the_limit_get_through(times: list[float]) -> None:
    attempts = Attempts(limit=4, window_s=100, keys=3)
    let_through: list[float] = []
    for now in times:
        if attempts.wait_s("a", now) == 0:
            let_through.append(now)
            attempts.failed("a", now)
    for now in let_through:
        assert len([t for t in let_through if now - 100 < t <= now]) <= 4
