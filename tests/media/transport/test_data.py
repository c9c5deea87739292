"""The data endpoint against a hostile peer: nothing raised, nothing grown without bound."""

from __future__ import annotations

import struct

import pytest
from google_crc32c import value as crc32c
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.limits import MAX_DATA_STREAMS
from media.transport.data import DataEndpoint, sctp_parameters


def packet(tag: int, chunks: bytes) -> bytes:
    """An SCTP packet with a right checksum."""
    head = struct.pack("!HHL", 5000, 5000, tag)
    return head + struct.pack("<L", crc32c(head + bytes(4) + chunks)) + chunks


async def test_parameters_are_what_clients_ask_for() -> None:
    assert {"port", "OS", "MIS", "maxMessageSize", "maxSendMessageSize"} <= sctp_parameters().keys()


async def test_nothing_is_sent_before_a_stream_is_wanted() -> None:
    sent: list[bytes] = []
    end = DataEndpoint(sent.append, lambda *_: None)
    end.connected("client")
    assert sent == []
    end.open(0)
    assert len(sent) == 1, "INIT"
    end.close()


@given(st.lists(st.binary(max_size=200), max_size=8), st.booleans())
async def test_garbage_never_raises(bodies: list[bytes], framed: bool) -> None:
    sent: list[bytes] = []
    end = DataEndpoint(sent.append, lambda *_: None)
    end.open(0)
    end.connected("server")
    for body in bodies:
        end.receive(packet(0, body) if framed else body)
    end.close()
    end.close()


@given(st.integers(0, 255), st.binary(max_size=40))
async def test_any_chunk_with_the_right_tag_never_raises(kind: int, body: bytes) -> None:
    end = DataEndpoint(lambda _: None, lambda *_: None)
    end.open(0)
    end.connected("server")
    assert end._sctp is not None
    tag = end._sctp._local_verification_tag
    chunk = struct.pack("!BBH", kind, 3, len(body) + 4) + body + bytes(-len(body) % 4)
    end.receive(packet(tag, chunk))
    end.receive(packet(0, chunk))
    end.close()


async def test_a_peer_that_fills_our_memory_is_cut_off() -> None:
    end = DataEndpoint(lambda _: None, lambda *_: None)
    end.open(0)
    end.connected("server")
    sctp = end._sctp
    assert sctp is not None
    tag = sctp._local_verification_tag
    init = struct.pack("!BBHLLHHL", 1, 0, 20, 7, 1 << 20, 10, 10, 1)
    end.receive(packet(0, init))
    for number in range(1400):
        # First fragments whose message never ends, every other one missing.
        data = struct.pack("!LHHL", 2 + 2 * number, 0, 0, 51) + bytes(1000)
        end.receive(packet(tag, struct.pack("!BBH", 0, 2, 4 + len(data)) + data))
    assert sctp.state == "closed"
    held = sum(len(stream.reassembly) for stream in sctp._inbound_streams.values())
    assert held <= 1200
    end.receive(packet(0, init))
    assert end._sctp is sctp, "given up for good"
    end.close()


async def test_streams_are_bounded() -> None:
    end = DataEndpoint(lambda _: None, lambda *_: None)
    for number in range(MAX_DATA_STREAMS):
        end.open(number)
    with pytest.raises(RemoteProtocolError) as caught:
        end.open(MAX_DATA_STREAMS)
    assert caught.value.code.code == "limit_reached"
    end.close_stream(0)
    end.open(MAX_DATA_STREAMS)
    end.close()
