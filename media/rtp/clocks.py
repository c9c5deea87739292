"""RTP and NTP clocks: what a sender report says about when a sample was taken (RFC 3550 section 4, 6.4.1).

NTP times are 64-bit integers, seconds since 1900 in the upper half; seconds are floats where no
precision is lost that matters here (a float keeps 0.5 us of a present-day NTP time).
"""

from __future__ import annotations

from media.rtp.numbers import TS_MASK, ts_diff

NTP_UNIX_OFFSET = 2_208_988_800  # seconds from 1900-01-01 to 1970-01-01
_FRACTION = 1 << 32


def ntp_from_unix(unix: float) -> int:
    """A Unix time in seconds as a 64-bit NTP time."""
    return round((unix + NTP_UNIX_OFFSET) * _FRACTION) & 0xFFFF_FFFF_FFFF_FFFF


def unix_from_ntp(ntp: int) -> float:
    """A 64-bit NTP time as Unix seconds."""
    return ntp / _FRACTION - NTP_UNIX_OFFSET


def ntp_add(ntp: int, seconds: float) -> int:
    """``ntp`` moved by ``seconds`` (may be negative)."""
    return (ntp + round(seconds * _FRACTION)) & 0xFFFF_FFFF_FFFF_FFFF


def ntp_seconds_between(later: int, earlier: int) -> float:
    """Seconds from ``earlier`` to ``later``, right across the 2036 wrap."""
    delta = (later - earlier) & 0xFFFF_FFFF_FFFF_FFFF
    if delta >= 1 << 63:
        delta -= 1 << 64
    return delta / _FRACTION


def ntp_middle(ntp: int) -> int:
    """The middle 32 bits, as LSR carries them (RFC 3550 section 6.4.1)."""
    return (ntp >> 16) & 0xFFFFFFFF


def short_seconds(value: int) -> float:
    """A 16.16 fixed-point duration (DLSR) in seconds."""
    return value / 65536


def short_from_seconds(seconds: float) -> int:
    """Seconds as 16.16 fixed point, held within what the field can say."""
    return min(max(round(seconds * 65536), 0), 0xFFFFFFFF)


class ClockMap:
    """One sender's line between RTP timestamps and NTP time, taken from its newest sender report."""

    __slots__ = ("clock_rate", "ntp", "received_at", "rtp_timestamp")

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self.ntp: int = 0
        self.rtp_timestamp: int = 0
        self.received_at: float | None = None  # monotonic seconds; None before the first report

    @property
    def known(self) -> bool:
        """Whether a sender report was seen."""
        return self.received_at is not None

    def update(self, ntp: int, rtp_timestamp: int, now: float) -> None:
        """Take over a sender report that arrived at ``now`` (monotonic seconds)."""
        self.ntp = ntp
        self.rtp_timestamp = rtp_timestamp
        self.received_at = now

    def ntp_of(self, rtp_timestamp: int) -> int:
        """The NTP time of a timestamp less than half the range from the last report."""
        return ntp_add(self.ntp, ts_diff(rtp_timestamp, self.rtp_timestamp) / self.clock_rate)

    def rtp_of(self, ntp: int) -> int:
        """The RTP timestamp of an NTP time."""
        ticks = round(ntp_seconds_between(ntp, self.ntp) * self.clock_rate)
        return (self.rtp_timestamp + ticks) & TS_MASK
