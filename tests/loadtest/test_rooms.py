"""Scenario files, figures of rooms, the knee."""

from __future__ import annotations

import math
import tomllib
import uuid
from typing import Any

import pytest

from loadtest.report import Report
from loadtest.rooms import ecg, figures
from loadtest.rooms.figures import Held, Until, knee, of_joins, of_rooms
from loadtest.rooms.scenario_file import DIRECTORY, Picture, ScenarioError, parse, read
from loadtest.rooms.witness import seen, shortfalls
from media.signals.frames import decode

MINIMAL: dict[str, Any] = {
    "name": "two",
    "rooms": 2,
    "rooms_per_second": 5.0,
    "hold_seconds": 1.0,
    "stay_seconds": 0.0,
    "participants": [{"role": "expert"}],
}
ECG: dict[str, Any] = {"kind": "ecg", "leads": 12, "samples_per_second": 500, "frames_per_second": 10}


def test_every_scenario_that_comes_along_is_usable() -> None:
    names = [file.stem for file in DIRECTORY.glob("*.toml")]
    assert {"consults", "quiet", "short"} <= set(names)
    for name in names:
        assert read(name).name == name


def test_the_consults_are_those_that_are_promised() -> None:
    consults = read("consults")
    assert (consults.rooms, consults.rooms_per_second) == (300, 5.0)
    assert (consults.people, consults.viewers) == (2, 2)
    assert consults.sound is not None
    assert consults.sound.packets_per_second == 50
    assert consults.picture is not None
    assert consults.picture.kilobits_per_second == 500
    (ecg,) = consults.devices
    assert (ecg.leads, ecg.samples_per_second) == (12, 500)


def test_pictures_have_the_rate_they_are_to_have_and_differ() -> None:
    sizes = Picture(500, 25, 1150, 15000).track().frame_sizes
    assert sum(sizes) / len(sizes) * 8 * 25 == pytest.approx(500_000, rel=0.01)
    assert max(sizes) > 1.5 * min(sizes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rooms": 0}, "rooms: Input should be greater than or equal to 1"),
        ({"rooms": "many"}, "rooms: Input should be a valid integer"),
        ({"rooms": 2.5}, "rooms: Input should be a valid integer"),
        ({"hold_seconds": math.inf}, "hold_seconds: Input should be a finite number"),
        ({"stay_seconds": -1.0}, "stay_seconds: Input should be greater than or equal to 0"),
        ({"colour": "red"}, "colour: Unexpected keyword argument"),
        ({"participants": []}, "participants: .* at least 1 item"),
        ({"participants": [{"role": "king"}]}, "participants.0.role: no role 'king'; there are .*expert"),
        ({"participants": [{"role": "expert", "count": 0}]}, "participants.0.count: .*or equal to 1"),
        ({"participants": [{"role": "expert", "publishes": ["smell"]}]}, "no source 'smell'"),
        ({"participants": [{"role": "expert", "publishes": "camera"}]}, "publishes: .* valid array"),
        ({"participants": [{"role": "expert", "publishes": ["camera"]}]}, "nothing says what it sends"),
        ({"participants": [{"name": "x"}]}, "participants.0.name: Unexpected keyword argument"),
        ({"sound": {"packet_bytes": 100}}, "sound.packets_per_second: Field required"),
        ({"sound": {"packet_bytes": 9000, "packets_per_second": 50}}, "sound.packet_bytes: .* 1250"),
        ({"sound": {"packet_bytes": 100, "packets_per_second": 0}}, "sound.packets_per_second: .* than 0"),
        ({"devices": [ECG | {"kind": "eeg"}]}, "devices.0.kind: Input should be 'ecg'"),
        ({"devices": [ECG | {"leads": 18}]}, "devices.0.leads: .* 12"),
        ({"devices": [ECG | {"frames_per_second": 501}]}, "more frames than samples"),
    ],
)
def test_a_file_that_is_not_usable_says_why(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        parse(MINIMAL | changes)


def test_a_file_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ScenarioError, match=r"there are .*consults"):
        read("nowhere")


def test_another_number_of_rooms_leaves_the_rest() -> None:
    scenario = parse(
        tomllib.loads("""
        name = "x"
        rooms = 9
        rooms_per_second = 1.0
        hold_seconds = 5.0
        stay_seconds = 60.0
        [[participants]]
        role = "expert"
        count = 3
        [[devices]]
        kind = "ecg"
        leads = 12
        samples_per_second = 500
        frames_per_second = 10
    """)
    )
    assert scenario.scaled(4, None).rooms == 4
    assert scenario.scaled(4, None).hold_seconds == 5.0
    assert [device.frames_per_second for device in scenario.scaled(None, None, 40).devices] == [25.0]
    assert scenario.people == 3


def test_frames_are_as_long_as_the_server_wishes_unless_the_file_says() -> None:
    (wishing,) = read("consults").devices
    (fixed,) = read("consults").scaled(None, None, 60).devices
    assert (wishing.frame_ms, fixed.frame_ms) == (None, 60)
    assert [device.frame_ms for device in read("signals").devices] == [60]


