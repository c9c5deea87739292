"""The timer wheel, key-frame requests, loss bookkeeping, histories and budgets: all on counted time."""

from __future__ import annotations

import asyncio
from math import inf

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from media import limits
from media.clock import SystemClock
from media.relay import RelayTimer
from media.relay.feedback import CountedReception, Missing, Rate
from media.relay.history import History, RetransmissionBudget
from media.relay.keyframes import KeyFrameRequests
from media.relay.rewrite import MediaPacket
from media.relay.timer import Wheel, following
from media.rtp import rtcp
from tests.media.relay.helpers import CHROMIUM, OPUS, House, Layer, plis, vp8_single


class Member:
    def __init__(self, following: float = inf) -> None:
        self.calls: list[float] = []
        self.following = following

    def tick(self, now: float) -> float:
        self.calls.append(now)
        return now + self.following


def test_the_wheel_wakes_the_earliest_and_forgets() -> None:
    wheel = Wheel()
    early, late, repeated = Member(), Member(), Member(following=1.0)
    wheel.schedule(late, 5.0)
    wheel.schedule(early, 1.0)
    wheel.schedule(early, 3.0)  # the earlier wish counts
    wheel.schedule(repeated, 2.0)
    wheel.schedule(repeated, 1.0)
    wheel.schedule(Member(), inf)
    assert wheel.due == 1.0
    wheel.run(1.0)
    assert (early.calls, repeated.calls, late.calls) == ([1.0], [1.0], [])
    assert wheel.due == 2.0
    wheel.remove(repeated)
    wheel.remove(repeated)
    assert wheel.due == 5.0
    wheel.remove(late)
    assert wheel.due == inf


def test_a_member_that_raises_harms_no_other() -> None:
    class Broken(Member):
        def tick(self, now: float) -> float:
            super().tick(now)
            if len(self.calls) == 1:
                raise ZeroDivisionError
            return inf

    wheel = Wheel()
    members = [Member(), Broken(), Member()]
    for member in members:
        wheel.schedule(member, 1.0)
    with pytest.raises(ZeroDivisionError):
        wheel.run(1.0)
    wheel.run(3.0)
    assert all(member.calls for member in members)
    assert len(members[1].calls) == 2


@given(st.lists(st.floats(0, 10), max_size=30), st.floats(0, 10))
def test_the_wheel_calls_everyone_due_exactly_once(dues: list[float], now: float) -> None:
    wheel = Wheel()
    members = [Member() for _ in dues]
    for member, due in zip(members, dues, strict=True):
        wheel.schedule(member, due)
    while wheel.due <= now + limits.TIMER_SLOT_S:
        wheel.run(now + limits.TIMER_SLOT_S)
    for member, due in zip(members, dues, strict=True):
        assert len(member.calls) <= 1
        if due <= now - limits.TIMER_SLOT_S:
            assert member.calls


def test_many_are_called_in_several_turns() -> None:
    wheel = Wheel()
    members = [Member() for _ in range(2 * limits.TIMER_TURN + 1)]
    for member in members:
        wheel.schedule(member, 1.0)
    for called in (limits.TIMER_TURN, 2 * limits.TIMER_TURN, len(members)):
        assert wheel.due <= 1.0
        wheel.run(1.0)
        assert sum(len(member.calls) for member in members) == called
    assert wheel.due == inf


def test_the_products_loop_is_not_woken_before_anything_is_due() -> None:
    """uvloop counts milliseconds, and from one that has begun."""
    clock = SystemClock()
    fired: list[float] = []
    reached = asyncio.Event()

    class Late(Member):
        def tick(self, now: float) -> float:
            super().tick(now)
            if len(self.calls) == 8:
                reached.set()
            return now + 0.0137 if len(self.calls) < 8 else inf

    class Counting(RelayTimer):
        def _fire(self) -> None:
            fired.append(clock.monotonic())
            super()._fire()

    async def main() -> None:
        timer, member = Counting(clock), Late()
        timer.schedule(member, clock.monotonic() + 0.0137)
        await asyncio.wait_for(reached.wait(), 5)
        timer.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    assert len(fired) == 8


@given(st.floats(0, 1e6), st.floats(0, 1, exclude_max=True))
def test_the_next_moment_lies_within_an_interval(now: float, phase: float) -> None:
    due = following(now, 0.2, phase)
    assert now < due + 1e-6
    assert due <= now + 0.2 + 1e-6


