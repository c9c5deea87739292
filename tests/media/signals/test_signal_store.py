"""The durable store: what an acknowledgement promises, whatever the disk and the power do."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from media.clock import CountedClock
from media.errors import LocalProtocolError, RemoteProtocolError
from media.limits import SIGNAL_COMMIT_BUSY_FILES
from media.signals.commit import AppendFile, CommitThread
from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.export import runs, to_array
from media.signals.formats import read_file, sample_record
from media.signals.frames import FLAG_DELTA, FLAG_SEAM, Frame, encode
from media.signals.store import SignalStore

STREAM = "00112233-4455-6677-8899-aabbccddeeff"
ONE = StreamDescriptor(STREAM, "ecg", "bed 1", 500.0, (Lead("I"), Lead("II")))
OWNER = "c-room"
T0_NS = 1_767_225_600 * 10**9


def frame(sequence: int, flags: int = FLAG_DELTA) -> Frame:
    samples = np.full((50, 2), sequence, dtype=np.int16)
    return Frame.of(ONE, sequence, T0_NS + sequence * 100_000_000, samples, flags)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SignalStore]:
    store = SignalStore(tmp_path, CountedClock())
    yield store
    await store.close()


def sequences(store: SignalStore) -> list[int]:
    return [found.sequence for found in store.read(OWNER, STREAM)]


async def filled(directory: Path, count: int) -> Path:
    """A closed store file with ``count`` frames."""
    store = SignalStore(directory, CountedClock())
    log = await store.open(OWNER, ONE)
    for sequence in range(count):
        await log.append(frame(sequence))
    await store.close()
    return directory / OWNER / f"{STREAM}.hzs"


async def test_appended_is_read_back(store: SignalStore) -> None:
    log = await store.open(OWNER, ONE)
    assert log.durable_sequence == -1
    await log.append(frame(0))
    await log.append(frame(1))
    assert log.durable_sequence == 1
    assert list(store.read_encoded(OWNER, STREAM)) == [encode(frame(0)), encode(frame(1))]


async def test_duplicate_is_kept_once(store: SignalStore) -> None:
    log = await store.open(OWNER, ONE)
    await asyncio.gather(log.append(frame(0)), log.append(frame(0)))
    await log.append(frame(0))
    assert sequences(store) == [0]


async def test_late_frames_fill_the_hole(store: SignalStore) -> None:
    log = await store.open(OWNER, ONE)
    for sequence in (0, 3, 4, 1):
        await log.append(frame(sequence))
    assert log.durable_sequence == 1
    assert store.streams(OWNER)[0].missing == ((2, 2),)
    assert [run.sequence for run in runs(store.read(OWNER, STREAM))] == [0, 3]
    await log.append(frame(2))
    assert log.durable_sequence == 4
    assert sequences(store) == [0, 1, 2, 3, 4]


async def test_one_sync_serves_everyone_who_waits(tmp_path: Path) -> None:
    syncs: list[int] = []
    everyone_waits = threading.Event()

    def sync(descriptor: int) -> None:
        syncs.append(descriptor)
        if len(syncs) > 1:
            assert everyone_waits.wait(20)
        os.fdatasync(descriptor)

    store = SignalStore(tmp_path, CountedClock(), sync=sync)
    log = await store.open(OWNER, ONE)
    await log.append(frame(0))
    assert len(syncs) == 1
    waiting = [asyncio.ensure_future(log.append(frame(sequence))) for sequence in range(1, 200)]
    await asyncio.sleep(0)
    everyone_waits.set()
    await asyncio.gather(*waiting)
    assert len(syncs) - 1 <= 4
    await store.close()


@pytest.mark.parametrize(
    ("files", "rests"),
    [
        (SIGNAL_COMMIT_BUSY_FILES - 1, []),
        (SIGNAL_COMMIT_BUSY_FILES, [16 / 300]),
        (400, [64 / 300] * 6 + [16 / 300]),
    ],
)
async def test_after_a_round_of_many_files_the_thread_rests(
    tmp_path: Path, files: int, rests: list[float]
) -> None:
    """So that of each stream several frames share a sync; a few streams are made durable at once.

    What many files wait with is written in portions.
    """
    first_round, everyone_waits = threading.Event(), threading.Event()
    rested: list[float] = []
    thread = CommitThread(asyncio.get_running_loop(), rested.append)

    def sync(descriptor: int) -> None:
        first_round.set()
        assert everyone_waits.wait(20)

    opened = [AppendFile(tmp_path / str(number), 0, sync) for number in range(files + 1)]
    done = asyncio.Event()
    answers: list[LocalProtocolError | None] = []

    def answered(fault: LocalProtocolError | None) -> None:
        answers.append(fault)
        if len(answers) == len(opened):
            done.set()

    first, *others = opened
    thread.submit(first, b"x", answered)
    assert await asyncio.to_thread(first_round.wait, 20)
    for file in others:
        thread.submit(file, b"x", answered)
    everyone_waits.set()
    await done.wait()
    await thread.close()
    assert answers == [None] * len(opened)
    assert rested == pytest.approx(rests)
    for file in opened:
        file.close()


async def test_all_of_a_round_are_in_the_ledger_before_the_first_is_told(tmp_path: Path) -> None:
    """So the first acknowledgement speaks for all; and a wait for what was handed over ends behind them."""
    first_round, everyone_waits = threading.Event(), threading.Event()

    def sync(descriptor: int) -> None:
        first_round.set()
        assert everyone_waits.wait(20)

    store = SignalStore(tmp_path, CountedClock(), sync=sync)
    log = await store.open(OWNER, ONE)
    told: list[tuple[int, int]] = []

    def note(sequence: int, fault: LocalProtocolError | None) -> None:
        assert fault is None
        told.append((sequence, log.durable_sequence))

    log.submit(0, encode(frame(0)), partial(note, 0))
    assert await asyncio.to_thread(first_round.wait, 20)
    for sequence in (1, 2, 2, 3):
        log.submit(sequence, encode(frame(sequence)), partial(note, sequence))
    everyone_waits.set()
    await log.settled()
    assert [sequence for sequence, _ in told] == [0, 1, 2, 2, 3]
    assert [durable for _, durable in told[1:]] == [3, 3, 3, 3]
    log.submit(1, encode(frame(1)), partial(note, 1))
    assert told[-1] == (1, 3)  # known already
    await log.settled()
    await store.close()


async def test_acknowledged_only_after_the_sync(tmp_path: Path) -> None:
    order: list[str] = []

    def sync(descriptor: int) -> None:
        os.fdatasync(descriptor)
        order.append("synced")

    store = SignalStore(tmp_path, CountedClock(), sync=sync)
    log = await store.open(OWNER, ONE)
    await log.append(frame(0))
    order.append("acknowledged")
    assert order == ["synced", "acknowledged"]
    await store.close()


async def test_torn_tail_is_cut_at_every_byte(tmp_path: Path) -> None:
    path = await filled(tmp_path, 3)
    whole = path.read_bytes()
    two = (await filled(tmp_path / "two", 2)).read_bytes()
    assert whole.startswith(two)
    for length in range(len(two), len(whole)):
        path.write_bytes(whole[:length])
        store = SignalStore(tmp_path, CountedClock())
        log = await store.open(OWNER, ONE)
        assert log.durable_sequence == 1
        assert path.read_bytes() == two
        await log.append(frame(2))
        assert sequences(store) == [0, 1, 2]
        await store.close()


async def test_damage_in_the_middle_costs_that_record_alone(tmp_path: Path) -> None:
    path = await filled(tmp_path, 4)
    one = len((await filled(tmp_path / "one", 1)).read_bytes())
    for offset in range(one, one + 60):
        data = bytearray((await filled(tmp_path / "fresh", 4)).read_bytes())
        data[offset] ^= 0xFF
        path.write_bytes(data)
        store = SignalStore(tmp_path, CountedClock())
        log = await store.open(OWNER, ONE)
        assert sequences(store) == [0, 2, 3]
        assert log.ledger.missing() == [(1, 1)]
        await store.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
async def test_full_disk_is_a_fault_and_nothing_half_written(tmp_path: Path, number: int) -> None:
    budget = [10_000]

    def write(descriptor: int, data: bytes, offset: int) -> int:
        room = min(len(data), budget[0])
        if not room:
            raise OSError(number, os.strerror(number))
        budget[0] -= room
        return os.pwrite(descriptor, data[:room], offset)

    store = SignalStore(tmp_path, CountedClock(), write=write)
    log = await store.open(OWNER, ONE)
    await log.append(frame(0))
    budget[0] = 20
    with pytest.raises(LocalProtocolError) as caught:
        await log.append(frame(1))
    assert caught.value.code.code == ("store_failed" if number == errno.EIO else "store_full")
    assert log.durable_sequence == 0
    budget[0] = 10_000
    await log.append(frame(1))
    assert sequences(store) == [0, 1]
    await store.close()


async def test_failed_sync_is_not_durable(tmp_path: Path) -> None:
    broken = [False]

    def sync(descriptor: int) -> None:
        if broken[0]:
            raise OSError(errno.EIO, "gone")

    store = SignalStore(tmp_path, CountedClock(), sync=sync)
    log = await store.open(OWNER, ONE)
    await log.append(frame(0))
    broken[0] = True
    with pytest.raises(LocalProtocolError, match="store_failed"):
        await log.append(frame(1))
    assert sequences(store) == [0]
    await store.close()


async def test_stream_with_another_lead_set_is_refused_and_marked(store: SignalStore) -> None:
    log = await store.open(OWNER, ONE)
    await log.append(frame(0))
    other = StreamDescriptor(STREAM, "ecg", "bed 1", 500.0, (Lead("I"),))
    with pytest.raises(RemoteProtocolError, match="signal_lead_set_changed"):
        await store.open(OWNER, other)
    await log.append(frame(1))
    assert sequences(store) == [0, 1]
    assert store.streams(OWNER)[0].marks == ("signal_lead_set_changed",)


async def test_open_twice_is_one_log_until_both_close(store: SignalStore) -> None:
    first, second = await store.open(OWNER, ONE), await store.open(OWNER, ONE)
    assert first is second
    await first.close()
    await second.append(frame(0))
    await second.close()
    third = await store.open(OWNER, ONE)
    assert third is not first
    assert third.durable_sequence == 0


async def test_read_by_time_uses_this_servers_clock(tmp_path: Path) -> None:
    """The device's clock is an hour slow; the extent and the bounds are on ours all the same."""
    clock = CountedClock(wall=T0_NS / 1e9 + 3600)
    store = SignalStore(tmp_path, clock)
    log = await store.open(OWNER, ONE)
    for sequence in range(20):
        clock.advance(0.1)
        await log.append(frame(sequence))
    extent = store.streams(OWNER)[0]
    base = T0_NS / 1e9 + 3600
    assert extent.start == pytest.approx(base, abs=1e-3)
    assert extent.end == pytest.approx(base + 2.0, abs=1e-3)
    assert extent.samples == 1000
    found = [f.sequence for f in store.read(OWNER, STREAM, base + 0.55, base + 0.95)]
    assert found == [5, 6, 7, 8, 9]
    await store.close()


