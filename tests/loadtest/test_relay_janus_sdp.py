"""SDP for and from Janus."""

from __future__ import annotations

import pytest

from loadtest.relay.forwarder import SOUND, picture
from loadtest.relay.janus_sdp import NUMBER_URI, Ourselves, publisher_offer, read, subscriber_answer
from media.transport.parameters import IceParameters

# As Janus 1.1.2 offers a subscriber one sound and one picture; shortened.
OFFER = """v=0
o=- 1795308508 1 IN IP4 10.77.0.1
s=VideoRoom 1000
t=0 0
a=group:BUNDLE 0 1
a=ice-options:trickle
a=fingerprint:sha-256 d2:0f
a=ice-lite
m=audio 9 UDP/TLS/RTP/SAVPF 100
c=IN IP4 10.77.0.1
a=sendonly
a=mid:0
a=rtcp-mux
a=ice-ufrag:9wG1
a=ice-pwd:yWVRMWGNcw2f1k0Ik19Vpn
a=setup:actpass
a=rtpmap:100 opus/48000/2
a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=ssrc:11 cname:janus
a=candidate:1 1 udp 2015363327 10.77.0.1 53474 typ host
a=end-of-candidates
m=video 9 UDP/TLS/RTP/SAVPF 101 102
c=IN IP4 10.77.0.1
a=sendonly
a=mid:1
a=rtpmap:101 VP8/90000
a=rtpmap:102 rtx/90000
a=fmtp:102 apt=101
a=ssrc-group:FID 22 23
a=ssrc:22 cname:janus
a=ssrc:22 msid:janus v
a=ssrc:23 cname:janus
a=candidate:1 1 udp 2015363327 10.77.0.1 53474 typ host
"""
US = Ourselves(IceParameters("me", "secret", False), "AA:BB", "10.78.0.1", 4000)


def test_an_offer_is_read() -> None:
    offer = read(OFFER.replace("\n", "\r\n"))
    assert offer.ice == IceParameters("9wG1", "yWVRMWGNcw2f1k0Ik19Vpn", True)
    assert offer.address == ("10.77.0.1", 53474)
    assert offer.dtls.fingerprints == (("sha-256", "D2:0F"),)
    sound, video = offer.sections
    assert (sound.kind, sound.ssrcs, sound.extension_id(NUMBER_URI)) == ("audio", (11,), 5)
    assert (video.kind, video.ssrcs, video.extension_id(NUMBER_URI)) == ("video", (22, 23), 0)


def test_the_answer_takes_everything_with_the_offers_numbers() -> None:
    lines = subscriber_answer(US, read(OFFER)).split("\r\n")
    assert "a=group:BUNDLE 0 1" in lines
    assert "m=video 9 UDP/TLS/RTP/SAVPF 101 102" in lines
    assert lines.count("a=recvonly") == lines.count("a=setup:active") == 2
    assert "a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" in lines
    assert "a=candidate:1 1 udp 2130706431 10.78.0.1 4000 typ host" in lines


def test_the_publishers_offer_names_its_streams() -> None:
    sound, video = (track for track in (SOUND, picture(5)))
    lines = publisher_offer(US, sound, video).split("\r\n")
    assert lines.count("a=sendonly") == 2
    assert "a=ssrc-group:FID 0 1" in lines
    assert "a=rtcp-fb:101 nack pli" in lines


def test_a_description_without_an_address_is_refused() -> None:
    without = "\n".join(line for line in OFFER.split("\n") if "candidate:1" not in line)
    with pytest.raises(ValueError, match="no UDP candidate"):
        read(without)
