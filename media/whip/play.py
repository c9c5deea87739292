"""A WHEP offer (draft-ietf-wish-whep section 4.2): a player that wants to receive, in its own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from media.errors import RemoteProtocolError
from media.ortc.model import Codec, HeaderExtensionCapability, RtpCapabilities, parse_rtp_capabilities
from media.ortc.negotiate import codecs_match
from media.rtp.renumber import WireNumbers
from media.transport.parameters import DtlsParameters, IceParameters
from media.whip.answer import description_lines, refused_lines, rtp_lines, transport_lines
from media.whip.errors import WHIP_OFFER_MALFORMED, WHIP_OFFER_UNUSABLE
from media.whip.offer import (
    MID_PATTERN,
    attribute,
    check_bundle,
    directions,
    dtls_of,
    extension_ids,
    offered_codecs,
)
from media.whip.sdp import Section, parse_sdp

_ONE_BYTE_MAX = 14  # RFC 8285 section 4.2; we write one-byte headers


@dataclass(frozen=True, slots=True)
class PlaySection:
    """One ``m=`` section; ``usable`` when it could play a track."""

    kind: str
    mid: str
    protocol: str
    formats: tuple[str, ...]
    usable: bool


@dataclass(frozen=True, slots=True)
class PlayOffer:
    """All that a transport, consumers and an answer need of an offer.

    :param capabilities: what the player can receive, in the router's numbers, as mediasoup's JSON.
    :param numbers: the router's numbers to the player's.
    """

    ice: IceParameters
    dtls: DtlsParameters
    capabilities: dict[str, Any]
    numbers: WireNumbers
    sections: tuple[PlaySection, ...]

    def kinds(self) -> frozenset[str]:
        """Kinds of tracks that there is a section for."""
        return frozenset(section.kind for section in self.sections if section.usable)


def parse_play_offer(sdp: str, capabilities: dict[str, Any]) -> PlayOffer:
    """Read a player's offer.

    :param capabilities: the router's, as mediasoup's JSON.
    :raises RemoteProtocolError: too_large, whip_offer_malformed (400), whip_offer_unusable (422).
    """
    session, media = parse_sdp(sdp)
    if not media:
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "no media section")
    router = parse_rtp_capabilities(capabilities)
    table = _Table(router)
    sections = tuple(_read_section(session, section, i, table) for i, section in enumerate(media))
    mids = [section.mid for section in sections]
    if len(set(mids)) != len(mids):
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "a mid stands twice")
    usable = [section for section in sections if section.usable]
    if not usable:
        raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "no section with a codec that is forwarded")
    check_bundle(session, [section.mid for section in usable])
    first = next(section for section, read in zip(media, sections, strict=True) if read.usable)
    ice = IceParameters.from_json(
        {
            "usernameFragment": attribute(session, first, "ice-ufrag"),
            "password": attribute(session, first, "ice-pwd"),
        }
    )
    numbers = WireNumbers(table.payload_types, table.extension_ids)
    return PlayOffer(ice, dtls_of(session, first), table.capabilities().as_json(), numbers, sections)


def build_play_answer(
    offer: PlayOffer, transport: Mapping[str, Any], tracks: Mapping[str, Mapping[str, Any]]
) -> str:
    """The answer: each track in the first section of its kind, the other sections refused.

    :param transport: mediasoup's JSON of the transport.
    :param tracks: kind to a consumer's ``rtpParameters``, in the router's numbers.
    """
    playing: dict[str, Mapping[str, Any]] = {}
    waiting = dict(tracks)
    for section in offer.sections:
        if section.usable and section.kind in waiting:
            playing[section.mid] = _in_their_numbers(waiting.pop(section.kind), offer.numbers)
    lines = list(description_lines(str(transport["id"]), list(playing)))
    for section in offer.sections:
        parameters = playing.get(section.mid)
        if parameters is None:
            lines += refused_lines(section.kind, section.mid, section.protocol, section.formats)
            continue
        payload_types = " ".join(str(codec["payloadType"]) for codec in parameters["codecs"])
        lines += [f"m={section.kind} 9 {section.protocol} {payload_types}", "c=IN IP4 0.0.0.0"]
        lines += [f"a=mid:{section.mid}", "a=sendonly", f"a=msid:huizhen {section.kind}"]
        lines += ["a=rtcp-mux", "a=rtcp-rsize"]
        lines += transport_lines(offer.dtls, transport)
        lines += rtp_lines(parameters)
        lines += _ssrc_lines(parameters)
    return "".join(f"{line}\r\n" for line in lines)


class _Table:
    """Collects, over all sections, which of the router's numbers the player knows and as what."""

    def __init__(self, router: RtpCapabilities) -> None:
        self.router = router
        self.payload_types: dict[int, int] = {}
        self.extension_ids: dict[int, int] = {}
        self._codecs: list[Codec] = []
        self._extensions: list[HeaderExtensionCapability] = []

    def add_codecs(self, offered: list[Codec]) -> bool:
        """Take what matches one of the router's codecs; False when nothing does."""
        found = False
        for ours in self.router.codecs:
            theirs = next((c for c in offered if not c.is_rtx and codecs_match(c, ours)), None)
            if not ours.is_media or theirs is None:
                continue
            found = True
            feedback = tuple(item for item in theirs.feedback if item in ours.feedback)
            self._add(replace(ours, feedback=feedback), theirs)
            rtx = next((c for c in self.router.codecs if c.parameter("apt") == ours.payload_type), None)
            known = next((c for c in offered if c.parameter("apt") == theirs.payload_type), None)
            if rtx is not None and known is not None:
                self._add(rtx, known)
        return found

    def add_extensions(self, kind: str, offered: list[dict[str, Any]]) -> None:
        """Take the offered header extensions that the router knows and a one-byte header can carry."""
        for entry in offered:
            ours = next(e for e in self.router.header_extensions if (e.kind, e.uri) == (kind, entry["uri"]))
            if entry["id"] <= _ONE_BYTE_MAX:
                self.extension_ids[ours.preferred_id] = entry["id"]
                self._extensions.append(ours)

    def capabilities(self) -> RtpCapabilities:
        return RtpCapabilities(tuple(self._codecs), tuple(self._extensions))

    def _add(self, ours: Codec, theirs: Codec) -> None:
        if (
            ours.payload_type is None
            or theirs.payload_type is None
            or ours.payload_type in self.payload_types
        ):
            return
        self.payload_types[ours.payload_type] = theirs.payload_type
        self._codecs.append(ours)


