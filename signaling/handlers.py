"""Client events of ``/room`` to calls of a room: one small function for each, and the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from signaling import messages
from signaling.access import may_record
from signaling.messages import Message
from signaling.peer_media import found
from signaling.room import Room

Reply = dict[str, Any]
Handler = Callable[[Room, str, Any], Reply]
M = TypeVar("M", bound=Message)


def _subscribe(room: Room, peer_id: str, message: messages.Subscribe) -> Reply:
    return room.tracks.subscribe(peer_id, message.rtp_capabilities)


def _connect_transport(room: Room, peer_id: str, message: messages.ConnectTransport) -> Reply:
    room.tracks.of(peer_id).transport(message.transport_id).connect(message.dtls_parameters)
    return {}


def _restart_ice(room: Room, peer_id: str, message: messages.RestartIce) -> Reply:
    return {"iceParameters": room.tracks.of(peer_id).transport(message.transport_id).restart_ice()}


def _produce(room: Room, peer_id: str, message: messages.Produce) -> Reply:
    return {"id": room.tracks.produce(peer_id, message)}


def _close_producer(room: Room, peer_id: str, message: messages.ProducerNamed) -> Reply:
    room.tracks.close_producer(peer_id, message.producer_id)
    return {}


def _pause_producer(room: Room, peer_id: str, message: messages.ProducerNamed) -> Reply:
    room.tracks.set_paused(peer_id, message.producer_id, True, by=peer_id)
    return {}


def _resume_producer(room: Room, peer_id: str, message: messages.ProducerNamed) -> Reply:
    room.tracks.set_paused(peer_id, message.producer_id, False, by=peer_id)
    return {}


def _produce_data(room: Room, peer_id: str, message: messages.ProduceData) -> Reply:
    return {"id": room.tracks.produce_data(peer_id, message)}


def _close_data_producer(room: Room, peer_id: str, message: messages.DataProducerNamed) -> Reply:
    room.tracks.close_data_producer(peer_id, message.data_producer_id)
    return {}


def _resume_consumers(room: Room, peer_id: str, message: messages.ConsumersNamed) -> Reply:
    for consumer in room.tracks.of(peer_id).named_consumers(message.consumer_ids):
        consumer.resume()
    return {}


def _pause_consumers(room: Room, peer_id: str, message: messages.ConsumersNamed) -> Reply:
    for consumer in room.tracks.of(peer_id).named_consumers(message.consumer_ids):
        consumer.pause()
    return {}


def _set_preferred_layers(room: Room, peer_id: str, message: messages.SetPreferredLayers) -> Reply:
    consumer = found(room.tracks.of(peer_id).consumers, message.consumer_id, "consumer")
    consumer.set_preferred_layers(message.spatial_layer, message.temporal_layer)
    return {}


def _request_key_frame(room: Room, peer_id: str, message: messages.RequestKeyFrame) -> Reply:
    found(room.tracks.of(peer_id).consumers, message.consumer_id, "consumer").request_key_frame()
    return {}


def _chat(room: Room, peer_id: str, message: messages.Chat) -> Reply:
    return room.chat(peer_id, message.text)


def _remove_peer(room: Room, peer_id: str, message: messages.RemovePeer) -> Reply:
    room.remove(peer_id, message.peer_id, message.reason)
    return {}


def _mute_peer(room: Room, peer_id: str, message: messages.MutePeer) -> Reply:
    room.tracks.mute(peer_id, message.peer_id, message.source)
    return {}


def _start_recording(room: Room, peer_id: str, _message: messages.Nothing) -> Reply:
    may_record(room.state.peer(peer_id).claims.grant)
    return room.start_recording(by=peer_id)


def _stop_recording(room: Room, peer_id: str, _message: messages.Nothing) -> Reply:
    may_record(room.state.peer(peer_id).claims.grant)
    room.stop_recording()
    return {}


def _stats(room: Room, peer_id: str, _message: messages.Nothing) -> Reply:
    return {"transports": [transport.stats() for transport in room.tracks.of(peer_id).transports()]}


HANDLERS: Final[Mapping[str, Handler]] = {
    "subscribe": _subscribe,
    "connectTransport": _connect_transport,
    "restartIce": _restart_ice,
    "produce": _produce,
    "closeProducer": _close_producer,
    "pauseProducer": _pause_producer,
    "resumeProducer": _resume_producer,
    "produceData": _produce_data,
    "closeDataProducer": _close_data_producer,
    "resumeConsumers": _resume_consumers,
    "pauseConsumers": _pause_consumers,
    "setPreferredLayers": _set_preferred_layers,
    "requestKeyFrame": _request_key_frame,
    "chat": _chat,
    "removePeer": _remove_peer,
    "mutePeer": _mute_peer,
    "startRecording": _start_recording,
    "stopRecording": _stop_recording,
    "stats": _stats,
}
"""Every event but ``join`` and ``leave``, which begin and end the session (`signaling.session`)."""
