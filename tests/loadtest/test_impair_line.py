"""The model of a bad line: nothing is invented, reordered or early, and the figures are the asked ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.impair_line import MIN_QUEUE_BYTES, Conditions, Line, Loss

PACKET = bytes(1250)  # 10,000 bits: 10 ms at 1 Mbit/s


def numbered(count: int) -> list[bytes]:
    return [number.to_bytes(2, "big") + PACKET[2:] for number in range(count)]


def everything(line: Line, until: float = 1000.0) -> list[bytes]:
    return line.due(until)


def test_a_perfect_line_delivers_at_once() -> None:
    line = Line(1)
    line.send(b"x", 5.0)
    assert line.due(5.0) == [b"x"]
    assert line.next_due() is None


def test_a_packet_arrives_after_sending_time_and_delay() -> None:
    line = Line(1, Conditions(delay_ms=100, rate_kbps=1000))
    first, second = numbered(2)
    line.send(first, 0.0)
    line.send(second, 0.0)
    assert line.due(0.109) == []
    assert line.next_due() is not None
    assert line.due(0.111) == [first]
    assert line.due(0.121) == [second]


def test_the_queue_is_bounded_and_drops_the_newest() -> None:
    line = Line(1, Conditions(rate_kbps=1000, queue_ms=100))
    for packet in numbered(30):
        line.send(packet, 0.0)
    arrived = everything(line)
    assert len(arrived) == 11, "one being sent and 12,500 bytes waiting"
    assert arrived == numbered(30)[:11]
    assert line.counters.overflowed == 19
    assert line.counters.queue_peak_bytes == 12_500


def test_a_thin_line_still_holds_a_few_packets() -> None:
    assert Conditions(rate_kbps=64, queue_ms=10).queue_bytes == MIN_QUEUE_BYTES


def test_steps_change_the_line_at_their_time() -> None:
    line = Line(1)
    line.plan([(20.0, Conditions()), (10.0, Conditions(cut=True))])
    line.send(b"before", 9.9)
    line.send(b"during", 15.0)
    line.send(b"after", 20.5)
    assert line.due(21.0) == [b"before", b"after"]
    assert line.counters.cut == 1


def test_a_cut_loses_what_is_on_the_way() -> None:
    line = Line(1, Conditions(delay_ms=500, rate_kbps=100))
    for packet in numbered(3):
        line.send(packet, 0.0)
    line.plan([(0.2, Conditions(cut=True)), (0.3, Conditions())])
    assert everything(line) == []
    assert line.counters.cut == 3


def test_a_step_up_serves_what_waits_at_the_new_rate() -> None:
    line = Line(1, Conditions(rate_kbps=10, queue_ms=60_000))
    for packet in numbered(11):
        line.send(packet, 0.0)
    line.plan([(1.0, Conditions(rate_kbps=1000))])
    assert len(line.due(1.0)) == 1
    assert len(line.due(1.101)) == 10


@pytest.mark.parametrize("burst", [0.0, 1.0, 4.0, 10.0])
@pytest.mark.parametrize("percent", [3.0, 10.0, 20.0])
def test_loss_has_the_asked_share_and_burst_length(percent: float, burst: float) -> None:
    loss, conditions = Loss(7), Conditions(loss_percent=percent, burst_packets=burst)
    drawn = [loss.lost(conditions) for _ in range(100_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(percent / 100, rel=0.15)
    runs = sum(1 for before, now in zip([False, *drawn], drawn, strict=False) if now and not before)
    expected = burst if burst > 1 else 1 / (1 - percent / 100)
    assert sum(drawn) / runs == pytest.approx(expected, rel=0.1)


def test_the_same_seed_loses_the_same_packets() -> None:
    conditions = Conditions(loss_percent=20, burst_packets=3)
    first, again, other = (Loss(seed) for seed in (1, 1, 2))
    drawn = [first.lost(conditions) for _ in range(500)]
    assert drawn == [again.lost(conditions) for _ in range(500)]
    assert drawn != [other.lost(conditions) for _ in range(500)]


def test_all_and_nothing_are_exact() -> None:
    loss = Loss(1)
    assert not any(loss.lost(Conditions()) for _ in range(100))
    assert all(loss.lost(Conditions(loss_percent=100)) for _ in range(100))


@pytest.mark.parametrize(
    "wrong", [{"delay_ms": -1}, {"loss_percent": 101}, {"rate_kbps": 0}, {"burst_packets": -2}]
)
def test_impossible_conditions_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"positive|percentage"):
        Conditions.from_json(dict(wrong))


def test_conditions_survive_json() -> None:
    conditions = Conditions(delay_ms=10, loss_percent=3, rate_kbps=300)
    assert Conditions.from_json(conditions.as_json()) == conditions
    assert Conditions().as_json() == {}


CONDITIONS = st.builds(
    Conditions,
    delay_ms=st.floats(0, 500),
    loss_percent=st.sampled_from([0.0, 10.0, 100.0]),
    burst_packets=st.sampled_from([0.0, 5.0]),
    rate_kbps=st.none() | st.floats(10, 10_000),
    cut=st.booleans(),
)


@given(
    st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 1500)), max_size=60),
    st.lists(st.tuples(st.floats(0, 10), CONDITIONS), max_size=4),
    st.integers(0, 3),
)
def test_nothing_is_invented_reordered_early_or_forgotten(
    packets: list[tuple[float, int]], steps: list[tuple[float, Conditions]], seed: int
) -> None:
    line = Line(seed)
    line.plan(steps)
    now, sent, arrived = 0.0, [], []
    for number, (wait, size) in enumerate(packets):
        now += wait
        packet = number.to_bytes(2, "big") + bytes(size)
        line.send(packet, now)
        sent.append(packet)
        arrived += line.due(now)
    arrived += everything(line, 10_000)
    positions = [sent.index(packet) for packet in arrived]
    assert positions == sorted(positions)
    counters = line.counters
    assert counters.sent == len(sent)
    assert counters.sent == counters.arrived + counters.lost + counters.overflowed + counters.cut
    assert line.next_due() is None
