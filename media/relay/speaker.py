"""Who speaks: dominant speaker identification by audio levels (RFC 6464).

After I. Volfin and I. Cohen, "Dominant speaker identification for multipoint videoconferencing",
Computer Speech and Language 27 (2013). Speech is looked at over three spans, 20 ms, 100 ms and 1 s; over
each, how many of the shorter spans within were active is scored by a likelihood ratio of speech against
silence. Another takes over when it beats the dominant one over all three, so a cough or a door does not, and
a pause for breath loses nothing. The thresholds are those of the open implementations (Jitsi, mediasoup),
which were found with meetings.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from math import comb, inf, log, sqrt

from media.limits import SPEAKER_INTERVAL_S, SPEAKER_LEVEL_S, SPEAKER_LEVELS
from media.relay.timer import following

LOUDEST = 127
_BAND = 10  # levels in one of the 13 bands of the shortest span
_SHORT_PER_MIDDLE = 5
_MIDDLE_PER_LONG = 10
_ACTIVE_SHORT = 7  # bands above which 20 ms count as speech
_ACTIVE_MIDDLE = 4  # active shorts above which 100 ms count as speech
_MIDDLES = range(0, _SHORT_PER_MIDDLE * _MIDDLE_PER_LONG, _SHORT_PER_MIDDLE)
# of each span: most that can be active, weight of silence (lambda in the paper)
_SPANS = ((13, 0.78), (_SHORT_PER_MIDDLE, 24.0), (_MIDDLE_PER_LONG, 47.0))
_TAKES_OVER = (3.0, 2.0, 0.0)  # log ratios of the three scores above which one takes over
_BEGINS = 3  # tenths of the last second with speech that make the first speaker
_NOISE_LEVELS = 750  # 15 s: after them the noise floor may rise
_IDLE_S = 2 * SPEAKER_LEVEL_S  # no packet for so long is silence (DTX)


@cache  # of 31 cases in all
def activity(active: int, most: int, weight: float) -> float:
    """The score of ``active`` of ``most`` short spans with speech; at least a tiny positive number."""
    odds = log(comb(most, active)) + most * log(0.5)
    return max(1e-10, odds - log(weight) + weight * active)


class Voice:
    """The levels of one microphone: 0 is silence, 127 the loudest."""

    __slots__ = ("_heard_at", "_levels", "_noise", "_window", "_window_least")

    def __init__(self, now: float) -> None:
        self._levels: deque[int] = deque([0] * SPEAKER_LEVELS, SPEAKER_LEVELS)  # the newest first
        self._noise = 0  # level of the background; 0 = not known
        self._window = 0
        self._window_least = LOUDEST
        self._heard_at = now

    def heard(self, levels: bytes, last_at: float) -> None:
        """Levels, the newest last, and when that came."""
        self._levels.extendleft(levels)
        self._heard_at = last_at
        noise, least, window = self._noise, self._window_least, self._window
        if window + len(levels) < _NOISE_LEVELS:
            sounds = levels.replace(b"\0", b"")  # together: of so few the order does not matter
            levels = bytes((min(sounds),)) if sounds else b""
            window += max(0, len(sounds) - 1)
        for level in levels:
            if level:
                # The floor falls at once and rises slowly, so that long speech is not taken for noise.
                noise = level if level < noise or not noise else noise
                least = level if level < least else least
                window += 1
                if window >= _NOISE_LEVELS:
                    noise, least, window = round(sqrt(noise * least)), LOUDEST, 0
        self._noise, self._window_least, self._window = noise, least, window

    def active(self, now: float) -> tuple[int, int, int]:
        """How active the newest short, middle and long span were."""
        silent = now - self._heard_at
        if silent > _IDLE_S:
            missed = min(SPEAKER_LEVELS, int(silent / SPEAKER_LEVEL_S))
            self._levels.extendleft([0] * missed)
            self._heard_at = now
        least, newest = self._noise + _BAND, self._levels[0]
        loud = max(least, _BAND * (_ACTIVE_SHORT + 1))
        if max(self._levels) < loud:
            return (newest // _BAND if newest >= least else 0), 0, 0
        short = [level >= loud for level in self._levels]
        middle = [sum(short[at : at + _SHORT_PER_MIDDLE]) for at in _MIDDLES]
        return (
            newest // _BAND if newest >= least else 0,
            middle[0],
            sum(one > _ACTIVE_MIDDLE for one in middle),
        )


class SpeakerWatch:
    """Who is the dominant speaker among the voices of a room. `heard` for levels, `tick` when `due`.

    Nobody is until somebody has spoken; the last one stays it while nobody speaks.

    :param phase: where in the interval the first judgement lies, 0..1.
    """

    def __init__(self, phase: float = 0.0) -> None:
        self.dominant: str | None = None
        self.due = inf
        self._phase = phase
        self._voices: dict[str, Voice] = {}
        self._is_fresh = False

    def heard(self, key: str, levels: bytes, first_at: float, last_at: float) -> bool:
        """Levels, and when first and last came; True when `due` was set: a tick is to be asked for."""
        voice = self._voices.get(key)
        if voice is None:
            voice = self._voices[key] = Voice(first_at)
        voice.heard(levels, last_at)
        self._is_fresh = True
        if self.due < inf:
            return False
        self.due = following(first_at, SPEAKER_INTERVAL_S, self._phase)
        return True

    def gone(self, key: str) -> bool:
        """A voice is closed or muted; True when it was the dominant one. Idempotent."""
        self._voices.pop(key, None)
        if self.dominant != key:
            return False
        self.dominant = None
        return True

    def tick(self, now: float) -> bool:
        """Judge again; True when another is dominant now. Rests when nothing was heard meanwhile."""
        self.due = now + SPEAKER_INTERVAL_S if self._is_fresh else inf
        self._is_fresh = False
        active = {key: voice.active(now) for key, voice in self._voices.items()}
        before = self.dominant
        self.dominant = self._first(active) if before is None else self._challenger(before, active)
        return self.dominant != before

    def _first(self, active: dict[str, tuple[int, int, int]]) -> str | None:
        spoken = [key for key, spans in active.items() if spans[2] >= _BEGINS]
        return max(spoken, key=lambda key: active[key][::-1], default=None)

    def _challenger(self, dominant: str, active: dict[str, tuple[int, int, int]]) -> str:
        """The one that beats the dominant speaker by most over the middle span, else the dominant one."""
        best, best_middle = dominant, _TAKES_OVER[1]
        mine = _scores(active[dominant])
        for key, spans in active.items():
            ratios = [log(one / other) for one, other in zip(_scores(spans), mine, strict=True)]
            if all(r > t for r, t in zip(ratios, _TAKES_OVER, strict=True)) and ratios[1] > best_middle:
                best, best_middle = key, ratios[1]
        return best


def _scores(active: tuple[int, int, int]) -> list[float]:
    return [activity(a, most, weight) for a, (most, weight) in zip(active, _SPANS, strict=True)]
