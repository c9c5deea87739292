"""How good a participant's line is: a score for voice, one for pictures, and why it is not better.

Voice is the E-model (ITU-T G.107, 06/2015) with its defaults: R = 93.2 - Idd - Ie,eff, and MOS from R by
annex B. G.113 has no values for Opus, so Ie = 0 and Bpl = 20 with in-band FEC, 10 without, are chosen, not
measured (G.711 with concealment has Ie = 0 and Bpl = 25.1 in G.113): the score orders lines, it does not
measure sound.

Pictures have no such standard for what a relay can see. What is sent scores 1 + 4 f r z l, each factor 0..1
and 1 when nothing is to be wished for from that source: frame rate f = sqrt(rate / expected), lines
r = sqrt(lines / expected), freezes z = 1 - 2 (share of the time without a new picture for 0.5 s), loss
l = 1 - 10 (share lost for good). What is received scores 1 + 4 sqrt(share of frames times share of lines) l,
against what the others send, l = 1 - 2 (share lost), since most of that is sent again; 1 when paused.
No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2, sqrt

from media.limits import (
    BUSY_LATENESS_S,
    POOR_LOSS,
    POOR_ROUND_TRIP_S,
    SILENT_TRACK_S,
    STILL_TRACK_SILENT_S,
)
from media.relay.samples import LineSample, TrackIn, TrackOut

_R_BEST = 93.2  # R with all of G.107's defaults
_BPL_FEC, _BPL_PLAIN = 20.0, 10.0
_FIXED_DELAY_S = 0.06  # an Opus packet, its look-ahead, and the least that receivers buffer
_EXPECTED = {"camera": (24.0, 360.0), "ultrasound": (15.0, 480.0), "screen": (0.0, 720.0)}
"""Frames per second, lines: from here on nothing is to be wished for. A screen may stand still."""
_MAY_STAND_STILL = frozenset({"screen", "ultrasound"})


def effective_impairment(loss: float, burst_ratio: float, *, fec: bool = True) -> float:
    """Ie,eff of G.107 equation 7-29 with Ie = 0.

    :param loss: 0..1.
    :param burst_ratio: mean length of bursts of loss over that of random loss; 1 = random.
    """
    percent = 100 * loss
    bpl = _BPL_FEC if fec else _BPL_PLAIN
    return 95 * percent / (percent / max(1.0, burst_ratio) + bpl) if percent else 0.0


def delay_impairment(delay_s: float) -> float:
    """Idd of G.107 equations 7-27 and 7-28, for one-way delay without echo."""
    if delay_s <= 0.1:
        return 0.0
    x = log2(delay_s / 0.1)
    return float(25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2))


def mos_of(r: float) -> float:
    """Mean opinion score, 1..4.5 (G.107 annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def voice_mos(loss: float, burst_ratio: float, delay_s: float, *, fec: bool = True) -> float:
    """MOS of an Opus voice; ``delay_s`` is from mouth to ear."""
    impairment = delay_impairment(delay_s) + effective_impairment(loss, burst_ratio, fec=fec)
    return mos_of(_R_BEST - impairment)


def picture_score(source: str, frame_rate: float, lines: int | None, frozen: float, loss: float) -> float:
    """1..5.

    :param lines: height of the picture, None when not known.
    :param frozen: share of the time, 0..1.
    :param loss: share of packets lost for good, 0..1.
    """
    rate, height = _EXPECTED.get(source, _EXPECTED["camera"])
    rates = sqrt(min(1.0, frame_rate / rate)) if rate else 1.0
    sizes = 1.0 if lines is None else sqrt(min(1.0, lines / height))
    return 1 + 4 * rates * sizes * max(0.0, 1 - 2 * frozen) * max(0.0, 1 - 10 * loss)


@dataclass(frozen=True, slots=True)
class Quality:
    """A participant's line. ``values`` are numbers for people: percent, milliseconds, kbit/s, counts."""

    mos: float | None
    score: float | None
    cause: str
    values: Mapping[str, int] = field(default_factory=dict)


def judge(lines: Sequence[LineSample], lateness_s: float) -> Quality:
    """The quality of one participant by all of its transports.

    :param lateness_s: by how much this server's own work came too late.
    """
    incoming = [track for line in lines for track in line.incoming]
    outgoing = [track for line in lines for track in line.outgoing]
    round_trip = max((line.round_trip_s for line in lines if line.round_trip_s is not None), default=0.0)
    voices = [_voice_in(t, round_trip) for t in incoming if t.kind == "audio"]
    voices += [_voice_out(t, round_trip) for t in outgoing if t.kind == "audio"]
    pictures = [_picture_in(t) for t in incoming if t.kind == "video"]
    received = [_picture_out(t) for t in outgoing if t.kind == "video"]
    if received:
        pictures.append(sum(received) / len(received))
    cause, values = _cause(lines, incoming, outgoing, round_trip, lateness_s)
    return Quality(_rounded(voices), _rounded(pictures), cause, values)


def _rounded(scores: Iterable[float]) -> float | None:
    worst = min(scores, default=None)
    return None if worst is None else round(worst, 1)


def _is_silent(track: TrackIn) -> bool:
    most = STILL_TRACK_SILENT_S if track.source in _MAY_STAND_STILL else SILENT_TRACK_S
    return track.silent_s >= most


def _voice_in(track: TrackIn, round_trip_s: float) -> float:
    if _is_silent(track):
        return 1.0
    delay = round_trip_s / 2 + 2 * track.jitter_s + _FIXED_DELAY_S
    return voice_mos(track.lost_for_good, track.burst_ratio, delay)


def _voice_out(track: TrackOut, round_trip_s: float) -> float:
    return voice_mos(track.loss, 1.0, round_trip_s / 2 + 2 * track.jitter_s + _FIXED_DELAY_S)


def _picture_in(track: TrackIn) -> float:
    if _is_silent(track):
        return 1.0
    return picture_score(track.source, track.frame_rate, track.lines, track.frozen, track.lost_for_good)


def _picture_out(track: TrackOut) -> float:
    if track.allotted == "paused":
        return 1.0
    return 1 + 4 * sqrt(track.frame_share * track.size_share) * max(0.0, 1 - 2 * track.loss)


def _cause(
    lines: Sequence[LineSample],
    incoming: Sequence[TrackIn],
    outgoing: Sequence[TrackOut],
    round_trip_s: float,
    lateness_s: float,
) -> tuple[str, dict[str, int]]:
    """What weighs most, in the order in which it can be helped."""
    silent = sum(_is_silent(track) for track in incoming)
    up = max((track.loss for track in incoming), default=0.0)
    down = max((track.loss for track in outgoing), default=0.0)
    paused = sum(track.allotted == "paused" for track in outgoing)
    reduced = sum(track.allotted == "reduced" for track in outgoing)
    missing = sum(track.layers - track.layers_alive for track in incoming if track.source == "camera")
    available = min((line.available_bps for line in lines if line.available_bps is not None), default=0)
    slow = {"paused": paused, "reduced": reduced, "kbps": round(available / 1000, -1)}
    causes: tuple[tuple[bool, str, dict[str, float]], ...] = (
        (silent > 0, "no_media", {"tracks": silent}),
        (lateness_s >= BUSY_LATENESS_S, "server_busy", {"lateMs": round(1000 * lateness_s, -1)}),
        (up >= POOR_LOSS and up >= down, "uplink_loss", {"percent": round(100 * up)}),
        (down >= POOR_LOSS, "downlink_loss", {"percent": round(100 * down)}),
        (paused + reduced > 0, "downlink_slow", slow),
        (missing > 0, "uplink_slow", {"layersMissing": missing}),
        (round_trip_s >= POOR_ROUND_TRIP_S, "round_trip", {"ms": round(1000 * round_trip_s, -1)}),
    )
    for holds, code, values in causes:
        if holds:
            return code, {name: int(value) for name, value in values.items()}
    return "good", {}
