"""Any part of a stored stream again, while it grows, after its end was cut off, and as an overview."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.clock import CountedClock
from media.errors import NOT_FOUND, LocalProtocolError, RemoteProtocolError
from media.limits import SIGNAL_PAST_WAITING_EACH
from media.signals.clock import ClockLine
from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.frames import FLAG_BACKFILL, FLAG_DELTA, Frame, decode
from media.signals.past import NOTHING, Past
from media.signals.store import SignalStore
from media.signals.table import FrameTable

STREAM = "00112233-4455-6677-8899-aabbccddeeff"
ONE = StreamDescriptor(STREAM, "ecg", "bed 1", 500.0, (Lead("I"), Lead("II")))
OWNER = "c-room"
T0 = 1_767_225_600
AHEAD_NS = 3_000_000_000


def frame(sequence: int) -> Frame:
    """100 ms; the second lead is the frame's number with one beat of ten times that at its end."""
    samples = np.full((50, 2), sequence, dtype=np.int16)
    samples[-1, 1] = 10 * sequence
    return Frame.of(ONE, sequence, T0 * 10**9 + AHEAD_NS + sequence * 10**8, samples, FLAG_DELTA)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SignalStore]:
    """The device's clock is 3 s ahead of ours; each frame comes when it is over."""
    store = SignalStore(tmp_path, CountedClock())
    yield store
    await store.close()


async def fill(store: SignalStore, sequences: range) -> None:
    log = await store.open(OWNER, ONE)
    clock = store._clock
    assert isinstance(clock, CountedClock)
    for sequence in sequences:
        clock.advance(max(0.0, T0 + (sequence + 1) / 10 - clock.wall()))
        await log.append(frame(sequence))
    await log.close()


def frames_in(data: bytes) -> list[tuple[float, Frame]]:
    found, at = [], 0
    while at < len(data):
        length, ours_ns = struct.unpack_from("<Iq", data, at)
        found.append((ours_ns / 1e9, decode(data[at + 12 : at + 12 + length], ONE)))
        at += 12 + length
    return found


async def part(store: SignalStore, start: float, end: float, **options: object) -> list[int]:
    data = await store.past.part("me", OWNER, STREAM, T0 + start, T0 + end, **options)  # type: ignore[arg-type]
    found = frames_in(data)
    for at, one in found:
        assert at == pytest.approx(T0 + one.sequence / 10, abs=0.001)
    return [one.sequence for _, one in found]


async def test_a_part_on_our_clock_while_the_stream_grows(store: SignalStore) -> None:
    await fill(store, range(100))
    assert await part(store, 5, 6) == list(range(50, 60))
    assert await part(store, 9.5, 20) == [95, 96, 97, 98, 99]
    await fill(store, range(100, 130))
    assert await part(store, 9.5, 10.5) == list(range(95, 105))
    stored = await store.past.stored("me", OWNER, STREAM)
    assert stored.start == pytest.approx(T0, abs=0.001)
    assert stored.end == pytest.approx(T0 + 13, abs=0.001)


async def test_only_what_lies_in_the_spans(store: SignalStore) -> None:
    await fill(store, range(50))
    spans = [(T0 + 1.05, T0 + 1.45)]
    assert await part(store, 0, 5, spans=spans) == [11, 12, 13]


async def test_what_came_late_is_in_its_place(store: SignalStore) -> None:
    await fill(store, range(10))
    await fill(store, range(14, 16))
    log = await store.open(OWNER, ONE)
    for sequence in (12, 13, 10, 11):
        late = frame(sequence)
        await log.append(replace(late, flags=late.flags | FLAG_BACKFILL))
    await log.close()
    data = await store.past.part("me", OWNER, STREAM, T0 + 0.9, T0 + 1.5)
    assert [one.sequence for _, one in frames_in(data)] == [9, 10, 11, 12, 13, 14]


async def test_a_file_whose_end_was_cut_off_is_read_anew(store: SignalStore, tmp_path: Path) -> None:
    await fill(store, range(20))
    assert await part(store, 0, 5) == list(range(20))
    path = tmp_path / OWNER / f"{STREAM}.hzs"
    path.write_bytes(path.read_bytes()[:-300])
    left = await part(store, 0, 5)
    assert left == list(range(len(left)))
    assert 0 < len(left) < 20
    await fill(store, range(len(left), 25))
    assert await part(store, 0, 5) == list(range(25))


async def test_an_overview_keeps_every_peak_and_shows_what_is_missing(store: SignalStore) -> None:
    await fill(store, range(10))
    await fill(store, range(20, 30))
    data = await store.past.overview("me", OWNER, STREAM, T0, T0 + 4, 1)
    found = np.frombuffer(data, "<i2").reshape(-1, 2)
    assert found.shape == (80, 2)
    # Two bins a frame; the line between the clocks is exact to a rounding, so a border sample may move.
    assert found[2 * 25 + 1].max() == 250
    assert found[:20, 1].max() == 90
    assert [tuple(pair) for pair in found[22:38].tolist()] == [NOTHING] * 16
    assert [tuple(pair) for pair in found[62:].tolist()] == [NOTHING] * 18


@pytest.mark.parametrize(
    ("start", "end"), [(5, 5), (6, 5), (0, 21), (float("nan"), 1), (0, float("inf")), (-2e12, 0)]
)
async def test_a_period_that_makes_no_sense_is_the_asker_s_fault(
    store: SignalStore, start: float, end: float
) -> None:
    await fill(store, range(2))
    with pytest.raises(RemoteProtocolError, match="signal_past_range"):
        await store.past.part("me", OWNER, STREAM, T0 + start, T0 + end)


async def test_an_unknown_stream_or_lead(store: SignalStore) -> None:
    with pytest.raises(LocalProtocolError, match="not_found"):
        await store.past.stored("me", OWNER, STREAM)
    await fill(store, range(2))
    with pytest.raises(RemoteProtocolError, match="lead"):
        await store.past.overview("me", OWNER, STREAM, T0, T0 + 1, 2)


async def test_one_person_does_not_fill_the_line(tmp_path: Path) -> None:
    go_on = threading.Event()

    def path_of(_owner: str, _stream_id: str) -> Path:
        assert go_on.wait(20)
        raise LocalProtocolError(NOT_FOUND)

    past = Past(path_of)
    waiting = [asyncio.ensure_future(past.stored("me", "a", "b")) for _ in range(SIGNAL_PAST_WAITING_EACH)]
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError, match="signal_past_busy"):
        await past.stored("me", "a", "b")
    other = asyncio.ensure_future(past.stored("you", "a", "b"))
    go_on.set()
    for one in (*waiting, other):
        with pytest.raises(LocalProtocolError, match="not_found"):
            await one


@given(st.permutations(range(30)), st.integers(0, 30), st.integers(0, 30))
def test_the_table_is_in_order_whatever_comes_when(order: list[int], first: int, behind: int) -> None:
    table = FrameTable()
    for sequence in order:
        table.add(sequence, 1000 + sequence, 10 * sequence)
    assert list(table) == list(range(30))
    assert table.newest() == (order[-1], 1000 + order[-1])
    near = table.near(range(len(table)), 10 * first, 10 * behind)
    assert [table.at(place)[0] for place in near] == list(range(first, behind))


@given(st.integers(0, 2**61), st.integers(-(10**15), 10**15), st.floats(-5e-4, 5e-4))
def test_a_clock_s_line_leads_both_ways(ours: int, offset: int, drift: float) -> None:
    line = ClockLine(ours - offset - 10**12, offset, drift)
    assert abs(line.to_ours(line.to_device(ours)) - ours) <= 2
