"""The floor: a process that receives, unprotects once, protects for each sink and sends, in C.

Run as a module it is that process: it reads who sends and who receives (JSON) from its standard input.
"""

from __future__ import annotations

import ctypes
import ipaddress
import json
import os
import random
import secrets
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from loadtest.cpu import on_core
from loadtest.relay.forwarder import SOUND, Rooms, picture
from loadtest.traffic.engine import SrtpPair, Track, functions, load
from loadtest.traffic.transport import Hub, profile_named

_BUFFER_BYTES = 16 << 20


class Floor:
    """A new process for every set of rooms; keys are handed over, for there is no handshake here."""

    name = "floor"

    def __init__(self, hub: Hub, core: int) -> None:
        self._hub = hub
        self._core = core
        self._process: subprocess.Popen[str] | None = None
        self._transports: list[int] = []
        self._tracks: list[int] = []
        self._streams: list[int] = []

    def pids(self) -> Sequence[int]:
        return [self._process.pid] if self._process else []

    async def open_rooms(self, profile: str, rooms: int, fan_out: int, frame_packets: int) -> Rooms:
        chosen, engine = profile_named(profile), self._hub.engine
        size = chosen.key_length + chosen.salt_length
        opened = Rooms(profile)
        # Publishers first: the process finds them by consecutive addresses.
        sources = [self._transport() for _ in range(rooms)]
        sinks = [[self._transport() for _ in range(fan_out)] for _ in sources]
        keys = {number: secrets.token_bytes(size) for number in self._transports}
        table: dict[str, Any] = {
            "profile": profile,
            "port": engine.port,
            "sources": [[engine.local_ip(number), keys[number].hex()] for number in sources],
            "sinks": [[[engine.local_ip(n), keys[n].hex()] for n in group] for group in sinks],
        }
        port = self._spawn(table)
        for number in self._transports:
            engine.set_remote(number, "127.0.0.1", port)
            engine.set_keys(number, SrtpPair(chosen.libsrtp_id, keys[number], keys[number]), 0)
        for source, group in zip(sources, sinks, strict=True):
            for track, numbers in ((picture(frame_packets), opened.pictures), (SOUND, opened.sounds)):
                numbers.append(self._track(source, group, track))
        return opened

    async def close_rooms(self) -> None:
        for stream in self._streams:
            self._hub.engine.remove_stream(stream)
        for track in self._tracks:
            self._hub.engine.remove_track(track)
        for transport in self._transports:
            self._hub.remove(transport)
        self._streams, self._tracks, self._transports = [], [], []
        self.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()
            self._process = None

    def _spawn(self, table: dict[str, Any]) -> int:
        """Begin the process; the port it listens on."""
        with on_core(self._core):
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "loadtest.relay.floor"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(table) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def _transport(self) -> int:
        number = self._hub.add(lambda datagram: None)
        self._transports.append(number)
        return number

    def _track(self, source: int, group: Sequence[int], kind: Track) -> int:
        ssrc = random.randrange(1, 1 << 31)
        track = Track(
            ssrc,
            101 if kind.is_video else 100,
            kind.is_video,
            kind.frame_s,
            kind.frame_sizes,
            kind.packet_size,
            extensions=(("mid", 1), ("abs", 4), ("number", 5)),
        )
        number = self._hub.engine.add_track(source, track)
        self._tracks.append(number)
        self._streams += [self._hub.engine.add_stream(sink, ssrc, 0, number) for sink in group]
        return number


def serve(table: dict[str, Any]) -> None:
    """Forward until killed; prints the port first."""
    profile = profile_named(table["profile"])
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (33, 32):  # SO_RCVBUFFORCE, SO_SNDBUFFORCE of asm-generic/socket.h
        try:
            udp.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        except PermissionError:
            break
    udp.bind(("127.0.0.1", 0))
    sources, sinks = table["sources"], [sink for group in table["sinks"] for sink in group]
    first, firsts = 0, [0]
    for group in table["sinks"]:
        first += len(group)
        firsts.append(first)
    addresses = [int(ipaddress.IPv4Address(ip)) for ip, _ in sources]
    if addresses != list(range(addresses[0], addresses[0] + len(addresses))):
        raise ValueError("the sources' addresses are not consecutive")
    pairs = [
        SrtpPair(profile.libsrtp_id, bytes.fromhex(key), bytes.fromhex(key)) for _, key in [*sources, *sinks]
    ]
    print(udp.getsockname()[1], flush=True)
    load().lt_floor(
        udp.fileno(),
        ctypes.byref(functions()),
        len(sources),
        (ctypes.c_uint32 * len(sources))(*addresses),
        (ctypes.c_void_p * len(sources))(*(pair.inbound for pair in pairs[: len(sources)])),
        (ctypes.c_int32 * len(firsts))(*firsts),
        (ctypes.c_uint32 * len(sinks))(*(int(ipaddress.IPv4Address(ip)) for ip, _ in sinks)),
        table["port"],
        (ctypes.c_void_p * len(sinks))(*(pair.outbound for pair in pairs[len(sources) :])),
    )
    os._exit(1)


if __name__ == "__main__":
    serve(json.loads(sys.stdin.readline()))
