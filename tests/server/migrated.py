"""Empty databases at the newest migration: the migrations run once in a process, each test gets a copy."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine

from server.archive.migrate import upgrade


@cache
def _file() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "empty.db"
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            upgrade(connection)
        engine.dispose()
        return path.read_bytes()


def empty_database(path: Path) -> str:
    """Put one there and return its address; what starts on it finds nothing left to migrate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_file())
    return f"sqlite+aiosqlite:///{path}"
