"""Both ends of ``/signals/publish`` without a network, and the viewers' queue."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.device.uplink import State, Uplink
from media.errors import LocalProtocolError, RemoteProtocolError
from media.limits import (
    SIGNAL_MAX_AHEAD_FRAMES,
    SIGNAL_MAX_LOSSES,
    SIGNAL_MAX_STREAMS,
    SIGNAL_MAX_TEXT_BYTES,
    SIGNAL_VIEWER_FRAMES,
    SIGNAL_VIEWER_TEXTS,
    SIGNAL_WINDOW_FRAMES,
)
from media.signals import wire
from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.errors import STORE_FULL
from media.signals.fanout import SignalFanout, ViewerQueue
from media.signals.frames import FLAG_BACKFILL, FLAG_DELTA, Frame, decode, encode, inspect, read_header
from media.signals.ledger import StreamLedger
from media.signals.publish import Close, Lose, Mark, Open, Output, PublishSession, Send, Store
from media.signals.records import Loss
from media.signals.wish import FrameWish

STREAM = "00112233-4455-6677-8899-aabbccddeeff"
TWO = StreamDescriptor(STREAM, "ecg", "", 500.0, (Lead("I"), Lead("II")))
ONE = StreamDescriptor(STREAM, "ecg", "", 500.0, (Lead("I"),))


def data_of(sequence: int, descriptor: StreamDescriptor = TWO) -> bytes:
    samples = np.full((50, len(descriptor.leads)), sequence % 1000, dtype=np.int16)
    return encode(Frame.of(descriptor, sequence, sequence * 10**8, samples, FLAG_DELTA))


class Memory:
    """The device's outbox, in memory."""

    def __init__(self) -> None:
        self.first, self.last = 0, -1
        self._data: dict[int, bytes] = {}

    def measure(self) -> None:
        self.last += 1
        self._data[self.last] = data_of(self.last)

    def read(self, sequence: int) -> bytes | None:
        return self._data.get(sequence)

    def confirm(self, sequence: int) -> None:
        for known in [known for known in self._data if known <= sequence]:
            del self._data[known]
        self.first = max(self.first, min(sequence, self.last) + 1)


