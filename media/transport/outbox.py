"""What leaves together: packets are protected where they wait, and one sendmmsg takes them all.

What one peer gets of one size goes as one message, which the kernel cuts (UDP_SEGMENT, udp(7)): on the wire
it is the same datagrams. A batch is bounded and leaves when it is full, at the end of the turn in which the
socket was read, or in the loop's next turn.
"""

from __future__ import annotations

import ctypes
import errno
import socket
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Final

from media.limits import MAX_DATAGRAM, OUTBOX_DATAGRAMS
from media.transport import mmsg
from media.transport.mmsg import (
    CONTROL,
    CONTROL_LENGTH,
    MESSAGE_WORDS,
    NAME,
    NAME_LENGTH,
    VECTOR_COUNT,
    VECTOR_WORDS,
    VECTORS,
)
from media.transport.srtp import SrtpContext, new_length, protect_in_place

if TYPE_CHECKING:
    from media.transport.media_socket import SocketCounters
    from media.transport.secure import TransportCounters

_SEGMENTS: Final = 16
"""Datagrams of one message at most: beyond it the kernel's share of a datagram hardly falls."""
_ROW_WORDS: Final = _SEGMENTS * VECTOR_WORDS
_CONTROL = Struct("=QiiH6x")  # struct cmsghdr, and the size of a segment
_CONTROL_USED: Final = 18  # of it
_CONTROL_SHORTS: Final = 12
_SIZE_SHORT: Final = 8
_UNJOINABLE: Final = {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT}
"""No checksum offload, no such option, a segment above the path's MTU: each datagram by itself may pass."""


