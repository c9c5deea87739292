"""The parsers that read what a stranger sends, each with good inputs made by the product's own writers."""

from __future__ import annotations

from loadtest.fuzz import Target
from loadtest.fuzz_signaling import MESSAGES, SIGNAL_FRAMES, SIGNAL_WIRE
from media.limits import MAX_DATAGRAM, WHIP_MAX_SDP_BYTES
from media.ortc import router_rtp_capabilities
from media.rtp import h264, rtcp, vp8
from media.rtp.depacketize import H264Depacketizer, Vp8Depacketizer
from media.rtp.packet import RtpPacket, find_extension, iter_extensions, parse_header
from media.rtp.packetize import H264Packetizer, Vp8Packetizer
from media.rtp.twcc import TransportFeedback
from media.transport import demux, stun
from media.transport.framing import Deframer, frame_header
from media.whip import parse_offer

_PASSWORD = "a-password-of-22-bytes"  # noqa: S105 - of nobody
_ID = bytes(range(12))


def _stun() -> Target:
    kind, attribute = stun.MessageType, stun.Attribute
    mapped = stun.xor_mapped_address(("192.0.2.7", 40000), _ID)
    mapped_v6 = stun.xor_mapped_address(("2001:db8::7", 40000), _ID)
    request = [
        (attribute.USERNAME, b"server:client"),
        (attribute.ICE_CONTROLLING, bytes(8)),
        (attribute.USE_CANDIDATE, b""),
        (attribute.PRIORITY, b"\x6e\x00\x1e\xff"),
    ]
    seeds = (
        stun.build(kind.BINDING_REQUEST, _ID, request, _PASSWORD),
        stun.build(kind.BINDING_RESPONSE, _ID, [mapped], _PASSWORD),
        stun.build(kind.BINDING_RESPONSE, _ID, [mapped_v6], _PASSWORD),
        stun.build(kind.BINDING_ERROR, _ID, [stun.error_code(487, "Role Conflict")], _PASSWORD),
        stun.build(kind.BINDING_INDICATION, _ID, []),
    )
    return Target(seeds, _parse_stun, mend=_mend_stun)


def _parse_stun(data: bytes) -> None:
    message = stun.parse(data)
    for _ in (message.username, message.priority, message.use_candidate, message.error_code):
        pass
    _ = message.controlled, message.mapped_address
    message.has_integrity(_PASSWORD)


