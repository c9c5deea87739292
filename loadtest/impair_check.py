"""What the bridge itself costs: a stream over an unimpaired line, each packet with its time of sending.

``python -m loadtest.impair_check ADDRESS PORT SECONDS KBPS`` is the sender, in the peer's namespace. Both
ends are on one machine and so have one clock: one-way delay can be read off directly. The kernel stamps the
arrival, so that waiting for a core to run the receiver on does not count.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass

from loadtest.impair_network import HUB, Network
from loadtest.report import percentile

PACKET_BYTES = 1200
_END = b"end"
_SILENCE_SECONDS = 2.0
_SO_TIMESTAMPNS = 35
"""Linux: each datagram comes with the wall clock of its arrival, as two longs."""


@dataclass(frozen=True)
class Cost:
    """One-way delay and loss of an unimpaired line."""

    sent: int
    lost: int
    p50_ms: float
    p99_ms: float


def measure(network: Network, name: str, seconds: float = 2.0, kbps: float = 10_000) -> Cost:
    """Send from a peer to the server's namespace over the line as it is now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        receiver.bind((HUB, 0))
        receiver.settimeout(_SILENCE_SECONDS + seconds)
        command = [sys.executable, "-m", "loadtest.impair_check", HUB, str(receiver.getsockname()[1])]
        sender = subprocess.Popen(network.inside(name, *command, str(seconds), str(kbps)))
        try:
            delays = _receive(receiver)
        finally:
            sender.wait()
    sent = _count(seconds, kbps)
    return Cost(sent, sent - len(delays), percentile(delays, 50), percentile(delays, 99))


def _receive(receiver: socket.socket) -> list[float]:
    delays: list[float] = []
    while True:
        try:
            packet, ancillary, _, _ = receiver.recvmsg(PACKET_BYTES, 64)
        except TimeoutError:
            return delays
        if packet == _END:
            return delays
        seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2])
        delays.append((seconds + nanoseconds / 1e9 - struct.unpack_from("!d", packet)[0]) * 1000)


def _count(seconds: float, kbps: float) -> int:
    return int(seconds * kbps * 1000 / 8 / PACKET_BYTES)


def send(address: str, port: int, seconds: float, kbps: float) -> None:
    """An even stream; a late sender catches up, and stamps each packet when it really leaves."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((address, port))
        began = time.monotonic()
        for number in range(_count(seconds, kbps)):
            wait = began + number * PACKET_BYTES * 8 / (kbps * 1000) - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            sender.send(struct.pack("!d", time.time()) + bytes(PACKET_BYTES - 8))
        sender.send(_END)


if __name__ == "__main__":
    send(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
