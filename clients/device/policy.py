"""When to try again, and when not to: functions of the attempt and a random number, nothing else."""

from __future__ import annotations

import enum

FIRST_DELAY_S = 0.5  # most cuts are over at once
LONGEST_DELAY_S = 30.0  # a server that comes back is found within half a minute
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


def reconnect_delay(attempt: int, uniform: float) -> float:
    """Seconds to wait before attempt ``attempt`` (from 0): doubling, with the upper half left to chance.

    :param uniform: a random number in [0, 1), so that many devices do not come back at one moment.
    """
    ceiling: float = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(attempt, PATIENCE_DOUBLINGS))
    return ceiling * (0.5 + uniform / 2)


def judge(code: str, blame: str) -> Verdict:
    """What to do about a refusal with ``code`` that blames ``peer`` (us) or ``server``."""
    if code in TOKEN_CODES:
        return Verdict.AWAIT_ASSIGNMENT
    if code in OVER_CODES:
        return Verdict.OVER
    if blame == "server" or code in PASSING_CODES:
        return Verdict.RETRY
    return Verdict.STOP
