"""Data producers and consumers: messages from one peer's data channel to the others'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from media.errors import RemoteProtocolError
from media.ortc.reader import Reader
from media.relay.errors import MALFORMED_SCTP_PARAMETERS

MAX_STREAM_ID = 65_534  # RFC 8832 section 6: 65535 is reserved
_MAX_RETRANSMITS = 65_535
_MAX_LIFE_TIME_MS = 65_535


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """How one SCTP stream delivers; retransmits and life time (ms) are never both given (RFC 8832)."""

    stream_id: int
    ordered: bool = True
    max_retransmits: int | None = None
    max_packet_life_time: int | None = None

    def as_json(self) -> dict[str, Any]:
        json: dict[str, Any] = {"streamId": self.stream_id, "ordered": self.ordered}
        if self.max_retransmits is not None:
            json["maxRetransmits"] = self.max_retransmits
        if self.max_packet_life_time is not None:
            json["maxPacketLifeTime"] = self.max_packet_life_time
        return json


def parse_stream_parameters(json: object) -> StreamParameters:
    """Read mediasoup's ``sctpStreamParameters``.

    :raises RemoteProtocolError: ``malformed_sctp_parameters``.
    """
    reader = Reader(json, "sctpStreamParameters", MALFORMED_SCTP_PARAMETERS)
    retransmits = reader.number("maxRetransmits", 0, _MAX_RETRANSMITS, -1)
    life_time = reader.number("maxPacketLifeTime", 0, _MAX_LIFE_TIME_MS, -1)
    if retransmits >= 0 and life_time >= 0:
        raise RemoteProtocolError(MALFORMED_SCTP_PARAMETERS, "both maxRetransmits and maxPacketLifeTime")
    return StreamParameters(
        stream_id=reader.number("streamId", 0, MAX_STREAM_ID),
        ordered=reader.flag("ordered", True) and retransmits < 0 and life_time < 0,
        max_retransmits=retransmits if retransmits >= 0 else None,
        max_packet_life_time=life_time if life_time >= 0 else None,
    )


class DataOwner(Protocol):
    """What data producers and consumers need of their transport."""

    def send_data(self, stream_id: int, payload: str | bytes) -> bool: ...
    def data_producer_closed(self, producer: DataProducer) -> None: ...
    def data_consumer_closed(self, consumer: DataConsumer) -> None: ...


class DataProducer:
    """A data channel that comes in. Closing it closes its consumers."""

    def __init__(
        self, identifier: str, owner: DataOwner, parameters: StreamParameters, label: str, protocol: str
    ) -> None:
        self.id = identifier
        self.parameters = parameters
        self.label = label
        self.protocol = protocol
        self.closed = False
        self.consumers: dict[str, DataConsumer] = {}
        self.messages = 0
        self._owner = owner

    def received(self, payload: str | bytes) -> None:
        """One message of the peer, to every consumer; a receiver that is full misses it, nobody waits."""
        self.messages += 1
        for consumer in list(self.consumers.values()):
            consumer.send(payload)

    def close(self) -> None:
        """Idempotent."""
        if self.closed:
            return
        self.closed = True
        for consumer in list(self.consumers.values()):
            consumer.close()
        self._owner.data_producer_closed(self)


class DataConsumer:
    """A data channel that goes out, pre-negotiated (no DCEP)."""

    def __init__(
        self, identifier: str, owner: DataOwner, producer: DataProducer, parameters: StreamParameters
    ) -> None:
        self.id = identifier
        self.producer = producer
        self.parameters = parameters
        self.closed = False
        self.messages = 0
        self.dropped = 0
        self._owner = owner

    @property
    def data_producer_id(self) -> str:
        return self.producer.id

    def as_json(self) -> dict[str, Any]:
        """What mediasoup-client's ``consumeData`` wants."""
        return {
            "id": self.id,
            "dataProducerId": self.producer.id,
            "sctpStreamParameters": self.parameters.as_json(),
            "label": self.producer.label,
            "protocol": self.producer.protocol,
        }

    def send(self, payload: str | bytes) -> None:
        self.messages += 1
        if not self._owner.send_data(self.parameters.stream_id, payload):
            self.dropped += 1

    def close(self) -> None:
        """Idempotent."""
        if self.closed:
            return
        self.closed = True
        self.producer.consumers.pop(self.id, None)
        self._owner.data_consumer_closed(self)
