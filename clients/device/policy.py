"""When to try again, and when not to: functions of the attempt and a random number, nothing else."""

from __future__ import annotations

import enum

FIRST_DELAY_S = 1.0  # most cuts are over at once
LONGEST_DELAY_S = 2.0  # while something is measured: what was kept is whole 5 s after the line is back
IDLE_DELAY_S = 30.0  # while nobody waits for this device
SURE_PART = 0.2  # of a delay; the rest is left to chance
PATIENCE_DOUBLINGS = 10  # beyond this the power of two says nothing more


class Verdict(enum.Enum):
    """What a refusal means for the device."""

    RETRY = "retry"
    AWAIT_ASSIGNMENT = "await_assignment"
    OVER = "over"
    STOP = "stop"


# Codes that a new assignment mends; without one the operator must give another token.
TOKEN_CODES = frozenset({"token_expired", "token_revoked", "token_invalid", "token_foreign"})
# The device's own fault only in name: the line was silent, the server was busy, the room is not up yet.
PASSING_CODES = frozenset({"signal_timeout", "limit_reached", "store_busy", "signal_stream_limit"})
# The consult has ended before the device was told so.
OVER_CODES = frozenset({"room_closed"})


def reconnect_delay(attempt: int, uniform: float, longest_s: float = LONGEST_DELAY_S) -> float:
    """Seconds to wait before attempt ``attempt`` (from 0): doubling, most of it left to chance.

    A server that is started anew loses all its devices at one moment. With four fifths left to chance, from
    the first delay on, no 100 ms see more than an eighth of them come back, whenever the server is there
    again.

    :param uniform: a random number in [0, 1).
    :param longest_s: ``IDLE_DELAY_S`` for who has nothing to send.
    """
    ceiling: float = min(longest_s, FIRST_DELAY_S * 2.0 ** min(attempt, PATIENCE_DOUBLINGS))
    return ceiling * (SURE_PART + (1 - SURE_PART) * uniform)


def judge(code: str, blame: str) -> Verdict:
    """What to do about a refusal with ``code`` that blames ``peer`` (us) or ``server``."""
    if code in TOKEN_CODES:
        return Verdict.AWAIT_ASSIGNMENT
    if code in OVER_CODES:
        return Verdict.OVER
    if blame == "server" or code in PASSING_CODES:
        return Verdict.RETRY
    return Verdict.STOP
