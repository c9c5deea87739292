"""WHEP (draft-ietf-wish-whep): a player watches one participant or source by one HTTP exchange.

A player is a peer like any other: the room sees that somebody watches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from media.errors import Fault, RemoteProtocolError
from media.whip import PlayOffer, build_play_answer, parse_play_offer
from signaling.access import may_subscribe
from signaling.errors import STREAM_NOT_LIVE
from signaling.rooms import Peer
from signaling.sdp_http import SdpGateway, SdpSession

_PREFERRED = ("ultrasound", "camera", "screen", "microphone")
"""Of one participant, the source to play of each kind: what the consult is about comes first."""


class WhepGateway(SdpGateway):
    """The endpoint ``/whep/{stream}``."""

    name = "whep"
    sends = False

    def begin(self, session: SdpSession, offer: str) -> str:
        """See `SdpGateway.begin`."""
        may_subscribe(session.claims.grant)
        parsed = parse_play_offer(offer, self._rooms.router_rtp_capabilities)
        sources = sources_of(session.room.state.peers.values(), session.stream)
        sources = {kind: producer for kind, producer in sources.items() if kind in parsed.kinds()}
        if not sources:
            raise RemoteProtocolError(STREAM_NOT_LIVE, session.stream)
        return self._play(session, parsed, sources)

    def _play(self, session: SdpSession, offer: PlayOffer, sources: dict[str, str]) -> str:
        """Join, consume and connect; all or nothing. Consumers ask for a key frame once connected."""
        room = session.room
        grant = replace(session.claims.grant, publish=frozenset(), chat=False)
        place = f"whep:{session.id}"
        session.peer_id = room.add_peer(session.claims, grant, session, offer.numbers, place).id
        try:
            transport = room.tracks.of(session.peer_id).receiving_transport()
            tracks: dict[str, dict[str, Any]] = {
                kind: room.tracks.play(session.peer_id, producer, offer.capabilities)
                for kind, producer in sources.items()
            }
            answer = build_play_answer(offer, transport.as_json(), tracks)
            transport.connect(offer.dtls.as_json())
        except Fault:
            room.leave(session.peer_id, "left")
            raise
        return answer


def sources_of(peers: Iterable[Peer], stream: str) -> dict[str, str]:
    """Kind to producer id of what ``stream`` names; empty when nothing of it is on the air.

    :param stream: a peer id, a user id, the stream of a WHIP device, or a source: of that, the first
        participant who publishes it, with its microphone.
    """
    for peer in peers:
        named = stream in (peer.id, peer.claims.user_id) or peer.place == f"whip:{stream}"
        known = {producer.source for producer in peer.producers.values()}
        if not named and stream not in known:
            continue
        if not peer.producers:
            continue
        order = _PREFERRED if named else (stream, *(s for s in _PREFERRED if s == "microphone"))
        found: dict[str, str] = {}
        for source in order:
            for producer in peer.producers.values():
                if producer.source == source:
                    found.setdefault(producer.kind, producer.id)
        return found
    return {}
