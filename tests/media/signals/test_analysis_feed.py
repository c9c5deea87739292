"""What reaches the analyzer, what is left out, and what a room is told of it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from itertools import count

import pytest

from loadtest import qrs_signals as made
from media.errors import RemoteProtocolError
from media.limits import ANALYSIS_ROUND_S, ANALYSIS_STREAMS_KEPT, ANALYSIS_WAITING_S, SIGNAL_VIEWER_TEXTS
from media.signals import wire
from media.signals.analysis.alarms import NO_DATA_S, AlarmLimits, Condition
from media.signals.analysis.analyzer import Findings
from media.signals.analysis.board import AnalysisBoard
from media.signals.analysis.feed import AnalysisFeed
from media.signals.analysis.findings import Alarm, Analysis
from media.signals.fanout import SignalFanout, ViewerQueue
from media.signals.frames import FLAG_BACKFILL, FLAG_DELTA, FLAG_SEAM, Frame, encode, payload_of, read_header
from signaling.limits import ANALYSIS_BUSY_ROUND_S

STREAM = made.descriptor(2)
SAMPLES = made.digitised(made.ecg(made.beat_times([(75, 60.0)]), 60.0, 2))


def frame(number: int, flags: int = FLAG_DELTA, sequence: int | None = None, late_ns: int = 0) -> bytes:
    samples = SAMPLES[number * 50 : number * 50 + 50]
    at = number if sequence is None else sequence
    return encode(Frame.of(STREAM, at, 10**18 + number * 10**8 + late_ns, samples, flags))


def put(feed: AnalysisFeed, *datas: bytes, now: float = 0.0) -> None:
    for data in datas:
        header = read_header(data)
        feed.put(header, payload_of(data, header), now)


def feed() -> AnalysisFeed:
    return AnalysisFeed(STREAM, AlarmLimits(), now=0.0)


def test_a_second_of_signal_is_a_round_and_a_second_of_waiting_too() -> None:
    waiting = feed()
    put(waiting, *(frame(number) for number in range(9)))
    assert waiting.take(0.5) is None
    put(waiting, frame(9))
    batch = waiting.take(0.5)
    assert batch is not None
    assert len(batch.frames) == 10
    put(waiting, frame(10))
    assert waiting.take(1.4) is None
    assert waiting.take(1.5) is not None
    assert waiting.take(9.0) is None


@pytest.mark.parametrize("round_s", [ANALYSIS_ROUND_S, ANALYSIS_BUSY_ROUND_S])
def test_longer_rounds_find_the_same_beats(round_s: float) -> None:
    waiting = feed()
    beats: list[float] = []
    for number in range(600):
        put(waiting, frame(number), now=number / 10)
        batch = waiting.take(number / 10, round_s)
        if batch is not None:
            findings = waiting.analyse(batch, 0.0)
            beats += findings.analysis.beats
            assert not findings.conditions
    rhythm = [later - earlier for earlier, later in itertools.pairwise(beats)]
    assert len(beats) in (73, 74, 75)
    assert rhythm == pytest.approx([0.8] * len(rhythm), abs=0.004)
    assert findings.analysis.quality == "good"


def test_backfill_and_repeated_frames_are_left_alone() -> None:
    waiting = feed()
    put(waiting, frame(5), frame(6), frame(6), frame(2, FLAG_DELTA | FLAG_BACKFILL), frame(4))
    batch = waiting.take(1.0)
    assert batch is not None
    assert [waited.header.sequence for waited in batch.frames] == [5, 6]


@pytest.mark.parametrize(
    "second",
    [
        frame(12, sequence=12),
        frame(11, FLAG_DELTA | FLAG_SEAM),
        frame(11, late_ns=10**9),
    ],
)
def test_a_hole_a_seam_and_a_clock_that_was_set_begin_anew(second: bytes) -> None:
    waiting = feed()
    put(waiting, frame(10), second)
    batch = waiting.take(1.0)
    assert batch is not None
    assert [waited.follows for waited in batch.frames] == [False, False]


def test_a_server_that_is_behind_skips_and_says_how_much() -> None:
    waiting = feed()
    put(waiting, *(frame(number) for number in range(round(ANALYSIS_WAITING_S * 10) + 11)))
    batch = waiting.take(1.0)
    assert batch is not None
    assert len(batch.frames) == 10
    assert batch.skipped_s == pytest.approx(ANALYSIS_WAITING_S + 0.1)
    assert waiting.analyse(batch, 5.0).analysis.skipped_s == batch.skipped_s


def test_the_analysis_of_batches_is_that_of_the_record() -> None:
    waiting, beats = feed(), 0
    for number in range(600):
        put(waiting, frame(number), now=number / 10)
        batch = waiting.take(number / 10)
        if batch is not None:
            found = waiting.analyse(batch, number / 10)
            beats += len(found.analysis.beats)
    assert found.analysis.heart_rate == 75
    assert beats == pytest.approx(75, abs=1)


def test_a_silent_stream_says_so_until_it_is_heard_again() -> None:
    waiting = feed()
    put(waiting, frame(0), now=1.0)
    assert waiting.silent(1.0 + NO_DATA_S - 0.1) is None
    assert waiting.silent(1.0 + NO_DATA_S) == Condition("no_data", "medium", {"seconds": 10})
    waiting.begin_again(12.0)
    assert waiting.silent(12.1) is None


ANALYSIS = Analysis(STREAM.stream_id, 1.0, 100.0, 150, "good", {"I": "good"}, None, (99.0,), 50, 120)
FAST = Condition("tachycardia", "medium", {"heartRate": 150, "limit": 120})


def board() -> AnalysisBoard:
    numbers = count()
    return AnalysisBoard(lambda: f"a-{next(numbers)}")


def found(device_time: float, *conditions: Condition) -> Findings:
    told = replace(ANALYSIS, device_time=device_time, at=device_time, beats=(device_time - 1,))
    return Findings(told, conditions)


def test_a_new_viewer_hears_the_last_ten_seconds_of_beats_and_what_stands() -> None:
    told = board()
    for second in range(100, 130):
        told.found(STREAM, found(float(second), FAST))
    analysis, alarm = told.hello()
    assert f'"beats":{[float(second) for second in range(119, 129)]}'.replace(" ", "") in analysis
    assert '"type":"alarm"' in alarm
    told.ended(STREAM.stream_id, 131.0)
    assert len(list(told.hello())) == 2
    (standing,) = told.found(STREAM, found(132.0, FAST))
    told.acknowledge(standing.id, "wang", "expert", 133.0)
    told.ended(STREAM.stream_id, 134.0)
    assert len(list(told.hello())) == 1


def test_silence_leaves_what_held_and_frames_end_it() -> None:
    told, silent = board(), Condition("no_data", "medium", {"seconds": 10})
    assert told.silent(STREAM.stream_id, silent, 1.0) == []
    told.found(STREAM, found(100.0, FAST))
    (raised,) = told.silent(STREAM.stream_id, silent, 111.0)
    assert (raised.kind, raised.active) == ("no_data", True)
    assert told.silent(STREAM.stream_id, silent, 112.0) == []
    (over,) = told.found(STREAM, found(113.0, FAST))
    assert (over.kind, over.over) == ("no_data", True)


def test_streams_without_end_do_not_fill_a_room() -> None:
    told = board()
    alarms: list[Alarm] = []
    for number in range(ANALYSIS_STREAMS_KEPT + 1):
        alarms += told.found(replace(STREAM, stream_id=f"s-{number}"), found(100.0, FAST))
    assert told.acknowledge(alarms[1].id, "wang", "expert", 2.0) is not None
    with pytest.raises(RemoteProtocolError, match="not_found"):
        told.acknowledge(alarms[0].id, "wang", "expert", 2.0)


def test_a_slow_viewer_hears_the_last_word_of_each_stream() -> None:
    fanout = SignalFanout()
    queue = fanout.add_viewer(lambda: None)
    assert queue.pop() == wire.streams([])
    for number in range(3 * SIGNAL_VIEWER_TEXTS):
        fanout.tell_latest("s-1", f"one {number}")
        fanout.tell_latest("s-2", f"two {number}")
    assert queue.fault is None
    last = 3 * SIGNAL_VIEWER_TEXTS - 1
    assert [queue.pop(), queue.pop(), queue.pop()] == [f"one {last}", f"two {last}", None]
    fanout.tell_latest("s-1", "again")
    assert queue.pop() == "again"


def test_a_viewer_that_was_cut_off_is_told_nothing_more() -> None:
    queue = ViewerQueue(lambda: None)
    queue.put_latest("s", "state")
    for _ in range(SIGNAL_VIEWER_TEXTS):
        queue.put("event")
    assert queue.fault is not None
    queue.put_latest("s", "state")
    assert queue.pop() is None
