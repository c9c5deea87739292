"""RTP parameters and capabilities as ORTC and mediasoup name them, read from and written to JSON.

Everything is frozen: parameters are agreed once and shared by many.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from media import limits
from media.ortc.errors import MALFORMED_RTP_CAPABILITIES, MALFORMED_RTP_PARAMETERS
from media.ortc.reader import U32_MAX, Reader

Kind = Literal["audio", "video"]
Scalars = tuple[tuple[str, int | str], ...]

_SCALABILITY_MODE = re.compile(r"^[LS]([1-9]\d?)T([1-9]\d?)")
_MAX_CLOCK_RATE = 1_000_000  # Hz; video is 90 kHz, audio at most 192 kHz


@dataclass(frozen=True, slots=True)
class RtcpFeedback:
    """One kind of feedback, e.g. ``nack`` with parameter ``pli``."""

    type: str
    parameter: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"type": self.type, "parameter": self.parameter}


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec as used (``payload_type`` fixed) or as offered (``payload_type`` preferred, may be None).

    :param mime_type: ``kind/name``; compared without case.
    :param clock_rate: Hz.
    :param channels: of audio; 0 for video.
    :param parameters: fmtp parameters in the order they came.
    """

    mime_type: str
    payload_type: int | None
    clock_rate: int
    channels: int = 0
    parameters: Scalars = ()
    feedback: tuple[RtcpFeedback, ...] = ()

    @property
    def kind(self) -> str:
        return self.mime_type.partition("/")[0].lower()

    @property
    def name(self) -> str:
        """The codec's name in lower case: ``vp8``, ``h264``, ``opus``, ``rtx``."""
        return self.mime_type.partition("/")[2].lower()

    @property
    def is_rtx(self) -> bool:
        return self.name == "rtx"

    @property
    def is_red(self) -> bool:
        """Redundant audio (RFC 2198): a packing of another codec, like RTX."""
        return self.name == "red"

    @property
    def is_media(self) -> bool:
        """A codec of the media itself, not a way to pack another."""
        return not self.is_rtx and not self.is_red

    def parameter(self, name: str) -> int | str | None:
        return next((value for key, value in self.parameters if key == name), None)

    def as_json(self, *, capability: bool = False) -> dict[str, Any]:
        """mediasoup's ``RtpCodecCapability`` or ``RtpCodecParameters``."""
        json: dict[str, Any] = {"kind": self.kind} if capability else {}
        json["mimeType"] = self.mime_type
        json["preferredPayloadType" if capability else "payloadType"] = self.payload_type
        json["clockRate"] = self.clock_rate
        if self.channels:
            json["channels"] = self.channels
        json["parameters"] = dict(self.parameters)
        json["rtcpFeedback"] = [item.as_json() for item in self.feedback]
        return json


@dataclass(frozen=True, slots=True)
class HeaderExtension:
    uri: str
    id: int

    def as_json(self) -> dict[str, Any]:
        return {"uri": self.uri, "id": self.id, "encrypt": False, "parameters": {}}


@dataclass(frozen=True, slots=True)
class HeaderExtensionCapability:
    """``direction`` is seen from the owner of the capabilities."""

    kind: str
    uri: str
    preferred_id: int
    direction: str = "sendrecv"

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "uri": self.uri,
            "preferredId": self.preferred_id,
            "preferredEncrypt": False,
            "direction": self.direction,
        }


@dataclass(frozen=True, slots=True)
class Encoding:
    """One layer of a producer, or the one stream of a consumer.

    :param ssrc: None when only the rid names the layer.
    :param rid: empty when only the SSRC names the layer.
    :param scalability_mode: WebRTC-SVC name such as ``L1T3``.
    """

    ssrc: int | None = None
    rtx_ssrc: int | None = None
    rid: str = ""
    codec_payload_type: int | None = None
    dtx: bool = False
    scalability_mode: str = ""
    max_bitrate: int = 0

    @property
    def temporal_layers(self) -> int:
        match = _SCALABILITY_MODE.match(self.scalability_mode)
        return int(match.group(2)) if match else 1

    def as_json(self) -> dict[str, Any]:
        json: dict[str, Any] = {}
        if self.ssrc is not None:
            json["ssrc"] = self.ssrc
        if self.rid:
            json["rid"] = self.rid
        if self.rtx_ssrc is not None:
            json["rtx"] = {"ssrc": self.rtx_ssrc}
        if self.codec_payload_type is not None:
            json["codecPayloadType"] = self.codec_payload_type
        if self.dtx:
            json["dtx"] = True
        if self.scalability_mode:
            json["scalabilityMode"] = self.scalability_mode
        if self.max_bitrate:
            json["maxBitrate"] = self.max_bitrate
        return json


