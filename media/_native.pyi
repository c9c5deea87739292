"""The compiled part of the media plane (sources: ``media/native/*.c``). Reach it through `media.native`.

Nothing here calls back into Python, logs, or raises for what a peer sends. Every call that enters the kernel
or works on packets releases the GIL. An object is used by one thread at a time unless its text says more.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, final

Buffer = bytes | bytearray | memoryview

SOURCES: Final[str]
"""Digest of what it was built of (`media.native.sources`); `media.native` refuses another one."""

def bind(addresses: Sequence[int]) -> None:
    """Take the addresses of libsrtp's functions: protect, unprotect, protect_rtcp, unprotect_rtcp. Once."""

def monotonic_ns() -> int:
    """CLOCK_MONOTONIC, the clock of every time here; the same as `time.monotonic_ns`."""

@final
class Srtp:
    """One direction of one SRTP session, on a context that pylibsrtp made (see `media.native.srtp_context`).

    :param handle: address of the library's context (``srtp_t``).
    :param owner: whose life the context hangs on; kept.
    """

    def __new__(cls, handle: int, owner: object, outbound: bool) -> Srtp: ...
    @property
    def outbound(self) -> bool: ...
    def rtp(self, packet: Buffer) -> bytes | None:
        """Protected or unprotected, by direction; None when libsrtp refuses."""

    def rtcp(self, packet: Buffer) -> bytes | None:
        """As `rtp` for SRTCP."""

UP_STUN: Final = 0
UP_DTLS: Final = 1
UP_RTCP: Final = 2
UP_RTP: Final = 3
UP_OUT: Final = 4
UP_EARLY: Final = 5
UP_CONTROL: Final = 6
"""What `Engine.take` tells of: a check (with its source), a handshake's datagram, an unprotected RTCP
compound, an unprotected RTP packet of a peer without a rule, a finished packet that leaves through Python,
what followed at once a check from an address that was not known yet, an RTCP packet that leaves through
Python."""

WAY_NONE: Final = 0
WAY_UDP: Final = 1
WAY_UP: Final = 2
"""Where a peer's packets go: nowhere, to its address, or to Python as `UP_OUT`."""

@final
class Engine:
    """The thread that owns a media socket's packets. It runs without the GIL from here to `close`.

    Calls take its lock, and release the GIL while they wait for it. Made and used in one process: a forked
    child sees a closed engine.

    :param fd: a bound, non-blocking UDP socket, which stays the caller's and outlives this.
    :param rule: the relay's; from now on its packets leave here, until `close`.
    :param most_peers: bound of `peer`.
    :param up_bytes: bound of what waits for `take`.
    """

    def __new__(cls, fd: int, rule: Rule, most_peers: int, up_bytes: int) -> Engine: ...
    def close(self) -> None:
        """End the thread and close all peers. Idempotent."""

    def fileno(self) -> int:
        """Readable when there is something to `take`, or when the rule has news."""

    def peer(self, handle: object) -> EnginePeer:
        """One more transport or tap, which is told of as ``handle``. Raises OverflowError at the bound."""

    def take(self) -> list[tuple[int, Any, bytes, str, int, float]]:
        """All that came up: (`UP_STUN` .., handle or None, packet, ip, port, monotonic seconds).

        The address is that of checks and of what followed them early; of all else it is empty.
        """

    @property
    def counters(self) -> dict[str, int]:
        """garbage, unknown, batches, received, checks (answered here), sent, send_calls, send_blocked,
        send_failed, up_dropped."""

