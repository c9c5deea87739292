"""A WHIP offer (RFC 9725 section 4.2) read into what the relay's transports and producers take."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from media.errors import RemoteProtocolError
from media.limits import WHIP_MAX_ENCODINGS
from media.ortc.model import Codec, RtcpFeedback, RtpCapabilities, parse_rtp_capabilities
from media.ortc.negotiate import codecs_match
from media.transport.parameters import DtlsParameters, DtlsRole, IceParameters
from media.whip.errors import WHIP_OFFER_MALFORMED, WHIP_OFFER_UNUSABLE
from media.whip.sdp import Section, parse_sdp

MediaKind = Literal["audio", "video"]

# RFC 4145: the offerer's setup, and the DTLS role it takes when we answer as RFC 9725 section 4.4 asks.
_ROLE_OF_OFFERER: dict[str, DtlsRole] = {"actpass": "client", "active": "client", "passive": "server"}
_RTPMAP = re.compile(r"(\d{1,3}) ([A-Za-z0-9_.-]+)/(\d{1,7})(?:/(\d{1,2}))?")
_RID = re.compile(r"([A-Za-z0-9_-]{1,16}) send(?: .*)?")
MID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,16}")
_SSRC_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class WhipPart:
    """One track that is accepted: ``rtp_parameters`` is mediasoup's JSON in the offer's own numbers."""

    kind: MediaKind
    mid: str
    rtp_parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OfferedSection:
    """One ``m=`` section in the order of the offer; ``part`` is None when it is refused.

    :param offered: it is not switched off by port 0 (RFC 3264 section 5.1).
    """

    kind: str
    mid: str
    protocol: str
    formats: tuple[str, ...]
    part: WhipPart | None
    offered: bool = True


@dataclass(frozen=True, slots=True)
class WhipOffer:
    """All that an answer and a transport need of an offer."""

    ice_ufrag: str
    ice_pwd: str
    dtls: DtlsParameters
    parts: tuple[WhipPart, ...]
    sections: tuple[OfferedSection, ...]


def parse_offer(sdp: str, capabilities: dict[str, Any]) -> WhipOffer:
    """Read an offer and choose of each section the first codec that the router forwards.

    A section that cannot be used (a data channel, an unknown codec) is refused alone; an offer of which
    nothing is left is refused whole.

    :param capabilities: the router's, as mediasoup's JSON.
    :raises RemoteProtocolError: too_large, whip_offer_malformed (400), whip_offer_unusable (422).
    """
    session, media = parse_sdp(sdp)
    if not media:
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "no media section")
    router = parse_rtp_capabilities(capabilities)
    sections = tuple(_read_section(session, section, index, router) for index, section in enumerate(media))
    parts = tuple(section.part for section in sections if section.part is not None)
    mids = [section.mid for section in sections]
    if len(set(mids)) != len(mids):
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "a mid stands twice")
    if not parts:
        raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "no section with a codec that is forwarded")
    _check_tracks(sections, parts)
    check_bundle(session, [part.mid for part in parts])
    first = next(section for section, read in zip(media, sections, strict=True) if read.part is not None)
    ice = IceParameters.from_json(
        {
            "usernameFragment": attribute(session, first, "ice-ufrag"),
            "password": attribute(session, first, "ice-pwd"),
        }
    )
    return WhipOffer(ice.username_fragment, ice.password, dtls_of(session, first), parts, sections)


def _read_section(session: Section, section: Section, index: int, router: RtpCapabilities) -> OfferedSection:
    mid = section.get("mid") or str(index)
    if not MID_PATTERN.fullmatch(mid):
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "mid")
    part = None
    if section.kind in ("audio", "video") and section.port_usable and "RTP/SAVPF" in section.protocol:
        part = _read_part(session, section, mid, router)
    offered = section.port_usable
    return OfferedSection(section.kind, mid, section.protocol, section.formats, part, offered)


def _read_part(session: Section, section: Section, mid: str, router: RtpCapabilities) -> WhipPart | None:
    if not {"sendonly", "sendrecv"} & directions(session, section):
        raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "WHIP publishes: sections must be sendonly")
    if section.get("rtcp-mux") is None:
        raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "rtcp-mux is required")
    codecs = _choose(offered_codecs(section), router)
    if not codecs:
        return None
    kind = cast(MediaKind, section.kind)
    encodings, cname = _encodings(section, any(codec.is_rtx for codec in codecs))
    rtp_parameters = {
        "mid": mid,
        "codecs": [codec.as_json() for codec in codecs],
        "headerExtensions": extension_ids(section, kind, router),
        "encodings": encodings,
        "rtcp": {"cname": cname, "reducedSize": section.get("rtcp-rsize") is not None},
    }
    return WhipPart(kind, mid, rtp_parameters)


def directions(session: Section, section: Section) -> set[str]:
    """Direction flags of the section, else of the session, else sendrecv (RFC 8866 section 6.7)."""
    names = {"sendonly", "recvonly", "sendrecv", "inactive"}
    for part in (section, session):
        found = {name for name, _ in part.attributes} & names
        if found:
            return found
    return {"sendrecv"}


def offered_codecs(section: Section) -> list[Codec]:
    """The section's codecs, most wanted first."""
    described: dict[str, Codec] = {}
    for value in section.all("rtpmap"):
        match = _RTPMAP.fullmatch(value)
        if match is None:
            raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "rtpmap")
        number, name, clock_rate, channels = match.groups()
        if int(number) > 127:
            raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "payload type")
        described[number] = Codec(
            mime_type=f"{section.kind}/{name}",
            payload_type=int(number),
            clock_rate=int(clock_rate),
            channels=int(channels or 1) if section.kind == "audio" else 0,
            parameters=_format_parameters(section, number),
            feedback=_feedback(section, number),
        )
    return [described[number] for number in section.formats if number in described]


