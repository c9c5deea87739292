"""The SDP that a light participant exchanges with Janus: what its VideoRoom needs, no more. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loadtest.traffic.engine import Track
from media.transport.parameters import DtlsParameters, IceParameters

EXTENSIONS = (
    (1, "urn:ietf:params:rtp-hdrext:sdes:mid", ("audio", "video")),
    (4, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", ("audio", "video")),
    (5, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", ("audio", "video")),
    (10, "urn:ietf:params:rtp-hdrext:ssrc-audio-level", ("audio",)),
)
"""The same ids as the product's router has, so that both forward the same packets."""
NUMBER_URI = EXTENSIONS[2][1]

_AUDIO = ("a=rtpmap:100 opus/48000/2", "a=fmtp:100 useinbandfec=1", "a=rtcp-fb:100 transport-cc")
_VIDEO = (
    "a=rtpmap:101 VP8/90000",
    "a=rtcp-fb:101 nack",
    "a=rtcp-fb:101 nack pli",
    "a=rtcp-fb:101 ccm fir",
    "a=rtcp-fb:101 transport-cc",
    "a=rtpmap:102 rtx/90000",
    "a=fmtp:102 apt=101",
)


@dataclass(frozen=True, slots=True)
class Ourselves:
    """Our end of the transport; ``ip`` and ``port`` are the one candidate."""

    ice: IceParameters
    fingerprint: str
    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class Section:
    """One m-line of Janus's."""

    kind: str
    mid: str
    payloads: tuple[str, ...]
    attributes: tuple[str, ...]

    @property
    def ssrcs(self) -> tuple[int, ...]:
        """Media first, then RTX if there is one."""
        found = [int(line.split(":")[1].split()[0]) for line in self.attributes if line.startswith("ssrc:")]
        return tuple(dict.fromkeys(found))

    def extension_id(self, uri: str) -> int:
        """The id under which this extension was agreed on, 0 = it was not."""
        for line in self.attributes:
            match = re.match(r"extmap:(\d+)(?:/\w+)? (\S+)", line)
            if match and match[2] == uri:
                return int(match[1])
        return 0


@dataclass(frozen=True, slots=True)
class Description:
    """What Janus says of its end."""

    ice: IceParameters
    dtls: DtlsParameters
    address: tuple[str, int]
    sections: tuple[Section, ...]


def publisher_offer(us: Ourselves, sound: Track, picture: Track) -> str:
    """An offer of one sound and one picture."""
    lines = _session(us, ("0", "1"))
    for mid, track in (("0", sound), ("1", picture)):
        kind = "video" if track.is_video else "audio"
        payloads = "101 102" if track.is_video else "100"
        lines += _section(kind, mid, payloads, us)
        lines += ["a=sendonly", *(_VIDEO if track.is_video else _AUDIO), *_extmaps(kind)]
        lines += [f"a=msid:light {kind}", f"a=ssrc:{track.ssrc} cname:{track.cname}"]
        if track.is_video:
            lines.insert(-1, f"a=ssrc-group:FID {track.ssrc} {track.ssrc + 1}")
            lines.append(f"a=ssrc:{track.ssrc + 1} cname:{track.cname}")
    return "\r\n".join(lines) + "\r\n"


def subscriber_answer(us: Ourselves, offer: Description) -> str:
    """An answer that takes everything in ``offer``, with its own numbers."""
    lines = _session(us, tuple(section.mid for section in offer.sections))
    keep = ("rtpmap:", "fmtp:", "rtcp-fb:", "extmap:")
    for section in offer.sections:
        lines += _section(section.kind, section.mid, " ".join(section.payloads), us)
        lines += ["a=recvonly", *(f"a={line}" for line in section.attributes if line.startswith(keep))]
    return "\r\n".join(lines) + "\r\n"


def read(sdp: str) -> Description:
    """What we need of Janus's offer or answer.

    :raises ValueError: it lacks what every description has.
    """
    head, *rest = re.split(r"^m=", sdp.replace("\r\n", "\n"), flags=re.MULTILINE)
    sections = []
    for text in rest:
        first, *lines = text.strip().split("\n")
        attributes = tuple(line[2:] for line in lines if line.startswith("a="))
        mid = next((line[4:] for line in attributes if line.startswith("mid:")), "")
        kind, _, _, *payloads = first.split()
        sections.append(Section(kind, mid, tuple(payloads), attributes))
    every = [line[2:] for line in head.split("\n") if line.startswith("a=")]
    for section in sections:
        every += section.attributes

    def value(name: str) -> str:
        for line in every:
            if line.startswith(f"{name}:"):
                return line.partition(":")[2].strip()
        raise ValueError(f"Janus's description has no {name}")

    algorithm, _, digest = value("fingerprint").partition(" ")
    candidates = [line.split() for line in every if line.startswith("candidate:")]
    address = next(((c[4], int(c[5])) for c in candidates if c[2].lower() == "udp"), None)
    if address is None:
        raise ValueError("Janus's description has no UDP candidate")
    return Description(
        IceParameters(value("ice-ufrag"), value("ice-pwd"), True),
        DtlsParameters("server", ((algorithm.lower(), digest.upper()),)),
        address,
        tuple(sections),
    )


def _session(us: Ourselves, mids: tuple[str, ...]) -> list[str]:
    return [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(mids)}",
        "a=msid-semantic: WMS *",
    ]


def _section(kind: str, mid: str, payloads: str, us: Ourselves) -> list[str]:
    return [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {payloads}",
        f"c=IN IP4 {us.ip}",
        f"a=mid:{mid}",
        f"a=ice-ufrag:{us.ice.username_fragment}",
        f"a=ice-pwd:{us.ice.password}",
        f"a=fingerprint:sha-256 {us.fingerprint}",
        "a=setup:active",
        "a=rtcp-mux",
        f"a=candidate:1 1 udp 2130706431 {us.ip} {us.port} typ host",
        "a=end-of-candidates",
    ]


def _extmaps(kind: str) -> list[str]:
    return [f"a=extmap:{number} {uri}" for number, uri, kinds in EXTENSIONS if kind in kinds]
