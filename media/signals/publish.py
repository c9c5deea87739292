"""The server's end of one ``/signals/publish`` connection, without the connection.

The host feeds it what arrives and does, in order, what it answers::

    receive_text, receive_frame, receive_oversized, opened, refused, stored, loss_stored, store_failed, tick
    ->  list[Output]

    Open        check the token, open the log, then call `opened` or `refused`
    Store       append the frame to the log and show it to the viewers, then call `stored`
    Lose        write into the stream's record that these frames never come, then call `loss_stored`
    Send        send the text
    Mark        write into the stream's record that it broke off, and why
    Close       close the connection with this code; nothing comes after it

::

    ANNOUNCING --announce--> OPENING --opened--> LIVE --end--> ENDING --all stored--> CLOSED
         any state --fault, timeout--> CLOSED
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from media.errors import ErrorCode, Fault, LocalProtocolError, RemoteProtocolError
from media.limits import (
    SIGNAL_ANNOUNCE_TIMEOUT_S,
    SIGNAL_IDLE_TIMEOUT_S,
    SIGNAL_MAX_AHEAD_FRAMES,
    SIGNAL_MAX_LOSSES,
    SIGNAL_WINDOW_FRAMES,
)
from media.signals import wire
from media.signals.descriptor import StreamDescriptor
from media.signals.errors import (
    SIGNAL_CONFLICT,
    SIGNAL_GAP_TOO_LARGE,
    SIGNAL_TIMEOUT,
    SIGNAL_TOO_LARGE,
    SIGNAL_UNEXPECTED,
    SIGNAL_WINDOW_EXCEEDED,
)
from media.signals.frames import FrameHeader, Payload, fingerprint_of, inspect
from media.signals.ledger import Fingerprints, StreamLedger
from media.signals.records import Loss
from media.signals.wish import FrameWish


@dataclass(frozen=True, slots=True)
class Open:
    """Is ``token`` good for publishing signals, and may ``descriptor`` be opened in its room?"""

    token: str = field(repr=False)
    descriptor: StreamDescriptor


class Store(NamedTuple):
    """Make ``data`` durable and pass it on; ``frame`` is what stands at its head, ``payload`` inflated."""

    frame: FrameHeader
    data: bytes
    payload: Payload


@dataclass(frozen=True, slots=True)
class Lose:
    """Make it durable that the device can never send these frames."""

    loss: Loss


@dataclass(frozen=True, slots=True)
class Send:
    """Send ``text`` to the device."""

    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The stream broke off by the device's fault ``code``; that belongs into its record."""

    code: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection; ``code`` is a WebSocket close code, ``reason`` a fault code or empty.

    :param broke: by what fault of the device the stream broke off; the room is told.
    """

    code: int
    reason: str = ""
    broke: ErrorCode | None = field(default=None, compare=False)


Output = Open | Store | Lose | Send | Mark | Close


class State(enum.Enum):
    """See the drawing above."""

    ANNOUNCING = "announcing"
    OPENING = "opening"
    LIVE = "live"
    ENDING = "ending"
    CLOSED = "closed"


class PublishSession:
    """One device connection.

    :param now: monotonic seconds, here and in every call.
    """

    def __init__(self, now: float) -> None:
        self.state = State.ANNOUNCING
        self.descriptor: StreamDescriptor | None = None
        self._heard_at = now
        self._durable = StreamLedger()
        self._fingerprints = Fingerprints()
        self._pending: set[int] = set()
        self._losing = 0
        self._losses = 0
        self._acked = -1
        self._wish = FrameWish()
        self._wished_ms = self._wish.ms

    def next_timeout(self) -> float | None:
        """When `tick` wants to be called, monotonic seconds; None when never."""
        match self.state:
            case State.ANNOUNCING:
                return self._heard_at + SIGNAL_ANNOUNCE_TIMEOUT_S
            case State.LIVE:
                return self._heard_at + SIGNAL_IDLE_TIMEOUT_S
            case _:
                return None

    def tick(self, now: float) -> list[Output]:
        """Give up on a silent device."""
        deadline = self.next_timeout()
        if deadline is None or now < deadline:
            return []
        self.state = State.CLOSED
        fault = RemoteProtocolError(SIGNAL_TIMEOUT)
        return [Send(wire.error(fault)), Close(wire.CLOSE_TIMEOUT, fault.code.code)]

    def receive_text(self, text: str, now: float) -> list[Output]:
        """A text message came in."""
        if self.state is State.CLOSED:
            return []
        self._heard_at = now
        try:
            message = wire.parse_publish(text)
        except RemoteProtocolError as fault:
            return self._fail(fault)
        if isinstance(message, wire.Announce) and self.state is State.ANNOUNCING:
            self.state = State.OPENING
            self.descriptor = message.stream
            return [Open(message.token, message.stream)]
        if isinstance(message, wire.Lost) and self.state is State.LIVE:
            return self._lose(message)
        if isinstance(message, wire.End) and self.state is State.LIVE:
            self.state = State.ENDING
            return self._finish_when_stored()
        return self._fail(RemoteProtocolError(SIGNAL_UNEXPECTED, self.state.value))

    def receive_frame(self, data: bytes, now: float) -> list[Output]:
        """A binary message came in. A duplicate is acknowledged, not stored again."""
        if self.state is State.CLOSED:
            return []
        self._heard_at = now
        if self.state is not State.LIVE or self.descriptor is None:
            return self._fail(RemoteProtocolError(SIGNAL_UNEXPECTED, self.state.value))
        try:
            frame, payload = inspect(data, self.descriptor)
            return self._accept(frame, data, payload)
        except RemoteProtocolError as fault:
            return self._fail(fault)

    def receive_oversized(self, now: float) -> list[Output]:
        """A message came in that the transport did not even read."""
        self._heard_at = now
        return self._fail(RemoteProtocolError(SIGNAL_TOO_LARGE, "message"))

    def opened(
        self,
        durable: StreamLedger,
        now: float,
        fingerprints: Fingerprints | None = None,
        wish: FrameWish | None = None,
    ) -> list[Output]:
        """The host opened the log.

        :param durable: the log's own ledger, read here and never changed.
        :param fingerprints: of the stream's frames, over all connections; this one's alone when None.
        :param wish: the server's, read here and never changed; that of one stream when None.
        """
        if self.state is not State.OPENING or self.descriptor is None:
            return []
        self.state = State.LIVE
        self._heard_at = now
        self._durable = durable
        self._fingerprints = fingerprints or self._fingerprints
        self._acked = durable.contiguous
        self._wish = wish or self._wish
        self._wished_ms = self._wish.ms
        return [Send(wire.accepted(self.descriptor.stream_id, self._acked, self._wished_ms))]

    def refused(self, fault: Fault, now: float) -> list[Output]:
        """The host did not open the stream: the token is not good, or the store cannot."""
        self._heard_at = now
        return self._fail(fault, mark=False)

    def stored(self, sequence: int, now: float) -> list[Output]:
        """``sequence`` is durable and in the ledger given to `opened`. Of those that became so together the
        first is answered with an acknowledgement of all.
        """
        self._heard_at = max(self._heard_at, now)
        self._pending.discard(sequence)
        if self.state is State.LIVE and self._durable.contiguous <= self._acked:
            return []
        if self.state not in (State.LIVE, State.ENDING):
            return []
        return [*self._acknowledge(), *self._finish_when_stored()]

    def loss_stored(self, now: float) -> list[Output]:
        """A loss is durable and in the ledger given to `opened`."""
        self._heard_at = max(self._heard_at, now)
        self._losing -= 1
        if self.state not in (State.LIVE, State.ENDING):
            return []
        return [*self._acknowledge(), *self._finish_when_stored()]

    def store_failed(self, fault: LocalProtocolError, now: float) -> list[Output]:
        """A frame could not be made durable: no acknowledgement, the device keeps it and comes back."""
        self._heard_at = max(self._heard_at, now)
        return self._fail(fault)

    def _accept(self, frame: FrameHeader, data: bytes, payload: Payload) -> list[Output]:
        if self._fingerprints.differs(frame.sequence, fingerprint_of(data, frame)):
            raise RemoteProtocolError(SIGNAL_CONFLICT, f"sequence {frame.sequence}")
        if frame.sequence in self._durable:
            return [Send(wire.ack(self._durable.contiguous))]
        if frame.sequence in self._pending:
            return []
        if len(self._pending) >= SIGNAL_WINDOW_FRAMES:
            raise RemoteProtocolError(SIGNAL_WINDOW_EXCEEDED, f"{len(self._pending)} frames")
        if frame.sequence - 1 not in self._pending:
            self._durable.check(frame.sequence)
        self._pending.add(frame.sequence)
        return [Store(frame, data, payload)]

    def _lose(self, lost: wire.Lost) -> list[Output]:
        """What is known already is acknowledged again; frames of the range that did come stay."""
        if lost.last <= self._durable.contiguous:
            return [Send(wire.ack(self._durable.contiguous))]
        beyond = lost.last > self._durable.contiguous + SIGNAL_MAX_AHEAD_FRAMES
        self._losses += 1
        if beyond or self._losses > SIGNAL_MAX_LOSSES:
            return self._fail(RemoteProtocolError(SIGNAL_GAP_TOO_LARGE, f"lost up to {lost.last}"))
        self._losing += 1
        return [Lose(Loss(lost.first, lost.last, lost.reason))]

    def _acknowledge(self) -> list[Output]:
        contiguous = self._durable.contiguous
        if contiguous <= self._acked:
            return []
        self._acked = contiguous
        changed = None if self._wish.ms == self._wished_ms else self._wish.ms
        self._wished_ms = self._wish.ms
        return [Send(wire.ack(contiguous, changed))]

    def _finish_when_stored(self) -> list[Output]:
        waits = self._pending or self._losing
        if self.state is not State.ENDING or waits or self.descriptor is None:
            return []
        self.state = State.CLOSED
        return [Send(wire.ended(self.descriptor.stream_id)), Close(wire.CLOSE_DONE)]

    def _fail(self, fault: Fault, mark: bool = True) -> list[Output]:
        if self.state is State.CLOSED:
            return []
        was_open = self.state in (State.LIVE, State.ENDING)
        self.state = State.CLOSED
        by_peer = isinstance(fault, RemoteProtocolError)
        outputs: list[Output] = [Send(wire.error(fault))]
        if mark and was_open and by_peer:
            outputs.append(Mark(fault.code.code))
        closing = wire.CLOSE_PEER_FAULT if by_peer else wire.CLOSE_SERVER_FAULT
        outputs.append(Close(closing, fault.code.code, fault.code if was_open and by_peer else None))
        return outputs