class Outbox:
    """The batch of one socket; made by `open`.

    :param send: sendmmsg.
    :param later: has a function called in the loop's next turn.
    """

    __slots__ = (
        "_control",
        "_descriptor",
        "_later",
        "_messages",
        "_send",
        "_udp",
        "_vectors",
        "_waits",
        "addresses",
        "batch",
        "count",
        "counters",
        "family",
        "held",
        "joins",
        "length",
        "messages",
        "pointers",
        "rows",
        "sizes",
        "targets",
        "vectors",
        "views",
    )

    def __init__(
        self,
        udp: socket.socket,
        send: mmsg.Call,
        counters: SocketCounters,
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        self.family = udp.family
        self.counters = counters
        self.held = False  # the owner flushes at the end of its turn
        self.joins = True  # the kernel cuts messages
        self.batch = 0  # counts them
        self.count = self.rows = 0  # datagrams and messages of this one
        self.length = new_length()
        slots = mmsg.Slots(OUTBOX_DATAGRAMS)
        self.views, self.pointers, self.addresses = slots.views, slots.pointers, slots.addresses
        self.targets: list[mmsg.SocketAddress | None] = [None] * OUTBOX_DATAGRAMS  # kept until it was sent
        self._messages = mmsg.Words(OUTBOX_DATAGRAMS * MESSAGE_WORDS)
        self._vectors = mmsg.Words(OUTBOX_DATAGRAMS * _ROW_WORDS)
        self._control = ctypes.create_string_buffer(OUTBOX_DATAGRAMS * _CONTROL.size)
        self.messages, self.vectors = self._messages.view, self._vectors.view
        self.sizes = memoryview(self._control).cast("B").cast("H")
        self._udp, self._descriptor = udp, udp.fileno()
        self._send = send
        self._later = later
        self._waits = False  # for the next turn
        self._lay_out()

    def _lay_out(self) -> None:
        """What no message changes."""
        control = ctypes.addressof(self._control)
        for row in range(OUTBOX_DATAGRAMS):
            at = row * MESSAGE_WORDS
            self.messages[at + NAME_LENGTH] = mmsg.NAME_BYTES[self.family]
            self.messages[at + VECTORS] = self._vectors.at + 8 * row * _ROW_WORDS
            self.messages[at + CONTROL] = control + row * _CONTROL.size
            _CONTROL.pack_into(
                self._control, row * _CONTROL.size, _CONTROL_USED, socket.IPPROTO_UDP, mmsg.UDP_SEGMENT, 0
            )

    @classmethod
    def open(
        cls,
        udp: socket.socket,
        counters: SocketCounters,
        later: Callable[[Callable[[], None]], object],
    ) -> Outbox | None:
        """None where the machine has no sendmmsg: callers send one by one."""
        calls = mmsg.calls()
        return cls(udp, calls[0], counters, later) if calls is not None else None

    def way(self, address: tuple[str, int], context: SrtpContext, counts: TransportCounters) -> Way | None:
        """To one peer; None when the address is of another kind than the socket."""
        try:
            return Way(self, mmsg.SocketAddress(self.family, address), context, counts)
        except OSError:
            return None

    def begin(self) -> None:
        """The first datagram of a batch came, and nobody said that he would flush."""
        if not self._waits:
            self._waits = True
            self._later(self._next_turn)

    def _next_turn(self) -> None:
        self._waits = False
        self.flush()

    def close(self) -> None:
        """Send what waits; the socket is about to be closed. Nothing may be added any more."""
        self.flush()
        self._descriptor = -1

    def flush(self) -> None:
        """Send what waits. The kernel is not waited for: what it has no room for is dropped and counted."""
        done, rows = 0, self.rows
        self.count = self.rows = 0
        self.batch += 1
        while done < rows:
            sent = self._send(self._descriptor, self._messages.at + done * mmsg.MESSAGE_BYTES, rows - done)
            done += sent if sent > 0 else self._refused(done, rows, ctypes.get_errno())

    def _refused(self, row: int, rows: int, error: int) -> int:
        """Says how many messages are done with: the first would not be taken."""
        datagrams = self.messages[row * MESSAGE_WORDS + VECTOR_COUNT]
        if error == errno.EINTR:
            return 0
        if error in (errno.EAGAIN, errno.ENOBUFS):
            left = range(row, rows)
            self.counters.send_blocked += sum(self.messages[at * MESSAGE_WORDS + VECTOR_COUNT] for at in left)
            return rows - row
        if datagrams > 1 and error in _UNJOINABLE:
            self.joins = error == errno.EMSGSIZE and self.joins
            self._send_apart(row, datagrams)
        else:
            self.counters.send_failed += datagrams
        return 1

    def _send_apart(self, row: int, datagrams: int) -> None:
        target = self.targets[row]
        assert target is not None  # every message has one
        for index in range(datagrams):
            at = row * _ROW_WORDS + index * VECTOR_WORDS
            slot = (self.vectors[at] - self.addresses[0]) // mmsg.STRIDE
            try:
                self._udp.sendto(self.views[slot][: self.vectors[at + 1]], target.text)
            except (BlockingIOError, InterruptedError):
                self.counters.send_blocked += 1
            except OSError:
                self.counters.send_failed += 1


class Way:
    """To one peer through the outbox; made by `Outbox.way`, and good for one address and its keys.

    :ivar address: where it leads.
    """

    __slots__ = (
        "_at",
        "_batch",
        "_context",
        "_counts",
        "_end",
        "_keys",
        "_message",
        "_outbox",
        "_size",
        "_target",
        "address",
    )

    def __init__(
        self, outbox: Outbox, target: mmsg.SocketAddress, context: SrtpContext, counts: TransportCounters
    ) -> None:
        self.address = target.text
        self._outbox = outbox
        self._target = target
        self._context = context  # owns the keys
        self._keys = context.handle
        self._counts = counts
        self._batch = -1  # in which the message stands that may take more
        self._message = 0  # where its words are
        self._at = self._end = 0  # words of its next vector, and after its last
        self._size = 0  # bytes of each of its datagrams; 0 when it takes no more

    def send(self, packet: bytes | bytearray | memoryview) -> bool:
        """Protect a copy of one RTP packet, which then waits for the flush; False when it was refused.

        One function, as it runs for every packet of every receiver.
        """
        outbox, counts, length = self._outbox, self._counts, self._outbox.length
        if outbox.count == OUTBOX_DATAGRAMS:
            outbox.flush()
        slot = outbox.count
        size = length[0] = len(packet)
        if size <= MAX_DATAGRAM:
            outbox.views[slot][:size] = packet
        if size > MAX_DATAGRAM or protect_in_place(self._keys, outbox.pointers[slot], length):
            counts.packets_dropped += 1
            return False
        if not (slot or outbox.held):
            outbox.begin()
        outbox.count = slot + 1
        size = length[0]
        counts.packets_sent += 1
        counts.bytes_sent += size
        messages, vectors = outbox.messages, outbox.vectors
        at = self._at
        if size > self._size or at == self._end or self._batch != outbox.batch:
            row = outbox.rows
            outbox.rows = row + 1
            outbox.targets[row] = target = self._target
            message = self._message = row * MESSAGE_WORDS
            messages[message + NAME] = target.at
            messages[message + VECTOR_COUNT] = 1
            messages[message + CONTROL_LENGTH] = 0
            at = row * _ROW_WORDS
            self._end = at + (_ROW_WORDS if outbox.joins else VECTOR_WORDS)
            self._size = size
            self._batch = outbox.batch
        else:
            message = self._message
            count = messages[message + VECTOR_COUNT] + 1
            messages[message + VECTOR_COUNT] = count
            if count == 2:
                messages[message + CONTROL_LENGTH] = _CONTROL.size
                outbox.sizes[message // MESSAGE_WORDS * _CONTROL_SHORTS + _SIZE_SHORT] = self._size
            if size < self._size:
                self._size = 0  # only the last may be shorter
        vectors[at] = outbox.addresses[slot]
        vectors[at + 1] = size
        self._at = at + VECTOR_WORDS
        return True
