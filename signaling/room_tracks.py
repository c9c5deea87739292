"""The tracks of one room: who publishes what to whom. Binds `RoomState` to the router.

The router closes transports, a transport closes its producers and consumers, a producer closes its consumers;
each tells its end here exactly once, and only here are the tables cleaned and the peers told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from media.errors import Fault
from media.relay.allocation import Decision
from media.relay.layers import KEY_FRAMES
from media.relay.samples import LineSample
from media.rtp.renumber import WireNumbers
from signaling.access import RoomGrant, may_chat, may_publish
from signaling.messages import Produce, ProduceData
from signaling.peer_media import PeerMedia, found
from signaling.plane import (
    ConsumerPort,
    DataConsumerPort,
    MediaPlane,
    ProducerPort,
    TransportPort,
)
from signaling.room_quality import RoomQuality
from signaling.rooms import Output, ProducerInfo, RoomState, Tell

logger = logging.getLogger(__name__)

Deliver = Callable[[list[Output]], None]


class RoomTracks:
    """Implements `signaling.plane.RouterEvents` for one room.

    :param deliver: sends what follows, in order.
    :param is_attached: whether a peer has a socket now.
    :param published: told each new producer (the recording).
    :param wall: Unix seconds.
    """

    def __init__(
        self,
        plane: MediaPlane,
        state: RoomState,
        deliver: Deliver,
        is_attached: Callable[[str], bool],
        published: Callable[[ProducerPort, str], None],
        wall: Callable[[], float],
    ) -> None:
        self._state = state
        self._deliver = deliver
        self._is_attached = is_attached
        self._published = published
        self._wall = wall
        self._media: dict[str, PeerMedia] = {}
        self._owners: dict[str, str] = {}
        self.quality = RoomQuality(state, self._owners.get)
        self.router = plane.create_router(state.room_id, self)

    # -- peers ---------------------------------------------------------------------------------------------

    def add_peer(self, peer_id: str, grant: RoomGrant, numbers: WireNumbers | None = None) -> PeerMedia:
        """Make the transports of a new peer; ``numbers`` as `PeerMedia` has them."""
        media = PeerMedia(self.router, grant, numbers)
        for transport in media.transports():
            self._owners[transport.id] = peer_id
        self._media[peer_id] = media
        return media

    def remove_peer(self, peer_id: str) -> None:
        """Close all media of a peer. Idempotent."""
        media = self._media.pop(peer_id, None)
        if media is None:
            return
        media.close()
        for transport in media.transports():
            self._owners.pop(transport.id, None)

    def of(self, peer_id: str) -> PeerMedia:
        """:raises RemoteProtocolError: not_found."""
        return found(self._media, peer_id, "peer")

    def producers(self) -> Iterator[tuple[ProducerPort, str]]:
        """Every producer with the id of its peer."""
        for peer_id, media in self._media.items():
            for producer in media.producers.values():
                yield producer, peer_id

    def close(self) -> None:
        """Close the router and with it everything. Idempotent."""
        for peer_id in list(self._media):
            self.remove_peer(peer_id)
        self.router.close()

    # -- receiving -----------------------------------------------------------------------------------------

    def subscribe(self, peer_id: str, capabilities: dict[str, Any]) -> dict[str, Any]:
        """Give this peer everything that is in the room, running.

        :raises RemoteProtocolError: not_granted, wrong_state.
        """
        media = self.of(peer_id)
        media.subscribe(capabilities)
        for _, other in self._others(peer_id):
            for producer_id in other.producers:
                self._consume(peer_id, media, producer_id, paused=False)
            for data_producer_id in other.data_producers:
                self._consume_data(peer_id, media, data_producer_id)
        return self.received(peer_id)

    def play(self, peer_id: str, producer_id: str, capabilities: dict[str, Any]) -> dict[str, Any]:
        """Give this peer one track, running, and no later ones (WHEP): its ``rtpParameters``.

        :raises RemoteProtocolError: not_found, cannot_consume.
        """
        media = self.of(peer_id)
        consumer = media.receiving_transport().consume(producer_id, capabilities, paused=False)
        media.consumers[consumer.id] = consumer
        self._owners[consumer.id] = peer_id
        parameters: dict[str, Any] = consumer.as_json()["rtpParameters"]
        return parameters

    def received(self, peer_id: str) -> dict[str, Any]:
        """All that this peer gets now, as in the join reply."""
        media = self.of(peer_id)
        return {
            "consumers": [self._consumer_json(consumer) for consumer in media.consumers.values()],
            "dataConsumers": [self._data_consumer_json(one) for one in media.data_consumers.values()],
            "quality": self.quality.as_json(),
        }

    def _consume(self, peer_id: str, media: PeerMedia, producer_id: str, paused: bool) -> ConsumerPort | None:
        try:
            consumer = media.consume(producer_id, paused)
        except Fault as fault:
            _not_consumed(peer_id, fault)
            return None
        if consumer is not None:
            self._owners[consumer.id] = peer_id
        return consumer

    def _consume_data(self, peer_id: str, media: PeerMedia, producer_id: str) -> DataConsumerPort | None:
        try:
            consumer = media.consume_data(producer_id)
        except Fault as fault:
            _not_consumed(peer_id, fault)
            return None
        if consumer is not None:
            self._owners[consumer.id] = peer_id
        return consumer

    def _consumer_json(self, consumer: ConsumerPort) -> dict[str, Any]:
        return {**consumer.as_json(), "peerId": self._owners.get(consumer.producer_id)}

    def _data_consumer_json(self, consumer: DataConsumerPort) -> dict[str, Any]:
        return {**consumer.as_json(), "peerId": self._owners.get(consumer.data_producer_id)}

    def _others(self, peer_id: str) -> list[tuple[str, PeerMedia]]:
        return [(other_id, media) for other_id, media in self._media.items() if other_id != peer_id]

    # -- publishing ----------------------------------------------------------------------------------------

    def produce(self, peer_id: str, message: Produce) -> str:
        """Publish a track to everyone: the producer's id.

        :raises RemoteProtocolError: not_granted, limit_reached, wrong_state, not_found, and those of media.
        """
        may_publish(self._state.peer(peer_id).claims.grant, message.source, message.kind)
        transport = self.of(peer_id).sending(message.transport_id)
        return self.produce_on(
            transport, peer_id, message.kind, message.rtp_parameters, message.source, message.paused
        )

    def produce_on(
        self,
        transport: TransportPort,
        peer_id: str,
        kind: str,
        rtp_parameters: dict[str, Any],
        source: str,
        paused: bool = False,
    ) -> str:
        """As `produce`; the caller checked the grant (WHIP names its sources itself)."""
        self._state.check_new_producer(peer_id, kind, source)
        producer = transport.produce(kind, rtp_parameters, source, paused=paused)
        self._owners[producer.id] = peer_id
        self.of(peer_id).producers[producer.id] = producer
        self._deliver(self._state.add_producer(peer_id, ProducerInfo(producer.id, kind, source, paused)))
        self._published(producer, peer_id)
        for other_id, other in self._others(peer_id):
            self._offer(other_id, other, producer.id)
        return producer.id

    def _offer(self, peer_id: str, media: PeerMedia, producer_id: str) -> None:
        # A peer whose socket is lost cannot resume a consumer; it finds it running when it comes back.
        consumer = self._consume(peer_id, media, producer_id, paused=self._is_attached(peer_id))
        if consumer is not None:
            self._tell(peer_id, "newConsumers", {"consumers": [self._consumer_json(consumer)]})

    def set_paused(self, peer_id: str, producer_id: str, paused: bool, by: str) -> None:
        """:raises RemoteProtocolError: not_found."""
        producer = found(self.of(peer_id).producers, producer_id, "producer")
        outputs = self._state.set_producer_paused(peer_id, producer_id, paused, by)
        if paused:
            producer.pause()
        else:
            producer.resume()
        self._deliver(outputs)

    def mute(self, chair_id: str, peer_id: str, source: str) -> None:
        """:raises RemoteProtocolError: not_granted, not_found."""
        for producer_id in self._state.to_mute(chair_id, peer_id, source):
            self.set_paused(peer_id, producer_id, True, chair_id)

    def close_producer(self, peer_id: str, producer_id: str) -> None:
        """:raises RemoteProtocolError: not_found."""
        found(self.of(peer_id).producers, producer_id, "producer").close()

    def produce_data(self, peer_id: str, message: ProduceData) -> str:
        """Open a data channel to everyone: the data producer's id.

        :raises RemoteProtocolError: not_granted, limit_reached, not_found, and those of media.
        """
        may_chat(self._state.peer(peer_id).claims.grant)
        producer = self.of(peer_id).produce_data(message)
        self._owners[producer.id] = peer_id
        for other_id, other in self._others(peer_id):
            consumer = self._consume_data(other_id, other, producer.id)
            if consumer is not None:
                payload = {"dataConsumers": [self._data_consumer_json(consumer)]}
                self._tell(other_id, "newDataConsumers", payload)
        return producer.id

    def close_data_producer(self, peer_id: str, data_producer_id: str) -> None:
        """:raises RemoteProtocolError: not_found."""
        table = self.of(peer_id).data_producers
        found(table, data_producer_id, "data producer").close()
        table.pop(data_producer_id, None)
        self._owners.pop(data_producer_id, None)

    # -- told by the router --------------------------------------------------------------------------------

    def producer_closed(self, producer: ProducerPort) -> None:
        peer_id = self._owners.pop(producer.id, None)
        if peer_id is None:
            return
        if peer_id in self._media:
            self._media[peer_id].producers.pop(producer.id, None)
        self._deliver(self._state.remove_producer(peer_id, producer.id, peer_id))

    def consumer_closed(self, consumer: ConsumerPort) -> None:
        peer_id = self._owners.pop(consumer.id, None)
        if peer_id in self._media:
            self._media[peer_id].consumers.pop(consumer.id, None)
            self._tell(peer_id, "consumerClosed", {"consumerId": consumer.id})

    def data_consumer_closed(self, consumer: DataConsumerPort) -> None:
        peer_id = self._owners.pop(consumer.id, None)
        if peer_id in self._media:
            self._media[peer_id].data_consumers.pop(consumer.id, None)
            self._tell(peer_id, "dataConsumerClosed", {"dataConsumerId": consumer.id})

    def consumer_paused(self, consumer: ConsumerPort, paused_by_producer: bool) -> None:
        peer_id = self._owners.get(consumer.id)
        if peer_id is not None:
            event = "consumerPaused" if paused_by_producer else "consumerResumed"
            self._tell(peer_id, event, {"consumerId": consumer.id})

    def consumer_layers(self, consumer: ConsumerPort, spatial: int | None, temporal: int | None) -> None:
        peer_id = self._owners.get(consumer.id)
        if peer_id is not None:
            payload = {"consumerId": consumer.id, "spatialLayer": spatial, "temporalLayer": temporal}
            self._tell(peer_id, "consumerLayers", payload)

    def consumer_reduced(self, consumer: ConsumerPort, decision: Decision) -> None:
        peer_id = self._owners.get(consumer.id)
        if peer_id is None:
            return
        step = decision.step
        payload = {
            "consumerId": consumer.id,
            "reason": "bandwidth",
            "state": decision.state,
            "spatialLayer": step.spatial if step else None,
            "temporalLayer": max(0, step.temporal) if step else None,
            "keyFramesOnly": step is not None and step.temporal == KEY_FRAMES,
        }
        self._tell(peer_id, "consumerReduced", payload)

    def active_speaker(self, producer: ProducerPort | None) -> None:
        self._deliver(self._state.set_speaker(None if producer is None else self._owners.get(producer.id)))

    def lines_sampled(self, samples: Mapping[str, LineSample], lateness_s: float) -> None:
        self._deliver(self.quality.sampled(samples, lateness_s))

    def transport_state(self, transport: TransportPort, state: str) -> None:
        peer_id = self._owners.get(transport.id)
        if peer_id is None:
            return
        if state == "connected":
            self._deliver(self._state.media_started(peer_id, self._wall()))
        if state in ("connected", "failed"):
            self._state.path_changed(peer_id, transport.id, state)
        if state in ("connected", "failed", "closed"):
            self._tell(peer_id, "transportState", {"transportId": transport.id, "state": state})

    def _tell(self, peer_id: str, event: str, payload: dict[str, Any]) -> None:
        self._deliver([Tell((peer_id,), event, payload)])


def _not_consumed(peer_id: str, fault: Fault) -> None:
    """A receiver that is full or gone is no reason for the publisher's request to fail."""
    logger.info("%s gets no consumer: %s", peer_id, fault.code.code)