class Server:
    """The host of `PublishSession`: a store in memory that syncs when told to."""

    def __init__(self) -> None:
        self.ledger = StreamLedger()
        self.wish = FrameWish()
        self.stored: dict[int, bytes] = {}
        self.order: list[tuple[int, bool]] = []
        self.marks: list[str] = []
        self.losses: list[Loss] = []
        self.waiting: deque[Store | Lose] = deque()
        self.session = PublishSession(0.0)
        self.replies: list[str] = []
        self.closed: Close | None = None

    def connect(self) -> None:
        self.session = PublishSession(0.0)
        self.waiting.clear()
        self.replies.clear()
        self.closed = None

    def receive(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.do(self.session.receive_text(message, 0.0))
        else:
            self.do(self.session.receive_frame(message, 0.0))

    def sync(self) -> None:
        while self.waiting:
            item = self.waiting.popleft()
            if isinstance(item, Lose):
                self.losses.append(item.loss)
                self.ledger.add_range(item.loss.first, item.loss.last)
                self.do(self.session.loss_stored(0.0))
                continue
            assert item.frame.sequence not in self.stored
            self.stored[item.frame.sequence] = item.data
            self.ledger.add(item.frame.sequence)
            self.do(self.session.stored(item.frame.sequence, 0.0))

    def do(self, outputs: list[Output]) -> None:
        assert self.closed is None or not outputs
        for output in outputs:
            match output:
                case Open():
                    self.do(self.session.opened(self.ledger, 0.0, wish=self.wish))
                case Store(frame):
                    self.waiting.append(output)
                    self.order.append((frame.sequence, bool(frame.flags & FLAG_BACKFILL)))
                case Lose():
                    self.waiting.append(output)
                case Send(text):
                    self.replies.append(text)
                case Mark(code):
                    self.marks.append(code)
                case Close():
                    self.closed = output


class Pair:
    """A device and a server with a line between them that can be cut."""

    def __init__(self) -> None:
        self.memory, self.server = Memory(), Server()
        self.uplink = Uplink(TWO, self.memory)

    def connect(self) -> None:
        self.server.connect()
        self.server.receive(self.uplink.connected("token"))

    def cut(self) -> None:
        self.uplink.disconnected()

    def turn(self, sync: bool = True) -> None:
        """Everything that may travel does, once each way."""
        self.answer()
        for message in self.uplink.to_send():
            self.server.receive(message)
        if sync:
            self.server.sync()
        self.answer()

    def answer(self) -> None:
        replies, self.server.replies = self.server.replies, []
        for text in replies:
            self.uplink.receive(text)

    def burst(self) -> None:
        """The line carries nothing while a window's worth and more is measured."""
        for _ in range(60):
            self.memory.measure()

    def settle(self) -> None:
        for _ in range(500):
            self.turn()

    def is_open(self) -> bool:
        return self.server.closed is None

    def whole(self) -> bool:
        kept = [decode(self.server.stored[n], TWO).samples[0, 0] for n in sorted(self.server.stored)]
        return sorted(self.server.stored) == list(range(self.memory.last + 1)) and kept == [
            n % 1000 for n in range(self.memory.last + 1)
        ]


def test_frames_arrive_and_are_confirmed() -> None:
    pair = Pair()
    pair.connect()
    for _ in range(5):
        pair.memory.measure()
        pair.turn()
    assert pair.whole()
    assert pair.memory.first == 5
    assert pair.uplink.progress.confirmed == 4


def test_a_cut_loses_nothing_and_live_goes_first() -> None:
    pair = Pair()
    pair.connect()
    pair.turn()
    for _ in range(3):
        pair.memory.measure()
        pair.turn(sync=False)
    pair.cut()
    for _ in range(600):
        pair.memory.measure()
    pair.connect()
    pair.answer()
    pair.memory.measure()
    pair.server.order.clear()
    pair.turn()
    assert pair.server.order[0] == (603, False)
    assert pair.server.order[1] == (0, True)
    for _ in range(40):
        pair.memory.measure()
        pair.turn()
    assert pair.whole()
    live = [sequence for sequence, late in pair.server.order if not late]
    assert live == list(range(603, 644))
    assert pair.memory.first == 644


@pytest.mark.parametrize("before_the_first_ack", [49, 50, 51, 200, 500])
def test_a_backlog_goes_on_whatever_is_measured_meanwhile(before_the_first_ack: int) -> None:
    """The line is slow: many live frames follow the backlog's first ones before these are confirmed."""
    pair = Pair()
    for _ in range(180):
        pair.memory.measure()
    pair.connect()
    pair.answer()
    for message in pair.uplink.to_send():
        pair.server.receive(message)
    for _ in range(before_the_first_ack):
        pair.memory.measure()
        for message in pair.uplink.to_send():
            pair.server.receive(message)
    pair.settle()
    assert pair.is_open()
    assert pair.whole()
    assert pair.memory.first == pair.memory.last + 1


def test_a_backlog_goes_although_live_frames_came_first() -> None:
    pair = Pair()
    pair.memory.measure()
    pair.connect()
    pair.answer()
    for _ in range(200):
        pair.memory.measure()
    pair.uplink.end()
    pair.settle()
    assert pair.uplink.state is State.ENDED
    assert pair.whole()


@given(
    steps=st.lists(
        st.sampled_from(["measure", "burst", "turn", "turn-unsynced", "cut", "connect"]), max_size=120
    ),
)
def test_nothing_is_lost_or_doubled_whatever_the_line_does(steps: list[str]) -> None:
    pair, online = Pair(), False
    actions: dict[str, Callable[[], None]] = {
        "measure": pair.memory.measure,
        "burst": pair.burst,
        "turn": pair.turn,
        "turn-unsynced": lambda: pair.turn(sync=False),
        "cut": pair.cut,
        "connect": pair.connect,
    }
    for step in steps:
        if step == "connect" and online:
            continue
        online = (online or step == "connect") and step != "cut"
        if online or step in ("measure", "burst", "cut"):
            actions[step]()
    pair.cut()
    pair.connect()
    pair.settle()
    assert pair.whole()
    assert pair.memory.first == pair.memory.last + 1


@given(damaged=st.sets(st.integers(0, 39)), cut_after=st.integers(0, 3))
def test_what_the_outbox_cannot_read_is_a_loss_and_the_stream_ends(damaged: set[int], cut_after: int) -> None:
    pair = Pair()
    for _ in range(40):
        pair.memory.measure()
    for sequence in damaged:
        del pair.memory._data[sequence]
    pair.connect()
    for _ in range(cut_after):
        pair.turn()
    pair.cut()
    pair.connect()
    pair.uplink.end()
    pair.settle()
    assert pair.uplink.state is State.ENDED
    assert set(pair.server.stored) == set(range(40)) - damaged
    lost = {n for loss in pair.server.losses for n in range(loss.first, loss.last + 1)}
    assert lost == damaged
    assert {loss.reason for loss in pair.server.losses} <= {"outbox_damaged"}
    assert pair.server.marks == []


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"lost","first":5,"last":4,"reason":"x"}',
        '{"type":"lost","first":-1,"last":4,"reason":"x"}',
        '{"type":"lost","first":0,"last":4}',
        '{"type":"lost","first":0,"last":4,"reason":"Bed 4, Mr Li"}',
        '{"type":"lost","first":0,"last":4.5,"reason":"x"}',
        wire.lost(0, SIGNAL_MAX_AHEAD_FRAMES, "x"),
    ],
)
def test_an_impossible_loss_is_one_error_and_a_mark(text: str) -> None:
    server = Server()
    server.receive(wire.announce("token", TWO))
    server.receive(text)
    assert server.closed is not None
    assert server.closed.code == wire.CLOSE_PEER_FAULT
    assert len(server.marks) == 1
    assert not server.waiting


