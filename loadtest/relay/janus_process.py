"""Debian's Janus as a process of ours: installed when it is not there, with a configuration of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from loadtest.cpu import on_core

PACKAGE = "janus"
START_S = 20.0
ADDRESS = "10.77.0.1"
"""Janus offers no address of a loopback interface, so it gets one on an interface that carries nothing:
packets between a machine's own addresses go over ``lo`` whatever interface they belong to."""
PARTICIPANTS = "10.78.0.0/16"
"""Of the light participants: Janus's socket is tied to its interface, which has no route to 127.0.0.0/8."""
FIRST_PARTICIPANT = "10.78.0.1"


class JanusMissingError(Exception):
    """Janus is not installed and cannot be; the message says what to do."""


def ensure_installed() -> str:
    """Install Debian's package where it is missing and we are root; returns its version.

    Has to be called before the network is left: nothing is fetched from inside a namespace.

    :raises JanusMissingError: not there, and we cannot install it.
    """
    if shutil.which("janus") is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise JanusMissingError(f"only root can install the Debian package {PACKAGE}; or run without it")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", PACKAGE]):
            done = subprocess.run(
                ["apt-get", *command], env=environment, capture_output=True, text=True, check=False
            )
        if done.returncode != 0 or shutil.which("janus") is None:
            raise JanusMissingError(f"apt-get could not install {PACKAGE}: {done.stderr.strip()[-300:]}")
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", PACKAGE], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() or "unknown"


def add_interface() -> None:
    """Give our own network namespace an interface with `ADDRESS` and all of `PARTICIPANTS`."""
    for command in (
        "link add huizhen0 type veth peer name huizhen1",
        f"address add {ADDRESS}/32 dev huizhen0",
        "link set huizhen0 up",
        "link set huizhen1 up",
        f"route add local {PARTICIPANTS} dev huizhen0",
    ):
        subprocess.run(["ip", *command.split()], check=True)


class JanusProcess:
    """A running Janus with VideoRoom and the WebSocket transport alone.

    :param directory: for its configuration and log.
    """

    def __init__(self, directory: Path, core: int) -> None:
        self.port = _free_port()
        self.log_path = directory / "janus.log"
        config = directory / "etc"
        config.mkdir(parents=True)
        main = _MAIN.format(
            directory=directory,
            ip=ADDRESS,
            plugins=_libraries(_OTHER_PLUGINS),
            transports=_libraries(_OTHER_TRANSPORTS),
        )
        (config / "janus.jcfg").write_text(main, encoding="utf-8")
        (config / "janus.transport.websockets.jcfg").write_text(
            _WEBSOCKETS.format(port=self.port), encoding="utf-8"
        )
        (config / "janus.plugin.videoroom.jcfg").write_text("general: {}\n", encoding="utf-8")
        with on_core(core), self.log_path.open("w") as log:
            self._process = subprocess.Popen(
                ["janus", "-F", str(config), "-C", str(config / "janus.jcfg")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def log_text(self) -> str:
        """What it printed so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """Kill it; there is nothing to save."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.close()
        raise JanusMissingError(f"Janus did not start:\n{self.log_text()[-2000:]}")


def _libraries(names: str) -> str:
    return ",".join(f"libjanus_{name}.so" for name in names.split())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_OTHER_PLUGINS = (
    "audiobridge duktape echotest lua nosip recordplay sip streaming textroom videocall voicemail"
)
_OTHER_TRANSPORTS = "http mqtt nanomsg pfunix rabbitmq"
# One event loop for all handles: a thread for each would make it slower on one core.
_MAIN = """
general: {{
  configs_folder = "{directory}/etc"
  plugins_folder = "/usr/lib/x86_64-linux-gnu/janus/plugins"
  transports_folder = "/usr/lib/x86_64-linux-gnu/janus/transports"
  events_folder = "/usr/lib/x86_64-linux-gnu/janus/events"
  loggers_folder = "/usr/lib/x86_64-linux-gnu/janus/loggers"
  debug_level = 2
  session_timeout = 0
  event_loops = 1
}}
nat: {{
  ice_lite = true
  ice_enforce_list = "{ip}"
  full_trickle = false
}}
media: {{
  ipv6 = false
}}
plugins: {{
  disable = "{plugins}"
}}
transports: {{
  disable = "{transports}"
}}
events: {{
  broadcast = false
}}
"""
_WEBSOCKETS = """
general: {{
  ws = true
  ws_port = {port}
  ws_ip = "127.0.0.1"
  wss = false
}}
admin: {{
  admin_ws = false
  admin_wss = false
}}
"""