@dataclass(frozen=True, slots=True)
class RtpParameters:
    """What a sender sends. ``mid`` is empty when packets carry none; ``msid`` is empty when unknown."""

    mid: str
    codecs: tuple[Codec, ...]
    header_extensions: tuple[HeaderExtension, ...] = ()
    encodings: tuple[Encoding, ...] = field(default=(Encoding(),))
    cname: str = ""
    reduced_size: bool = True
    msid: str = ""

    @property
    def media_codec(self) -> Codec:
        """The codec of the media itself: the first that is neither retransmission nor redundancy."""
        return next(codec for codec in self.codecs if codec.is_media)

    @property
    def red_codec(self) -> Codec | None:
        """The redundancy that the media codec may come in."""
        return next((codec for codec in self.codecs if codec.is_red), None)

    def as_json(self) -> dict[str, Any]:
        """mediasoup's ``RtpParameters``."""
        json: dict[str, Any] = {
            "codecs": [codec.as_json() for codec in self.codecs],
            "headerExtensions": [extension.as_json() for extension in self.header_extensions],
            "encodings": [encoding.as_json() for encoding in self.encodings],
            "rtcp": {"cname": self.cname, "reducedSize": self.reduced_size},
        }
        if self.mid:
            json["mid"] = self.mid
        if self.msid:
            json["msid"] = self.msid
        return json