def test_losses_without_an_end_are_refused() -> None:
    server = Server()
    server.receive(wire.announce("token", TWO))
    for number in range(SIGNAL_MAX_LOSSES):
        server.receive(wire.lost(2 * number + 1, 2 * number + 1, "x"))
    assert server.closed is None
    server.receive(wire.lost(4000, 4000, "x"))
    assert server.closed == Close(wire.CLOSE_PEER_FAULT, "signal_gap_too_large")


def test_end_waits_for_the_disk() -> None:
    pair = Pair()
    pair.connect()
    pair.turn()
    pair.memory.measure()
    pair.uplink.end()
    pair.turn(sync=False)
    assert pair.is_open()
    pair.turn()
    assert pair.server.closed == Close(wire.CLOSE_DONE)
    assert pair.uplink.state is State.ENDED


def test_duplicates_are_confirmed_again_and_not_stored() -> None:
    pair = Pair()
    pair.connect()
    pair.memory.measure()
    pair.turn()
    pair.server.receive(data_of(0))
    assert [json.loads(text) for text in pair.server.replies] == [{"type": "ack", "sequence": 0}]
    pair.server.receive(data_of(1))
    pair.server.receive(data_of(1))
    assert len(pair.server.waiting) == 1


def test_another_lead_set_is_one_error_and_a_mark() -> None:
    pair = Pair()
    pair.connect()
    pair.turn()
    pair.server.receive(data_of(0, ONE))
    pair.server.receive(data_of(1, ONE))
    pair.server.receive(data_of(0))
    errors = [json.loads(text) for text in pair.server.replies]
    assert [error["code"] for error in errors] == ["signal_lead_set_changed"]
    assert errors[0]["blame"] == "peer"
    assert errors[0]["message"]["zh"]
    assert pair.server.marks == ["signal_lead_set_changed"]
    assert pair.server.closed == Close(wire.CLOSE_PEER_FAULT, "signal_lead_set_changed")
    assert not pair.server.waiting
    pair.answer()
    assert pair.uplink.state is State.REFUSED
    assert pair.uplink.refusal is not None
    assert pair.uplink.refusal.code == "signal_lead_set_changed"


def test_a_full_disk_is_the_servers_fault_and_not_confirmed() -> None:
    pair = Pair()
    pair.connect()
    pair.memory.measure()
    pair.turn(sync=False)
    pair.server.do(pair.server.session.store_failed(LocalProtocolError(STORE_FULL), 0.0))
    assert pair.server.closed == Close(wire.CLOSE_SERVER_FAULT, "store_full")
    assert pair.server.marks == []
    pair.answer()
    assert pair.memory.first == 0
    assert pair.uplink.refusal is not None
    assert pair.uplink.refusal.blame == "server"


@pytest.mark.parametrize(("said", "heard"), [(60, 60), (19, None), (501, None), ("60", None), (None, None)])
def test_a_wish_for_frames_is_heard_when_it_makes_sense(said: object, heard: int | None) -> None:
    accepted = {"type": "accepted", "streamId": TWO.stream_id, "durableSequence": -1, "frameMs": said}
    reply = wire.parse_reply(json.dumps(accepted))
    assert isinstance(reply, wire.Accepted)
    assert reply.frame_ms == heard


