"""Wrapping numbers: RTP's 16-bit sequence numbers and 32-bit timestamps (RFC 3550 section 5.1).

All comparisons are serial-number arithmetic: ``a`` is newer than ``b`` when it lies less than half the
range ahead of it.
"""

from __future__ import annotations

SEQ_MASK = 0xFFFF
TS_MASK = 0xFFFFFFFF


def seq_add(a: int, delta: int) -> int:
    """``a + delta`` modulo 2**16."""
    return (a + delta) & SEQ_MASK


def seq_diff(a: int, b: int) -> int:
    """How far sequence number ``a`` is ahead of ``b``, -32768..32767."""
    return ((a - b + 0x8000) & SEQ_MASK) - 0x8000


def seq_newer(a: int, b: int) -> bool:
    """True when sequence number ``a`` comes after ``b``."""
    return a != b and (a - b) & SEQ_MASK < 0x8000


def ts_add(a: int, delta: int) -> int:
    """``a + delta`` modulo 2**32."""
    return (a + delta) & TS_MASK


def ts_diff(a: int, b: int) -> int:
    """How far timestamp ``a`` is ahead of ``b``, in clock ticks, -2**31..2**31-1."""
    return ((a - b + 0x80000000) & TS_MASK) - 0x80000000


def ts_newer(a: int, b: int) -> bool:
    """True when timestamp ``a`` comes after ``b``."""
    return a != b and (a - b) & TS_MASK < 0x80000000


class Unwrapper:
    """Turns a wrapping number into one that keeps counting, across any number of wraps.

    :param bits: width of the wrapping number (16 for sequence numbers, 32 for timestamps).
    """

    __slots__ = ("_half", "_last", "_mask", "_span")

    def __init__(self, bits: int) -> None:
        self._span = 1 << bits
        self._mask = self._span - 1
        self._half = self._span >> 1
        self._last: int | None = None

    def unwrap(self, value: int) -> int:
        """The number nearest to the newest one seen that equals ``value`` modulo the range.

        The first value is returned as it is; a number older than the first may come out negative.
        """
        if self._last is None:
            self._last = value
            return value
        delta = ((value - self._last + self._half) & self._mask) - self._half
        result = self._last + delta
        if delta > 0:
            self._last = result
        return result
