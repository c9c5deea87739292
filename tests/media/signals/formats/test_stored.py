"""A stored stream becomes files without a loss: holes, seams, marks and bounds where they belong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from media.clock import CountedClock
from media.errors import LocalProtocolError
from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.formats import FORMATS, About, Gap, Note, read_file
from media.signals.formats.source import Source
from media.signals.formats.stored import stored_source
from media.signals.frames import FLAG_DELTA, FLAG_SEAM, Frame
from media.signals.store import SignalStore

STREAM = "00112233-4455-6677-8899-aabbccddeeff"
ONE = StreamDescriptor(STREAM, "ecg", "bed 1", 500.0, (Lead("I", "I", 1.25), Lead("II", "II", 1.25)))
OWNER = "c-room"
T0_S = 1_767_225_600
SAMPLES = np.random.default_rng(3).integers(-2000, 2000, (500, 2)).astype(np.int16)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SignalStore]:
    clock = CountedClock()
    clock.advance(T0_S - clock.wall())
    store = SignalStore(tmp_path / "store", clock)
    log = await store.open(OWNER, ONE)
    # Ten frames of 0.1 s; number 4 never came, and before number 7 the source began anew, 0.35 s later.
    for sequence in (0, 1, 2, 3, 5, 6, 7, 8, 9):
        begin_s = T0_S + sequence * 0.1 + (0.35 if sequence >= 7 else 0)
        clock.advance(begin_s + 0.1 - clock.wall())
        flags = FLAG_DELTA | (FLAG_SEAM if sequence == 7 else 0)
        block = SAMPLES[sequence * 50 : sequence * 50 + 50]
        await log.append(Frame.of(ONE, sequence, round(begin_s * 1000) * 1_000_000, block, flags))
    await log.mark("signal_rate_changed")
    yield store
    await store.close()


KEPT = np.delete(SAMPLES, np.s_[200:250], axis=0)


def samples(source: Source) -> np.ndarray:
    return np.concatenate(list(source.blocks()))


async def test_holes_seams_and_marks_lie_where_the_clock_says(store: SignalStore) -> None:
    source = stored_source(store, OWNER, STREAM)
    assert source.gaps == (Gap(200, 50), Gap(300, 175))
    assert source.notes == (Note(525, '"', "seam"), Note(674, '"', "mark signal_rate_changed"))
    assert np.array_equal(samples(source), KEPT)
    assert (source.kind, source.label, source.sampling_rate_hz) == ("ecg", "bed 1", 500.0)
    assert source.start_ns == T0_S * 10**9


@pytest.mark.parametrize("kind", FORMATS)
async def test_every_format_gives_the_stored_samples_back(
    store: SignalStore, tmp_path: Path, kind: str
) -> None:
    source = stored_source(store, OWNER, STREAM)
    path = tmp_path / "export"
    with path.open("w+b") as file:
        FORMATS[kind].write(source, About(STREAM), file)
    (found,) = read_file(path)
    assert np.array_equal(found.samples, KEPT)
    assert (found.leads, found.sampling_rate_hz) == (ONE.leads, 500.0)
    assert (found.gaps, found.notes, found.start_ns) == (source.gaps, source.notes, source.start_ns)


async def test_bounds_take_whole_frames(store: SignalStore) -> None:
    source = stored_source(store, OWNER, STREAM, T0_S + 0.15, T0_S + 0.31)
    assert np.array_equal(samples(source), SAMPLES[50:200])
    assert source.start_ns == T0_S * 10**9 + 100_000_000


async def test_nothing_in_that_time_is_an_error(store: SignalStore) -> None:
    with pytest.raises(LocalProtocolError, match="signal_export_empty"):
        stored_source(store, OWNER, STREAM, T0_S + 100, T0_S + 200)


async def test_what_is_appended_while_a_file_is_written_is_not_in_it(store: SignalStore) -> None:
    source = stored_source(store, OWNER, STREAM)
    log = await store.open(OWNER, ONE)
    await log.append(Frame.of(ONE, 4, T0_S * 10**9 + 400_000_000, SAMPLES[200:250]))
    assert np.array_equal(samples(source), KEPT)
    assert np.array_equal(samples(stored_source(store, OWNER, STREAM)), SAMPLES)