def _format_parameters(section: Section, number: str) -> tuple[tuple[str, int | str], ...]:
    for value in section.all("fmtp"):
        head, _, rest = value.partition(" ")
        if head == number:
            pairs = (item.strip().partition("=") for item in rest.split(";") if item.strip())
            return tuple((name, _scalar(name, text)) for name, _, text in pairs)
    return ()


def _scalar(name: str, text: str) -> int | str:
    """Numbers as numbers, as mediasoup's JSON has them; a profile is hex digits even when all are decimal."""
    is_number = re.fullmatch(r"0|[1-9]\d{0,8}", text) and name != "profile-level-id"
    return int(text) if is_number else text


def _feedback(section: Section, number: str) -> tuple[RtcpFeedback, ...]:
    found = []
    for value in section.all("rtcp-fb"):
        head, kind, parameter = (*value.split(" ", 2), "", "")[:3]
        if head in (number, "*") and kind:
            found.append(RtcpFeedback(kind, parameter))
    return tuple(found)


def _choose(offered: list[Codec], router: RtpCapabilities) -> list[Codec]:
    """The first codec that the router forwards, with its RTX and the feedback that the router answers."""
    for codec in offered:
        known = next((c for c in router.codecs if not c.is_rtx and codecs_match(codec, c)), None)
        if known is None or not codec.is_media:
            continue
        chosen = Codec(
            codec.mime_type,
            codec.payload_type,
            codec.clock_rate,
            codec.channels,
            codec.parameters,
            tuple(item for item in codec.feedback if item in known.feedback),
        )
        rtx = [c for c in offered if c.is_rtx and c.parameter("apt") == codec.payload_type]
        return [chosen, *rtx[:1]]
    return []


def extension_ids(section: Section, kind: str, router: RtpCapabilities) -> list[dict[str, Any]]:
    """The offered header extensions that the router reads."""
    known = {e.uri for e in router.header_extensions if e.kind == kind and e.direction != "sendonly"}
    found = []
    for value in section.all("extmap"):
        head, _, rest = value.partition(" ")
        number, uri = head.partition("/")[0], rest.split(" ")[0]
        if not re.fullmatch(r"\d{1,3}", number) or not 0 < int(number) < 256:
            raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "extmap")
        if uri in known:
            found.append({"uri": uri, "id": int(number)})
    return found


