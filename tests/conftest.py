"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import media
from media import native
from media.transport import media_config

# Counted examples, no wall-clock deadline: a busy machine must not turn a rule red.
settings.register_profile(
    "house", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", metavar="DIR", help="keep pictures of the pages in this directory")
    parser.addoption(
        "--plane", choices=("python", "native"), help="what moves the packets of every media socket opened"
    )


def pytest_configure(config: pytest.Config) -> None:
    plane = config.getoption("--plane")
    if plane == "native" and native.problem() is not None:
        raise pytest.UsageError(f"--plane native: {native.problem()}")
    if native.problem() is not None and list(Path(media.__path__[0]).glob("_native.*.so")):
        # Not one test of it would run, and nobody would notice.
        raise pytest.UsageError(f"the compiled media plane is there and cannot be used: {native.problem()}")
    if plane:
        media_config.DEFAULT_PLANE = _default(plane)
        os.environ["HUIZHEN_MEDIA_PLANE"] = plane  # of servers that tests start as processes


def _default(plane: str) -> media_config.Plane:
    """A test's own clock cannot be the compiled plane's: there `auto` means the Python plane."""
    return "auto" if plane == "native" else "python"


@pytest.fixture(params=["python", "native"])
def each_plane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On each plane, for media sockets and for servers that the test starts; `--plane` leaves one."""
    plane: str = request.param
    if plane == "native" and native.problem() is not None:
        pytest.skip(str(native.problem()))
    if request.config.getoption("--plane") not in (None, plane):
        pytest.skip(f"--plane {request.config.getoption('--plane')}")
    monkeypatch.setattr(media_config, "DEFAULT_PLANE", _default(plane))
    monkeypatch.setenv("HUIZHEN_MEDIA_PLANE", plane)


@pytest.fixture
def python_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what the Python plane alone has."""
    monkeypatch.setattr(media_config, "DEFAULT_PLANE", "python")
