"""Scores by golden values of the recommendation, causes by samples, and samples through a router."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import limits
from media.relay.quality import (
    delay_impairment,
    effective_impairment,
    judge,
    mos_of,
    picture_score,
    voice_mos,
)
from media.relay.samples import LineSample, TrackIn, TrackOut
from media.rtp import rtcp
from tests.media.relay.helpers import CHROMIUM, VP8_SIMULCAST, House, simulcast


@pytest.mark.parametrize(
    ("r", "mos"),
    [(93.2, 4.41), (90, 4.34), (80, 4.024), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0), (100, 4.5)],
)
def test_mos_of_r_as_in_annex_b(r: float, mos: float) -> None:
    assert mos_of(r) == pytest.approx(mos, abs=0.006)


@pytest.mark.parametrize(("delay", "idd"), [(0.05, 0.0), (0.1, 0.0), (0.2, 3.04), (0.4, 24.1), (0.8, 39.7)])
def test_delay_as_in_equation_7_27(delay: float, idd: float) -> None:
    assert delay_impairment(delay) == pytest.approx(idd, rel=0.03)


def test_loss_as_in_equation_7_29() -> None:
    assert effective_impairment(0.0, 1.0) == 0.0
    assert effective_impairment(0.05, 1.0) == pytest.approx(95 * 5 / 25)
    assert effective_impairment(0.05, 1.0, fec=False) == pytest.approx(95 * 5 / 15)
    assert effective_impairment(0.05, 2.0) == pytest.approx(95 * 5 / 22.5)


@pytest.mark.parametrize(
    ("loss", "burst", "delay", "mos"),
    [
        (0.0, 1, 0.08, 4.41),
        (0.03, 1, 0.08, 4.05),
        (0.1, 1, 0.08, 3.18),
        (0.1, 3, 0.08, 2.71),
        (0.0, 1, 0.4, 3.56),
    ],
)
def test_golden_voices(loss: float, burst: float, delay: float, mos: float) -> None:
    assert voice_mos(loss, burst, delay) == pytest.approx(mos, abs=0.01)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1, 20), st.floats(0, 3))
def test_more_loss_is_never_better(one: float, other: float, burst: float, delay: float) -> None:
    less, more = sorted((one, other))
    assert 1.0 <= voice_mos(more, burst, delay) <= voice_mos(less, burst, delay) + 1e-6 <= 4.5 + 1e-6


@pytest.mark.parametrize(
    ("picture", "score"),
    [
        (("camera", 24, 360, 0, 0), 5.0),
        (("camera", 30, 720, 0, 0), 5.0),
        (("camera", 6, 360, 0, 0), 3.0),
        (("camera", 24, 90, 0, 0), 3.0),
        (("camera", 24, None, 0.25, 0), 3.0),
        (("camera", 24, 360, 0, 0.05), 3.0),
        (("ultrasound", 15, 480, 0, 0), 5.0),
        (("screen", 0, 720, 0, 0), 5.0),
        (("camera", 0, 360, 1, 1), 1.0),
    ],
)
def test_golden_pictures(picture: tuple[str, float, int | None, float, float], score: float) -> None:
    assert picture_score(*picture) == pytest.approx(score, abs=0.01)


VOICE = TrackIn("audio", "microphone")
CAMERA = TrackIn("video", "camera", frame_rate=30, lines=720, layers=3, layers_alive=3)


@pytest.mark.parametrize(
    ("lines", "lateness", "cause", "values"),
    [
        ([LineSample((VOICE, CAMERA))], 0.0, "good", {}),
        ([LineSample((TrackIn("audio", "microphone", silent_s=2.5),))], 0.0, "no_media", {"tracks": 1}),
        ([LineSample((TrackIn("video", "screen", silent_s=5),))], 0.0, "good", {}),
        ([LineSample((VOICE,))], 0.25, "server_busy", {"lateMs": 250}),
        ([LineSample((TrackIn("audio", "microphone", loss=0.08),))], 0.0, "uplink_loss", {"percent": 8}),
        ([LineSample((VOICE,), (TrackOut("audio", loss=0.05),))], 0.0, "downlink_loss", {"percent": 5}),
        (
            [LineSample((VOICE,)), LineSample((), (TrackOut("video", allotted="paused"),), None, 304_000)],
            0.0,
            "downlink_slow",
            {"paused": 1, "reduced": 0, "kbps": 300},
        ),
        (
            [LineSample((TrackIn("video", "camera", frame_rate=30, layers=3, layers_alive=1),))],
            0.0,
            "uplink_slow",
            {"layersMissing": 2},
        ),
        ([LineSample((VOICE,), (), 0.512)], 0.0, "round_trip", {"ms": 510}),
        ([], 0.0, "good", {}),
    ],
)
def test_causes(lines: list[LineSample], lateness: float, cause: str, values: dict[str, int]) -> None:
    quality = judge(lines, lateness)
    assert (quality.cause, quality.values) == (cause, values)


def test_scores_are_the_worst_and_absent_without_tracks() -> None:
    assert (judge([], 0.0).mos, judge([], 0.0).score) == (None, None)
    lines = [LineSample((VOICE, CAMERA)), LineSample((), (TrackOut("audio", loss=0.1),))]
    assert judge(lines, 0.0).mos == 3.2
    assert judge(lines, 0.0).score == 5.0
    thin = LineSample((), (TrackOut("video"), TrackOut("video", allotted="reduced", frame_share=0.25)))
    assert judge([LineSample((CAMERA,)), thin], 0.0).score == 4.0
    silent = TrackIn("audio", "microphone", silent_s=9), TrackIn("video", "camera", silent_s=9)
    assert (judge([LineSample(silent)], 0.0).mos, judge([LineSample(silent)], 0.0).score) == (1.0, 1.0)


def test_samples_through_a_router() -> None:
    house = House()
    clinic, up = house.peer()
    expert, down = house.peer()
    producer = clinic.produce("video", VP8_SIMULCAST, "camera")
    consumer = expert.consume(producer.id, CHROMIUM, paused=False)
    layers = simulcast(house, up)

    def run(seconds: float, *, lose_every: int = 0) -> None:
        for frame in range(round(seconds * 30)):
            for layer in layers:
                lose = frozenset({0}) if lose_every and frame % lose_every == 0 else frozenset()
                layer.frame(key=frame == 0, lose=lose)
            house.run(1 / 30)

    def last() -> tuple[LineSample, LineSample]:
        samples = house.listener.named("lines_sampled")[-1][1]
        return samples[clinic.id], samples[expert.id]

    run(6.1)
    sent, got = last()
    track = sent.incoming[0]
    assert track.frame_rate == pytest.approx(30, abs=1)
    assert (track.loss, track.frozen, track.layers, track.layers_alive) == (0.0, 0.0, 3, 3)
    assert track.lines == 480
    assert judge([sent, got], 0.0).cause == "good"

    run(3.0, lose_every=5)
    track = last()[0].incoming[0]
    assert track.loss == pytest.approx(0.1, abs=0.02)  # one packet of ten: two a frame, each fifth frame
    assert track.lost_for_good == track.loss
    assert judge(list(last()), 0.0).cause == "uplink_loss"

    highest = 1000
    for lost in (0, 30):
        block = rtcp.ReportBlock(consumer.ssrc, 0, lost, highest)
        down.handlers.rtcp_received(rtcp.pack(rtcp.ReceiverReport(1, (block,))), house.now)
        run(3.0)
        highest += 300
    assert last()[1].outgoing[0].loss == pytest.approx(0.1)

    house.run(1.2)
    run(2.0)
    assert last()[0].incoming[0].frozen == pytest.approx(1.2 / limits.QUALITY_INTERVAL_S, abs=0.05)
    house.run(4.0)
    track = last()[0].incoming[0]
    assert track.silent_s > limits.SILENT_TRACK_S
    producer.pause()
    house.run(3.1)
    assert last()[0].incoming == ()
    assert last()[1].outgoing == ()


def test_what_comes_late_is_told() -> None:
    house = House()
    clinic, _ = house.peer()
    expert, _ = house.peer()
    expert.consume(clinic.produce("video", VP8_SIMULCAST, "camera").id, CHROMIUM, paused=False)
    house.run(4.0)
    house.clock.advance(house.router.due - house.now + 0.5)
    house.router.tick(house.now)
    house.run(3.0)
    assert house.listener.named("lines_sampled")[-1][2] == pytest.approx(0.5, abs=0.01)
    house.run(3.0)
    assert house.listener.named("lines_sampled")[-1][2] < 0.05
