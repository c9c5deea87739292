"""The server as its operator runs it: ``huizhen demo`` as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

START_SECONDS = 60.0
"""A first start makes keys, migrates and seeds; on two busy cores that stays far below a minute."""
STOP_SECONDS = 20.0
"""A stop finishes running recordings first."""


class ServerFailedError(Exception):
    """The server did not come up, or went away; the message holds the end of what it said."""


class ServerProcess:
    """A demo server in ``data``, listening on free ports of ``host``.

    Everything it prints goes to ``data/server.log``; `url` is set once it said ``READY``.

    :param extra: more options of ``huizhen demo``.
    :param settings: configuration as variables, such as ``HUIZHEN_ONCALL_RING_SECONDS``.
    """

    def __init__(
        self,
        data: Path,
        extra: Sequence[str] = (),
        host: str = "127.0.0.1",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.data = data
        self.log_path = data / "server.log"
        self.url = ""
        self._ready = threading.Event()
        command = [sys.executable, "-m", "server.cli", "demo", "--data", str(data)]
        command += ["--host", host, "--port", "0", "--media-port", "0", *extra]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env={**os.environ, **(settings or {}), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="server-output", daemon=True)
        self._reader.start()
        if not self._ready.wait(START_SECONDS) or not self.url:
            self.kill()
            raise ServerFailedError(f"the server did not start:\n{self.log_text()[-4000:]}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self.log_path.open("a", encoding="utf-8") as log:
            for line in self._process.stdout:
                log.write(line)
                log.flush()
                if line.startswith("READY "):
                    self.url = json.loads(line.removeprefix("READY "))["url"]
                    self._ready.set()
        self._ready.set()

    def log_text(self) -> str:
        """All that the server and its devices printed so far."""
        return self.log_path.read_text(encoding="utf-8") if self.log_path.exists() else ""

    def stop(self) -> int:
        """Ask it to end (SIGTERM), wait, and return its exit status; kills it when it does not listen."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailedError(f"the server did not stop:\n{self.log_text()[-4000:]}") from None
        self._close()
        return status

    def kill(self) -> None:
        """End it and everything it started, at once, as a power cut would."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._close()

    def _close(self) -> None:
        self._reader.join(STOP_SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()
