"""WHIP (RFC 9725): a device publishes by one HTTP exchange; what HTTP needs stands in `sdp_http`."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from media.errors import Fault
from media.whip import WhipOffer, build_answer, parse_offer
from signaling.access import may_publish
from signaling.sdp_http import SdpGateway, SdpSession

SOURCE_OF_KIND: Final = {"video": "ultrasound", "audio": "microphone"}


class WhipGateway(SdpGateway):
    """The endpoint ``/whip/{stream}``: a second POST of the same user and stream replaces the first."""

    name = "whip"
    sends = True

    def begin(self, session: SdpSession, offer: str) -> str:
        """See `SdpGateway.begin`."""
        parsed = parse_offer(offer, self._rooms.router_rtp_capabilities)
        for part in parsed.parts:
            may_publish(session.claims.grant, SOURCE_OF_KIND[part.kind], part.kind)
        self._replace_earlier(session)
        return self._publish(session, parsed)

    def _publish(self, session: SdpSession, offer: WhipOffer) -> str:
        """Join, connect and produce; all or nothing."""
        room = session.room
        one_way = replace(session.claims.grant, subscribe=False)
        place = f"whip:{session.stream}"
        session.peer_id = room.add_peer(session.claims, one_way, session, place=place).id
        try:
            transport = room.tracks.of(session.peer_id).sending_transport()
            answer = build_answer(offer, transport.as_json())
            for part in offer.parts:
                source = SOURCE_OF_KIND[part.kind]
                room.tracks.produce_on(transport, session.peer_id, part.kind, part.rtp_parameters, source)
            transport.connect(offer.dtls.as_json())
        except Fault:
            room.leave(session.peer_id, "left")
            raise
        return answer

    def _replace_earlier(self, session: SdpSession) -> None:
        for other in list(self._sessions.values()):
            if (other.stream, other.claims.user_id) == (session.stream, session.claims.user_id):
                other.leave("replaced")
