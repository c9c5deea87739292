"""What is done to a packet once, at its odd edges."""

from __future__ import annotations

from media.relay.rewrite import Ingress, normalize
from media.rtp.packet import RtpPacket, parse_header


def test_a_blanked_element_is_no_place_for_a_send_time() -> None:
    """Three bytes of an extension nobody knows, where abs-send-time was not agreed on."""
    ingress = Ingress({111: 100}, {}, {}, send_time_id=0, codec="opus")
    data = RtpPacket(111, 1, 2, 3, b"x", extensions=((7, b"abc"), (8, b"de"))).serialize()
    packet = normalize(data, parse_header(data), ingress, 1, 0.0)
    assert packet is not None
    assert (packet.send_time_at, packet.number_at) == (-1, -1)
    assert RtpPacket.parse(packet.data).extensions == ()


def test_a_header_extension_of_no_kind_is_left_alone() -> None:
    """The X bit with profile 0: nothing may be put before it."""
    ingress = Ingress({111: 100}, {}, {}, send_time_id=4, codec="opus", number_id=5)
    data = RtpPacket(111, 1, 2, 3, b"payload").serialize()
    data[0] |= 0x10
    data[12:12] = bytes((0, 0, 0, 1, 9, 9, 9, 9))
    before = bytes(data)
    packet = normalize(data, parse_header(data), ingress, 1, 0.0)
    assert packet is not None
    assert packet.number_at == -1
    assert bytes(packet.data[2:]) == before[2:]
