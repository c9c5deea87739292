"""Every test of the relay that has a `House` runs on both planes."""

from __future__ import annotations

import pytest

from media import native
from media.relay.lane import PlainTables
from media.relay.native_tables import NativeTables
from tests.media.relay.helpers import House


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if hasattr(metafunc.module, "House"):
        metafunc.parametrize("plane", ["python", "native"], indirect=True)


@pytest.fixture(autouse=True)
def plane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plane that `House` is built with."""
    if getattr(request, "param", "python") == "native":
        if not native.available():
            pytest.skip(str(native.problem()))
        monkeypatch.setattr(House, "make_tables", lambda: NativeTables(native.module()))
    else:
        monkeypatch.setattr(House, "make_tables", PlainTables)
