"""How each one's line is, as the room tells it: judged by `media.relay.quality`, told when it has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from media.relay.quality import Quality, judge
from media.relay.samples import LineSample
from signaling.rooms import Output, RoomState, Tell

_NOTICEABLE_MOS = 0.2
_NOTICEABLE_SCORE = 0.3
_NOTICEABLE_VALUE = 0.3  # of the larger one: "loses 8 %" after "loses 6 %"


class RoomQuality:
    """Holds the last told quality of everyone who is here.

    :param owner: the peer of a transport, None when it is nobody's any more.
    """

    def __init__(self, state: RoomState, owner: Callable[[str], str | None]) -> None:
        self._state = state
        self._owner = owner
        self._told: dict[str, Quality] = {}

    def sampled(self, samples: Mapping[str, LineSample], lateness_s: float) -> list[Output]:
        """What follows from new samples, by transport: one event with those whose line changed."""
        lines: dict[str, list[LineSample]] = {}
        for transport_id, sample in samples.items():
            peer_id = self._owner(transport_id)
            if peer_id is not None:
                lines.setdefault(peer_id, []).append(sample)
        judged = {peer_id: judge(mine, lateness_s) for peer_id, mine in lines.items()}
        changed = {
            peer_id: quality
            for peer_id, quality in judged.items()
            if is_noticeable(self._told.get(peer_id), quality)
        }
        self._told = {p: q for p, q in (self._told | changed).items() if p in self._state.peers}
        return [self._tell(tuple(self._state.peers), changed)] if changed else []

    def as_json(self) -> list[dict[str, Any]]:
        """What was told last, of all: for the join reply."""
        return [_as_json(peer_id, quality) for peer_id, quality in self._told.items()]

    def _tell(self, to: tuple[str, ...], changed: Mapping[str, Quality]) -> Tell:
        return Tell(to, "quality", {"peers": [_as_json(p, quality) for p, quality in changed.items()]})


def is_noticeable(before: Quality | None, after: Quality) -> bool:
    """Whether a person would want to know."""
    if before is None or before.cause != after.cause or before.values.keys() != after.values.keys():
        return True
    return (
        _differs(before.mos, after.mos, _NOTICEABLE_MOS)
        or _differs(before.score, after.score, _NOTICEABLE_SCORE)
        or any(
            abs(one - after.values[name]) > _NOTICEABLE_VALUE * max(one, after.values[name])
            for name, one in before.values.items()
        )
    )


def _differs(one: float | None, other: float | None, least: float) -> bool:
    if one is None or other is None:
        return one is not other
    return abs(one - other) >= least - 1e-9


def _as_json(peer_id: str, quality: Quality) -> dict[str, Any]:
    return {
        "peerId": peer_id,
        "audio": None if quality.mos is None else {"mos": quality.mos},
        "video": None if quality.score is None else {"score": quality.score},
        "cause": {"code": quality.cause, "values": dict(quality.values)},
    }
