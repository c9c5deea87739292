"""The device's end of ``/signals/publish``, without the connection: what to send next, what is confirmed.

Live frames go first; what was measured during a cut follows between them, marked as backfill, a few at a
time, so that it never delays the live edge. Frames stay in the outbox until the server confirms them.

The server confirms without holes, so only the backlog's oldest frames bring confirmations: the backlog has a
window of its own, which live frames never use up. With one window for both, live frames that wait for the
backlog would keep it from going.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from media.limits import SIGNAL_WINDOW_FRAMES
from media.signals import wire
from media.signals.descriptor import StreamDescriptor
from media.signals.frames import mark_backfill

# Together they stay below what the server bears.
LIVE_WINDOW = SIGNAL_WINDOW_FRAMES // 2  # 15 s without an acknowledgement
BACKFILL_WINDOW = 80  # 5 s of signal in flight: at 100 ms round trip a backlog drains 50 times real time


OUTBOX_DAMAGED = "outbox_damaged"  # why frames are lost, in the record


class Frames(Protocol):
    """What the uplink needs of the outbox."""

    first: int
    last: int

    def read(self, sequence: int) -> bytes | None: ...

    def confirm(self, sequence: int) -> None: ...


class State(enum.Enum):
    """Where the conversation stands."""

    OFFLINE = "offline"
    ANNOUNCED = "announced"
    STREAMING = "streaming"
    ENDED = "ended"
    REFUSED = "refused"


@dataclass
class Progress:
    """Counts for the status line."""

    sent: int = 0
    confirmed: int = -1
    lost: int = 0


class Uplink:
    """One stream, over as many connections as it takes.

    :param frames: the outbox; it is confirmed here and filled elsewhere.
    """

    def __init__(self, descriptor: StreamDescriptor, frames: Frames) -> None:
        self.descriptor = descriptor
        self.state = State.OFFLINE
        self.refusal: wire.Refused | None = None
        self.broken = False
        self.frame_ms: int | None = None
        """How long a frame the server would like; None while it did not say."""
        self.progress = Progress()
        self._frames = frames
        self._in_flight: deque[tuple[int, bool]] = deque()  # sequence, whether late; in the order sent
        self._late_in_flight = 0
        self._backlog = range(0)
        self._live = 0
        self._damaged: list[int] = []
        self._ending = False
        self._end_sent = False

    def connected(self, token: str) -> str:
        """A connection is up; the result is the first message."""
        self.state = State.ANNOUNCED
        self.refusal = None
        return wire.announce(token, self.descriptor)

    def disconnected(self) -> None:
        """The connection is gone; what was in flight will be sent again."""
        self._in_flight.clear()
        self._late_in_flight = 0
        self._backlog = range(0)
        self._end_sent = False
        self._damaged.clear()
        if self.state in (State.ANNOUNCED, State.STREAMING):
            self.state = State.OFFLINE

    def end(self) -> None:
        """Nothing more will be measured: say so once everything is sent."""
        self._ending = True

    def receive(self, text: str) -> None:
        """A message of the server.

        :raises RemoteProtocolError: ``signal_malformed``.
        """
        match wire.parse_reply(text):
            case wire.Accepted(durable_sequence=durable, frame_ms=frame_ms):
                self.frame_ms = frame_ms or self.frame_ms
                self._accepted(durable)
            case wire.Ack(sequence=sequence, frame_ms=frame_ms):
                self.frame_ms = frame_ms or self.frame_ms
                self._confirm(sequence)
            case wire.Ended():
                self.state = State.ENDED
            case wire.Refused() as refusal:
                self.state = State.REFUSED
                self.refusal = refusal

    def to_send(self) -> list[str | bytes]:
        """Everything that may be sent now, in order."""
        if self.state is not State.STREAMING or self.broken:
            return []
        messages: list[str | bytes] = []
        while self._live <= self._frames.last and self._live_in_flight < LIVE_WINDOW:
            self._put(messages, self._live, late=False)
            self._live += 1
        while self._backlog and self._late_in_flight < BACKFILL_WINDOW:
            self._put(messages, self._backlog[0], late=True)
            self._backlog = self._backlog[1:]
        messages += self._losses()
        if self._ending and not self._end_sent and not self._backlog and self._live > self._frames.last:
            self._end_sent = True
            messages.append(wire.end())
        return messages

    def _losses(self) -> list[str | bytes]:
        """What the outbox can no longer read is said to be lost, or the stream would never be whole."""
        runs: list[list[int]] = []
        for sequence in self._damaged:
            if runs and runs[-1][1] + 1 == sequence:
                runs[-1][1] = sequence
            else:
                runs.append([sequence, sequence])
        self._damaged.clear()
        self.progress.lost += sum(last - first + 1 for first, last in runs)
        return [wire.lost(first, last, OUTBOX_DAMAGED) for first, last in runs]

    @property
    def _live_in_flight(self) -> int:
        return len(self._in_flight) - self._late_in_flight

    def _accepted(self, durable: int) -> None:
        self.state = State.STREAMING
        self._live = self._frames.last + 1
        # The server lost what it confirmed, or we lost what we sent: this stream cannot be whole again.
        self.broken = not self._frames.first <= durable + 1 <= self._frames.last + 1
        self._confirm(durable)
        self._backlog = range(max(durable + 1, self._frames.first), self._live)

    def _confirm(self, sequence: int) -> None:
        self._frames.confirm(sequence)
        self.progress.confirmed = max(self.progress.confirmed, sequence)
        # Frames become durable in the order in which they were sent, whatever their numbers.
        newest = max((at for at, (sent, _) in enumerate(self._in_flight) if sent <= sequence), default=-1)
        for _ in range(newest + 1):
            self._late_in_flight -= self._in_flight.popleft()[1]

    def _put(self, messages: list[str | bytes], sequence: int, late: bool) -> None:
        data = self._frames.read(sequence)
        if data is None:
            self._damaged.append(sequence)
            return
        messages.append(mark_backfill(data) if late else data)
        self._in_flight.append((sequence, late))
        self._late_in_flight += late
        self.progress.sent += 1
