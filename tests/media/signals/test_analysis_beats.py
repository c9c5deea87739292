"""Beats, rate and quality of made ECGs, played block by block."""

from __future__ import annotations

import numpy as np
import pytest

from loadtest import qrs_signals as made
from loadtest.qrs import EPOCH, Played, match, play
from media.signals.analysis.alarms import AlarmLimits
from media.signals.analysis.analyzer import Block, StreamAnalyzer, can_analyse
from media.signals.analysis.filters import QrsFilter, ricker
from media.signals.analysis.quality import ALIKE_FAIR, alike
from media.signals.analysis.rate import Intervals
from media.signals.descriptor import Lead, StreamDescriptor

QUIET_UV = 15.0


def beating(rate: float = 75, seconds: float = 30.0, leads: int = 12) -> made.Microvolts:
    signal = made.ecg(made.beat_times([(rate, seconds)]), seconds, leads)
    return signal + made.white(signal.shape, QUIET_UV, seed=1)


def played(signal: made.Microvolts) -> Played:
    return play(made.digitised(signal), made.descriptor(len(signal)))


def response_db(hz: float) -> float:
    taps = ricker(250.0)
    at = np.arange(len(taps)) - len(taps) // 2
    return float(20 * np.log10(abs(np.sum(taps * np.cos(2 * np.pi * hz / 250 * at)))))


def test_the_filter_keeps_qrs_and_nothing_of_baseline_and_mains() -> None:
    assert response_db(11.5) == pytest.approx(0, abs=0.01)
    assert response_db(0.5) < -40
    assert response_db(50) < -50
    assert response_db(60) < -50


def test_the_filter_delays_by_what_it_says_whatever_the_blocks() -> None:
    signal = np.zeros((1, 500), np.float32)
    signal[0, 200] = 1
    whole = QrsFilter(1, 250.0)
    expected = whole.push(signal)
    assert int(np.argmax(expected[0])) == 200 + whole.delay
    assert whole.delay_s == pytest.approx(0.072)
    parts = QrsFilter(1, 250.0)
    found = np.concatenate([parts.push(part) for part in np.array_split(signal, 23, axis=1)], axis=1)
    assert np.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [125.0, 250.0, 360.0, 500.0, 1000.0])
def test_every_beat_is_found_where_it_is(rate_hz: float) -> None:
    times = made.beat_times([(90, 30.0)])
    signal = made.ecg(times, 30.0, 3, rate_hz) + made.white((3, round(30 * rate_hz)), QUIET_UV, 2)
    found = play(made.digitised(signal), made.descriptor(3, rate_hz)).beats
    inside = [time for time in times if time < 29.3]
    assert match(inside, found, window_s=0.01).missed == 0
    assert match(inside, [beat for beat in found if beat < 29.3], window_s=0.01).extra == 0


@pytest.mark.parametrize("per_block", [125, 333, 500, 1700])
def test_blocks_of_any_length_tell_the_same_beats(per_block: int) -> None:
    samples, stream = made.digitised(beating()), made.descriptor()
    analyzer = StreamAnalyzer(stream, AlarmLimits())
    beats: list[float] = []
    for first in range(0, len(samples), per_block):
        block = Block(EPOCH + first / 500, samples[first : first + per_block])
        beats += analyzer.push([block], 0.0).analysis.beats
    expected = play(samples, stream).beats
    assert match(expected, [beat - EPOCH for beat in beats], window_s=0.005).found >= len(expected) - 1


def test_half_a_millivolt_counts_and_a_tenth_and_a_half_does_not() -> None:
    """IEC 60601-2-27, 201.12.1.101.4: as a single lead."""
    lead_two = beating(leads=2)[1:]
    assert len(played(lead_two * 0.5).beats) > 30
    assert not played(lead_two * 0.15).beats


def test_tall_t_waves_are_no_beats() -> None:
    """As tall as R, as in a high potassium: the rate is not doubled."""
    clock = np.arange(15_000) / made.RATE_HZ
    signal = beating(70, leads=3)
    for time in made.beat_times([(70, 30.0)]):
        signal += 900 * np.exp(-(((clock - time - 0.28) / 0.05) ** 2) / 2)
    assert {analysis.heart_rate for analysis in played(signal).analyses[10:]} == {70}


def test_two_shapes_in_turn_are_still_a_rhythm() -> None:
    """Bigeminy: every other beat is wide and early."""
    times = made.beat_times([(80, 40.0)])
    times[1::2] -= 0.2
    signal = made.ecg(times[::2], 40.0, 3)
    clock = np.arange(signal.shape[1]) / made.RATE_HZ
    for time in times[1::2]:
        wide = np.exp(-(((clock - time) / 0.035) ** 2) / 2) - 0.5 * np.exp(
            -(((clock - time - 0.25) / 0.07) ** 2)
        )
        signal += 1800 * wide * np.array([[1.0], [-0.8], [0.6]])
    last = played(signal + made.white(signal.shape, QUIET_UV, 3)).analyses[-5:]
    assert all(analysis.quality in ("good", "fair") for analysis in last)
    assert all(analysis.heart_rate is not None and 76 <= analysis.heart_rate <= 84 for analysis in last)


