"""How samples of a page become figures, and figures shortfalls."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.network_cases import CASES, chosen, shortfalls
from loadtest.network_figures import (
    by_step,
    clinical_order_kept,
    concealed_by_part,
    full_again,
    media_back,
    of_window,
    ways,
)


def sample(
    at: float,
    *,
    height: int = 540,
    rate: float = 20,
    sound: int = 0,
    concealed: int = 0,
    last: float = 0,
    gaps: tuple[tuple[float, float], ...] = (),
    **video: float,
) -> dict[str, Any]:
    camera = {"source": "camera", "kind": "video", "frameHeight": height, "framesPerSecond": rate, **video}
    microphone = {
        "source": "microphone",
        "kind": "audio",
        "packetsReceived": sound,
        "totalSamplesReceived": sound * 960,
        "concealedSamples": concealed,
        "silentConcealedSamples": 0,
    }
    return {
        "at": at,
        "inbound": [camera, microphone],
        "pictures": {"camera": {"last": last, "count": 1, "gaps": [list(gap) for gap in gaps]}},
        "ecg": {"samples": at, "sequence": int(at / 100), "gaps": 0, "delays": [100.0, 300.0]},
        "phase": "joined",
    }


def test_a_window_counts_only_what_happened_in_it() -> None:
    first = sample(
        0, sound=100, concealed=50, freezeCount=2, totalFreezesDuration=1.0, bytesReceived=1000, packetsLost=5
    )
    last = sample(
        30_000,
        sound=1600,
        concealed=50 + 14_400,
        gaps=((-5000, 3000), (-100, 400), (9000, 700)),
        freezeCount=5,
        totalFreezesDuration=2.5,
        bytesReceived=376_000,
        packetsLost=7,
    )
    figures = of_window([first, last], 0)
    assert figures["longest_freeze_ms"] == 700
    assert figures["audio_concealed_percent"] == 1.0
    assert figures["camera"]["freezes_per_minute"] == 6.0
    assert figures["camera"]["frozen_percent"] == 5.0
    assert figures["camera"]["kbps"] == 100
    assert figures["camera"]["packets_lost_after_repair"] == 2
    assert figures["ecg_samples_per_second"] == 1000
    assert figures["ecg_gaps"] == 0


def test_a_gap_over_the_begin_counts_and_one_before_it_does_not() -> None:
    last = sample(10_000, gaps=((-100, 450),))
    assert of_window([sample(0), last], 0)["longest_freeze_ms"] == 450
    last = sample(10_000, gaps=((-500, 450),))
    assert of_window([sample(0), last], 0)["longest_freeze_ms"] == 0


@pytest.mark.parametrize(
    ("pause", "longest"),
    [
        ((2000, 9000), 1000),
        ((1000, 9500), 500),
        ((0, 20_000), 0),
        ((20_000, 30_000), 9000),
        ((4000, 5000), 5000),
    ],
)
def test_what_was_told_to_be_paused_is_no_freeze(pause: tuple[float, float], longest: float) -> None:
    samples = [sample(0), sample(20_000, gaps=((1000, 9000),))]
    assert of_window(samples, 0, {"camera": [pause]})["longest_freeze_ms"] == longest


def test_a_picture_that_stands_at_the_end_does_not_move() -> None:
    assert of_window([sample(0), sample(20_000, last=19_900)], 0)["sources_moving"] == ["camera"]
    assert of_window([sample(0), sample(20_000, last=18_000)], 0)["sources_moving"] == []


def test_a_new_receiver_counts_from_its_own_begin() -> None:
    figures = of_window([sample(0, sound=500, concealed=10_000), sample(1000, sound=50, concealed=480)], 0)
    assert figures["audio_concealed_percent"] == 1.0


def test_no_sound_is_not_good_sound() -> None:
    assert of_window([sample(0, sound=9), sample(1000, sound=9)], 0)["audio_concealed_percent"] is None


def test_full_quality_needs_resolution_and_rate() -> None:
    before = sample(0, height=540, rate=20)
    assert full_again(sample(1, height=540, rate=18), before)
    assert not full_again(sample(1, height=270, rate=20), before)
    assert not full_again(sample(1, height=540, rate=8), before)


def stepped(camera: tuple[int, float], ultrasound: tuple[int, float]) -> dict[str, Any]:
    return {
        name: {"height_at_end": height, "frames_per_second": rate}
        for name, (height, rate) in (("camera", camera), ("ultrasound", ultrasound))
    }


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ([stepped((540, 20), (480, 30))], True),
        ([stepped((270, 20), (480, 30)), stepped((135, 5), (480, 10))], True),
        ([stepped((540, 20), (480, 12))], False),
        ([stepped((540, 20), (240, 30)), stepped((135, 20), (240, 30))], False),
        ([{"camera": {"height_at_end": 540, "frames_per_second": 20}}], False),
    ],
)
def test_the_camera_is_lowered_before_the_ultrasound(steps: list[dict[str, Any]], kept: bool) -> None:
    baseline = sample(0)
    baseline["inbound"].append({"source": "ultrasound", "frameHeight": 480, "framesPerSecond": 30})
    assert clinical_order_kept(steps, baseline) is kept


def test_each_step_has_its_own_figures() -> None:
    samples = [sample(at, bytesReceived=at * (1 if at <= 10_000 else 2)) for at in range(0, 20_001, 1000)]
    first, second = by_step(samples, [0, 10_000])
    assert (first["at_s"], second["at_s"]) == (0, 10)
    assert first["camera"]["kbps"] == 8
    assert second["camera"]["kbps"] > 16


def test_media_is_back_with_picture_and_sound_after_what_was_on_its_way() -> None:
    samples = [
        sample(1000, last=990, sound=10),
        sample(1050, last=1040, sound=12),
        sample(1200, last=1100, sound=12),
        sample(2000, last=1900, sound=12),
        sample(2500, last=2450, sound=13),
        sample(2600, last=2550, sound=14),
    ]
    assert media_back(samples, 1000) == 1.5
    assert media_back(samples[:4], 1000) is None


HELD = {
    "longest_freeze_ms": 100,
    "audio_concealed_percent": 0.1,
    "settled_concealed_percent": 0.0,
    "transition_concealed_ms": 300,
    "ecg_gaps": 0,
    "sources_moving": ["camera"],
}


@pytest.mark.parametrize(
    ("case", "figures", "words"),
    [
        ("loss-3", {"longest_freeze_ms": 501}, "501"),
        ("loss-10", {"audio_concealed_percent": 2.1}, "2.1"),
        ("loss-10", {"audio_concealed_percent": None}, "never came"),
        ("rate-300", {**HELD, "ecg_gaps": 1}, "ecg_gaps"),
        ("rate-300", {**HELD, "sources_moving": []}, "no picture"),
        ("shrink", {**HELD, "recovered_after_s": 3, "clinical_order_kept": False}, "before the camera"),
        ("shrink", {**HELD, "recovered_after_s": None}, "recovered"),
        ("step-300", {"recovered_after_s": 11}, "recovered"),
        ("address-change", {"media_back_after_s": 2.5}, "2.5"),
        ("village-cut-10s", {"media_back_after_s": 1, "same_identity": False}, "another peer"),
    ],
)
def test_what_is_missed_is_said(case: str, figures: dict[str, Any], words: str) -> None:
    (sentence,) = shortfalls(case, figures)
    assert sentence.startswith(case)
    assert words in sentence


def test_what_is_met_is_not_said() -> None:
    assert shortfalls("loss-3", {"longest_freeze_ms": 500}) == []
    assert shortfalls("clean", {}) == []
    assert shortfalls("cut-10s", {"media_back_after_s": 3.0, "same_identity": True}) == []


def test_sound_is_judged_before_and_after_a_line_has_settled() -> None:
    samples = [
        sample(0, sound=50, concealed=4_800),
        sample(1_000, sound=100, concealed=19_200),
        sample(3_100, sound=200, concealed=24_000),
        sample(13_100, sound=700, concealed=24_000 + 2_400),
    ]
    assert concealed_by_part(samples, 3_000) == {
        "transition_concealed_ms": 400,
        "settled_concealed_percent": 0.5,
    }
    assert concealed_by_part(samples[:2], 3_000) == {
        "transition_concealed_ms": None,
        "settled_concealed_percent": None,
    }
    late = HELD | {"transition_concealed_ms": 501}
    assert shortfalls("rate-300", late) == ["rate-300: transition_concealed_ms is 501, the limit is 500"]
    assert len(shortfalls("rate-300", late | {"settled_concealed_percent": 1.1})) == 2


def test_cases_are_chosen_by_name() -> None:
    assert chosen("") == CASES
    assert [case.name for case in chosen("rate-300, clean")] == ["rate-300", "clean"]
    with pytest.raises(ValueError, match="no case is called bad"):
        chosen("clean,bad")


def test_conditions_say_all_that_is_needed() -> None:
    (case,) = chosen("burst-10")
    assert case.conditions()["steps"] == [
        {"at_s": 0.0, "round_trip_ms": 20, "loss_percent": 10, "burst_packets": 5, "rate_kbps": None}
    ]
    (case,) = chosen("cut-10s")
    assert [step.get("cut") for step in case.conditions()["steps"]] == [True, None]


def test_the_longest_freeze_says_whose_and_since_when() -> None:
    last = sample(20_000, gaps=((1000, 300), (4000, 900), (9000, 700)))
    assert of_window([sample(0), last], 500)["longest_freeze_of"] == {"source": "camera", "at_s": 3.5}
    pauses = {"camera": [(4200.0, 4800.0)]}
    assert of_window([sample(0), last], 500, pauses)["longest_freeze_of"] == {"source": "camera", "at_s": 8.5}
    assert of_window([sample(0), sample(20_000)], 500)["longest_freeze_of"] is None


def test_the_ways_of_media_are_told() -> None:
    def at(*found: tuple[bool, str]) -> dict[str, Any]:
        return {"ways": [{"framed": framed, "fragment": fragment} for framed, fragment in found]}

    still = at((True, "a"), (True, "b"))
    assert ways([still, still]) == {"connections_in_frame": True, "ice_restarts": 0}
    assert ways([still, at((True, "c"), (True, "b"))]) == {"connections_in_frame": True, "ice_restarts": 1}
    assert not ways([still, at((False, "a"), (True, "b"))])["connections_in_frame"]