async def test_one_timer_drives_all() -> None:
    timer = RelayTimer(SystemClock())
    reached = asyncio.Event()

    class Counting(Member):
        def tick(self, now: float) -> float:
            super().tick(now)
            if len(self.calls) == 3:
                reached.set()
                return inf
            return now + 0.01

    member = Counting()
    now = SystemClock().monotonic()
    timer.schedule(Member(), now + 100)
    timer.schedule(member, now + 0.01)
    await asyncio.wait_for(reached.wait(), 5)
    assert len(member.calls) == 3
    timer.remove(member)
    timer.close()
    timer.schedule(member, now)
    timer.close()


def test_a_quiet_router_plans_nothing() -> None:
    house = House()
    house.peer()
    assert house.router.due == inf
    sender, _ = house.peer()
    producer = sender.produce("video", vp8_single(), "camera")
    house.run(0.5)
    producer.close()
    house.run(3.0)
    assert house.router.due == inf


def test_key_frame_requests_are_throttled_after_a_burst() -> None:
    requests = KeyFrameRequests()
    sent = []
    for step in range(1000):
        now = 100 + step / 100
        requests.want(now)
        if requests.take(now):
            sent.append(now)
            requests.satisfied()  # the key frame comes at once, and at once somebody wants another
    assert sent[0] == 100
    assert sent[1] - sent[0] >= limits.KEYFRAME_SPACING_S
    assert len(sent) <= limits.KEYFRAME_BURST + 10 / limits.KEYFRAME_REFILL_S + 1
    assert len(sent) >= 10 / limits.KEYFRAME_REFILL_S


def test_an_unanswered_request_is_repeated_less_and_less() -> None:
    requests = KeyFrameRequests()
    requests.want(0)
    sent = []
    for _ in range(6):
        while not requests.take(requests.due):
            pass
        sent.append(round(requests.due, 3))
    assert [round(b - a, 3) for a, b in zip([0.0, *sent], sent, strict=False)] == [0.4, 0.8, 1.6, 2, 2, 2]
    requests.satisfied()
    assert not requests.wanted
    assert not requests.take(1000)


def test_missing_packets_learn_the_round_trip() -> None:
    missing = Missing()
    missing.arrived(1, 0)
    missing.arrived(3, 0)
    assert missing.take(0) == [2]
    assert missing.take(0.01) == []
    before = missing.round_trip
    assert missing.arrived(2, 0.3, retransmitted=True)
    assert missing.round_trip > before
    assert missing.due == inf
    assert not missing.arrived(2, 0.3)
    missing.arrived(6, 0.4)
    assert missing.take(1) == [4, 5]
    assert not missing.forgive()
    assert missing.take(2) == []
    assert missing.forgive()
    assert not missing.forgive()


@given(st.lists(st.tuples(st.integers(1, 400), st.floats(0, 0.2)), max_size=40))
def test_missing_is_bounded(steps: list[tuple[int, float]]) -> None:
    missing = Missing()
    sequence, now = 0, 0.0
    asked: dict[int, int] = {}
    for jump, wait in steps:
        sequence += jump
        now += wait
        missing.arrived(sequence, now)
        for number in missing.take(now):
            asked[number] = asked.get(number, 0) + 1
        assert len(missing) <= limits.NACK_MAX_MISSING
        assert missing.due > now
    assert all(count <= limits.NACK_MAX_TRIES for count in asked.values())


def test_reception_counts_as_rfc_3550_says() -> None:
    reception = CountedReception(8000)
    assert reception.counts.expected == 0
    for number in (65_534, 65_535, 65_537, 65_536, 65_540):
        reception.received(number, 160 * number, 100, number * 0.02)
    block = reception.report(7, 0)
    assert (block.highest_sequence, block.cumulative_lost) == (65_540, 2)
    assert block.fraction_lost == 2 * 256 // 7
    assert block.delay_since_last_sr == 0
    again = reception.report(7, 0)
    assert again.fraction_lost == 0
    reception.received(65_540, 0, 100, 0)
    reception.received(65_540, 0, 100, 0)
    reception.received(65_540, 0, 100, 0)
    assert reception.report(7, 0).cumulative_lost == -1


