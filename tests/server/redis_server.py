"""A Redis of the tests' own on a Unix socket, which can be killed and started again."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_START_S = 20.0
_LOOK_S = 0.02


class RedisServer:
    """Keeps nothing on disk. A context manager, whose end ends it."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="hzredis"))  # short: a socket's path has 107 bytes
        self._socket = self._directory / "s"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        """Returns when it answers."""
        options = (
            "--port",
            "0",
            "--unixsocket",
            str(self._socket),
            "--save",
            "",
            "--dir",
            str(self._directory),
        )
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(["redis-server", *options], stdout=log, stderr=log)
        until = time.monotonic() + _START_S
        while not self._socket.is_socket():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Redis did not start: {(self._directory / 'log').read_text()[-500:]}")
            time.sleep(_LOOK_S)

    def kill(self) -> None:
        """Without a goodbye, as a crash. Twice is harmless."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(_START_S)
            self._socket.unlink(missing_ok=True)

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """Running. Skips without the Debian package ``redis-server``."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with RedisServer() as server:
        yield server
