"""Namespaces that are joined by one bridge: the server's own and one for each peer.

The server's address is `HUB` in the namespace that makes the network (one of its own: `loadtest.network`);
peer number n has 10.77.n.2 in a namespace of its own, and reaches nothing but the server. Who has a second
way out has 10.77.(100+n).2 there. All these addresses exist only inside.
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

from loadtest.impair import NotRootError, give_address, ip
from loadtest.impair_line import Conditions

HUB = "10.77.0.1"
_NETWORK = "10.77.0.0/16"
_PREFIX = "hz"
_NAMESPACES = Path("/run/netns")
_END_SECONDS = 5.0
_SECOND_METRIC = 100
"""Of the way that is not used while the other is there."""

Steps = Sequence[tuple[float, Conditions]]


class Network:
    """Peers' namespaces and their lines; `close` (or leaving the ``with``) removes them all.

    :param two_ways: peers who have a second interface, as a phone has Wi-Fi and 4G; it is down at first.
    :raises NotRootError: from `__init__`, when this process may not make namespaces.
    """

    def __init__(self, peers: Sequence[str], seed: int = 1, two_ways: Sequence[str] = ()) -> None:
        if os.geteuid() != 0:
            raise NotRootError("impaired lines need root: they make network namespaces and TUN devices")
        _remove_left_over()
        self.seed = seed
        self._addresses = {name: f"10.77.{number}.2" for number, name in enumerate(peers, 1)}
        self._others = {  # of the interface that is not in use
            name: f"10.77.{100 + number}.2" for number, name in enumerate(peers, 1) if name in two_ways
        }
        self._devices = dict.fromkeys(peers, "eth0")
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
            {
                "name": self._leg(name, device),
                "namespace": self.namespace(name),
                "device": device,
                "address": addresses[name],
                "up": device == "eth0",
            }
            for device, addresses in (("eth0", self._addresses), ("eth1", self._others))
            for name in addresses
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

    @staticmethod
    def _leg(name: str, device: str) -> str:
        return f"{name}/{device}"

    def _legs(self, name: str) -> list[str]:
        return [self._leg(name, device) for device in ("eth0", "eth1")[: 1 + (name in self._others)]]

    def set(self, name: str, *, up: Steps | None = None, down: Steps | None = None) -> None:
        """Plan a peer's lines; times are seconds from now. None leaves a direction alone."""
        request: dict[str, Any] = {}
        for direction, steps in (("up", up), ("down", down)):
            if steps is not None:
                request[direction] = [[at, conditions.as_json()] for at, conditions in steps]
        for leg in self._legs(name):
            self._ask({"leg": leg, **request})

    def set_both(self, name: str, conditions: Conditions) -> None:
        """The same conditions in both directions, from now on."""
        self.set(name, up=[(0.0, conditions)], down=[(0.0, conditions)])

    def counters(self, name: str) -> dict[str, Any]:
        """What the bridge counted for a peer so far, on both lines together: up, down, strays, refused."""
        first, *more = [self._ask({"counters": leg}) for leg in self._legs(name)]
        for other in more:
            for direction in ("up", "down"):
                for counter, value in other[direction].items():
                    first[direction][counter] += value
        return first

    def change_address(self, name: str) -> str:
        """Take the peer's address away and give it another on the same interface; returns the new one."""
        namespace, old, device = self.namespace(name), self._addresses[name], self._devices[name]
        network, _, host = old.rpartition(".")
        new = f"{network}.{int(host) + 1}"
        ip("-n", namespace, "addr", "del", f"{old}/32", "dev", device)
        give_address(namespace, device, new)
        self._addresses[name] = new
        return new

    def second_way(self, name: str) -> None:
        """Bring the other interface up beside the one in use, which goes on being used."""
        device = self._other_device(name)
        give_address(self.namespace(name), device, self._others[name], _SECOND_METRIC)

    def change_interface(self, name: str) -> str:
        """The interface in use goes down, as Wi-Fi out of reach; returns the other's address."""
        namespace, device = self.namespace(name), self._devices[name]
        ip("-n", namespace, "link", "set", device, "down")
        ip("-n", namespace, "addr", "flush", "dev", device)
        self._devices[name] = self._other_device(name)
        self._addresses[name], self._others[name] = self._others[name], self._addresses[name]
        return self._addresses[name]

    def _other_device(self, name: str) -> str:
        return "eth1" if self._devices[name] == "eth0" else "eth0"

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
