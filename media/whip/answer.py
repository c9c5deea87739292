"""The one answer of a WHIP session (RFC 9725 section 4.2): ICE-lite, bundled, every candidate in it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from media.transport.parameters import DtlsParameters
from media.whip.offer import OfferedSection, WhipOffer


def build_answer(offer: WhipOffer, transport_json: Mapping[str, Any]) -> str:
    """Answer ``offer`` with the transport that was made for it.

    :param transport_json: mediasoup's JSON of the transport, with its id.
    """
    accepted = [section.mid for section in offer.sections if section.part is not None]
    lines = list(description_lines(str(transport_json["id"]), accepted))
    for section in offer.sections:
        lines += _section_lines(offer, section, transport_json)
    return "".join(f"{line}\r\n" for line in lines)


def description_lines(transport_id: str, mids: Sequence[str]) -> Iterator[str]:
    """The session part of an answer that accepts the sections ``mids``."""
    yield "v=0"
    yield f"o=- {zlib.crc32(transport_id.encode())} 1 IN IP4 0.0.0.0"
    yield "s=-"
    yield "t=0 0"
    yield f"a=group:BUNDLE {' '.join(mids)}"
    yield "a=ice-lite"
    yield "a=extmap-allow-mixed"
    yield "a=msid-semantic: WMS *"


def refused_lines(kind: str, mid: str, protocol: str, formats: Sequence[str]) -> Iterator[str]:
    """A section that is not accepted (RFC 3264 section 6)."""
    yield f"m={kind} 0 {protocol} {' '.join(formats)}"
    yield "c=IN IP4 0.0.0.0"
    yield f"a=mid:{mid}"
    yield "a=inactive"


def _section_lines(offer: WhipOffer, section: OfferedSection, transport: Mapping[str, Any]) -> Iterator[str]:
    if section.part is None:
        yield from refused_lines(section.kind, section.mid, section.protocol, section.formats)
        return
    parameters = section.part.rtp_parameters
    payload_types = " ".join(str(codec["payloadType"]) for codec in parameters["codecs"])
    yield f"m={section.kind} 9 {section.protocol} {payload_types}"
    yield "c=IN IP4 0.0.0.0"
    yield "a=rtcp:9 IN IP4 0.0.0.0"
    yield f"a=mid:{section.mid}"
    yield "a=recvonly"
    yield "a=rtcp-mux"
    if parameters["rtcp"]["reducedSize"]:
        yield "a=rtcp-rsize"
    yield from transport_lines(offer.dtls, transport)
    yield from rtp_lines(parameters)


def transport_lines(dtls: DtlsParameters, transport: Mapping[str, Any]) -> Iterator[str]:
    """Where and who we are: credentials, fingerprint, DTLS role, candidates.

    :param dtls: of the offerer.
    :param transport: mediasoup's JSON of the transport.
    """
    ice = transport["iceParameters"]
    yield f"a=ice-ufrag:{ice['usernameFragment']}"
    yield f"a=ice-pwd:{ice['password']}"
    for entry in transport["dtlsParameters"]["fingerprints"]:
        yield f"a=fingerprint:{entry['algorithm']} {entry['value']}"
    # RFC 5763 section 5: the offerer that can be either becomes the client, so that it sends first.
    yield f"a=setup:{'active' if dtls.role == 'server' else 'passive'}"
    for candidate in transport["iceCandidates"]:
        tcp = f" tcptype {candidate['tcpType']}" if "tcpType" in candidate else ""
        yield (
            f"a=candidate:{candidate['foundation']} 1 {candidate['protocol']} {candidate['priority']} "
            f"{candidate['ip']} {candidate['port']} typ {candidate['type']}{tcp}"
        )
    yield "a=end-of-candidates"


def rtp_lines(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Codecs, header extensions and simulcast layers of mediasoup's ``rtpParameters``."""
    for codec in parameters["codecs"]:
        number, name = codec["payloadType"], codec["mimeType"].partition("/")[2]
        channels = f"/{codec['channels']}" if codec.get("channels", 1) > 1 else ""
        yield f"a=rtpmap:{number} {name}/{codec['clockRate']}{channels}"
        if codec.get("parameters"):
            pairs = ";".join(f"{key}={value}" for key, value in codec["parameters"].items())
            yield f"a=fmtp:{number} {pairs}"
        for feedback in codec.get("rtcpFeedback", ()):
            yield f"a=rtcp-fb:{number} {feedback['type']} {feedback.get('parameter', '')}".rstrip()
    for extension in parameters["headerExtensions"]:
        yield f"a=extmap:{extension['id']} {extension['uri']}"
    rids = [encoding["rid"] for encoding in parameters["encodings"] if "rid" in encoding]
    for rid in rids:
        yield f"a=rid:{rid} recv"
    if rids:
        yield f"a=simulcast:recv {';'.join(rids)}"