@final
class EnginePeer:
    """One transport, or one tap. A closed one raises RuntimeError."""

    def close(self) -> None:
        """Idempotent; its addresses, keys and handle are let go."""

    def set_keys(self, protect: int, unprotect: int, owner: object) -> None:
        """Addresses of libsrtp's contexts, used by nobody else from now on; ``owner`` keeps them."""

    def set_way(self, way: int, ip: str = "", port: int = 0) -> None:
        """Where its packets go (`WAY_NONE` ..)."""

    def set_consent(self, ufrag: str, password: str, nominated: bool, /) -> None:
        """Checks with these credentials from where it is reached are answered here, and count as `heard`.

        :param ufrag: ours, at most 32 bytes; empty: every check comes up.
        :param password: at most 64 bytes.
        :param nominated: one that nominates the pair changes nothing.
        """

    def add_address(self, ip: str, port: int) -> None:
        """What comes from there is this peer's, and nobody else's any more."""

    def remove_address(self, ip: str, port: int) -> None:
        """No longer; nothing happens when it is another's by now."""

    def rtp(self, packet: Buffer) -> bytes | None:
        """Protected; None when libsrtp refuses or there are no keys."""

    def rtcp(self, packet: Buffer) -> bytes | None:
        """As `rtp`."""

    def receive(self, packet: Buffer) -> None:
        """RTP or RTCP that came by TCP: as if it had come to the socket."""

    def attach(self, peer: RulePeer | None) -> None:
        """This transport's side of the rule; None to let go, which comes before its `close`."""

    @property
    def heard(self) -> float:
        """When something authentic came last, monotonic seconds; 0 before."""

    @property
    def counters(self) -> tuple[int, int, int, int, int, int]:
        """packets and bytes received, packets and bytes sent, refused, dropped."""

# The relay's rule (`media/native/rule*.c`), reached through `media.relay.native_tables`.

@final
class Rule:
    """The tables of a plane. One lock guards all of it; a call waits for it without the GIL.

    :param limits: `media.relay.native_tables.LIMITS`. Raises KeyError, ValueError.
    """

    def __new__(cls, limits: Mapping[str, float]) -> Rule: ...
    def next_event(self) -> tuple[int, int] | None:
        """(kinds, key) of an object with something to tell; None when there is none."""

    def run(self, now: float) -> float:
        """Send what waits for the pace and may leave, of all peers; when to call again, inf for never."""

    def stats(self) -> dict[str, int]: ...

@final
class RulePeer:
    """One transport or tap. `close` it after what is on it; every other call then raises ValueError."""

    def __new__(cls, rule: Rule, key: int) -> RulePeer: ...
    def close(self) -> None: ...
    def set_out(self, out: Callable[[bytes], bool] | Callable[[bytearray], bool] | None) -> None:
        """What is called with each packet that leaves, where no engine is attached."""

    def receive(self, packet: Buffer, now: float) -> None: ...
    def unbind(self, ssrc: int) -> None: ...
    def stuck(self) -> tuple[bytes, float, int | None] | None:
        """A packet that waits for a decision, when it came, and the key of its layer if that is known."""

    def resume(self, malformed: bool) -> None:
        """It was decided: take it, and those behind it."""

    def drain(self, now: float) -> None: ...
    def set_target(self, bps: float, queued_s: float) -> None: ...
    def say_again(self, copies: int) -> None:
        """How many times each voice goes again some packets later, 0..2."""

    def state(self) -> tuple[int, int, int, int, int, float, int]:
        """(malformed, unrouted, overflowed, waiting, left out, when the first may leave, next number)."""

    def hear(self, packet: Buffer, now: float) -> bool:
        """Take an RTCP packet if it is transport-wide feedback and nothing else."""

    def heard(
        self,
    ) -> list[
        tuple[float, bool, int, int, int, list[tuple[int, float, float, int]], list[tuple[float, int]]]
    ]:
        """What the receiver said, taken out: `media.relay.hearing.Heard` with a number for the signal."""

    def be_calm(self, until: float, delay: float, most_bps: float, /) -> None: ...
    def probing(self, first: int, last: int) -> None:
        """Numbers of the probe that is under way; first -1: none is."""

    def forget_delays(self) -> None: ...
    def set_feedback(self, extension_id: int, stamps: bool, local_ssrc: int) -> None: ...
    def feedback_due(self) -> float: ...
    def feedback(self, now: float) -> list[bytes]:
        """RTCP packets that are due, where no engine sends them; nothing is due from now on."""

    def report(self, connected: bool, ntp: int, now: float, /) -> list[bytes]:
        """Reports to the publisher and to the receiver that are due; empty where the engine sends them.

        :param ntp: NTP time, told where a publisher has not said what its own is.
        """

    def stamps(self) -> list[tuple[int, int, int, float]]:
        """(abs-send-time, size, ssrc, when it came), taken out."""

