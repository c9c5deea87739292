"""Namespaces that are joined by one bridge: the server's own and one for each peer.

The server's address is `HUB` in the namespace that makes the network (one of its own: `loadtest.network`);
peer number n has 10.77.n.2 in a namespace of its own, and reaches nothing but the server. All these
addresses exist only inside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from loadtest.impair import NotRootError, ip
from loadtest.impair_line import Conditions

HUB = "10.77.0.1"
_NETWORK = "10.77.0.0/16"
_PREFIX = "hz"
_NAMESPACES = Path("/run/netns")
_END_SECONDS = 5.0

Steps = Sequence[tuple[float, Conditions]]


class Network:
    """Peers' namespaces and their lines; `close` (or leaving the ``with``) removes them all.

    :raises NotRootError: from `__init__`, when this process may not make namespaces.
    """

    def __init__(self, peers: Sequence[str], seed: int = 1) -> None:
        if os.geteuid() != 0:
            raise NotRootError("impaired lines need root: they make network namespaces and TUN devices")
        _remove_left_over()
        self.seed = seed
        self._addresses = {name: f"10.77.{number}.2" for number, name in enumerate(peers, 1)}
        self._bridge: subprocess.Popen[str] | None = None
        try:
            for name in peers:
                _add_namespace(self.namespace(name))
            self._bridge = self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> subprocess.Popen[str]:
        legs = [
            {"name": name, "namespace": self.namespace(name), "address": address}
            for name, address in self._addresses.items()
        ]
        setup = {"hub": HUB, "network": _NETWORK, "seed": self.seed, "legs": legs}
        bridge = subprocess.Popen(
            [sys.executable, "-m", "loadtest.impair", json.dumps(setup)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert bridge.stdout is not None
        if not bridge.stdout.readline():
            bridge.wait()
            raise RuntimeError("the bridge did not start")
        return bridge

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def namespace(self, name: str) -> str:
        """The peer's namespace as ``ip netns`` knows it; the process id keeps parallel runs apart."""
        return f"{_PREFIX}-{os.getpid()}-{name}"

    def inside(self, name: str, *command: str) -> list[str]:
        """The command line that runs ``command`` in the peer's namespace."""
        return ["ip", "netns", "exec", self.namespace(name), *command]

    def address(self, name: str) -> str:
        return self._addresses[name]

    def set(self, name: str, *, up: Steps | None = None, down: Steps | None = None) -> None:
        """Plan a peer's line; times are seconds from now. None leaves a direction alone."""
        request: dict[str, Any] = {"leg": name}
        for direction, steps in (("up", up), ("down", down)):
            if steps is not None:
                request[direction] = [[at, conditions.as_json()] for at, conditions in steps]
        self._ask(request)

    def set_both(self, name: str, conditions: Conditions) -> None:
        """The same conditions in both directions, from now on."""
        self.set(name, up=[(0.0, conditions)], down=[(0.0, conditions)])

    def counters(self, name: str) -> dict[str, Any]:
        """What the bridge counted for a peer so far: up, down, strays, refused."""
        return self._ask({"counters": name})

    def change_address(self, name: str) -> str:
        """Take the peer's address away and give it another, as from Wi-Fi to 4G; returns the new one."""
        namespace, old = self.namespace(name), self._addresses[name]
        network, _, host = old.rpartition(".")
        new = f"{network}.{int(host) + 1}"
        ip("-n", namespace, "addr", "del", f"{old}/32", "dev", "eth0")
        ip("-n", namespace, "addr", "add", f"{new}/32", "dev", "eth0")
        ip("-n", namespace, "route", "replace", "default", "dev", "eth0", "src", new)
        self._addresses[name] = new
        return new

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._bridge is not None
        assert self._bridge.stdin is not None
        assert self._bridge.stdout is not None
        print(json.dumps(request), file=self._bridge.stdin, flush=True)
        answer = self._bridge.stdout.readline()
        if not answer:
            raise RuntimeError("the bridge has ended")
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        """End the bridge and remove the namespaces. Twice is harmless."""
        if self._bridge is not None:
            assert self._bridge.stdin is not None
            assert self._bridge.stdout is not None
            self._bridge.stdin.close()
            try:
                self._bridge.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._bridge.kill()
                self._bridge.wait()
            self._bridge.stdout.close()
            self._bridge = None
        for name in self._addresses:
            if (_NAMESPACES / self.namespace(name)).exists():
                ip("netns", "del", self.namespace(name))


@contextmanager
def wrapper(network: Network, name: str, program: str, directory: Path) -> Iterator[Path]:
    """A script that runs ``program`` in the peer's namespace, for those who want one executable's path."""
    script = directory / f"{Path(program).name}-in-{name}"
    script.write_text(f'#!/bin/sh\nexec {" ".join(network.inside(name, program))} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    try:
        yield script
    finally:
        script.unlink(missing_ok=True)


def _add_namespace(name: str) -> None:
    try:
        ip("netns", "add", name)
    except RuntimeError as error:
        # Root of a user namespace only, who may not mount what names a namespace.
        raise NotRootError(f"impaired lines need root: {error}") from None


def _remove_left_over() -> None:
    """Namespaces of runs that were killed before they could clean up."""
    for path in _NAMESPACES.glob(f"{_PREFIX}-*-*"):
        owner = path.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists():
            ip("netns", "del", path.name)
