"""What is known of a participant's line over the last few seconds; `media.relay.quality` judges it."""

from __future__ import annotations

from dataclasses import dataclass

from media.relay.allocation import State


@dataclass(frozen=True, slots=True)
class TrackIn:
    """A track of the participant as it came here.

    :param loss: share of packets that did not come at first, 0..1.
    :param lost_for_good: the same without those that came when asked for again.
    :param burst_ratio: mean length of bursts of loss over that of random loss; 1 = random.
    :param silent_s: seconds since the last packet, or since it was opened or resumed.
    :param frozen: share of the time without a new picture for half a second, 0..1.
    :param lines: height of the best live layer, None when not known.
    """

    kind: str
    source: str
    loss: float = 0.0
    lost_for_good: float = 0.0
    burst_ratio: float = 1.0
    jitter_s: float = 0.0
    silent_s: float = 0.0
    frame_rate: float = 0.0
    frozen: float = 0.0
    lines: int | None = None
    layers: int = 1
    layers_alive: int = 1


@dataclass(frozen=True, slots=True)
class TrackOut:
    """A track as the participant received it: its own reports, and what was left out for its line.

    :param frame_share: share of the frames that were sent, 0..1.
    :param size_share: the same of the picture's lines.
    """

    kind: str
    loss: float = 0.0
    jitter_s: float = 0.0
    allotted: State = "full"
    frame_share: float = 1.0
    size_share: float = 1.0


@dataclass(frozen=True, slots=True)
class LineSample:
    """One transport over the last interval; None is what is not known."""

    incoming: tuple[TrackIn, ...] = ()
    outgoing: tuple[TrackOut, ...] = ()
    round_trip_s: float | None = None
    available_bps: int | None = None
