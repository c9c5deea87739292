"""What cores did, by the kernel's own words."""

from __future__ import annotations

from loadtest.cpu import CoreTime, core_time
from loadtest.relay.strangers import Look

STAT = """cpu  100 10 20 500 5 1 2 3 0 0
cpu0 60 4 10 200 2 1 1 2 0 0
cpu1 40 6 10 300 3 0 1 1 0 0
intr 1 2 3
"""
MS10 = 10_000_000


def test_busy_is_all_but_idle_waiting_and_stolen() -> None:
    assert core_time([0], STAT) == CoreTime(76 * MS10, 2 * MS10)
    assert core_time([0, 1], STAT) == CoreTime(133 * MS10, 3 * MS10)
    assert core_time([0, 1], STAT) - core_time([0], STAT) == CoreTime(57 * MS10, MS10)


def test_this_machine_says_it_too() -> None:
    assert core_time([0]).busy_ns > 0


def test_strangers_are_what_is_left_when_ours_is_taken_off() -> None:
    before = Look(0, 1000, 100, 500)
    assert Look(1000, 2500, 100, 1900).since(before) == 10.0
    assert Look(1000, 2500, 300, 2000).since(before) == 20.0
    assert Look(1000, 2500, 100, 2100).since(before) == 0.0  # ticks are coarse
