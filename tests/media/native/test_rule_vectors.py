"""Both planes give the golden vector's bytes (`vectors`)."""

from __future__ import annotations

import json

import pytest

from media import native
from tests.media.native.twin_houses import NativeHouse, PlainHouse
from tests.media.native.twins import RTX
from tests.media.native.vectors import GOLDEN, replay
from tests.media.relay.helpers import House


@pytest.mark.parametrize("house", [PlainHouse, NativeHouse])
def test_what_leaves_is_what_left(house: type[House]) -> None:
    if house is NativeHouse and not native.available():
        pytest.skip(str(native.problem()))
    golden = json.loads(GOLDEN.read_text())
    left = replay(house(), golden["came"])
    assert left == golden["left"]
    assert sum(map(len, left["rtp"])) > 150
    # It holds what it is to hold: decisions, switches between layers, packets that are sent again.
    decided = {kind for _, _, kind, _ in golden["came"]}
    assert {"producers.pause", "producers.resume"} <= decided
    assert {f"consumers.{what}" for what in ("pause", "resume", "set_preferred_layers")} <= decided
    assert len({spatial for _, spatial, _ in left["layers"]}) > 1
    assert any(int(packet[2:4], 16) & 0x7F in RTX for wire in left["rtp"] for packet in wire)
