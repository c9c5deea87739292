"""A subscription whose tables are the compiled plane's (`media/native/rule_rewrite.c`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from media.relay.layer import Layer
from media.relay.subscription import Answered, Progress, Subscription
from media.rtp.rtcp import ReportBlock

if TYPE_CHECKING:
    from media._native import RuleSubscription

_State = tuple[int, int, int, int, int | None, float, int, int, float | None, int, int, int, bool]
_Answered = tuple[tuple[int, int, int, int, int, int] | None, float | None, int]


class NativeSubscription(Subscription):
    """Made by `media.relay.native_tables`.

    :param closed: is told once, when it is closed.
    :param settle: handles what a call has left to be told.
    """

    __slots__ = (
        "_closed",
        "_last",
        "_last_answered",
        "_layers",
        "_settle",
        "_ssrc",
        "priority",
        "table",
    )

    def __init__(
        self,
        table: RuleSubscription,
        ssrc: int,
        layers: Sequence[Layer],
        clock_rate: int,
        priority: int,
        closed: Callable[[], None],
        settle: Callable[[float], None],
    ) -> None:
        super().__init__(clock_rate)
        self.table = table
        self._ssrc = ssrc
        self.priority = priority
        self._layers = layers
        self._closed = closed
        self._settle = settle
        self._last: _State | None = None
        self._last_answered: _Answered = (None, None, 0)

    @property
    def _state(self) -> _State:
        return self.table.state() if self._last is None else self._last

    def _layer(self, index: int) -> Layer | None:
        return None if index < 0 else self._layers[index]

    @property
    def current(self) -> Layer | None:
        return self._layer(self._state[0])

    @property
    def target(self) -> Layer | None:
        return self._layer(self._state[1])

    @property
    def temporal(self) -> int:
        return self._state[2]

    @property
    def timestamp_delta(self) -> int:
        return self._state[3]

    @property
    def last_timestamp(self) -> int | None:
        return self._state[4]

    @property
    def last_sent_at(self) -> float:
        return self._state[5]

    @property
    def packets(self) -> int:
        return self._state[6]

    @property
    def octets(self) -> int:
        return self._state[7]

    @property
    def started_at(self) -> float | None:
        return self._state[8]

    @property
    def retransmitted(self) -> int:
        return self._state[9]

    @property
    def refused(self) -> int:
        return self._state[10]

    @property
    def begun(self) -> bool:
        return self._state[12]

    @property
    def progress(self) -> Progress:
        index, _, temporal, delta, last, sent_at, packets, octets, started_at, *_ = self._state
        return Progress(self._layer(index), temporal, delta, last, sent_at, packets, octets, started_at)

    @property
    def waiting(self) -> bool:
        state = self._state
        return state[1] >= 0 and state[0] != state[1] and not state[12]

    @property
    def _answered(self) -> _Answered:
        return self.table.answered() if self._last is None else self._last_answered

    @property
    def answered(self) -> Answered:
        told, round_trip, _ = self._answered
        return Answered(None if told is None else ReportBlock(self._ssrc, *told), round_trip)

    def answer(self, block: ReportBlock, now: float) -> None:
        if self._last is None:
            self.table.answer(
                block.fraction_lost,
                block.cumulative_lost,
                block.highest_sequence,
                block.jitter,
                block.last_sr,
                block.delay_since_last_sr,
                now,
            )

    @property
    def bits_per_second(self) -> int:
        return self._answered[2]

    def aim(self, target: Layer) -> None:
        if self._last is None:
            self._left(self.table.aim(target.index))

    def leave(self) -> None:
        if self._last is None:
            self._left(self.table.leave())

    def close(self) -> None:
        if self._last is None:
            last, self._last_answered = self.table.state(), self.table.answered()
            self._left(self.table.close())
            self._last = (-1, -1, *last[2:12], False)
            self._closed()

    def _left(self, emptied: int) -> None:
        """Layers (bits) without a subscriber need no key frame."""
        for layer in self._layers:
            if emptied >> layer.index & 1:
                layer.keyframes.satisfied()

    def aim_temporal(self, target: int) -> None:
        if self._last is None:
            self.table.aim_temporal(target)

    def prioritize(self, priority: int) -> None:
        if priority != self.priority and self._last is None:
            self.priority = priority
            self.table.prioritize(priority)

    def retransmit(self, sequences: Iterable[int], now: float) -> int:
        if self._last is not None:
            return 0
        count = self.table.retransmit(tuple(sequences), now)
        self._settle(now)
        return count
