"""The bridge: a process that carries packets between network namespaces over modelled lines.

Each leg is a TUN device that lives in its peer's namespace while its other end stays open here; one more
TUN device, the hub, stays in the namespace of the server. TUN rather than veth with raw sockets: whole IP
packets with finished checksums, no offloads to fight with. What is addressed to nobody here is dropped, so
nothing that a browser sends to the world leaves it.

Talks in JSON lines. stdin: ``{"leg": NAME, "up": [[SECONDS_FROM_NOW, CONDITIONS], ...], "down": [...]}`` or
``{"counters": NAME}``; stdout: one line an answer, the first is ``{"ready": true}``. Ends with its stdin.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtest.impair_line import Conditions, Line

_TUNSETIFF = 0x400454CA
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_MTU = 1500
_READ_BYTES = 2048
_BATCH = 64
"""Packets read from one device before the others have their turn."""
_DEVICE_QUEUE = 2000
"""Packets the kernel holds while this process waits for a core; 500 (the default) is 60 ms at 100 Mbit/s."""
_PRIORITY = 1
"""Real-time (SCHED_RR): a bridge that waits for a core would add delay of its own. It mostly sleeps."""


class NotRootError(Exception):
    """Namespaces and TUN devices are for root alone."""


@dataclass(slots=True)
class Leg:
    """One peer's line: its device, its network (the first three bytes of its addresses), two directions."""

    name: str
    device: int
    network: bytes
    up: Line
    down: Line


@dataclass(slots=True)
class Bridge:
    """Moves packets between the hub's device and the legs' devices."""

    hub: int
    hub_address: bytes
    legs: list[Leg]
    strays: int = 0
    refused: int = 0
    _by_network: dict[bytes, Leg] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_network = {leg.network: leg for leg in self.legs}

    def read_hub(self) -> None:
        """Packets from the server, each to the leg that its destination names."""
        for packet in _read(self.hub):
            leg = self._by_network.get(packet[16:19]) if packet[0] >> 4 == 4 else None
            if leg is None:
                self.strays += 1
            else:
                leg.down.send(packet, time.monotonic())

    def read_leg(self, leg: Leg) -> None:
        """Packets from a peer; only those to the server, and from an address of this line, go on."""
        for packet in _read(leg.device):
            if packet[0] >> 4 == 4 and packet[16:20] == self.hub_address and packet[12:15] == leg.network:
                leg.up.send(packet, time.monotonic())
            else:
                self.strays += 1

    def deliver(self) -> float | None:
        """Hand over what has arrived; returns how many seconds until there may be more."""
        now = time.monotonic()
        next_due = []
        for leg in self.legs:
            for line, device in ((leg.up, self.hub), (leg.down, leg.device)):
                for packet in line.due(now):
                    self._write(device, packet)
                at = line.next_due()
                if at is not None:
                    next_due.append(at)
        return max(0.0, min(next_due) - time.monotonic()) if next_due else None

    def _write(self, device: int, packet: bytes) -> None:
        try:
            os.write(device, packet)
        except OSError:
            self.refused += 1  # the device is down: its namespace has no address at this moment

    def command(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one line of stdin."""
        now = time.monotonic()
        leg = next(leg for leg in self.legs if leg.name == request.get("leg", request.get("counters")))
        for name, line in (("up", leg.up), ("down", leg.down)):
            if name in request:
                line.plan([(now + at, Conditions.from_json(value)) for at, value in request[name]])
        return {
            "up": asdict(leg.up.counters),
            "down": asdict(leg.down.counters),
            "strays": self.strays,
            "refused": self.refused,
        }


def _read(device: int) -> list[bytes]:
    packets = []
    try:
        for _ in range(_BATCH):
            packets.append(os.read(device, _READ_BYTES))
    except BlockingIOError:
        pass
    return packets


def open_tun(name: str) -> int:
    """A new TUN device of this namespace; its file descriptor (non-blocking)."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return device


def ip(*arguments: str) -> None:
    """Run ``ip``; `RuntimeError` with what it said when it fails."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _open_hub(address: str, network: str) -> int:
    device = open_tun("hz-hub")
    ip("addr", "add", f"{address}/32", "dev", "hz-hub")
    ip("link", "set", "hz-hub", "up", "mtu", str(_MTU), "txqueuelen", str(_DEVICE_QUEUE))
    ip("route", "add", network, "dev", "hz-hub", "src", address)
    return device


def _open_leg(number: int, setup: dict[str, Any], seed: int) -> Leg:
    name, namespace, device, address = (setup[key] for key in ("name", "namespace", "device", "address"))
    descriptor = open_tun(f"hz-leg{number}")
    ip("link", "set", f"hz-leg{number}", "netns", namespace, "name", device)
    ip("-n", namespace, "link", "set", "lo", "up")
    ip("-n", namespace, "link", "set", device, "mtu", str(_MTU), "txqueuelen", str(_DEVICE_QUEUE))
    if setup["up"]:
        give_address(namespace, device, address)
    packed = socket.inet_aton(address)
    return Leg(name, descriptor, packed[:3], Line(seed + 2 * number), Line(seed + 2 * number + 1))


def give_address(namespace: str, device: str, address: str, metric: int = 0) -> None:
    """Bring an interface up with a default route; of several routes the lowest metric is taken."""
    ip("-n", namespace, "addr", "add", f"{address}/32", "dev", device)
    ip("-n", namespace, "link", "set", device, "up")
    route = ["default", "dev", device, "src", address, "metric", str(metric)]
    ip("-n", namespace, "route", "replace", *route)


def _serve(bridge: Bridge) -> None:
    """Until stdin ends."""
    stdin = sys.stdin.buffer
    os.set_blocking(stdin.fileno(), False)
    commands = b""
    watched = [bridge.hub, *(leg.device for leg in bridge.legs), stdin.fileno()]
    by_device = {leg.device: leg for leg in bridge.legs}
    timeout: float | None = None
    while True:
        readable, _, _ = select.select(watched, [], [], timeout)
        for device in readable:
            if device == bridge.hub:
                bridge.read_hub()
            elif device in by_device:
                bridge.read_leg(by_device[device])
            else:
                chunk = os.read(device, 65_536)
                if not chunk:
                    return
                *lines, commands = (commands + chunk).split(b"\n")
                for line in lines:
                    print(json.dumps(bridge.command(json.loads(line))), flush=True)
        timeout = bridge.deliver()


def main(setup: dict[str, Any]) -> None:
    """Run one bridge; ``setup``: hub, network, seed, legs [{name, namespace, device, address, up}]."""
    hub = _open_hub(setup["hub"], setup["network"])
    legs = [_open_leg(number, leg, setup["seed"]) for number, leg in enumerate(setup["legs"])]
    with suppress(PermissionError):  # some containers forbid it; `impair_check` tells what that costs
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))
    print(json.dumps({"ready": True}), flush=True)
    _serve(Bridge(hub, socket.inet_aton(setup["hub"]), legs))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
