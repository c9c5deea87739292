"""Datagrams that are read together: every one with its bytes and its sender, as one by one."""

from __future__ import annotations

import asyncio
import socket

import pytest

from media.limits import MAX_DATAGRAM, MAX_DATAGRAMS_PER_WAKE
from media.transport import mmsg
from media.transport.inbox import Inbox
from tests.media.transport.loopback import connected
from tests.media.transport.test_outbox import rtp

pytestmark = [
    pytest.mark.skipif(mmsg.calls() is None, reason="no recvmmsg here"),
    pytest.mark.usefixtures("python_plane"),
]


def bound(ip: str) -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((ip, 0))
    one.setblocking(False)
    return one


def taken(inbox: Inbox) -> list[tuple[bytes, tuple[str, int]]]:
    return [
        (bytes(inbox.views[slot][: inbox.length(slot)]), inbox.source(slot)) for slot in range(inbox.read())
    ]


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_datagrams_come_in_order_with_their_senders(ip: str) -> None:
    ours, senders = bound(ip), [bound(ip), bound(ip)]
    inbox = Inbox.open(ours)
    assert inbox is not None
    assert taken(inbox) == []
    sent = [(bytes([number]) * (number * 20), senders[number % 2]) for number in range(10)]
    for datagram, sender in sent:
        sender.sendto(datagram, ours.getsockname())
    assert taken(inbox) == [(datagram, sender.getsockname()[:2]) for datagram, sender in sent]
    assert taken(inbox) == []
    for one in (ours, *senders):
        one.close()


def test_a_batch_is_bounded_and_what_is_too_long_is_cut() -> None:
    ours, far = bound("127.0.0.1"), bound("127.0.0.1")
    inbox = Inbox.open(ours)
    assert inbox is not None
    far.sendto(bytes(MAX_DATAGRAM + 500), ours.getsockname())
    for number in range(MAX_DATAGRAMS_PER_WAKE):
        far.sendto(number.to_bytes(2, "big"), ours.getsockname())
    first, rest = taken(inbox), taken(inbox)
    assert len(first) == MAX_DATAGRAMS_PER_WAKE
    assert len(first[0][0]) == MAX_DATAGRAM
    assert [datagram for datagram, _ in first[1:] + rest] == [n.to_bytes(2, "big") for n in range(64)]
    ours.close()
    far.close()


def test_an_icmp_error_is_no_datagram() -> None:
    ours, gone = bound("127.0.0.1"), bound("127.0.0.1")
    address = gone.getsockname()
    gone.close()
    ours.connect(address)  # so that the kernel tells
    inbox = Inbox.open(ours)
    assert inbox is not None
    ours.send(b"to nobody")
    assert taken(inbox) == []
    assert taken(inbox) == []
    ours.close()


async def test_packets_that_come_together_are_all_decrypted() -> None:
    async with connected() as ends:
        packets = [rtp(sequence, 200 + sequence) for sequence in range(3 * MAX_DATAGRAMS_PER_WAKE)]
        for packet in packets:
            assert ends.client.send_rtp(packet)
        async with asyncio.timeout(10):
            assert [await ends.at_server.rtp.get() for _ in packets] == packets
        assert ends.server.counters.packets_refused == 0