def test_longer_frames_are_wished_for_as_streams_become_many_and_not_at_once_shorter_ones() -> None:
    wish = FrameWish()
    told = []
    for streams in (1, 32, 33, 30, 25, 24, 33, 149, 150, 113, 112, 150, 400, 20, 0):
        wish.count(streams)
        told.append(wish.ms)
    assert told == [60, 60, 100, 100, 100, 60, 100, 100, 200, 200, 100, 200, 200, 60, 60]


@given(st.lists(st.integers(0, 400)))
def test_a_wish_never_lies_below_what_so_many_streams_bear(counts: list[int]) -> None:
    wish = FrameWish()
    for streams in counts:
        before = wish.ms
        wish.count(streams)
        fresh = FrameWish()
        fresh.count(streams)
        assert fresh.ms <= wish.ms <= max(before, fresh.ms)


def test_a_wish_that_changes_is_told_once_with_the_next_acknowledgement() -> None:
    pair = Pair()
    pair.connect()
    told, heard = [], []
    for streams in (1, 150, 150, 40, 40):
        pair.server.wish.count(streams)
        pair.memory.measure()
        pair.turn(sync=False)
        pair.server.sync()
        told += [json.loads(reply).get("frameMs") for reply in pair.server.replies]
        pair.answer()
        heard.append(pair.uplink.frame_ms)
    assert told == [None, 200, None, 100, None]
    assert heard == [60, 200, 200, 100, 100]


def test_more_than_the_window_is_refused() -> None:
    pair = Pair()
    pair.connect()
    for sequence in range(SIGNAL_WINDOW_FRAMES):
        pair.server.receive(data_of(sequence))
    assert pair.is_open()
    pair.server.receive(data_of(SIGNAL_WINDOW_FRAMES))
    assert pair.server.closed == Close(wire.CLOSE_PEER_FAULT, "signal_window_exceeded")


def test_the_device_stays_within_the_window_when_the_disk_stands_still() -> None:
    pair = Pair()
    pair.connect()
    for _ in range(3 * SIGNAL_WINDOW_FRAMES):
        pair.memory.measure()
        pair.turn(sync=False)
    assert pair.is_open()
    pair.settle()
    assert pair.whole()


def test_silence_ends_the_connection_without_a_mark() -> None:
    session = PublishSession(0.0)
    assert session.tick(9.9) == []
    outputs = session.tick(10.0)
    assert outputs[-1] == Close(wire.CLOSE_TIMEOUT, "signal_timeout")
    assert session.tick(99.0) == []
    pair = Pair()
    pair.connect()
    assert pair.server.session.next_timeout() == 60.0
    assert pair.server.session.tick(60.0)[-1] == Close(wire.CLOSE_TIMEOUT, "signal_timeout")


def test_a_server_that_lost_its_disk_is_noticed() -> None:
    pair = Pair()
    pair.connect()
    pair.memory.measure()
    pair.turn()
    pair.cut()
    pair.server = Server()
    pair.connect()
    pair.answer()
    assert pair.uplink.broken
    assert pair.uplink.to_send() == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "{" * 5000,
        '{"type":"end"}',
        '{"type":"announce"}',
        '{"type":"announce","token":"t"}',
        '{"type":"announce","token":5,"stream":{}}',
        '{"type":"announce","token":"t","stream":{"streamId":"x"}}',
        "x" * (SIGNAL_MAX_TEXT_BYTES + 1),
    ],
)
def test_a_bad_first_message_is_one_clear_error(text: str) -> None:
    outputs = PublishSession(0.0).receive_text(text, 0.0)
    assert [type(output) for output in outputs] == [Send, Close]
    assert isinstance(outputs[0], Send)
    assert json.loads(outputs[0].text)["code"].startswith("signal_")


def test_a_frame_before_the_announcement_is_an_error() -> None:
    outputs = PublishSession(0.0).receive_frame(data_of(0), 0.0)
    assert outputs[-1] == Close(wire.CLOSE_PEER_FAULT, "signal_unexpected_message")


def test_tokens_are_not_shown() -> None:
    assert "secret" not in repr(wire.parse_publish(wire.announce("secret", TWO)))
    assert "secret" not in repr(wire.parse_view(wire.watch("secret")))


