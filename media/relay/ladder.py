"""The ways to send one track, from the whole of it down to the least: what an allocator chooses from.

A camera first loses every second frame, then resolution, and so on; its smallest layer then loses frames. A
screen and an ultrasound lose frames before resolution, down to key frames alone: a still that can be read is
worth more than motion that cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from media.relay.allocation import Step
from media.relay.layers import KEY_FRAMES


@dataclass(frozen=True, slots=True)
class LayerRate:
    """One live layer.

    :param temporal: bits per second up to each temporal layer; the last is the whole layer.
    :param key_frames: bits per second of its key frames alone, None when that is no picture.
    """

    spatial: int
    temporal: tuple[int, ...]
    key_frames: int | None = None


def ladder(layers: Sequence[LayerRate], frames_first: bool) -> tuple[Step, ...]:
    """The steps of a track, cheapest first; empty when no layer is given.

    A step that saves nothing against the one above it is left out.

    :param layers: by rising resolution.
    :param frames_first: frame rate gives way before resolution.
    """
    steps: list[Step] = []
    for step in _downwards(layers, frames_first):
        if not steps or step.bps < steps[-1].bps:
            steps.append(step)
    return tuple(reversed(steps))


def _downwards(layers: Sequence[LayerRate], frames_first: bool) -> Iterator[Step]:
    for layer in reversed(layers):
        is_lowest = layer is layers[0]
        top = len(layer.temporal) - 1
        least = 0 if frames_first or is_lowest else max(0, top - 1)
        for temporal in range(top, least - 1, -1):
            yield Step(layer.spatial, temporal, layer.temporal[temporal])
        if frames_first and is_lowest and layer.key_frames is not None:
            yield Step(layer.spatial, KEY_FRAMES, layer.key_frames)