def _mend_stun(data: bytes) -> bytes:
    """Whole words, right length and cookie, without FINGERPRINT (whose check would stop nearly all)."""
    words = data[: len(data) // 4 * 4]
    if len(words) < stun.HEADER_LENGTH:
        return data
    length = (len(words) - stun.HEADER_LENGTH).to_bytes(2, "big")
    mended = words[:2] + length + stun.MAGIC_COOKIE.to_bytes(4, "big") + words[8:]
    return mended[:-8] if mended[-8:-4] == b"\x80\x28\x00\x04" and len(mended) > 28 else mended


def _parse_demux(data: bytes) -> None:
    kind = demux.classify(data, len(data))
    if kind is demux.DatagramKind.RTP:
        parse_header(data)
    elif kind is demux.DatagramKind.RTCP:
        rtcp.parse_compound(data)
    elif kind is demux.DatagramKind.STUN:
        stun.parse(data)


_EXTENSIONS = ((1, b"0"), (4, b"\x01\x02\x03"), (10, bytes(16)))
_RTP = tuple(
    bytes(packet.serialize())
    for packet in (
        RtpPacket(payload_type=111, sequence=65_535, timestamp=1, ssrc=1, payload=bytes(40)),
        RtpPacket(
            payload_type=96,
            sequence=1,
            timestamp=90_000,
            ssrc=2,
            payload=b"\x90\x80\x80\x01" + bytes(60),
            marker=True,
            extensions=_EXTENSIONS,
        ),
        RtpPacket(
            payload_type=96,
            sequence=2,
            timestamp=90_000,
            ssrc=2,
            payload=bytes(20),
            extensions=((20, bytes(20)), (21, b"")),
        ),
    )
)


def _parse_rtp(data: bytes) -> None:
    header = parse_header(data)
    for _, at, length in iter_extensions(data, header):
        if at + length > len(data):
            raise IndexError("an extension outside the packet")
    find_extension(data, header, 4, 3)
    if RtpPacket.parse(data).payload is None:
        raise ValueError("no payload")


_BLOCK = rtcp.ReportBlock(ssrc=7, fraction_lost=3, cumulative_lost=-1, highest_sequence=70_000)
_COMPOUNDS: tuple[list[rtcp.RtcpPacket], ...] = (
    [rtcp.SenderReport(1, 1 << 40, 5, 6, 7, (_BLOCK,)), rtcp.SourceDescription(((1, "name"),))],
    [rtcp.ReceiverReport(1, (_BLOCK, _BLOCK)), rtcp.Nack(1, 2, (5, 6, 30, 65_535))],
    [rtcp.PictureLoss(1, 2), rtcp.FullIntraRequest(1, ((2, 9),)), rtcp.Bye((1, 2))],
    [rtcp.Remb(1, 500_000, (2, 3))],
    [TransportFeedback(1, 2, 65_530, 40, 99, 3, tuple((at, 4 * at) for at in range(0, 40, 3)))],
)
_RTCP = tuple(rtcp.pack_compound(packets) for packets in _COMPOUNDS)


def _parse_rtcp(data: bytes) -> None:
    for packet in rtcp.parse_compound(data):
        repr(packet)


def _mend_rtcp(data: bytes) -> bytes:
    """One packet whose length is that of the whole."""
    words = data[: len(data) // 4 * 4]
    return words[:2] + (len(words) // 4 - 1).to_bytes(2, "big") + words[4:] if len(words) >= 8 else data


_VP8_KEY_FRAME = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\xe0\x01" + bytes(200)
_H264_KEY_FRAME = (
    b"\x00\x00\x00\x01\x67\x42\xe0\x1f\x8c\x8d\x40\x50\x1e\xd0\x0f\x08\x84\x6a"
    b"\x00\x00\x00\x01\x68\xce\x3c\x80\x00\x00\x00\x01\x65\x88" + bytes(300)
)
_STAP_A = b"\x78\x00\x10\x67\x42\xe0\x1f\x8c\x8d\x40\x50\x1e\xd0\x0f\x08\x84\x6a\x00\x04\x68\xce\x3c\x80"


def _parse_vp8(data: bytes) -> None:
    Vp8Depacketizer().push(RtpPacket(96, 1, 90_000, 1, data, marker=True))
    descriptor = vp8.parse_descriptor(data)
    vp8.keyframe_size(data, descriptor.end, len(data))


def _parse_h264(data: bytes) -> None:
    H264Depacketizer().push(RtpPacket(102, 1, 90_000, 1, data, marker=True))
    h264.is_droppable(data, 0, len(data))
    h264.starts_keyframe(data, 0, len(data))
    if data and data[0] & 0x1F == h264.SPS:
        h264.picture_size(data)


def _parse_frames(data: bytes) -> None:
    deframer = Deframer()
    for at in range(0, len(data), 7):
        deframer.feed(data[at : at + 7])


_FRAMED = b"".join(frame_header(len(packet)) + packet for packet in (*_RTP, *_RTCP))

_FINGERPRINT = ":".join(["7D", "5B"] * 16)
_OFFER = f"""v=0
o=- 4489045141692799359 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:e2aec96f
a=ice-pwd:f23785ec8e8ce4c38ef7ba3acc0ce30e
a=fingerprint:sha-256 {_FINGERPRINT}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=ssrc:1289795179 cname:one
m=video 9 UDP/TLS/RTP/SAVPF 96 97 106 105
c=IN IP4 0.0.0.0
a=mid:1
a=sendonly
a=rtcp-mux
a=rtcp-rsize
a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:106 H264/90000
a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:105 rtx/90000
a=fmtp:105 apt=106
a=rid:h send
a=rid:l send
a=simulcast:send h;l
"""
_FFMPEG_VIDEO = """a=ssrc-group:FID 1289795180 1289795181
a=ssrc:1289795180 cname:one
"""
_CAPABILITIES = router_rtp_capabilities()


def _parse_offer(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    if len(text) <= WHIP_MAX_SDP_BYTES:
        parse_offer(text, _CAPABILITIES)


_SDP_LINES = tuple(line.encode() + b"\r\n" for line in (_OFFER + _FFMPEG_VIDEO).splitlines())
_SDP = (
    _OFFER.replace("\n", "\r\n").encode(),
    (_OFFER[: _OFFER.index("a=rid")] + _FFMPEG_VIDEO).replace("\n", "\r\n").encode(),
)

TARGETS: dict[str, Target] = {
    "stun": _stun(),
    "demux": Target((*_stun().seeds, *_RTP, *_RTCP, b"\x16\xfe\xfd" + bytes(40)), _parse_demux),
    "rtp": Target(_RTP, _parse_rtp),
    "rtcp": Target(_RTCP, _parse_rtcp, mend=_mend_rtcp),
    "vp8": Target(tuple(Vp8Packetizer(100).packetize(_VP8_KEY_FRAME)), _parse_vp8),
    "h264": Target((*H264Packetizer(100).packetize(_H264_KEY_FRAME), _STAP_A), _parse_h264),
    "tcp-framing": Target((_FRAMED,), _parse_frames, max_bytes=2 * MAX_DATAGRAM),
    "sdp": Target(_SDP, _parse_offer, WHIP_MAX_SDP_BYTES, words=_SDP_LINES),
    "messages": MESSAGES,
    "signal-frames": SIGNAL_FRAMES,
    "signal-wire": SIGNAL_WIRE,
}


def chosen(names: str) -> list[tuple[str, Target]]:
    """The parsers that a comma-separated list names; all for an empty one.

    :raises ValueError: a name that no parser has.
    """
    wanted = [name.strip() for name in names.split(",")] if names else list(TARGETS)
    unknown = [name for name in wanted if name not in TARGETS]
    if unknown:
        raise ValueError(f"no parser is called {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    return [(name, TARGETS[name]) for name in wanted]
