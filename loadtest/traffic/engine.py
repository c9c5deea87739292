"""The packet engine as Python sees it: transports, tracks and streams by number, counters, datagrams."""

from __future__ import annotations

import ctypes
import ipaddress
import threading
from collections.abc import Sequence
from ctypes import POINTER, c_char, c_double, c_int32, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass, fields
from typing import Any

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from loadtest.traffic.build import library

BUCKETS = 2048
MOST_TRANSPORTS = 4096
MOST_TRACKS = 4096
MOST_STREAMS = 16_000
"""Twice as many entries, with RTX, fill half of the engine's table at most."""
BASE_IP = "127.64.0.1"
"""Transport n speaks from this address + n."""
_DATAGRAM = 2048


class _Functions(ctypes.Structure):
    _fields_ = (
        ("protect", c_void_p),
        ("unprotect", c_void_p),
        ("protect_rtcp", c_void_p),
        ("unprotect_rtcp", c_void_p),
    )


class _TrackConfig(ctypes.Structure):
    _fields_ = (
        ("transport", c_int32),
        ("ssrc", c_uint32),
        ("payload_type", c_uint8),
        ("is_video", c_uint8),
        ("mid_id", c_uint8),
        ("abs_id", c_uint8),
        ("number_id", c_uint8),
        ("level_id", c_uint8),
        ("mid", c_char * 8),
        ("mid_length", c_uint8),
        ("clock_rate", c_uint32),
        ("frame_ns", c_uint64),
        ("packet_size", c_uint32),
        ("sizes_count", c_uint32),
        ("frame_sizes", POINTER(c_uint32)),
        ("key_frame_size", c_uint32),
        ("cname", c_char * 24),
    )


@dataclass(frozen=True, slots=True)
class Track:
    """What a light participant sends.

    :param frame_sizes: bytes of one frame after another, again from the start at the end; a frame is cut into
        equal packets of at most ``packet_size`` (RTP header included, SRTP not).
    :param frame_s: seconds between frames.
    :param extensions: ids of the header extensions that are sent, by name: mid, abs, number, level.
    """

    ssrc: int
    payload_type: int
    is_video: bool
    frame_s: float
    frame_sizes: Sequence[int]
    packet_size: int = 1200
    key_frame_size: int = 0
    mid: str = "0"
    cname: str = "light"
    extensions: Sequence[tuple[str, int]] = (("mid", 1), ("abs", 2), ("number", 3))


@dataclass(frozen=True, slots=True)
class Totals:
    """Counters since the last reset; `traffic.h` says what each counts."""

    sent: int
    send_dropped: int
    expected: int
    arrived: int
    arrived_bytes: int
    repeated: int
    holes: int
    checked: int
    corrupt: int
    disordered: int
    unknown: int
    nacked: int
    key_frames_asked: int
    key_frames_sent: int
    feedback_sent: int
    feedback_heard: int
    reports_heard: int
    frames_late: int
    up_dropped: int
    silent_streams: int
    stalls: int

    @property
    def lost(self) -> int:
        """Sent and never arrived, for want of a hole or with one; whichever count is larger."""
        return max(self.expected - self.arrived, self.holes)


class _Totals(ctypes.Structure):
    _fields_ = tuple((field.name, c_uint64) for field in fields(Totals))


@dataclass(frozen=True, slots=True)
class StreamState:
    """What one stream got since the reset; `first_at` is Unix seconds, None before the first packet."""

    arrived: int
    holes: int
    first_at: float | None


class Delays:
    """Counts of delays in the engine's buckets: 1 us wide up to 64 us, then within 1.6 %."""

    def __init__(self, counts: Sequence[int], edges_us: Sequence[float]) -> None:
        self.counts = list(counts)
        self._edges = edges_us

    @property
    def count(self) -> int:
        return sum(self.counts)

    def percentile_ms(self, percent: float) -> float:
        """Nearest rank, the lower edge of its bucket; NaN when nothing was measured."""
        wanted = max(1.0, percent / 100 * self.count)
        seen = 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if seen >= wanted:
                return self._edges[bucket] / 1000
        return float("nan")

    def __sub__(self, earlier: Delays) -> Delays:
        return Delays([a - b for a, b in zip(self.counts, earlier.counts, strict=True)], self._edges)


def address_of(function: str) -> int:
    """Where libsrtp's ``function`` is; pylibsrtp's wheel brings the library."""
    pointer = ffi.addressof(lib, function)
    if ffi.typeof(pointer) is not ffi.typeof("srtp_err_status_t(*)(struct srtp_ctx_t_ *, void *, int *)"):
        raise RuntimeError(f"{function} has another signature than the engine calls")
    return int(ffi.cast("uintptr_t", pointer))


def functions() -> _Functions:
    """libsrtp for C."""
    return _Functions(
        *(address_of(f"srtp_{name}") for name in ("protect", "unprotect", "protect_rtcp", "unprotect_rtcp"))
    )


