"""A PostgreSQL of our own, in a directory that goes away: Debian's programs without its services."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

START_SECONDS = 60.0
_LOOK_SECONDS = 0.05

_FAST = (
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "listen_addresses=",
    "max_connections=60",
)
"""It is thrown away afterwards, and may lose it all in a power cut; a Unix socket only."""

_KEPT = ("listen_addresses=", "max_connections=60")


class NoPostgresError(Exception):
    """PostgreSQL is not installed here."""


def binaries() -> Path:
    """Where the newest installed version's programs are. Raises NoPostgresError."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parent.parent.name)
    )
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    if on_path:
        return Path(on_path).parent
    raise NoPostgresError("PostgreSQL is not installed (Debian: postgresql); make setup-tools installs it")


class Postgres:
    """A running server; a context manager, whose end ends it and removes its files.

    :param durable: keep what a crash would lose on disk, as an operator would; else fast.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._bin = binaries()
        # PostgreSQL does not run as root: Debian's package makes this user.
        self._as = ["setpriv", "--pdeathsig", "QUIT"]
        user = "postgres" if os.geteuid() == 0 else None
        if user is not None:
            self._as = [
                "setpriv",
                f"--reuid={user}",
                f"--regid={user}",
                "--clear-groups",
                "--pdeathsig",
                "QUIT",
            ]
        self.directory = Path(tempfile.mkdtemp(prefix="hzpg"))  # short: a socket's path has 107 bytes
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(self.directory, entry.pw_uid, entry.pw_gid)
        self._data = self.directory / "data"
        self._settings = _KEPT if durable else _FAST
        self._process: subprocess.Popen[bytes] | None = None
        try:
            made = [str(self._bin / "initdb"), "-D", str(self._data), "-U", "huizhen", "-A", "trust", "-N"]
            self._run([*made, "-E", "UTF8", "--locale=C.UTF-8"])
            self.start()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Postgres:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Again, after `away`."""
        options = [part for one in self._settings for part in ("-c", one)]
        command = [str(self._bin / "postgres"), "-D", str(self._data), "-k", str(self.directory), *options]
        with (self.directory / "log").open("wb") as log:
            # In a session of its own: a terminal's Ctrl-C is not meant for it.
            self._process = subprocess.Popen(
                [*self._as, *command], stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        ready = [str(self._bin / "pg_isready"), "-q", "-h", str(self.directory)]
        until = time.monotonic() + START_SECONDS
        while subprocess.run(ready, check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(
                    f"PostgreSQL did not start:\n{(self.directory / 'log').read_text()[-2000:]}"
                )
            time.sleep(_LOOK_SECONDS)

    def _run(self, command: list[str]) -> None:
        subprocess.run([*self._as, *command], check=True, capture_output=True, cwd="/")

    def new_database(self, name: str) -> str:
        """An empty database; SQLAlchemy's URL of it."""
        self._run([str(self._bin / "createdb"), "-h", str(self.directory), "-U", "huizhen", name])
        return f"postgresql+asyncpg://huizhen@/{name}?host={self.directory}"

    def away(self) -> None:
        """As for a restart: its connections are cut, what was committed stays."""
        self._end(signal.SIGINT)

    def stop(self) -> None:
        """At once: what it holds is thrown away. Twice is harmless."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(START_SECONDS)