@pytest.mark.parametrize("owner", ["", "..", "a/b", "/etc", "x" * 200])
async def test_owner_cannot_leave_the_directory(store: SignalStore, owner: str) -> None:
    with pytest.raises(LocalProtocolError, match="malformed"):
        await store.open(owner, ONE)


async def test_unknown_stream_is_not_found(store: SignalStore) -> None:
    with pytest.raises(LocalProtocolError, match="not_found"):
        list(store.read(OWNER, STREAM))
    assert store.streams(OWNER) == []


async def test_damaged_header_is_said_and_never_overwritten(tmp_path: Path) -> None:
    path = await filled(tmp_path, 2)
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    store = SignalStore(tmp_path, CountedClock())
    with pytest.raises(LocalProtocolError, match="store_damaged"):
        await store.open(OWNER, ONE)
    assert path.read_bytes() == data
    await store.close()


async def test_real_record_is_kept_sample_for_sample(store: SignalStore) -> None:
    waveform = read_file(sample_record())[0]
    assert [lead.code for lead in waveform.leads][:6] == ["I", "II", "III", "aVR", "aVL", "aVF"]
    assert {lead.scale for lead in waveform.leads} == {1.25}
    assert (waveform.sampling_rate_hz, waveform.samples.shape) == (1000.0, (10_000, 12))
    descriptor = waveform.descriptor(STREAM)
    log = await store.open(OWNER, descriptor)
    blocks = [waveform.samples[at : at + 100] for at in range(0, 10_000, 100)]
    frames = [
        Frame.of(descriptor, n, T0_NS + n * 10**8, block, FLAG_DELTA | (FLAG_SEAM if n == 50 else 0))
        for n, block in enumerate(blocks)
    ]
    await asyncio.gather(*(log.append(one) for one in frames))
    kept = to_array(store.read(OWNER, STREAM))
    assert hashlib.sha256(kept.tobytes()).digest() == hashlib.sha256(waveform.samples.tobytes()).digest()
    assert len(runs(store.read(OWNER, STREAM))) == 2
