"""What all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

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
    if plane:
        # A test's own clock cannot be the compiled plane's: there `auto` means the Python plane.
        media_config.DEFAULT_PLANE = "auto" if plane == "native" else "python"
        os.environ["HUIZHEN_MEDIA_PLANE"] = plane  # of servers that tests start as processes
