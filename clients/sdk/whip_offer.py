"""The offer of a WHIP client (RFC 9725) and what it needs of the answer. Text only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clients.sdk.track_sender import TrackSender
from media.errors import RemoteProtocolError
from media.transport import DtlsParameters, IceCandidate, IceParameters
from media.whip.errors import WHIP_OFFER_MALFORMED
from media.whip.sdp import Section, parse_sdp


@dataclass(frozen=True, slots=True)
class WhipAnswer:
    """Where the server is and who it is; ``refused`` are the mids it will not take."""

    ice: IceParameters
    candidates: tuple[IceCandidate, ...]
    dtls: DtlsParameters
    refused: frozenset[str]


def build_offer(tracks: Sequence[TrackSender], ice: IceParameters, dtls: DtlsParameters) -> str:
    """Offer ``tracks`` sendonly in one bundle, with us as DTLS client."""
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(track.mid for track in tracks)}",
    ]
    for track in tracks:
        lines += _section(track, ice, dtls)
    return "".join(f"{line}\r\n" for line in lines)


def _section(track: TrackSender, ice: IceParameters, dtls: DtlsParameters) -> Iterator[str]:
    types = [number for number in (track.payload_type, track.rtx_payload_type) if number is not None]
    name, channels = track.source.mime_type.partition("/")[2], "/2" if track.source.kind == "audio" else ""
    yield f"m={track.source.kind} 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, types))}"
    yield "c=IN IP4 0.0.0.0"
    yield f"a=ice-ufrag:{ice.username_fragment}"
    yield f"a=ice-pwd:{ice.password}"
    for algorithm, value in dtls.fingerprints:
        yield f"a=fingerprint:{algorithm} {value}"
    yield "a=setup:active"
    yield f"a=mid:{track.mid}"
    for uri, number in track.extensions:
        yield f"a=extmap:{number} {uri}"
    yield "a=sendonly"
    yield "a=rtcp-mux"
    yield "a=rtcp-rsize"
    yield f"a=rtpmap:{track.payload_type} {name}/{track.source.clock_rate}{channels}"
    if track.rtx_ssrc is not None:
        for kind, parameter in track.feedback:
            yield f"a=rtcp-fb:{track.payload_type} {kind} {parameter}".rstrip()
        yield f"a=rtpmap:{track.rtx_payload_type} rtx/{track.source.clock_rate}"
        yield f"a=fmtp:{track.rtx_payload_type} apt={track.payload_type}"
        yield f"a=ssrc-group:FID {track.ssrc} {track.rtx_ssrc}"
        yield f"a=ssrc:{track.rtx_ssrc} cname:{track.cname}"
    yield f"a=ssrc:{track.ssrc} cname:{track.cname}"


def parse_answer(sdp: str) -> WhipAnswer:
    """Read a server's answer.

    :raises RemoteProtocolError: when it is no SDP, accepts nothing, or lacks what a transport needs.
    """
    session, sections = parse_sdp(sdp)
    taken = [section for section in sections if section.port != 0]
    if not taken:
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "the answer accepts no track")
    first = taken[0]
    ice = IceParameters.from_json(
        {
            "usernameFragment": first.get("ice-ufrag") or session.get("ice-ufrag"),
            "password": first.get("ice-pwd") or session.get("ice-pwd"),
            "iceLite": session.get("ice-lite") is not None,
        }
    )
    role = "client" if (first.get("setup") or session.get("setup")) == "active" else "server"
    dtls = DtlsParameters.from_json({"role": role, "fingerprints": _fingerprints(session, first)})
    refused = frozenset(section.get("mid") or "" for section in sections if section.port == 0)
    return WhipAnswer(ice, tuple(_candidates(first)), dtls, refused)


def _fingerprints(session: Section, section: Section) -> list[dict[str, str]]:
    values = [*section.all("fingerprint")] or [*session.all("fingerprint")]
    return [{"algorithm": a, "value": v} for a, _, v in (value.partition(" ") for value in values)]


def _candidates(section: Section) -> Iterator[IceCandidate]:
    """RFC 8839 section 5.1: foundation component transport priority address port typ type; then tcptype."""
    for value in section.all("candidate"):
        fields = value.split()
        if len(fields) < 8 or not fields[3].isdecimal() or not fields[5].isdecimal():
            raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "candidate")
        protocol, tcp_type = (
            fields[2].lower(),
            fields[9] if fields[8:9] == ["tcptype"] and fields[9:] else None,
        )
        yield IceCandidate(
            fields[0], int(fields[3]), fields[4], int(fields[5]), protocol, fields[7], tcp_type
        )
