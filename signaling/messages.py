"""Every client event of ``/room``, as PROTOCOL.md writes it: strict, bounded, nothing unknown passes.

What belongs to media (``rtpParameters``, ``rtpCapabilities``) stays a dictionary here: media checks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from media.errors import MALFORMED, RemoteProtocolError
from signaling.access import Source
from signaling.errors import UNKNOWN_EVENT
from signaling.limits import CHAT_TEXT_MAX, CONSUMER_IDS_MAX, IDENTIFIER_MAX, REASON_TEXT_MAX

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=IDENTIFIER_MAX)]
Kind = Literal["audio", "video"]


class Message(BaseModel):
    """A client event's data: strict types, camelCase names, no unknown field."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)


class Nothing(Message):
    """An event without data."""


class Join(Message):
    rtp_capabilities: dict[str, Any] | None = None
    sctp_capabilities: dict[str, Any] | None = None


class Subscribe(Message):
    rtp_capabilities: dict[str, Any]
    sctp_capabilities: dict[str, Any] | None = None


class ConnectTransport(Message):
    transport_id: Identifier
    dtls_parameters: dict[str, Any]


class RestartIce(Message):
    transport_id: Identifier


class Produce(Message):
    transport_id: Identifier
    kind: Kind
    rtp_parameters: dict[str, Any]
    source: Source
    paused: bool = False


class ProducerNamed(Message):
    producer_id: Identifier


class SctpStreamParameters(Message):
    """Client libraries add fields of their own here; they are dropped."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)

    stream_id: int = Field(ge=0, le=65534)
    ordered: bool | None = None
    max_packet_life_time: int | None = Field(default=None, ge=0, le=65535)
    max_retransmits: int | None = Field(default=None, ge=0, le=65535)

    def as_json(self) -> dict[str, Any]:
        """camelCase, without what was not said."""
        return self.model_dump(by_alias=True, exclude_none=True)


class ProduceData(Message):
    transport_id: Identifier
    sctp_stream_parameters: SctpStreamParameters
    label: Annotated[str, StringConstraints(max_length=IDENTIFIER_MAX)] | None = ""
    protocol: Annotated[str, StringConstraints(max_length=IDENTIFIER_MAX)] | None = ""


class DataProducerNamed(Message):
    data_producer_id: Identifier


class ConsumersNamed(Message):
    consumer_ids: list[Identifier] = Field(min_length=1, max_length=CONSUMER_IDS_MAX)


class SetPreferredLayers(Message):
    consumer_id: Identifier
    spatial_layer: int = Field(ge=0, le=7)
    temporal_layer: int | None = Field(default=None, ge=0, le=7)


class RequestKeyFrame(Message):
    consumer_id: Identifier


class Chat(Message):
    text: Annotated[str, StringConstraints(min_length=1, max_length=CHAT_TEXT_MAX, strip_whitespace=True)]


class RemovePeer(Message):
    peer_id: Identifier
    reason: Annotated[str, StringConstraints(max_length=REASON_TEXT_MAX)] | None = None


class MutePeer(Message):
    peer_id: Identifier
    source: Source


MODELS: Final[Mapping[str, type[Message]]] = {
    "join": Join,
    "subscribe": Subscribe,
    "connectTransport": ConnectTransport,
    "restartIce": RestartIce,
    "produce": Produce,
    "closeProducer": ProducerNamed,
    "pauseProducer": ProducerNamed,
    "resumeProducer": ProducerNamed,
    "produceData": ProduceData,
    "closeDataProducer": DataProducerNamed,
    "resumeConsumers": ConsumersNamed,
    "pauseConsumers": ConsumersNamed,
    "setPreferredLayers": SetPreferredLayers,
    "requestKeyFrame": RequestKeyFrame,
    "chat": Chat,
    "removePeer": RemovePeer,
    "mutePeer": MutePeer,
    "startRecording": Nothing,
    "stopRecording": Nothing,
    "stats": Nothing,
    "leave": Nothing,
}


def parse(event: str, arguments: tuple[object, ...]) -> Message:
    """The message of one event: one object, or nothing where no field is required.

    :raises RemoteProtocolError: unknown_event; malformed (its detail never repeats a value).
    """
    model = MODELS.get(event)
    if model is None:
        raise RemoteProtocolError(UNKNOWN_EVENT)
    if len(arguments) > 1:
        raise RemoteProtocolError(MALFORMED, "one object is expected")
    data = arguments[0] if arguments and arguments[0] is not None else {}
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise RemoteProtocolError(MALFORMED, _where(error)) from None


def _where(error: ValidationError) -> str:
    """Field paths and pydantic's error types; inputs stay out, for they may be personal."""
    parts = [
        f"{'.'.join(str(step) for step in each['loc']) or 'data'}: {each['type']}"
        for each in error.errors(include_input=False, include_url=False, include_context=False)[:5]
    ]
    return "; ".join(parts)[:REASON_TEXT_MAX]