def test_reports_fit_their_packets() -> None:
    house = House()
    (sender, up), (receiver, down) = house.peer(), house.peer()
    for number in range(limits.MAX_PRODUCERS_PER_TRANSPORT):
        ssrcs = [1000 * number + 10 * index for index in (1, 2, 3)]
        encodings = [{"ssrc": ssrc, "rtx": {"ssrc": ssrc + 1}} for ssrc in ssrcs]
        parameters = {**vp8_single(), "encodings": encodings, "rtcp": {"cname": f"{number:3}" + 60 * "c"}}
        producer = sender.produce("video", parameters, "camera")
        receiver.consume(producer.id, CHROMIUM, paused=False)
        for ssrc in ssrcs:
            layer = Layer(up, house, ssrc, "", 1, 1)
            layer.frame(key=True)
            layer.report()
    house.run(limits.REPORT_INTERVAL_S + 0.05)
    told = [rtcp.parse_compound(packet)[0] for packet in up.rtcp]
    assert [len(one.reports) for one in told if isinstance(one, rtcp.ReceiverReport)] == [31, 17]
    compounds = [
        packet for packet in down.rtcp if isinstance(rtcp.parse_compound(packet)[0], rtcp.SenderReport)
    ]
    assert len(compounds) == 2
    assert all(len(packet) <= limits.RTCP_PACKET_BYTES for packet in compounds)
    parts = [part for packet in compounds for part in rtcp.parse_compound(packet)]
    names = [one.cnames[0][1] for one in parts if isinstance(one, rtcp.SourceDescription)]
    assert names == [f"{number:3}" + 60 * "c" for number in range(limits.MAX_PRODUCERS_PER_TRANSPORT)]


def _packet(sequence: int, now: float) -> MediaPacket:
    packet = MediaPacket()
    packet.sequence, packet.received_at = sequence, now
    return packet


def test_history_is_bounded_in_number_and_time() -> None:
    history = History()
    for number in range(2 * limits.RELAY_HISTORY_PACKETS):
        history.add(_packet(number, 1.0))
    assert len(history) == limits.RELAY_HISTORY_PACKETS
    assert history.get(0) is None
    history.add(_packet(9999, 1.0 + limits.RELAY_HISTORY_S + 0.1))
    assert len(history) == 1
    assert history.get(9999) is not None
    history.clear()
    assert len(history) == 0


def test_retransmission_is_bounded() -> None:
    budget = RetransmissionBudget()
    allowed = sum(budget.allows(number, 1.0) for number in range(5000))
    assert allowed == limits.RTX_PER_SECOND
    assert sum(budget.allows(number, 1.5) for number in range(5000)) == limits.RTX_PER_SECOND // 2
    assert budget.refused > 0
    fresh = RetransmissionBudget()
    assert fresh.allows(1, 1.0)
    assert not fresh.allows(1, 1.001)
    assert fresh.allows(1, 1.0 + limits.RTX_REPEAT_S)


def test_rate_is_taken_between_readings() -> None:
    rate = Rate()
    rate.read(1000, 10.0)
    assert rate.bits_per_second == 0
    rate.read(2000, 12.0)
    assert rate.bits_per_second == 4000
    rate.read(2000, 12.0)
    assert rate.bits_per_second == 4000


def test_waking_is_earlier_when_something_is_missing() -> None:
    house = House()
    sender, up = house.peer()
    receiver, _ = house.peer()
    producer = sender.produce("video", vp8_single(), "camera")
    receiver.consume(producer.id, CHROMIUM, paused=False)
    layer = Layer(up, house, 500, "", 1, 1)
    layer.frame(key=True)
    house.run(0.21)
    quiet = house.router.due
    layer.frame(lose=frozenset({0}))
    assert house.router.due < quiet
    assert plis(up)


def test_a_room_of_silent_people_is_looked_at_only_for_its_reports() -> None:
    house = House()
    people = [house.peer()[0] for _ in range(3)]
    for person in people:
        for kind in ("camera", "microphone"):
            made = OPUS if kind == "microphone" else vp8_single(10 * len(house.router.producers) + 10)
            ssrc = {"encodings": [{**made["encodings"][0], "ssrc": 7000 + len(house.router.producers)}]}
            person.produce("audio" if made is OPUS else "video", {**made, **ssrc}, kind, paused=True)
    for person in people:
        for producer in list(house.router.producers.values()):
            if producer.owner is not person:
                person.consume(producer.id, CHROMIUM, paused=False)
    house.run(5.0)
    ticks = 0
    end = house.now + 10
    while house.router.due < end:
        house.clock.advance(max(0.0, house.router.due - house.now))
        house.router.tick(house.now)
        ticks += 1
    assert ticks <= 10 + 4  # reports of all three each second, lines each 3 s