@given(text=st.text(max_size=200))
def test_garbage_text_raises_the_one_error(text: str) -> None:
    for parse in (wire.parse_publish, wire.parse_view, wire.parse_reply):
        with pytest.raises(RemoteProtocolError):
            parse(text)


class View:
    """A viewer that reads when told to."""

    def __init__(self, fanout: SignalFanout) -> None:
        self.woken = 0
        self.queue = fanout.add_viewer(self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def read(self) -> list[str | int]:
        seen: list[str | int] = []
        while (message := self.queue.pop()) is not None:
            if isinstance(message, bytes):
                seen.append(read_header(message).sequence)
            else:
                seen.append(json.loads(message)["type"])
        return seen


def publish(fanout: SignalFanout, *sequences: int) -> None:
    for sequence in sequences:
        data = data_of(sequence)
        header, _ = inspect(data, TWO)
        fanout.publish(header, data, header.end_ns)


def test_a_late_viewer_gets_the_last_ten_seconds() -> None:
    fanout = SignalFanout()
    fanout.start_stream(TWO)
    publish(fanout, *range(150))
    view = View(fanout)
    assert view.read() == ["streams", *range(49, 150)]
    publish(fanout, 150)
    assert view.read() == [150]
    fanout.end_stream(STREAM)
    fanout.end_stream(STREAM)
    assert view.read() == ["ended"]
    fanout.start_stream(TWO)
    assert view.read() == ["stream"]


def test_backfill_beyond_the_live_view_stays_out_of_it() -> None:
    fanout = SignalFanout()
    fanout.start_stream(TWO)
    view = View(fanout)
    publish(fanout, 500, 3, 450)
    assert view.read() == ["streams", 500, 450]


@given(st.lists(st.sampled_from(["frame", "text", "state", "free", "full", "pop"]), max_size=60))
def test_what_a_free_line_takes_at_once_stays_in_order(events: list[str]) -> None:
    sent: list[str | bytes] = []
    woken: list[None] = []
    free = True

    def offer(message: str | bytes) -> bool:
        if free:
            sent.append(message)
        return free

    queue = ViewerQueue(lambda: woken.append(None), offer)
    put: list[str | bytes] = []
    for number, event in enumerate(events):
        if event in ("free", "full"):
            free = event == "free"
        elif event == "pop":
            sent += [message for message in [queue.pop()] if message is not None]
        elif event == "state":
            queue.put_latest("a", f"state {number}")
        else:
            put.append(str(number) if event == "text" else str(number).encode())
            queue.put(put[-1])
    assert len(woken) >= len(queue)
    while (message := queue.pop()) is not None:
        sent.append(message)
    assert [one for one in sent if not str(one).startswith("state")] == put
    states = [one for one in sent if str(one).startswith("state")]
    assert sorted(states, key=lambda one: int(str(one).split()[1])) == states


def test_a_slow_viewer_loses_the_oldest_frames_and_no_message() -> None:
    fanout = SignalFanout()
    fanout.start_stream(TWO)
    slow, quick = View(fanout), View(fanout)
    for sequence in range(SIGNAL_VIEWER_FRAMES + 10):
        publish(fanout, sequence)
        quick.read()
    fanout.end_stream(STREAM)
    assert slow.read() == ["streams", *range(10, SIGNAL_VIEWER_FRAMES + 10), "ended"]
    assert (slow.queue.dropped, quick.queue.dropped) == (10, 0)


def test_a_viewer_that_never_reads_is_cut_off() -> None:
    fanout = SignalFanout()
    view = View(fanout)
    for _ in range(SIGNAL_VIEWER_TEXTS):
        fanout.start_stream(TWO)
    assert view.queue.fault is not None
    assert len(view.queue) == 0
    fanout.remove_viewer(view.queue)
    fanout.remove_viewer(view.queue)
    assert fanout.viewers == 0


def test_a_room_has_a_bounded_number_of_streams() -> None:
    fanout = SignalFanout()
    names = [f"{n:08x}{STREAM[8:]}" for n in range(SIGNAL_MAX_STREAMS + 1)]
    for name in names[:-1]:
        fanout.start_stream(StreamDescriptor(name, "ecg", "", 500.0, TWO.leads))
    last = StreamDescriptor(names[-1], "ecg", "", 500.0, TWO.leads)
    with pytest.raises(RemoteProtocolError, match="signal_stream_limit"):
        fanout.start_stream(last)
    fanout.end_stream(names[3])
    fanout.start_stream(last)
