"""An offer of one data channel section and nothing else, and its answer: for the connectivity test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from media.errors import RemoteProtocolError
from media.transport.parameters import DtlsParameters, IceParameters
from media.whip.answer import description_lines, transport_lines
from media.whip.errors import WHIP_OFFER_MALFORMED, WHIP_OFFER_UNUSABLE
from media.whip.offer import MID_PATTERN, attribute, dtls_of
from media.whip.sdp import parse_sdp

_PROTOCOL = "UDP/DTLS/SCTP"
_FORMAT = "webrtc-datachannel"


@dataclass(frozen=True, slots=True)
class DataOffer:
    """What a transport and an answer need of the offer (RFC 8841)."""

    mid: str
    ice: IceParameters
    dtls: DtlsParameters


def parse_data_offer(sdp: str) -> DataOffer:
    """Read the offer.

    :raises RemoteProtocolError: too_large, whip_offer_malformed (400), whip_offer_unusable (422).
    """
    session, media = parse_sdp(sdp)
    if len(media) != 1:
        raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "one data channel section is expected")
    (section,) = media
    mid = section.get("mid") or "0"
    if not MID_PATTERN.fullmatch(mid):
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "mid")
    described = (section.kind, section.protocol, section.formats)
    if described != ("application", _PROTOCOL, (_FORMAT,)):
        raise RemoteProtocolError(WHIP_OFFER_UNUSABLE, "one data channel section is expected")
    ice = IceParameters.from_json(
        {
            "usernameFragment": attribute(session, section, "ice-ufrag"),
            "password": attribute(session, section, "ice-pwd"),
        }
    )
    return DataOffer(mid, ice, dtls_of(session, section))


def build_data_answer(offer: DataOffer, transport: Mapping[str, Any]) -> str:
    """The answer.

    :param transport: mediasoup's JSON of the transport, with its id.
    """
    sctp = transport["sctpParameters"]
    lines = [
        *description_lines(str(transport["id"]), [offer.mid]),
        f"m=application 9 {_PROTOCOL} {_FORMAT}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{offer.mid}",
        *transport_lines(offer.dtls, transport),
        f"a=sctp-port:{sctp['port']}",
        f"a=max-message-size:{sctp['maxMessageSize']}",
    ]
    return "".join(f"{line}\r\n" for line in lines)
