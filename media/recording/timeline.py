"""From RTP timestamps to the one time line of a recording.

A track is anchored where its first frame arrived and then follows its own RTP clock, so that neither
network jitter nor a lost packet moves anything. Where sender reports say how the tracks of one peer
lie to each other (RFC 3550 section 6.4.1), video is led to the sound, slowly; sound is never moved.
"""

from __future__ import annotations

from media.rtp.clocks import ntp_seconds_between
from media.rtp.numbers import Unwrapper

JUMP_AHEAD_S = 1.0  # a frame cannot come before it was made: further ahead, the sender's clock jumped
JUMP_BEHIND_S = 5.0  # longer than any queue on the way: further behind, likewise
MAX_SKEW_S = 2.0  # reports that disagree by more are wrong
SLEW = 0.02  # lead video by 2 % of its own speed: nobody sees it


class PeerClock:
    """Where one peer's wall clock lies on the time line; set by its reference track."""

    def __init__(self) -> None:
        self._reference: TrackTimeline | None = None
        self._ntp = 0
        self._seconds = 0.0

    def set_reference(self, track: TrackTimeline, ntp: int, seconds: float) -> None:
        """``ntp`` of this peer was ``seconds`` on the time line. Sound takes the place of video."""
        if self._reference is None or track.is_audio or track is self._reference:
            self._reference = track
            self._ntp = ntp
            self._seconds = seconds

    def seconds_of(self, ntp: int) -> float:
        """The time line's seconds at the peer's ``ntp``."""
        return self._seconds + ntp_seconds_between(ntp, self._ntp)

    def is_led_by(self, track: TrackTimeline) -> bool:
        return self._reference is track


class TrackTimeline:
    """One track's place.

    :param clock_rate: of its RTP timestamps, Hz; the result counts in the same ticks.
    """

    def __init__(self, clock_rate: int, is_audio: bool, peer: PeerClock) -> None:
        self.clock_rate = clock_rate
        self.is_audio = is_audio
        self.jumps = 0
        self._peer = peer
        self._timestamps = Unwrapper(32)
        self._offset: int | None = None
        self._last = -1
        self._raw = 0
        self._target = 0
        self._lead = 0

    def place(self, timestamp: int, arrival_s: float) -> int:
        """Ticks from the recording's start for a frame; always later than the frame before.

        :param timestamp: 32-bit RTP timestamp.
        :param arrival_s: when it came, seconds from the recording's start.
        """
        media = self._timestamps.unwrap(timestamp)
        arrival = round(arrival_s * self.clock_rate)
        if self._offset is None or self._jumped(media, arrival):
            self._offset = arrival - media
            self._target = self._lead = 0
        ticks = media + self._offset
        self._follow_target(ticks)
        self._last = max(ticks + self._lead, self._last + 1)
        return self._last

    def sender_report(self, ntp: int, timestamp: int) -> None:
        """The peer says that ``timestamp`` was at its 64-bit ``ntp`` time."""
        if self._offset is None:
            return
        seconds = (self._timestamps.unwrap(timestamp) + self._offset) / self.clock_rate
        self._peer.set_reference(self, ntp, seconds)
        if self._peer.is_led_by(self):
            return
        skew = self._peer.seconds_of(ntp) - seconds
        if abs(skew) <= MAX_SKEW_S:
            self._target = round(skew * self.clock_rate)

    def _jumped(self, media: int, arrival: int) -> bool:
        assert self._offset is not None  # asked after the first frame
        ahead = media + self._offset - arrival
        jumped = ahead > JUMP_AHEAD_S * self.clock_rate or -ahead > JUMP_BEHIND_S * self.clock_rate
        self.jumps += jumped
        return jumped

    def _follow_target(self, ticks: int) -> None:
        step = max(0, round((ticks - self._raw) * SLEW)) if self._last >= 0 else 0
        self._raw = ticks
        missing = self._target - self._lead
        self._lead += max(-step, min(step, missing))
