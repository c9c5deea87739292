"""The clinical order as a function: what gives way first, and that it comes back by itself."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from media import limits
from media.relay.allocation import PAUSED, Allocation, Demand, Rank, Step, allocate, plan
from media.relay.ladder import LayerRate, ladder
from media.relay.layers import KEY_FRAMES


def demand(key: str, rank: Rank, *rates: int) -> Demand:
    return Demand(key, rank, tuple(Step(0, index, bps) for index, bps in enumerate(rates)))


@st.composite
def demand_lists(draw: st.DrawFn) -> list[Demand]:
    demands = []
    for number in range(draw(st.integers(0, 7))):
        rates = sorted(draw(st.sets(st.integers(1, 3_000_000), min_size=1, max_size=5)))
        demands.append(demand(str(number), draw(st.sampled_from(Rank)), *rates))
    return demands


budgets = st.integers(0, 12_000_000)


def cost(demands: list[Demand], chosen: list[int], *, audio: bool = True) -> int:
    pairs = zip(demands, chosen, strict=True)
    return sum(d.steps[c].bps for d, c in pairs if c != PAUSED and (audio or d.rank is not Rank.AUDIO))


@given(budgets, demand_lists())
def test_nothing_but_audio_goes_over_the_rate(budget: int, demands: list[Demand]) -> None:
    chosen = plan(budget, demands)
    whole_audio = all(c == len(d.steps) - 1 for d, c in zip(demands, chosen, strict=True) if d.rank == 0)
    assert whole_audio
    if cost(demands, chosen, audio=False):
        assert cost(demands, chosen) <= budget


@given(budgets, demand_lists())
def test_nothing_is_reduced_while_something_less_important_is_above_its_floor(
    budget: int, demands: list[Demand]
) -> None:
    chosen = plan(budget, demands)
    for one, step in zip(demands, chosen, strict=True):
        if step in (PAUSED, len(one.steps) - 1):
            continue
        for other, lower in zip(demands, chosen, strict=True):
            assert other.rank <= one.rank or lower <= 0


@given(budgets, demand_lists())
def test_what_is_paused_would_not_fit_if_all_below_it_were_off(budget: int, demands: list[Demand]) -> None:
    chosen = plan(budget, demands)
    for one, step in zip(demands, chosen, strict=True):
        if step == PAUSED:
            pairs = list(zip(demands, chosen, strict=True))
            above = sum(
                d.steps[-1].bps if d.rank is Rank.AUDIO else d.steps[0].bps
                for d, c in pairs
                if c != PAUSED and d.rank <= one.rank
            )
            assert above + one.steps[0].bps > budget


@given(budgets, budgets, demand_lists())
def test_more_bandwidth_is_never_worse_in_the_clinical_order(
    one: int, other: int, demands: list[Demand]
) -> None:
    less, more = sorted((one, other))
    thin, wide = plan(less, demands), plan(more, demands)
    order = sorted(range(len(demands)), key=lambda i: demands[i].rank)
    assert [wide[i] for i in order] >= [thin[i] for i in order]
    if PAUSED not in thin:  # what was set aside comes back at the price of those below it
        assert all(a >= b for a, b in zip(wide, thin, strict=True))


@given(st.lists(st.tuples(budgets, st.integers(1, 20)), max_size=12), demand_lists())
def test_it_comes_back_by_itself_and_keeps_to_the_rate_on_the_way(
    line: list[tuple[int, int]], demands: list[Demand]
) -> None:
    allocation, now = Allocation(), 0.0
    for budget, ticks in line:
        for _ in range(ticks):
            allocation = allocate(budget, demands, allocation, now)
            sent = [d.step.bps if d.step else 0 for d in allocation.decisions]
            video = [b for b, d in zip(sent, demands, strict=True) if d.rank is not Rank.AUDIO]
            assert not any(video) or sum(sent) <= budget * (1 + limits.ALLOCATION_SLACK) + 1
            now += limits.ALLOCATION_INTERVAL_S
    end = now + limits.ALLOCATION_HOLD_MAX_S + 1
    while now < end:
        allocation = allocate(30_000_000, demands, allocation, now)
        now += limits.ALLOCATION_INTERVAL_S
    assert all(decision.state == "full" for decision in allocation.decisions)


@given(budgets, demand_lists())
def test_a_line_that_nothing_is_known_of_reduces_nothing(budget: int, demands: list[Demand]) -> None:
    reduced = allocate(budget, demands, Allocation(), 0.0)
    free = allocate(None, demands, reduced, 1.0)
    assert all(decision.state == "full" for decision in free.decisions)


CONSULT = [
    demand("voice", Rank.AUDIO, 40_000),
    demand("heart", Rank.ULTRASOUND, 200_000, 600_000, 1_000_000),
    demand("expert", Rank.SPEAKER, 50_000, 120_000, 400_000, 1_200_000),
    demand("other", Rank.OTHERS, 50_000, 120_000, 400_000, 1_200_000),
]


def test_the_order_of_a_consult_step_by_step() -> None:
    told = [plan(budget, CONSULT) for budget in (4_000_000, 2_700_000, 2_300_000, 1_220_000, 700_000)]
    assert told == [[0, 2, 3, 3], [0, 2, 3, 2], [0, 2, 3, 0], [0, 2, 1, 0], [0, 0, 0, 0]]
    assert plan(320_000, CONSULT) == [0, 0, 0, PAUSED]
    assert plan(270_000, CONSULT) == [0, 0, PAUSED, PAUSED]
    assert plan(200_000, CONSULT) == [0, PAUSED, 0, 0]  # the ultrasound must be paused: faces are left
    assert plan(10_000, CONSULT) == [0, PAUSED, PAUSED, PAUSED]


def test_a_floor_is_not_given_up_for_want_of_a_little() -> None:
    kept = [0, 0, PAUSED, PAUSED]  # 240 kbit/s
    assert plan(225_000, CONSULT, kept) == kept
    assert plan(225_000, CONSULT)[1] == PAUSED
    assert plan(215_000, CONSULT, kept)[1] == PAUSED
    assert plan(225_000, CONSULT, [0, 0, 1, PAUSED]) == kept


def run(budget: int, seconds: float, allocation: Allocation, now: float) -> tuple[Allocation, float]:
    end = now + seconds
    while now < end - 1e-6:
        allocation = allocate(budget, CONSULT, allocation, now)
        now += limits.ALLOCATION_INTERVAL_S
    return allocation, now


def test_down_at_once_up_after_a_while_and_slower_when_it_failed() -> None:
    allocation, now = run(4_000_000, 1.0, Allocation(), 0.0)
    assert {d.state for d in allocation.decisions} == {"full"}
    allocation, now = run(1_300_000, 0.2, allocation, now)
    assert [d.state for d in allocation.decisions] == ["full", "full", "reduced", "reduced"]
    allocation, now = run(4_000_000, limits.ALLOCATION_HOLD_S, allocation, now)
    assert allocation.decisions[2].state == "reduced"
    allocation, now = run(4_000_000, 0.4, allocation, now)
    assert {d.state for d in allocation.decisions} == {"full"}
    allocation, now = run(1_300_000, 0.2, allocation, now)  # it was one too many
    assert allocation.hold_s == 2 * limits.ALLOCATION_HOLD_S
    allocation, now = run(4_000_000, 1.6, allocation, now)
    assert allocation.decisions[2].state == "reduced"
    allocation, _ = run(4_000_000, 1.0, allocation, now)
    assert {d.state for d in allocation.decisions} == {"full"}


def test_a_rate_that_swings_by_a_tenth_does_not_flap() -> None:
    allocation, now = run(2_300_000, 3.0, Allocation(), 0.0)
    seen = set()
    for turn in range(100):
        allocation = allocate(2_290_000 + turn % 2 * 200_000, CONSULT, allocation, now)
        seen.add(tuple(d.step for d in allocation.decisions))
        now += limits.ALLOCATION_INTERVAL_S
    assert len(seen) == 1


def test_another_speaker_is_served_at_once() -> None:
    allocation, now = run(2_300_000, 3.0, Allocation(), 0.0)
    turned = [*CONSULT[:2], demand("expert", Rank.OTHERS, 50_000, 1_200_000), CONSULT[2]]
    turned[3] = demand("other", Rank.SPEAKER, 50_000, 120_000, 400_000, 1_200_000)
    allocation = allocate(2_300_000, turned, allocation, now)
    assert allocation.by_key["other"].state == "full"
    assert allocation.by_key["expert"].state == "reduced"


def test_the_wish_is_what_everything_would_take() -> None:
    allocation, _ = run(300_000, 0.2, Allocation(), 0.0)
    assert allocation.wanted_bps == 40_000 + 1_000_000 + 2 * 1_200_000


def test_a_camera_gives_up_resolution_and_an_ultrasound_frames() -> None:
    layers = [LayerRate(0, (48, 72, 120)), LayerRate(1, (160, 240, 400), 90), LayerRate(2, (480, 720, 1200))]
    camera = ladder(layers, frames_first=False)
    assert [(s.spatial, s.temporal) for s in camera] == [
        (0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2),
    ]  # fmt: skip
    ultrasound = ladder([LayerRate(0, (700, 1000), 150)], frames_first=True)
    assert [(s.temporal, s.bps) for s in ultrasound] == [(KEY_FRAMES, 150), (0, 700), (1, 1000)]
    assert [s.spatial for s in ladder(layers, frames_first=True)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert ladder([], frames_first=True) == ()


@given(
    st.lists(st.lists(st.integers(0, 10_000), min_size=1, max_size=4).map(sorted), max_size=4), st.booleans()
)
def test_a_ladder_climbs_and_ends_with_the_whole(rates: list[list[int]], frames_first: bool) -> None:
    layers = [LayerRate(index, tuple(temporal)) for index, temporal in enumerate(rates)]
    steps = ladder(layers, frames_first)
    assert all(a.bps < b.bps for a, b in pairwise(steps))
    if layers:
        assert steps[-1] == Step(layers[-1].spatial, len(rates[-1]) - 1, rates[-1][-1])
