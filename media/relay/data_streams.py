"""The data streams of one transport: their ids, producers and consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from media import limits
from media.errors import LIMIT_REACHED, RemoteProtocolError
from media.relay.data import (
    MAX_STREAM_ID,
    DataConsumer,
    DataProducer,
    StreamParameters,
    parse_stream_parameters,
)
from media.relay.errors import DUPLICATE_STREAM_ID
from media.relay.wire import Wire

if TYPE_CHECKING:
    from media.relay.router import Router


class DataStreams:
    """Owner of a transport's data producers and consumers; both share the stream ids of the association."""

    def __init__(self, router: Router, wire: Wire) -> None:
        self.producers: dict[str, DataProducer] = {}
        self.consumers: dict[str, DataConsumer] = {}
        self._router = router
        self._wire = wire
        self._by_stream: dict[int, DataProducer | DataConsumer] = {}

    def produce(self, sctp_stream_parameters: object, label: str, protocol: str) -> DataProducer:
        """:raises RemoteProtocolError: malformed_sctp_parameters, duplicate_stream_id, limit_reached."""
        _require_room(len(self.producers), limits.MAX_DATA_PRODUCERS_PER_TRANSPORT)
        parameters = parse_stream_parameters(sctp_stream_parameters)
        if parameters.stream_id in self._by_stream:
            raise RemoteProtocolError(DUPLICATE_STREAM_ID)
        producer = DataProducer(self._router.new_id(), self, parameters, label, protocol)
        self._open(parameters, label, protocol)
        self._by_stream[parameters.stream_id] = producer
        self.producers[producer.id] = self._router.data_producers[producer.id] = producer
        return producer

    def consume(self, producer: DataProducer) -> DataConsumer:
        """:raises RemoteProtocolError: limit_reached."""
        _require_room(len(self.consumers), limits.MAX_DATA_CONSUMERS_PER_TRANSPORT)
        stream_id = next(one for one in range(MAX_STREAM_ID + 1) if one not in self._by_stream)
        like = producer.parameters
        parameters = StreamParameters(
            stream_id, like.ordered, like.max_retransmits, like.max_packet_life_time
        )
        consumer = DataConsumer(self._router.new_id(), self, producer, parameters)
        self._open(parameters, producer.label, producer.protocol)
        self._by_stream[stream_id] = consumer
        self.consumers[consumer.id] = producer.consumers[consumer.id] = consumer
        return consumer

    def _open(self, parameters: StreamParameters, label: str, protocol: str) -> None:
        self._wire.open_data_stream(
            parameters.stream_id,
            parameters.ordered,
            parameters.max_retransmits,
            parameters.max_packet_life_time,
            label,
            protocol,
        )

    def _close(self, stream_id: int) -> None:
        self._by_stream.pop(stream_id, None)
        self._wire.close_data_stream(stream_id)

    def received(self, stream_id: int, payload: str | bytes) -> None:
        """A message of the peer; one on a stream that it does not produce on is dropped."""
        producer = self._by_stream.get(stream_id)
        if isinstance(producer, DataProducer):
            producer.received(payload)

    def all(self) -> list[DataProducer | DataConsumer]:
        return [*self.producers.values(), *self.consumers.values()]

    # what data producers and consumers need: the owner

    def send_data(self, stream_id: int, payload: str | bytes) -> bool:
        return self._wire.send_data(stream_id, payload)

    def data_producer_closed(self, producer: DataProducer) -> None:
        self._close(producer.parameters.stream_id)
        self.producers.pop(producer.id, None)
        self._router.data_producers.pop(producer.id, None)

    def data_consumer_closed(self, consumer: DataConsumer) -> None:
        self._close(consumer.parameters.stream_id)
        self.consumers.pop(consumer.id, None)
        self._router.listener.data_consumer_closed(consumer)


def _require_room(taken: int, most: int) -> None:
    if taken >= most:
        raise RemoteProtocolError(LIMIT_REACHED, f"at most {most} on one transport")