def _encodings(section: Section, has_rtx: bool) -> tuple[list[dict[str, Any]], str]:
    """The section's encodings and CNAME: by rid when there is simulcast, else by SSRC, else by mid alone."""
    ssrcs, cname = _ssrcs(section)
    if section.get("simulcast") is not None:
        rids = [match.group(1) for value in section.all("rid") if (match := _RID.fullmatch(value))]
        if not 0 < len(rids) <= WHIP_MAX_ENCODINGS:
            raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "simulcast layers")
        return [{"rid": rid} for rid in rids], cname
    if not ssrcs:
        return [{}], cname
    repaired = _pairs(section, "FID") if has_rtx else {}
    primary = next((ssrc for ssrc in ssrcs if ssrc not in repaired.values()), ssrcs[0])
    encoding: dict[str, Any] = {"ssrc": primary}
    if primary in repaired:
        encoding["rtx"] = {"ssrc": repaired[primary]}
    return [encoding], cname


def _ssrcs(section: Section) -> tuple[list[int], str]:
    ssrcs: list[int] = []
    cname = ""
    for value in section.all("ssrc"):
        number, _, rest = value.partition(" ")
        ssrc = _ssrc(number)
        if ssrc not in ssrcs:
            ssrcs.append(ssrc)
        if rest.startswith("cname:"):
            cname = cname or rest.removeprefix("cname:")[:255]
    return ssrcs, cname


def _pairs(section: Section, semantics: str) -> Mapping[int, int]:
    """Media SSRC to repair SSRC (RFC 5576 section 4.2)."""
    pairs = {}
    for value in section.all("ssrc-group"):
        name, *numbers = value.split() or [""]
        if name == semantics and len(numbers) == 2:
            pairs[_ssrc(numbers[0])] = _ssrc(numbers[1])
    return pairs


def _ssrc(text: str) -> int:
    if not re.fullmatch(r"\d{1,10}", text) or int(text) > _SSRC_MAX:
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "ssrc")
    return int(text)


def _check_tracks(sections: tuple[OfferedSection, ...], parts: tuple[WhipPart, ...]) -> None:
    """RFC 9725 sections 4.4.2 and 4.4.3: one track of a kind, and none of them refused alone."""
    kinds = [part.kind for part in parts]
    if len(set(kinds)) != len(kinds):
        raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "more than one track of a kind")
    if any(s.part is None and s.kind in ("audio", "video") and s.offered for s in sections):
        raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "a section without a codec that is forwarded")


def check_bundle(session: Section, mids: Sequence[str]) -> None:
    """RFC 9725 section 4.4.1: one bundle group holds the sections ``mids``; a single one needs none.

    :raises RemoteProtocolError: whip_offer_unusable.
    """
    groups = [value.split()[1:] for value in session.all("group") if value.startswith("BUNDLE ")]
    bundled = {mid for group in groups for mid in group}
    if len(mids) > 1 and (len(groups) != 1 or not set(mids) <= bundled):
        raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "all sections must be in one bundle group")


def dtls_of(session: Section, section: Section) -> DtlsParameters:
    """The offerer's DTLS role, if we answer as RFC 9725 section 4.4.4 asks, and its fingerprints."""
    role = _ROLE_OF_OFFERER.get(attribute(session, section, "setup"))
    if role is None:
        raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "setup")
    entries = [*section.all("fingerprint")] or [*session.all("fingerprint")]
    fingerprints = [
        {"algorithm": name, "value": value} for name, _, value in (e.partition(" ") for e in entries)
    ]
    return DtlsParameters.from_json({"role": role, "fingerprints": fingerprints})


def attribute(session: Section, section: Section, name: str) -> str:
    """An attribute of the section, or of the session when the section has none."""
    value = section.get(name) or session.get(name)
    if value is None:
        raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, f"{name} is missing")
    return value.strip()
