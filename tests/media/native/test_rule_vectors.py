"""Both planes give the golden vector's bytes (`vectors`)."""

from __future__ import annotations

import json

import pytest

from media import native
from tests.media.native.twin_houses import NativeHouse, PlainHouse
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