@pytest.mark.parametrize("length_ms", [60, 100, 200])
def test_a_light_device_s_frames_are_a_beat_of_real_ones(length_ms: int) -> None:
    (device,) = read("consults").devices
    described = ecg.descriptor_of(device, str(uuid.uuid4()))
    frames = ecg.frames_of(device, length_ms, described.stream_bytes)
    for sequence, frame in enumerate(frames):
        found = decode(ecg.stamped(frame, sequence, 10**18), described)
        assert (found.sequence, found.device_time_ns, found.samples.shape) == (
            sequence,
            10**18,
            (length_ms // 2, 12),
        )
    assert len(frames) * length_ms == pytest.approx(1000, abs=length_ms / 2)


def test_costs_are_told_for_each_participant() -> None:
    held = Held(10.0, 5_000_000_000, 2_000_000_000, 1000, 100_000, 125_000, 0.5, 3.0)
    found = of_rooms(100, 200, held, 50 * 2**20, 150 * 2**20)
    assert found["server_cpu_percent"] == 50.0
    assert found["cpu_percent_per_participant"] == 0.25
    assert found["us_per_egress_packet"] == 50.0
    assert found["held_delivered_percent"] == 80.0
    assert found["main_thread_percent"] == 20.0
    assert found["memory_kb_per_participant"] == 512.0
    assert found["wakeups_per_second"] == 100.0


def test_joins_that_failed_count_as_tried() -> None:
    found = of_joins([0.1, 0.2, 0.3], 1)
    assert (found["join_success_percent"], found["join_p50_ms"], found["join_p95_ms"]) == (75.0, 200.0, 300.0)
    assert math.isnan(of_joins([], 0)["join_success_percent"])


def test_shortfalls_name_each_threshold() -> None:
    report = Report("rooms")
    report.figures |= {
        "lost_packets": 1,
        "corrupt_packets": 0,
        "added_delay_p99_ms": 20.5,
        "join_p95_ms": 900.0,
        "join_success_percent": 99.5,
        "delivered_percent": 60.0,
    }
    figures.judge(report)
    assert report.shortfalls == [
        "lost_packets is 1, the limit is 0",
        "added_delay_p99_ms is 20.5, the limit is 20",
        "join_success_percent is 99.5, the least is 100",
        "delivered_percent is 60, the least is 99",
    ]


def step(rooms: int, delay: float, **changes: float) -> dict[str, Any]:
    good = {"lost_packets": 0, "join_success_percent": 100.0, "held_delivered_percent": 100.0}
    return {"rooms": rooms, "added_delay_p99_ms": delay} | good | changes


def test_the_knee_is_the_last_step_before_the_limit() -> None:
    until = Until.parse("added_delay_p99_ms=50")
    steps = [step(25, 1.0), step(50, 3.0), step(75, 80.0), step(100, 2.0)]
    assert knee(steps, until) == 50
    assert knee(steps[:2], until) == 50
    assert knee([step(25, 51.0)], until) == 0
    assert knee([step(25, 1.0), step(50, 2.0, lost_packets=1)], until) == 25
    assert knee([step(25, 1.0), step(50, 2.0, join_success_percent=99.0)], until) == 25
    assert knee([step(25, 1.0), step(50, 2.0, held_delivered_percent=98.0)], until) == 25
    assert knee([step(25, math.nan)], until) == 0


def test_the_knee_may_be_asked_for_in_short() -> None:
    assert Until.parse("p99_ms=50") == Until.parse("added_delay_p99_ms=50") == Until("added_delay_p99_ms", 50)


def test_what_to_look_for_has_to_be_a_figure_with_a_limit() -> None:
    for text in ("added_delay_p99_ms", "happiness=3", "added_delay_p99_ms=much"):
        with pytest.raises(ValueError, match=r"not FIGURE=LIMIT|could not convert"):
            Until.parse(text)


def test_the_witnesses_count_from_when_they_stood() -> None:
    def consumer(name: str, kind: str, frames: int, frozen: float, lost: int) -> dict[str, Any]:
        return {
            "consumerId": name,
            "kind": kind,
            "framesDecoded": frames,
            "freezeSeconds": frozen,
            "packetsLost": lost,
            "packetsReceived": frames * 2,
            "concealedSamples": 0 if kind == "video" else frames,
            "totalSamplesReceived": 0 if kind == "video" else 1000,
        }

    before = [[consumer("a", "video", 10, 0.5, 0)], [consumer("b", "video", 10, 0.0, 1)]]
    after = [
        [consumer("a", "video", 110, 0.5, 0), consumer("c", "audio", 10, 0, 0)],
        [consumer("b", "video", 60, 0.3, 3)],
    ]
    found = seen(before, after)
    assert (found["frames_decoded"], found["freeze_seconds"], found["packets_lost"]) == (150, 0.3, 2)
    assert found["concealed_percent"] == 1.0
    assert shortfalls(found) == []
    assert shortfalls(seen(before, before)) == ["the witnesses decoded no picture: nothing came"]
    assert shortfalls({}) == ["the witnesses decoded no picture: their pages ended"]