@final
class RuleProducer:
    """A track that comes in; layers are named by their index."""

    def __new__(
        cls,
        *,
        peer: RulePeer,
        key: int,
        layer_keys: tuple[int, ...],
        payload_types: dict[int, int],
        rtx_payload_types: dict[int, int],
        extension_ids: dict[int, int],
        send_time_id: int,
        number_id: int,
        level_id: int,
        red_type: int,
        codec: str,
        clock_rate: int,
        asks_again: bool,
    ) -> RuleProducer: ...
    def close(self) -> None: ...
    def set_paused(self, paused: bool) -> None: ...
    def levels(self) -> tuple[bytes, float, float] | None:
        """(levels, when the first and the last of them came), taken out; None when none came."""

    def bind(self, layer: int, ssrc: int, is_rtx: bool) -> None: ...
    def set_alive(self, layer: int, alive: bool) -> None: ...
    def touch(self, layer: int, now: float) -> None: ...
    def replaced(self, layer: int) -> bool: ...
    def learn_clock(self, layer: int, ntp: int, rtp_timestamp: int, now: float) -> None: ...
    def state(self, layer: int) -> tuple[bool, float, int, int, int, int, int]:
        """(alive, last packet at, width, height, recovered, probes, restarts)."""

    def reception(self, layer: int) -> tuple[int, int, int, int, float, int, int, float, int]: ...
    def frames(self, layer: int) -> tuple[tuple[int, int, int, int], float, float, int]: ...
    def clock(self, layer: int) -> tuple[int, int, float | None]: ...
    def bitrate(self, layer: int) -> int:
        """Bits per second between the last two reports."""

    def missing(self, layer: int) -> tuple[float, int, float, int]:
        """(due, requested, round trip, how many)."""

    def take_missing(self, layer: int, now: float) -> list[int]: ...
    def forgive(self, layer: int) -> bool: ...

@final
class RuleSubscription:
    """One consumer's stream."""

    def __new__(
        cls,
        *,
        producer: RuleProducer,
        outlet: RulePeer,
        key: int,
        ssrc: int,
        first_sequence: int,
        clock_rate: int,
        numbered: int,
        waits: bool,
        priority: int,
        removed_extensions: tuple[int, ...],
        plain_type: int,
        rtx: tuple[int, int, int] | None,
        voice: bool = False,
        cname: str = "",
    ) -> RuleSubscription: ...
    def close(self) -> int: ...
    def aim(self, layer: int) -> int: ...
    def leave(self) -> int: ...
    def aim_temporal(self, target: int) -> None: ...
    def prioritize(self, priority: int) -> None: ...
    def retransmit(self, sequences: Sequence[int], now: float) -> int: ...
    def state(
        self,
    ) -> tuple[int, int, int, int, int | None, float, int, int, float | None, int, int, int, bool]:
        """(current layer, target, temporal layer, timestamp delta, last timestamp, last sent at, packets,
        octets, started at, retransmitted, refused, held, whether the target's key frame waits);
        -1 = no layer."""

    def answered(self) -> tuple[tuple[int, int, int, int, int, int] | None, float | None, int]:
        """(what the receiver's last report said (fraction lost, cumulative lost, highest, jitter, last sr,
        delay), round trip, bits per second between our last two reports); None = not known."""

    def answer(
        self,
        fraction_lost: int,
        cumulative_lost: int,
        highest: int,
        jitter: int,
        last_sr: int,
        delay: int,
        now: float,
        /,
    ) -> None:
        """A report of the receiver's came, in a compound that Python reads."""

    @staticmethod
    def pad(subscriptions: Sequence[RuleSubscription], least: int, now: float) -> int: ...
