"""The live view: what the streams of one room look like right now, and a bounded queue for each viewer.

A viewer is never waited for. Its queue holds ``SIGNAL_VIEWER_FRAMES`` frames; when it is full the oldest
frame goes, and the viewer sees the hole in the sequence numbers. Control messages are never dropped (one that
tells a state may be replaced by the next state while it waits); a viewer that lets ``SIGNAL_VIEWER_TEXTS`` of
them wait is cut off.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from media.errors import ErrorCode, RemoteProtocolError
from media.limits import (
    SIGNAL_LIVE_KEEP_BYTES,
    SIGNAL_LIVE_KEEP_S,
    SIGNAL_MAX_STREAMS,
    SIGNAL_VIEWER_FRAMES,
    SIGNAL_VIEWER_TEXTS,
)
from media.signals import wire
from media.signals.clock import ClockLine, DeviceClock, FollowedClock
from media.signals.descriptor import StreamDescriptor
from media.signals.errors import SIGNAL_STREAM_LIMIT, SIGNAL_VIEWER_SLOW
from media.signals.frames import FrameHeader

Message = str | bytes
Offer = Callable[[Message], bool]

CLOCK_TELL_NS = 5_000_000  # below 5 ms an eye sees no shift between two signals
LIVE_KEEP_NS = round(SIGNAL_LIVE_KEEP_S * 1e9)
SAME_CLOCK = ClockLine(0, 0)  # what viewers assume until told


@dataclass(frozen=True, slots=True)
class _Latest:
    """The place in the queue of a text that may be replaced while it waits."""

    key: str


class ViewerQueue:
    """What one viewer has yet to be sent: texts and frames, in order.

    :param wake: called when something waits; the host then calls `pop` until it gives None.
    :param offer: sends a message at once and says so, or leaves it; asked while nothing waits.
    """

    def __init__(self, wake: Callable[[], None], offer: Offer | None = None) -> None:
        self.dropped = 0
        self.fault: RemoteProtocolError | None = None
        self._wake = wake
        self._offer = offer or _take_nothing
        self._messages: deque[Message | _Latest] = deque()
        self._latest: dict[str, str] = {}
        self._frames = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put_latest(self, key: str, text: str) -> None:
        """Queue a text that replaces the one of the same key, if that waits still: a state, not an event."""
        if self.fault is not None:
            return
        if key in self._latest:
            self._latest[key] = text
        elif self._messages or not self._offer(text):
            self._latest[key] = text
            self._append(_Latest(key))

    def put(self, message: Message) -> None:
        """Send a message, or queue it, making room by the rule above. After a `fault` nothing is taken."""
        if self.fault is None and (self._messages or not self._offer(message)):
            self._append(message)

    def _append(self, message: Message | _Latest) -> None:
        if isinstance(message, bytes):
            if self._frames >= SIGNAL_VIEWER_FRAMES:
                self._drop_oldest_frame()
            self._frames += 1
        elif len(self._messages) - self._frames >= SIGNAL_VIEWER_TEXTS:
            self.fault = RemoteProtocolError(SIGNAL_VIEWER_SLOW)
            self._messages.clear()
            self._latest.clear()
            self._frames = 0
            self._wake()
            return
        self._messages.append(message)
        self._wake()

    def pop(self) -> Message | None:
        """The next message to send, or None. When `fault` is set the host sends it and closes."""
        if not self._messages:
            return None
        message = self._messages.popleft()
        if isinstance(message, _Latest):
            return self._latest.pop(message.key)
        if isinstance(message, bytes):
            self._frames -= 1
        return message

    def _drop_oldest_frame(self) -> None:
        for index, message in enumerate(self._messages):
            if isinstance(message, bytes):
                del self._messages[index]
                self._frames -= 1
                self.dropped += 1
                return


def _take_nothing(_: Message) -> bool:
    return False


@dataclass
class _LiveStream:
    descriptor: StreamDescriptor
    clock: FollowedClock
    told: ClockLine = SAME_CLOCK
    looked_at: ClockLine | None = None
    live: bool = True
    fault: ErrorCode | None = None
    newest_ns: int = 0
    kept_bytes: int = 0
    recent: deque[tuple[int, bytes]] = field(default_factory=deque)

    def begin_anew(self) -> None:
        """The device's clock was set: times before and after cannot be compared."""
        self.recent.clear()
        self.kept_bytes = self.newest_ns = 0

    def untold(self, device_ns: int) -> ClockLine | None:
        """The clock's line, when it has moved from what viewers were told.

        Each is looked at once: there is another one after 10 s, and in that time no two part by 5 ms more.
        """
        line = self.clock.line
        if line is None or line is self.looked_at:
            return None
        self.looked_at = line
        if abs(line.to_ours(device_ns) - self.told.to_ours(device_ns)) < CLOCK_TELL_NS:
            return None
        self.told = line
        return line

    def keep(self, time_ns: int, data: bytes) -> None:
        self.recent.append((time_ns, data))
        self.kept_bytes += len(data)
        horizon = self.newest_ns - LIVE_KEEP_NS
        while self.recent[0][0] < horizon or self.kept_bytes > SIGNAL_LIVE_KEEP_BYTES:
            self.kept_bytes -= len(self.recent.popleft()[1])


