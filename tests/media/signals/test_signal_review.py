"""A stored ECG looked at afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from loadtest import qrs_signals as made
from loadtest.qrs import match
from media.clock import CountedClock, SystemClock
from media.errors import RemoteProtocolError
from media.limits import ANALYSIS_REVIEW_S
from media.signals import Frame, Lead, SignalStore, StreamDescriptor
from media.signals.frames import FLAG_BACKFILL, FLAG_DELTA, encode
from media.signals.replay import frames_of
from media.signals.review import Review, review

STREAM = made.descriptor(2)
BEATS = made.beat_times([(75, 20.0), (150, 20.0)])
SAMPLES = made.digitised(made.ecg(BEATS, 40.0, 2))
START_S = 1_700_000_000


def frame(number: int, flags: int = FLAG_DELTA) -> Frame:
    samples = SAMPLES[number * 50 : number * 50 + 50]
    return Frame.of(STREAM, number, START_S * 10**9 + number * 10**8, samples, flags)


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> SignalStore:
    """40 s of an ECG; ten seconds of it came late, as after a cut."""
    clock = CountedClock(wall=START_S)
    kept = SignalStore(tmp_path, clock)
    log = await kept.open("room", STREAM)
    for number in range(400):
        clock.advance(0.1)
        if not 100 <= number < 200:
            await log.append(frame(number))
    for number in range(100, 200):
        await log.append(frame(number, FLAG_DELTA | FLAG_BACKFILL))
    await log.close()
    await kept.close()
    return kept


def looked_at(store: SignalStore) -> tuple[Review, float]:
    """The review, and where the stream begins on our clock."""
    path, index = store.opened("room", STREAM.stream_id)
    return review(index, frames_of(path, index, None, None)), index.stored().start


def test_beats_rate_and_quality_are_those_of_the_whole_record(store: SignalStore) -> None:
    found, start = looked_at(store)
    score = match(
        [beat for beat in BEATS if beat < 38.5], [beat - start for beat in found.beats if beat - start < 38.5]
    )
    assert (score.missed, score.extra) == (0, 0)
    assert len(found.points) == 40
    assert found.complete
    rates = {round(point.at - start): point.heart_rate for point in found.points}
    assert rates[15] == pytest.approx(75, abs=2)  # what came late is in its place
    assert rates[35] == pytest.approx(150, abs=2)
    assert {point.quality for point in found.points[10:]} == {"good"}


def test_what_is_longer_than_the_bound_is_said_to_be_cut() -> None:
    def endless() -> Iterator[bytes]:
        samples = SAMPLES[:500]
        for number in range(10_000):
            yield encode(Frame.of(STREAM, number, START_S * 10**9 + number * 10**9, samples))

    class Line:
        descriptor = STREAM

        def to_ours(self, _: object, device_ns: int) -> int:
            return device_ns

    found = review(Line(), endless())  # type: ignore[arg-type]
    assert not found.complete
    assert len(found.points) == ANALYSIS_REVIEW_S


async def test_what_is_no_ecg_is_refused(tmp_path: Path) -> None:
    kept = SignalStore(tmp_path, SystemClock())
    breath = StreamDescriptor(
        "6f1f3c1e-0000-4000-8000-0123456789ab", "respiration", "", 50.0, (Lead("RESP"),)
    )
    log = await kept.open("room", breath)
    await log.close()
    await kept.close()
    _, index = kept.opened("room", breath.stream_id)
    with pytest.raises(RemoteProtocolError, match="signal_unsupported"):
        review(index, [])