def _read_section(session: Section, section: Section, index: int, table: _Table) -> PlaySection:
    mid = section.get("mid") or str(index)
    if not MID_PATTERN.fullmatch(mid):
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "mid")
    usable = section.kind in ("audio", "video") and section.port_usable and "RTP/SAVPF" in section.protocol
    if usable:
        if not {"recvonly", "sendrecv"} & directions(session, section):
            raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "WHEP plays: sections must be recvonly")
        if section.get("rtcp-mux") is None:
            raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "rtcp-mux is required")
        usable = table.add_codecs(offered_codecs(section))
        table.add_extensions(section.kind, extension_ids(section, section.kind, table.router))
    return PlaySection(section.kind, mid, section.protocol, section.formats, usable)


def _in_their_numbers(parameters: Mapping[str, Any], numbers: WireNumbers) -> dict[str, Any]:
    """A consumer's parameters as the player is told them."""
    codecs = []
    for codec in parameters["codecs"]:
        settings = dict(codec.get("parameters") or {})
        if "apt" in settings:
            settings["apt"] = numbers.payload_types[settings["apt"]]
        payload_type = numbers.payload_types[codec["payloadType"]]
        codecs.append({**codec, "payloadType": payload_type, "parameters": settings})
    extensions = [
        {**extension, "id": numbers.extension_ids[extension["id"]]}
        for extension in parameters["headerExtensions"]
        if extension["id"] in numbers.extension_ids
    ]
    return {**parameters, "codecs": codecs, "headerExtensions": extensions}


def _ssrc_lines(parameters: Mapping[str, Any]) -> list[str]:
    """RFC 5576: which streams these are, so that no packet needs a mid."""
    (encoding,) = parameters["encodings"]
    cname = parameters["rtcp"]["cname"]
    rtx = encoding.get("rtx", {}).get("ssrc")
    group = [f"a=ssrc-group:FID {encoding['ssrc']} {rtx}"] if rtx else []
    return group + [f"a=ssrc:{ssrc} cname:{cname}" for ssrc in (encoding["ssrc"], rtx) if ssrc]
