"""Limits by age, and what a person may wish for."""

from __future__ import annotations

import pytest

from loadtest import qrs_signals as made
from loadtest.qrs import EPOCH
from media.errors import RemoteProtocolError
from media.signals import wire
from media.signals.analysis.alarms import PRESETS, AlarmLimits
from media.signals.analysis.analyzer import Block, StreamAnalyzer
from media.signals.analysis.patients import RoomLimits, WantedLimits, preset_for


@pytest.mark.parametrize(
    ("days", "expected"),
    [(0, "neonate"), (27, "neonate"), (28, "child"), (2921, "child"), (2922, "adult"), (30_000, "adult")],
)
def test_the_age_chooses(days: float, expected: str) -> None:
    assert preset_for(days) == expected


def test_a_wish_is_read_and_begins_with_the_preset() -> None:
    assert wire.parse_view('{"type": "limits", "patients": "child"}') == WantedLimits("child", 75, 160)
    own = WantedLimits("neonate", 90, 180)
    assert wire.parse_view(wire.want_limits(own)) == own
    assert own.limits == AlarmLimits(90, 180, asystole_s=PRESETS["neonate"].asystole_s)
    assert RoomLimits(own.limits, "neonate", "u-1").mark == "alarm_limits_neonate_90_180"


@pytest.mark.parametrize(
    "more",
    ['"patients": "dog"', '"patients": 1', '"patients": "adult", "low": 120, "high": 120', "",
     '"patients": "adult", "low": 19', '"patients": "adult", "high": 301',
     '"patients": "adult", "low": true'],
)  # fmt: skip
def test_what_cannot_be_is_refused(more: str) -> None:
    with pytest.raises(RemoteProtocolError, match="signal_malformed"):
        wire.parse_view(f'{{"type": "limits"{", " if more else ""}{more}}}')


def test_a_change_holds_from_the_next_second_on() -> None:
    stream = made.descriptor(2)
    samples = made.digitised(made.ecg(made.beat_times([(140, 30.0)]), 30.0, 2))
    analyzer = StreamAnalyzer(stream, PRESETS["neonate"])
    kinds: list[set[str]] = []
    for second in range(30):
        if second == 18:
            analyzer.limits = PRESETS["adult"]
        block = Block(EPOCH + second, samples[second * 500 : second * 500 + 500])
        found = analyzer.push([block], float(second))
        kinds.append({condition.kind for condition in found.conditions})
    assert not set().union(*kinds[:18])
    assert kinds[-1] == {"tachycardia"}
    assert (found.analysis.low, found.analysis.high) == (50, 120)
