"""Negotiation: what a producer sends in the router's numbers, and what a consumer gets of it.

Three steps, after the ideas of mediasoup's ORTC: a *mapping* from the producer's payload types and
extension ids to the router's, *consumable* parameters (the producer in the router's numbers, as if it
were offered to everyone), and *consumer* parameters (the part of it that one receiver can take).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from media.errors import RemoteProtocolError
from media.ortc import h264_profile
from media.ortc.capabilities import ABS_SEND_TIME, MID, ROUTER_CAPABILITIES, TRANSPORT_CC
from media.ortc.errors import CANNOT_CONSUME, UNSUPPORTED_CODEC
from media.ortc.model import Codec, Encoding, HeaderExtension, RtcpFeedback, RtpCapabilities, RtpParameters

_NACK = RtcpFeedback("nack")
_REMB = RtcpFeedback("goog-remb")
_TRANSPORT_CC = RtcpFeedback("transport-cc")


@dataclass(frozen=True, slots=True)
class ProducerMapping:
    """The producer's numbers to the router's. What is not in a table is not forwarded."""

    payload_types: dict[int, int]
    extension_ids: dict[int, int]


def codecs_match(one: Codec, other: Codec) -> bool:
    """Whether a stream of one can be taken where the other was named (RTX matches any RTX)."""
    if one.mime_type.lower() != other.mime_type.lower() or one.clock_rate != other.clock_rate:
        return False
    if one.channels != other.channels:
        return False
    if one.name != "h264":
        return True
    if str(one.parameter("packetization-mode") or 0) != str(other.parameter("packetization-mode") or 0):
        return False
    profile = h264_profile.profile_of(one.parameter("profile-level-id"))
    return profile is not None and profile == h264_profile.profile_of(other.parameter("profile-level-id"))


def _router_rtx(media: Codec, router: RtpCapabilities) -> Codec | None:
    return next((c for c in router.codecs if c.is_rtx and c.parameter("apt") == media.payload_type), None)


def _router_codec(codec: Codec, router: RtpCapabilities) -> Codec | None:
    return next((c for c in router.codecs if not c.is_rtx and codecs_match(codec, c)), None)


def map_producer(parameters: RtpParameters, router: RtpCapabilities = ROUTER_CAPABILITIES) -> ProducerMapping:
    """Map the producer's payload types and extension ids.

    :raises RemoteProtocolError: ``unsupported_codec`` when a media codec is not one of the router's.
    """
    payload_types: dict[int, int] = {}
    matched: dict[object, Codec] = {}
    for codec in parameters.codecs:
        if codec.is_rtx or codec.payload_type is None:
            continue
        ours = _router_codec(codec, router)
        if ours is None or ours.payload_type is None:
            raise RemoteProtocolError(UNSUPPORTED_CODEC, codec.mime_type)
        payload_types[codec.payload_type] = ours.payload_type
        matched[codec.payload_type] = ours
    for codec in parameters.codecs:
        rtx = _router_rtx(matched[codec.parameter("apt")], router) if codec.is_rtx else None
        if rtx is not None and rtx.payload_type is not None and codec.payload_type is not None:
            payload_types[codec.payload_type] = rtx.payload_type
    kind = parameters.media_codec.kind
    ours_by_uri = {e.uri: e.preferred_id for e in router.header_extensions if e.kind == kind}
    extension_ids = {
        extension.id: ours_by_uri[extension.uri]
        for extension in parameters.header_extensions
        if extension.uri in ours_by_uri
    }
    return ProducerMapping(payload_types, extension_ids)


def consumable_parameters(
    parameters: RtpParameters, router: RtpCapabilities = ROUTER_CAPABILITIES
) -> RtpParameters:
    """The producer in the router's numbers: its first media codec, RTX and RED when the router has it.

    Encodings keep what describes them and lose the producer's SSRCs and rids.
    """
    media = parameters.media_codec
    ours = _router_codec(media, router)
    if ours is None:
        raise RemoteProtocolError(UNSUPPORTED_CODEC, media.mime_type)
    codecs = [replace(ours, parameters=_announced_parameters(media))]
    red = next(
        (c for c in router.codecs if c.is_red and codecs_match(c, parameters.red_codec or media)), None
    )
    if red is not None:
        codecs.append(replace(red, parameters=(("", f"{ours.payload_type}/{ours.payload_type}"),)))
    rtx = _router_rtx(ours, router)
    if rtx is not None:
        codecs.append(rtx)
    extensions = tuple(
        HeaderExtension(e.uri, e.preferred_id)
        for e in router.header_extensions
        # the relay takes the producer's mid out and writes none: receivers know streams by SSRC
        if e.kind == media.kind and e.direction in ("sendrecv", "sendonly") and e.uri != MID
    )
    encodings = tuple(
        Encoding(dtx=e.dtx, scalability_mode=e.scalability_mode, max_bitrate=e.max_bitrate)
        for e in parameters.encodings
    )
    return RtpParameters("", tuple(codecs), extensions, encodings, parameters.cname, True, parameters.msid)


def _announced_parameters(media: Codec) -> tuple[tuple[str, int | str], ...]:
    if media.name != "h264":
        return media.parameters
    profile = h264_profile.normalized(media.parameter("profile-level-id"))
    kept = tuple((key, value) for key, value in media.parameters if key != "profile-level-id")
    return (*kept, ("profile-level-id", profile))


def can_consume(consumable: RtpParameters, capabilities: RtpCapabilities) -> bool:
    """Whether a receiver with these capabilities can take the media codec."""
    media = consumable.media_codec
    return any(not codec.is_rtx and codecs_match(media, codec) for codec in capabilities.codecs)


@dataclass(frozen=True, slots=True)
class ConsumerIdentity:
    """What the relay chose for one consumer: random SSRCs, the mid on its transport, and the cname."""

    ssrc: int
    rtx_ssrc: int
    mid: str
    cname: str
    msid: str = ""


def consumer_parameters(
    consumable: RtpParameters, capabilities: RtpCapabilities, identity: ConsumerIdentity
) -> RtpParameters:
    """What one receiver is told: one stream, whatever number of layers stands behind it.

    RTX is there only when the receiver has it for this codec and asks by NACK; audio goes again without.

    :raises RemoteProtocolError: ``cannot_consume``.
    """
    media = consumable.media_codec
    theirs = next((c for c in capabilities.codecs if not c.is_rtx and codecs_match(media, c)), None)
    if theirs is None:
        raise RemoteProtocolError(CANNOT_CONSUME, media.mime_type)
    rtx = tuple(c for c in consumable.codecs if c.is_rtx)
    if not (_NACK in media.feedback and _NACK in theirs.feedback and _takes_rtx(theirs, capabilities)):
        rtx = ()  # pictures are sent again by RTX only, so without it there is no point in asking
    red = tuple(
        c for c in consumable.codecs if c.is_red and any(codecs_match(c, t) for t in capabilities.codecs)
    )
    known = {(e.uri, e.preferred_id) for e in capabilities.header_extensions if e.kind in ("", media.kind)}
    extensions = tuple(e for e in consumable.header_extensions if (e.uri, e.id) in known)
    unusable = _unusable_feedback({e.uri for e in extensions}, bool(rtx) or media.kind == "audio", theirs)
    feedback = tuple(f for f in media.feedback if f in theirs.feedback and f not in unusable)
    media = replace(media, feedback=feedback)
    layers = max((encoding.temporal_layers for encoding in consumable.encodings), default=1)
    count = len(consumable.encodings)
    mode = f"{'S' if count > 1 else 'L'}{count}T{layers}" if count > 1 or layers > 1 else ""
    encoding = Encoding(
        ssrc=identity.ssrc,
        rtx_ssrc=identity.rtx_ssrc if rtx else None,
        dtx=consumable.encodings[0].dtx,
        scalability_mode=mode,
    )
    return RtpParameters(
        identity.mid, (media, *red, *rtx), extensions, (encoding,), identity.cname, True, identity.msid
    )


def _unusable_feedback(uris: set[str], repeats: bool, theirs: Codec) -> set[RtcpFeedback]:
    """What a receiver could not give, or would give twice: transport-cc is enough where it can be had."""
    unusable = set() if repeats else {_NACK}
    if TRANSPORT_CC not in uris:
        unusable.add(_TRANSPORT_CC)
    if (TRANSPORT_CC in uris and _TRANSPORT_CC in theirs.feedback) or ABS_SEND_TIME not in uris:
        unusable.add(_REMB)
    return unusable


def _takes_rtx(media: Codec, capabilities: RtpCapabilities) -> bool:
    return any(
        codec.is_rtx
        and codec.kind == media.kind
        and (media.payload_type is None or codec.parameter("apt") == media.payload_type)
        for codec in capabilities.codecs
    )