def load() -> ctypes.CDLL:
    """The compiled engine with its functions' types."""
    c = ctypes.CDLL(str(library()))
    engine, number, wide = c_void_p, c_int32, c_uint64
    signatures: dict[str, tuple[object, tuple[object, ...]]] = {
        "lt_open": (engine, (c_uint32, c_uint16, POINTER(_Functions), number, number, number)),
        "lt_close": (None, (engine,)),
        "lt_port": (number, (engine,)),
        "lt_event_fd": (number, (engine,)),
        "lt_run": (None, (engine,)),
        "lt_stop": (None, (engine,)),
        "lt_transport_add": (number, (engine, c_uint32, c_uint16)),
        "lt_transport_remote": (None, (engine, number, c_uint32, c_uint16)),
        "lt_transport_remove": (None, (engine, number)),
        "lt_send_plain": (number, (engine, number, ctypes.c_char_p, number)),
        "lt_set_keys": (number, (engine, number, c_void_p, c_void_p, number)),
        "lt_track_add": (number, (engine, POINTER(_TrackConfig))),
        "lt_track_remove": (None, (engine, number)),
        "lt_track_active": (None, (engine, number, number, wide)),
        "lt_track_pace": (None, (engine, number, wide)),
        "lt_stream_add": (number, (engine, number, c_uint32, c_uint32, number)),
        "lt_stream_track": (None, (engine, number, number)),
        "lt_stream_remove": (None, (engine, number)),
        "lt_take": (number, (engine, ctypes.c_char_p, number, POINTER(number))),
        "lt_closed_loop": (None, (engine, number)),
        "lt_check_every": (None, (engine, number)),
        "lt_turn": (None, (engine,)),
        "lt_reset": (None, (engine,)),
        "lt_read": (None, (engine, POINTER(_Totals), POINTER(c_uint32))),
        "lt_bucket_us": (c_double, (number,)),
        "lt_stream_read": (number, (engine, number, POINTER(wide), POINTER(wide), POINTER(wide))),
        "lt_floor": (
            number,
            (
                number,
                POINTER(_Functions),
                number,
                POINTER(c_uint32),
                POINTER(c_void_p),
                POINTER(number),
                POINTER(c_uint32),
                c_uint16,
                POINTER(c_void_p),
            ),
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(c, name)
        function.restype, function.argtypes = result, arguments
    return c


class EngineClosedError(Exception):
    """Somebody still used an engine that was closed."""


class _Closed:
    """In the library's place once the engine's memory was given back."""

    def __getattr__(self, name: str) -> Any:
        raise EngineClosedError(name)


class TrafficEngine:
    """One socket and one thread for all light participants of this process. `close` ends both.

    :param base_ip: of the loopback's addresses; run in a network namespace of your own.
    """

    def __init__(self, base_ip: str = BASE_IP) -> None:
        self._c: Any = load()
        self._functions = functions()
        handle = self._c.lt_open(
            int(ipaddress.IPv4Address(base_ip)),
            0,
            self._functions,
            MOST_TRANSPORTS,
            MOST_TRACKS,
            MOST_STREAMS,
        )
        if not handle:
            raise OSError("the traffic engine could not open its socket")
        self._engine = c_void_p(handle)
        self._base_ip = int(ipaddress.IPv4Address(base_ip))
        self._kept: dict[int, object] = {}
        self._edges = [self._c.lt_bucket_us(bucket) for bucket in range(BUCKETS)]
        self._buffer = ctypes.create_string_buffer(_DATAGRAM)
        self.event_fd = int(self._c.lt_event_fd(self._engine))
        """Readable when `take` has something."""
        self.port = int(self._c.lt_port(self._engine))
        self._thread = threading.Thread(
            target=self._c.lt_run, args=(self._engine,), name="traffic", daemon=True
        )
        self._thread.start()
        self._closed = False

    def close(self) -> None:
        """Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._c.lt_stop(self._engine)
        self._thread.join()
        self._c.lt_close(self._engine)
        self._c = _Closed()

    def local_ip(self, transport: int) -> str:
        """The address that transport ``transport`` speaks from."""
        return str(ipaddress.IPv4Address(self._base_ip + transport))

    def add_transport(self, ip: str, port: int) -> int:
        """A transport towards this address; its number."""
        return self._number(
            self._c.lt_transport_add(self._engine, int(ipaddress.IPv4Address(ip)), port), "transports"
        )

    def set_remote(self, transport: int, ip: str, port: int) -> None:
        """Where the other end is, when that was not known before."""
        self._c.lt_transport_remote(self._engine, transport, int(ipaddress.IPv4Address(ip)), port)

    def remove_transport(self, transport: int) -> None:
        self._c.lt_transport_remove(self._engine, transport)
        self._kept.pop(transport, None)

    def send(self, transport: int, datagram: bytes) -> None:
        """Send as it is: STUN and DTLS."""
        self._c.lt_send_plain(self._engine, transport, datagram, len(datagram))

    def take(self) -> tuple[int, bytes] | None:
        """The next datagram that is neither RTP nor RTCP, with its transport; None when there is none."""
        transport = c_int32()
        length = self._c.lt_take(self._engine, self._buffer, _DATAGRAM, ctypes.byref(transport))
        return (transport.value, self._buffer.raw[:length]) if length else None

    def set_keys(self, transport: int, keys: SrtpPair, number_id: int) -> None:
        """Media may flow. ``number_id``: extension id of transport-wide numbers we tell of, 0 = none."""
        self._kept[transport] = keys
        if self._c.lt_set_keys(self._engine, transport, keys.outbound, keys.inbound, number_id) != 0:
            raise MemoryError("no memory for arrivals")

    def add_track(self, transport: int, track: Track) -> int:
        """A track that is silent until `set_active`; its number."""
        ids = dict(track.extensions)
        sizes = (c_uint32 * len(track.frame_sizes))(*track.frame_sizes)
        config = _TrackConfig(
            transport=transport,
            ssrc=track.ssrc,
            payload_type=track.payload_type,
            is_video=track.is_video,
            mid_id=ids.get("mid", 0),
            abs_id=ids.get("abs", 0),
            number_id=ids.get("number", 0),
            level_id=ids.get("level", 0),
            mid=track.mid.encode(),
            mid_length=len(track.mid),
            clock_rate=90_000 if track.is_video else 48_000,
            frame_ns=round(track.frame_s * 1e9),
            packet_size=track.packet_size,
            sizes_count=len(sizes),
            frame_sizes=sizes,
            key_frame_size=track.key_frame_size or track.frame_sizes[0],
            cname=track.cname.encode(),
        )
        return self._number(self._c.lt_track_add(self._engine, ctypes.byref(config)), "tracks")

    def remove_track(self, track: int) -> None:
        self._c.lt_track_remove(self._engine, track)

    def set_active(self, track: int, active: bool, start_ns: int = 0) -> None:
        """Send, the first frame at ``start_ns`` (`time.monotonic_ns`, 0 = now), or fall silent."""
        self._c.lt_track_active(self._engine, track, active, start_ns)

    def set_pace(self, track: int, frame_s: float) -> None:
        """Another time between frames."""
        self._c.lt_track_pace(self._engine, track, max(1, round(frame_s * 1e9)))

    def add_stream(self, transport: int, ssrc: int, rtx_ssrc: int = 0, track: int = -1) -> int:
        """A stream that comes in; ``track`` is what it must hold, -1 while that is not known."""
        return self._number(self._c.lt_stream_add(self._engine, transport, ssrc, rtx_ssrc, track), "streams")

    def set_stream_track(self, stream: int, track: int) -> None:
        """The publisher of the stream became known."""
        self._c.lt_stream_track(self._engine, stream, track)

    def remove_stream(self, stream: int) -> None:
        self._c.lt_stream_remove(self._engine, stream)

    def closed_loop(self, window: int) -> None:
        """Send as fast as sinks take it, with ``window`` packets of theirs under way; 0 = by the clock."""
        self._c.lt_closed_loop(self._engine, window)

    def check_every(self, n: int) -> None:
        """Open and compare every n-th packet of a stream."""
        self._c.lt_check_every(self._engine, n)

    def turn(self) -> None:
        """Wait until the engine's thread has taken its next turn, which is 10 ms at most."""
        self._c.lt_turn(self._engine)

    def reset(self) -> None:
        """All counters to zero."""
        self._c.lt_reset(self._engine)

    def read(self) -> tuple[Totals, Delays]:
        """Counters and delays since the reset."""
        totals, buckets = _Totals(), (c_uint32 * BUCKETS)()
        self._c.lt_read(self._engine, ctypes.byref(totals), buckets)
        return (
            Totals(*(int(getattr(totals, field.name)) for field in fields(Totals))),
            Delays(list(buckets), self._edges),
        )

    def stream(self, stream: int) -> StreamState | None:
        """What one stream got; None when there is no such stream."""
        arrived, holes, first = c_uint64(), c_uint64(), c_uint64()
        if not self._c.lt_stream_read(
            self._engine, stream, ctypes.byref(arrived), ctypes.byref(holes), ctypes.byref(first)
        ):
            return None
        return StreamState(arrived.value, holes.value, first.value / 1e9 if first.value else None)

    def _number(self, number: int, what: str) -> int:
        if number < 0:
            raise RuntimeError(f"the traffic engine has no room for more {what}")
        return int(number)


class SrtpPair:
    """Both directions' libsrtp contexts of one transport; keep it as long as the engine uses it."""

    def __init__(self, profile: int, local: bytes, remote: bytes) -> None:
        self._sessions = []
        # The engine works on the handles; a Session that is collected frees them.
        for key, kind in ((local, Policy.SSRC_ANY_OUTBOUND), (remote, Policy.SSRC_ANY_INBOUND)):
            policy = Policy(key=key, ssrc_type=kind, srtp_profile=profile)
            policy.allow_repeat_tx = True
            policy.window_size = 1024
            self._sessions.append(Session(policy))
        self.outbound, self.inbound = (
            int(ffi.cast("uintptr_t", session._srtp[0])) for session in self._sessions
        )
