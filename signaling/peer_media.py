"""The media of one peer: its transports, what it sends and what it gets. Closing it closes all of that."""

from __future__ import annotations

from typing import Any, TypeVar

from media.errors import LIMIT_REACHED, NOT_FOUND, WRONG_STATE, RemoteProtocolError
from media.ortc import parse_rtp_capabilities
from media.rtp.renumber import WireNumbers
from signaling.access import RoomGrant
from signaling.errors import NOT_GRANTED
from signaling.limits import DATA_PRODUCERS_PER_PEER_MAX
from signaling.messages import ProduceData
from signaling.plane import (
    ConsumerPort,
    DataConsumerPort,
    DataProducerPort,
    ProducerPort,
    RouterPort,
    TransportPort,
)

T = TypeVar("T")


class PeerMedia:
    """Holds what one peer owns in the media plane; decides nothing.

    A transport is made for each direction that the grant allows, at once: a join is one round trip.

    :param numbers: payload types and extension ids in which this peer receives, None for the router's.
    """

    def __init__(self, router: RouterPort, grant: RoomGrant, numbers: WireNumbers | None = None) -> None:
        self._router = router
        self.send: TransportPort | None = None
        self.recv: TransportPort | None = None
        if grant.publish or grant.chat:
            self.send = router.create_transport()
        if grant.subscribe:
            self.recv = router.create_transport(numbers)
        self.capabilities: dict[str, Any] | None = None
        self.producers: dict[str, ProducerPort] = {}
        self.data_producers: dict[str, DataProducerPort] = {}
        self.consumers: dict[str, ConsumerPort] = {}
        self.data_consumers: dict[str, DataConsumerPort] = {}

    @property
    def subscribed(self) -> bool:
        """It receives, and has said what it can decode."""
        return self.recv is not None and self.capabilities is not None

    def transports(self) -> list[TransportPort]:
        return [transport for transport in (self.send, self.recv) if transport is not None]

    def transport(self, transport_id: str) -> TransportPort:
        """:raises RemoteProtocolError: not_found."""
        for transport in self.transports():
            if transport.id == transport_id:
                return transport
        raise RemoteProtocolError(NOT_FOUND, "transport")

    def sending(self, transport_id: str) -> TransportPort:
        """:raises RemoteProtocolError: not_found, wrong_state (it is the receiving one)."""
        transport = self.transport(transport_id)
        if transport is not self.send:
            raise RemoteProtocolError(WRONG_STATE, "not the sending transport")
        return transport

    def sending_transport(self) -> TransportPort:
        """:raises RemoteProtocolError: not_found, when nothing may be sent."""
        if self.send is None:
            raise RemoteProtocolError(NOT_FOUND, "sending transport")
        return self.send

    def receiving_transport(self) -> TransportPort:
        """:raises RemoteProtocolError: not_found, when nothing may be received."""
        if self.recv is None:
            raise RemoteProtocolError(NOT_FOUND, "receiving transport")
        return self.recv

    def produce_data(self, message: ProduceData) -> DataProducerPort:
        """:raises RemoteProtocolError: limit_reached, not_found, and those of media."""
        transport = self.sending(message.transport_id)
        if len(self.data_producers) >= DATA_PRODUCERS_PER_PEER_MAX:
            raise RemoteProtocolError(LIMIT_REACHED, "data producers")
        parameters = message.sctp_stream_parameters.as_json()
        producer = transport.produce_data(parameters, message.label or "", message.protocol or "")
        self.data_producers[producer.id] = producer
        return producer

    def subscribe(self, rtp_capabilities: dict[str, Any]) -> None:
        """:raises RemoteProtocolError: not_granted, wrong_state (again), malformed_rtp_capabilities."""
        if self.recv is None:
            raise RemoteProtocolError(NOT_GRANTED, "subscribe")
        if self.capabilities is not None:
            raise RemoteProtocolError(WRONG_STATE, "subscribed already")
        # Checked now: later it would be somebody else's request that fails.
        parse_rtp_capabilities(rtp_capabilities)
        self.capabilities = rtp_capabilities

    def consume(self, producer_id: str, paused: bool) -> ConsumerPort | None:
        """A consumer of one producer; None when this peer takes none, or cannot decode it."""
        if self.recv is None or self.capabilities is None:
            return None
        if not self._router.can_consume(producer_id, self.capabilities):
            return None
        consumer = self.recv.consume(producer_id, self.capabilities, paused=paused)
        self.consumers[consumer.id] = consumer
        return consumer

    def consume_data(self, data_producer_id: str) -> DataConsumerPort | None:
        """As `consume`, for a data channel."""
        if self.recv is None or self.capabilities is None:
            return None
        consumer = self.recv.consume_data(data_producer_id)
        self.data_consumers[consumer.id] = consumer
        return consumer

    def named_consumers(self, consumer_ids: list[str]) -> list[ConsumerPort]:
        """All or none. :raises RemoteProtocolError: not_found."""
        return [found(self.consumers, consumer_id, "consumer") for consumer_id in consumer_ids]

    def close(self) -> None:
        """Close the transports; that closes everything on them. Idempotent."""
        for transport in self.transports():
            transport.close()


def found(table: dict[str, T], key: str, what: str) -> T:
    """:raises RemoteProtocolError: not_found."""
    try:
        return table[key]
    except KeyError:
        raise RemoteProtocolError(NOT_FOUND, what) from None
