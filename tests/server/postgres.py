"""PostgreSQL for the tests that want one: started once, an empty database for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from loadtest.dispatch.postgres import NoPostgresError, Postgres, binaries


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Fast, and gone with the session. Skips without the Debian package ``postgresql``."""
    try:
        binaries()
    except NoPostgresError as missing:
        pytest.skip(str(missing))
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv (Debian: util-linux)")
    with Postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """SQLAlchemy's URL of an empty database."""
    return postgres.new_database(f"t{abs(hash(request.node.nodeid))}")
