"""The short form of `fuzz`: nearly right packets and decisions at the wrong moment, under the sanitizers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.media.native.fuzz import fuzz

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


def test_nothing_that_comes_breaks_the_rule(tmp_path: Path) -> None:
    told = json.loads(fuzz(100_000, 1, tmp_path))
    assert told["inputs"] == 100_000
    assert told["sent"] > 50_000
    assert told["left_in_pool"] == 0