class SignalFanout:
    """The streams of one room and who watches them. One owner, one thread."""

    def __init__(self) -> None:
        self._streams: dict[str, _LiveStream] = {}
        self._viewers: set[ViewerQueue] = set()
        self._clocks: dict[str, DeviceClock] = {}
        self._trouble: ErrorCode | None = None

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def start_stream(self, descriptor: StreamDescriptor) -> None:
        """A device was accepted, for the first time or again after a cut.

        :raises RemoteProtocolError: ``signal_stream_limit``.
        """
        known = self._streams.get(descriptor.stream_id)
        if known is None:
            self._make_room()
            clock = FollowedClock(self._clock_of(descriptor))
            known = self._streams[descriptor.stream_id] = _LiveStream(descriptor, clock)
        known.live, known.fault = True, None
        self._tell(wire.stream(descriptor))

    def end_stream(self, stream_id: str, fault: ErrorCode | None = None) -> None:
        """The device is gone; what it sent last stays for late joiners. Idempotent.

        :param fault: of the device, by which it broke off.
        """
        known = self._streams.get(stream_id)
        if known is None or not known.live:
            return
        known.live, known.fault = False, fault
        self._tell(wire.ended(stream_id, fault))

    def publish(self, frame: FrameHeader, data: bytes, arrived_ns: int) -> bool:
        """Pass a frame on. One that is older than the live view reaches belongs to the record alone.

        :param arrived_ns: our wall clock, ns since the Unix epoch.
        :returns: whether the device's clock was set before it.
        """
        known = self._streams.get(frame.stream_id)
        if known is None:
            return False
        jumped = known.clock.observe(frame, arrived_ns)
        if jumped:
            known.begin_anew()
        time_ns = frame.device_time_ns
        if time_ns < known.newest_ns - LIVE_KEEP_NS:
            return jumped
        known.newest_ns = max(known.newest_ns, time_ns)
        known.keep(time_ns, data)
        line = known.untold(time_ns)
        if line is not None:
            self._tell(wire.clock(frame.stream_id, line, known.clock.jumps))
        for viewer in self._viewers:
            viewer.put(data)
        return jumped

    def storing(self, fault: ErrorCode | None) -> None:
        """Tell viewers when what comes is no longer kept, and when it is again."""
        if fault is not self._trouble:
            self._trouble = fault
            self._tell(wire.storing(fault))

    def add_viewer(self, wake: Callable[[], None], offer: Offer | None = None) -> ViewerQueue:
        """A queue that begins with the list of streams and what each showed last."""
        viewer = ViewerQueue(wake, offer)
        viewer.put(
            wire.streams((known.descriptor, known.live, known.fault) for known in self._streams.values())
        )
        if self._trouble is not None:
            viewer.put(wire.storing(self._trouble))
        for stream_id, known in self._streams.items():
            if known.told is not SAME_CLOCK:
                viewer.put(wire.clock(stream_id, known.told, known.clock.jumps))
            for _, data in known.recent:
                viewer.put(data)
        self._viewers.add(viewer)
        return viewer

    def remove_viewer(self, viewer: ViewerQueue) -> None:
        """Idempotent."""
        self._viewers.discard(viewer)

    def tell(self, text: str) -> None:
        """Every viewer hears it."""
        self._tell(text)

    def tell_latest(self, key: str, text: str) -> None:
        """Every viewer hears it, or, when it is slow, what replaces it."""
        for viewer in self._viewers:
            viewer.put_latest(key, text)

    def _clock_of(self, descriptor: StreamDescriptor) -> DeviceClock:
        """One for each device that says so, otherwise one for each stream."""
        clocks = self._clocks
        if not descriptor.group:
            return DeviceClock()
        in_use = {known.descriptor.group for known in self._streams.values()}
        for group in clocks.keys() - in_use:
            del clocks[group]
        return clocks.setdefault(descriptor.group, DeviceClock())

    def _make_room(self) -> None:
        """An ended stream yields its place to a new one; a live one never does."""
        if len(self._streams) < SIGNAL_MAX_STREAMS:
            return
        for stream_id, known in self._streams.items():
            if not known.live:
                del self._streams[stream_id]
                return
        raise RemoteProtocolError(SIGNAL_STREAM_LIMIT)

    def _tell(self, text: str) -> None:
        for viewer in self._viewers:
            viewer.put(text)