def test_a_lead_that_falls_off_is_named_and_others_take_over() -> None:
    samples = made.digitised(beating(seconds=40.0))
    for lead in (9, 10, 11):  # the tallest ones
        samples[10_000:, lead] = 32_767
    told = play(samples, made.descriptor())
    last = told.analyses[-1]
    assert [code for code, grade in last.leads.items() if grade == "off"] == ["V4", "V5", "V6"]
    assert (last.heart_rate, last.quality) == (75, "good")
    assert told.first("lead_off") <= 25
    assert not told.of_the_heart


def test_a_noisy_lead_is_graded_and_not_used() -> None:
    signal = beating(seconds=40.0)
    signal[9] += made.white((1, signal.shape[1]), 900, 4)[0]
    signal[10] += made.motion((1, signal.shape[1]), 1200, 5)[0]
    last = played(signal).analyses[-1]
    assert last.leads["V4"] == "poor"
    assert last.leads["V5"] in ("poor", "fair")
    assert (last.heart_rate, last.quality) == (75, "good")


def test_noise_has_no_rate() -> None:
    shape = (3, 15_000)
    for noise in (made.white(shape, 150, 6), made.motion(shape, 600, 7), made.mains(shape, 1500)):
        told = played(noise)
        assert {analysis.heart_rate for analysis in told.analyses} == {None}
        assert told.analyses[-1].quality == "poor"


def test_beats_of_an_ecg_look_alike_and_peaks_of_noise_do_not() -> None:
    rng = np.random.default_rng(8)
    noise = rng.normal(0, 1, (1, 8, 60)).astype(np.float32)
    beat = rng.normal(0, 1, (1, 1, 60)).astype(np.float32) + 0.2 * noise
    assert alike(beat @ beat.transpose(0, 2, 1)) == [1.0]
    assert alike(noise @ noise.transpose(0, 2, 1))[0] < ALIKE_FAIR


def test_a_hole_begins_anew_and_is_no_pause() -> None:
    samples, stream = made.digitised(beating(seconds=60.0)), made.descriptor()
    analyzer = StreamAnalyzer(stream, AlarmLimits())
    kinds, rates = set(), []
    for second in [*range(20), *range(32, 60)]:
        block = Block(EPOCH + second, samples[second * 500 : second * 500 + 500], second != 32)
        found = analyzer.push([block], 0.0)
        kinds |= {condition.kind for condition in found.conditions}
        rates.append(found.analysis.heart_rate)
    assert not kinds
    assert rates[19] == rates[-1] == 75
    assert rates[20] is None


def test_what_can_be_analysed() -> None:
    volt = (Lead("I", unit="mV"),)
    assert can_analyse(StreamDescriptor("s", "ecg", "", 250.0, volt))
    assert not can_analyse(StreamDescriptor("s", "resp", "", 250.0, volt))
    assert not can_analyse(StreamDescriptor("s", "ecg", "", 50.0, volt))
    assert not can_analyse(StreamDescriptor("s", "ecg", "", 250.0, (Lead("I", unit="mmHg"),)))


def test_variability_leaves_early_beats_out() -> None:
    """Every interval 800 or 840 ms in turn; one beat comes early and its neighbour late."""
    intervals = Intervals()
    time = 0.0
    for number in range(101):
        intervals.push(time + (-0.3 if number == 50 else 0.0))
        time += 0.8 if number % 2 else 0.84
    figures = intervals.figures()
    assert figures is not None
    assert figures.beats == 99
    assert figures.mean_ms == pytest.approx(820, abs=0.1)
    assert figures.sdnn_ms == pytest.approx(20.1, abs=0.1)
    assert figures.rmssd_ms == pytest.approx(40)
    assert figures.pnn50_percent == 0


def test_a_missed_beat_does_not_halve_the_rate() -> None:
    intervals = Intervals()
    for number in range(9):
        if number != 5:
            intervals.push(number * 0.8)
    rate = intervals.rate()
    assert rate is not None
    assert rate == pytest.approx(75)


def test_a_lead_that_is_cut_off_at_its_range_is_poor() -> None:
    signal = beating(leads=3)
    signal[1] = np.clip(signal[1] * 40, -2000, 2000)
    last = played(signal).analyses[-1]
    assert last.leads["II"] == "poor"
    assert (last.leads["I"], last.heart_rate) == ("good", 75)


def test_the_widest_swing_of_int16_is_not_a_flat_line() -> None:
    samples = np.zeros((5000, 1), np.int16)
    samples[::2], samples[1::2] = -32_768, 32_767
    last = play(samples, made.descriptor(1)).analyses[-1]
    assert last.leads == {"I": "poor"}
