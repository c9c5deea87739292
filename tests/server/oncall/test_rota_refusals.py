"""Each thing that is wrong with a rota has its own code and sentence; swaps and leave go along one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, time

import pytest

from media.errors import ErrorCode, RemoteProtocolError
from server.oncall import rota_errors
from server.oncall.rota import Change, Layer, Leave, Override, Rotation, Schedule, Slot, Unit
from server.oncall.rota_ask import (
    Ask,
    Part,
    Piece,
    Stage,
    Step,
    Swap,
    check_swap,
    expires_at,
    overrides_of,
    step,
    steps,
)
from server.oncall.rota_check import check_leave, check_override, check_people, check_schedule, take_now
from server.oncall.rota_days import DayRule
from server.oncall.rota_line import on_call
from tests.server.oncall.rotas import DAY, HOUR, daily, instant, layer, rota

MORNING = instant("2026-03-02T08:00:00+08:00")  # "a" has it, then "b", then "c"
ROTA = rota(layer(daily("a", "b", "c")), layer(daily("b", "c", "a"), level=2))
FIRST = {0: "a", 1: "b", 2: "c"}


def code(action: Callable[[], object]) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        action()
    return caught.value.code.code


def custom(*slots: Slot, every: int = 2) -> Layer:
    return layer(Rotation((), date(2026, 1, 1), time(8), Unit.CUSTOM, every, slots))


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        (replace(ROTA, zone="Asia/Nowhere"), "unknown_zone"),
        (replace(ROTA, zone="../../etc/passwd"), "unknown_zone"),
        (rota(), "no_layers"),
        (rota(layer(daily())), "no_members"),
        (rota(custom()), "no_members"),
        (rota(layer(daily("a", "b", "a"))), "member_twice"),
        (rota(layer(daily("a")), layer(daily("b"))), "same_rank"),
        (rota(layer(daily("a"), level=2)), "levels_skip"),
        (rota(layer(daily("a", every=367))), "turn_too_long"),
        (rota(layer(daily("a"), days=DayRule(weekdays=frozenset()))), "no_days"),
        (rota(layer(daily("a"), days=DayRule(starts=time(8)))), "no_days"),
        (rota(custom(Slot("a", 0, time(8), 2881))), "shift_too_long"),
        (rota(custom(Slot("a", 0, time(8), 0))), "shift_empty"),
        (rota(custom(Slot("a", 2, time(8), 60))), "shift_outside"),
        (rota(layer(daily(*(f"m{n}" for n in range(101))))), "limit_reached"),
        (rota(*(layer(daily("a"), rank=n) for n in range(13))), "limit_reached"),
    ],
)
def test_a_rota_that_cannot_be(schedule: Schedule, wanted: str) -> None:
    assert code(lambda: check_schedule(schedule)) == wanted


def test_a_good_rota_passes() -> None:
    check_schedule(ROTA)
    check_schedule(rota(custom(Slot("a", 1, time(8), 2880))))


def override(change: Change, starts: float, ends: float, who: str | None, by: str | None) -> Override:
    return Override("o", 1, change, starts, ends, who, by)


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        (override(Change.ADD, MORNING + DAY, MORNING, None, "x"), "override_ends_early"),
        (override(Change.ADD, MORNING, MORNING, None, "x"), "override_ends_early"),
        (override(Change.ADD, MORNING - DAY, MORNING - HOUR, None, "x"), "override_over"),
        (override(Change.ADD, MORNING, MORNING + 93 * DAY, None, "x"), "override_too_long"),
        (replace(override(Change.ADD, MORNING, MORNING + DAY, None, "x"), level=3), "unknown_level"),
        (override(Change.ADD, MORNING, MORNING + DAY, None, None), "override_incomplete"),
        (override(Change.REMOVE, MORNING, MORNING + DAY, None, None), "override_incomplete"),
        (override(Change.REMOVE, MORNING, MORNING + DAY, "a", "b"), "override_incomplete"),
        (override(Change.REPLACE, MORNING, MORNING + DAY, "a", "a"), "override_incomplete"),
        (override(Change.REMOVE, MORNING, MORNING + DAY, "b", None), "override_without_effect"),
        (override(Change.ADD, MORNING, MORNING + DAY, None, "a"), "override_without_effect"),
        (override(Change.REPLACE, MORNING, MORNING + DAY, "a", "ill"), "on_leave"),
        (override(Change.REPLACE, MORNING, MORNING + DAY, "a", "left"), "unknown_member"),
    ],
)
def test_an_override_that_cannot_be(wrong: Override, wanted: str) -> None:
    schedule = replace(ROTA, leave=(Leave("ill", MORNING - DAY, MORNING + HOUR),), gone=frozenset({"left"}))
    assert code(lambda: check_override(schedule, wrong, MORNING - 1)) == wanted


def test_people_must_exist_and_be_of_the_specialty() -> None:
    assert code(lambda: check_people(["x"], ["a"], ["a"])) == "unknown_member"
    assert code(lambda: check_people(["a"], ["a"], [])) == "not_of_specialty"
    check_people(["a"], ["a", "b"], ["a"])


def test_leave_that_cannot_be() -> None:
    for starts, ends, wanted in (
        (MORNING, MORNING, "leave_ends_early"),
        (MORNING - DAY, MORNING - 1, "leave_ends_early"),
        (MORNING, MORNING + 401 * DAY, "leave_too_long"),
    ):
        assert code(lambda s=starts, e=ends: check_leave(Leave("a", s, e), MORNING)) == wanted  # type: ignore[misc]


def test_take_it_now_takes_the_line_until_it_would_change() -> None:
    taken = take_now(ROTA, "o", "c", MORNING + HOUR, None)
    schedule = replace(ROTA, overrides=(taken,))
    assert on_call(schedule, MORNING + HOUR).practitioners == ("c", "b")
    assert on_call(schedule, MORNING + DAY).practitioners == ("b", "c")
    assert code(lambda: take_now(ROTA, "o", "a", MORNING, None)) == "already_on_call"
    away = replace(ROTA, leave=(Leave("c", MORNING, MORNING + DAY),))
    assert code(lambda: take_now(away, "o", "c", MORNING, 2)) == "on_leave"


def swap(other: str = "b", given: int = 3, back: int | None = 1) -> Swap:
    def piece(day: int) -> Piece:
        return Piece(1, MORNING + day * DAY, MORNING + (day + 1) * DAY)

    return Swap("swp", "a", other, piece(given), None if back is None else piece(back))


def test_an_approved_swap_is_two_replacements() -> None:
    check_swap(ROTA, swap(), MORNING)
    schedule = replace(ROTA, overrides=overrides_of(swap()))
    assert [on_call(schedule, MORNING + day * DAY).practitioners[0] for day in range(5)] == list("aacbb")


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        (swap(other="a"), "swap_with_oneself"),
        (swap(given=0), "swap_too_late"),
        (swap(given=4), "not_your_shift"),
        (swap(back=2), "not_your_shift"),
        (swap(other="ill", back=None), "on_leave"),
    ],
)
def test_a_swap_that_cannot_be(wrong: Swap, wanted: str) -> None:
    schedule = replace(ROTA, leave=(Leave("ill", MORNING, MORNING + 30 * DAY),))
    assert code(lambda: check_swap(schedule, wrong, MORNING)) == wanted


def test_a_swap_of_half_a_shift_that_is_not_ours_is_refused() -> None:
    across = Swap("swp", "a", "b", Piece(1, MORNING + 3 * DAY, MORNING + 4 * DAY + HOUR), None)
    assert code(lambda: check_swap(ROTA, across, MORNING)) == "not_your_shift"


def test_the_ways_of_an_ask() -> None:
    asker, other, desk = (frozenset({one}) for one in (Part.ASKER, Part.OTHER, Part.DESK))
    assert step(Ask.SWAP, Stage.PROPOSED, Step.AGREE, other) is Stage.AGREED
    assert step(Ask.SWAP, Stage.AGREED, Step.APPROVE, desk) is Stage.APPROVED
    assert step(Ask.LEAVE, Stage.PROPOSED, Step.APPROVE, desk) is Stage.APPROVED
    assert code(lambda: step(Ask.SWAP, Stage.PROPOSED, Step.APPROVE, desk)) == "wrong_state"
    assert code(lambda: step(Ask.SWAP, Stage.PROPOSED, Step.AGREE, asker)) == "not_yours_to_decide"
    assert code(lambda: step(Ask.SWAP, Stage.AGREED, Step.APPROVE, other)) == "not_yours_to_decide"
    assert steps(Ask.SWAP, Stage.PROPOSED, other) == [Step.AGREE, Step.REFUSE]
    for final in (Stage.REFUSED, Stage.EXPIRED, Stage.WITHDRAWN):
        assert steps(Ask.SWAP, final, asker | other | desk) == []
    every = frozenset(Part)
    assert {one for one in Stage if steps(Ask.SWAP, one, every)} == {Stage.PROPOSED, Stage.AGREED}


def test_an_ask_expires_after_three_days_or_with_its_first_shift() -> None:
    assert expires_at(MORNING, [MORNING + 30 * DAY]) == MORNING + 3 * DAY
    assert expires_at(MORNING, [MORNING + 30 * DAY, MORNING + HOUR]) == MORNING + HOUR


def test_every_code_is_named_once_and_in_both_languages() -> None:
    codes = [one for one in vars(rota_errors).values() if isinstance(one, ErrorCode)]
    assert len({one.code for one in codes}) == len(codes) > 20
    assert all(one.zh.endswith("。") and one.en.endswith(".") for one in codes)
    assert all(any("一" <= letter <= "鿿" for letter in one.zh) for one in codes)