@dataclass(frozen=True, slots=True)
class RtpCapabilities:
    """What an endpoint can send or receive."""

    codecs: tuple[Codec, ...]
    header_extensions: tuple[HeaderExtensionCapability, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """mediasoup's ``RtpCapabilities``."""
        return {
            "codecs": [codec.as_json(capability=True) for codec in self.codecs],
            "headerExtensions": [extension.as_json() for extension in self.header_extensions],
        }


def parse_rtp_parameters(json: object) -> RtpParameters:
    """Read the parameters a client wants to produce with.

    :raises RemoteProtocolError: ``malformed_rtp_parameters``; the detail names the field.
    """
    reader = Reader(json, "rtpParameters", MALFORMED_RTP_PARAMETERS)
    codecs = tuple(
        _parse_codec(item, capability=False)
        for item in reader.children("codecs", limits.ORTC_MAX_CODECS, required=True)
    )
    extensions = tuple(
        HeaderExtension(item.text("uri"), item.number("id", 1, 255))
        for item in reader.children("headerExtensions", limits.ORTC_MAX_HEADER_EXTENSIONS)
    )
    encodings = tuple(
        _parse_encoding(item)
        for item in reader.children("encodings", limits.ORTC_MAX_ENCODINGS, required=True)
    )
    rtcp = reader.child("rtcp")
    parameters = RtpParameters(
        mid=reader.text("mid", ""),
        codecs=codecs,
        header_extensions=extensions,
        encodings=encodings,
        cname=rtcp.text("cname", "") if rtcp else "",
        reduced_size=rtcp.flag("reducedSize", True) if rtcp else True,
        msid=reader.text("msid", ""),
    )
    _check_parameters(parameters, reader)
    return parameters


def parse_rtp_capabilities(json: object) -> RtpCapabilities:
    """Read what a client can receive.

    :raises RemoteProtocolError: ``malformed_rtp_capabilities``.
    """
    reader = Reader(json, "rtpCapabilities", MALFORMED_RTP_CAPABILITIES)
    codecs = tuple(
        _parse_codec(item, capability=True)
        for item in reader.children("codecs", limits.ORTC_MAX_CODECS, required=True)
    )
    extensions = tuple(
        HeaderExtensionCapability(
            kind=item.text("kind", ""),
            uri=item.text("uri"),
            preferred_id=item.number("preferredId", 1, 255),
            direction=item.text("direction", "sendrecv"),
        )
        for item in reader.children("headerExtensions", limits.ORTC_MAX_HEADER_EXTENSIONS)
    )
    return RtpCapabilities(codecs, extensions)


def _parse_codec(reader: Reader, *, capability: bool) -> Codec:
    mime_type = reader.text("mimeType")
    kind, slash, name = mime_type.partition("/")
    if kind.lower() not in ("audio", "video") or not slash or not name:
        raise reader.fail("mimeType is neither audio/... nor video/...")
    if capability:
        payload_type = reader.number("preferredPayloadType", 0, 127, -1)
    else:
        payload_type = reader.number("payloadType", 0, 127)
    feedback = reader.children("rtcpFeedback", limits.ORTC_MAX_FEEDBACK)
    codec = Codec(
        mime_type=mime_type,
        payload_type=None if payload_type < 0 else payload_type,
        clock_rate=reader.number("clockRate", 1, _MAX_CLOCK_RATE),
        channels=reader.number("channels", 1, 255, 1) if kind.lower() == "audio" else 0,
        parameters=reader.scalars("parameters", limits.ORTC_MAX_CODEC_PARAMETERS),
        feedback=tuple(RtcpFeedback(item.text("type"), item.text("parameter", "")) for item in feedback),
    )
    if codec.is_rtx and not isinstance(codec.parameter("apt"), int):
        raise reader.fail("apt of an RTX codec is not a number")
    return codec


def _parse_encoding(reader: Reader) -> Encoding:
    rtx = reader.child("rtx")
    ssrc = reader.number("ssrc", 0, U32_MAX, -1)
    payload_type = reader.number("codecPayloadType", 0, 127, -1)
    return Encoding(
        ssrc=None if ssrc < 0 else ssrc,
        rtx_ssrc=rtx.number("ssrc", 0, U32_MAX) if rtx else None,
        rid=reader.text("rid", ""),
        codec_payload_type=None if payload_type < 0 else payload_type,
        dtx=reader.flag("dtx", False),
        scalability_mode=reader.text("scalabilityMode", ""),
        max_bitrate=reader.number("maxBitrate", 0, U32_MAX, 0),
    )


def _check_parameters(parameters: RtpParameters, reader: Reader) -> None:
    payload_types = [codec.payload_type for codec in parameters.codecs]
    media = {codec.payload_type for codec in parameters.codecs if codec.is_media}
    extension_ids = [extension.id for extension in parameters.header_extensions]
    ssrcs = [e.ssrc for e in parameters.encodings] + [e.rtx_ssrc for e in parameters.encodings]
    known = [ssrc for ssrc in ssrcs if ssrc is not None]
    rids = [encoding.rid for encoding in parameters.encodings if encoding.rid]
    _check(reader, bool(media), "codecs holds no media codec")
    _check(reader, len({codec.kind for codec in parameters.codecs}) == 1, "codecs are of both kinds")
    _check(reader, len(set(payload_types)) == len(payload_types), "a payload type stands twice")
    _check(reader, len(set(extension_ids)) == len(extension_ids), "a header extension id stands twice")
    _check(reader, bool(parameters.encodings), "encodings is empty")
    _check(reader, len(set(known)) == len(known), "an ssrc stands twice in the encodings")
    _check(reader, len(set(rids)) == len(rids), "a rid stands twice in the encodings")
    for codec in parameters.codecs:
        _check(reader, not codec.is_rtx or codec.parameter("apt") in media, "apt names no codec")
    for encoding in parameters.encodings:
        chosen = encoding.codec_payload_type
        _check(reader, chosen is None or chosen in media, "codecPayloadType names no codec")
        named = (
            encoding.ssrc is not None or encoding.rid or (parameters.mid and len(parameters.encodings) == 1)
        )
        _check(reader, bool(named), "an encoding has neither ssrc nor rid, nor is it alone on its mid")


def _check(reader: Reader, holds: bool, detail: str) -> None:
    if not holds:
        raise reader.fail(detail)
