"""A media plane that only counts. Same shape as the real one, `signaling.plane.MediaPlane`."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, Literal

from media.errors import MALFORMED, WRONG_STATE, RemoteProtocolError
from media.ortc import router_rtp_capabilities
from media.rtp.renumber import WireNumbers
from media.signals import StreamDescriptor
from media.transport.parameters import IceCandidate
from signaling.plane import ProducerPort, RecorderPort, RouterEvents, RouterPort, TransportPort

CAPABILITIES = router_rtp_capabilities()
CANDIDATE = {
    "foundation": "1",
    "priority": 1,
    "ip": "127.0.0.1",
    "address": "127.0.0.1",
    "port": 40000,
    "protocol": "udp",
    "type": "host",
}
FINGERPRINT = {"algorithm": "sha-256", "value": ":".join(["AB"] * 32)}


def rtp_parameters(kind: str) -> dict[str, Any]:
    """A consumer's, in the router's first codec of this kind."""
    codec = next(codec for codec in CAPABILITIES["codecs"] if codec["kind"] == kind)
    return {
        "mid": "0",
        "codecs": [{**codec, "payloadType": codec["preferredPayloadType"]}],
        "headerExtensions": [],
        "encodings": [{"ssrc": 1234}],
        "rtcp": {"cname": "c", "reducedSize": True},
    }


class FakeProducer:
    def __init__(self, transport: FakeTransport, kind: str, source: str, paused: bool) -> None:
        self.id = transport.router.new_id("producer")
        self.kind, self.source, self.paused = kind, source, paused
        self.rtp_parameters: dict[str, Any] = {}
        self._transport = transport

    def pause(self) -> None:
        self._set(True)

    def resume(self) -> None:
        self._set(False)

    def _set(self, paused: bool) -> None:
        self.paused = paused
        for consumer in self._transport.router.consumers_of(self.id):
            self._transport.router.events.consumer_paused(consumer, paused)

    def close(self) -> None:
        router = self._transport.router
        if router.producers.pop(self.id, None) is None:
            return
        for consumer in router.consumers_of(self.id):
            consumer.close()
        router.events.producer_closed(self)


class FakeConsumer:
    def __init__(self, transport: FakeTransport, producer: FakeProducer, paused: bool) -> None:
        self.id = transport.router.new_id("consumer")
        self.producer_id = producer.id
        self.paused = paused
        self.key_frame_requests = 0
        self.layers: tuple[int, int | None] | None = None
        self._producer, self._transport = producer, transport

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def set_preferred_layers(self, spatial: int, temporal: int | None = None) -> None:
        self.layers = (spatial, temporal)

    def request_key_frame(self) -> None:
        self.key_frame_requests += 1

    def as_json(self) -> dict[str, Any]:
        producer = self._producer
        return {
            "id": self.id,
            "producerId": producer.id,
            "kind": producer.kind,
            "type": "simple",
            "rtpParameters": rtp_parameters(producer.kind),
            "paused": self.paused,
            "producerPaused": producer.paused,
            "source": producer.source,
        }

    def close(self) -> None:
        if self._transport.router.consumers.pop(self.id, None) is not None:
            self._transport.router.events.consumer_closed(self)


class FakeDataProducer:
    def __init__(self, transport: FakeTransport, label: str) -> None:
        self.id = transport.router.new_id("data-producer")
        self.label = label
        self._transport = transport

    def close(self) -> None:
        router = self._transport.router
        if router.data_producers.pop(self.id, None) is None:
            return
        for consumer in [one for one in router.data_consumers.values() if one.data_producer_id == self.id]:
            consumer.close()


class FakeDataConsumer:
    def __init__(self, transport: FakeTransport, producer: FakeDataProducer) -> None:
        self.id = transport.router.new_id("data-consumer")
        self.data_producer_id = producer.id
        self._label, self._transport = producer.label, transport

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "dataProducerId": self.data_producer_id,
            "sctpStreamParameters": {"streamId": 0, "ordered": True},
            "label": self._label,
            "protocol": "",
        }

    def close(self) -> None:
        if self._transport.router.data_consumers.pop(self.id, None) is not None:
            self._transport.router.events.data_consumer_closed(self)


class FakeTransport:
    def __init__(self, router: FakeRouter) -> None:
        self.router = router
        self.id = router.new_id("transport")
        self.connected_with: dict[str, Any] | None = None
        self.closed = False
        self.producers: list[FakeProducer] = []
        self.consumers: list[FakeConsumer] = []
        self.data: list[FakeDataProducer | FakeDataConsumer] = []

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "iceParameters": {"usernameFragment": "frag", "password": "p" * 22, "iceLite": True},
            "iceCandidates": [CANDIDATE],
            "dtlsParameters": {"role": "auto", "fingerprints": [FINGERPRINT]},
            "sctpParameters": {"port": 5000, "OS": 1024, "MIS": 1024, "maxMessageSize": 65536},
        }

    def connect(self, dtls_parameters: dict[str, Any]) -> None:
        if self.connected_with is not None:
            raise RemoteProtocolError(WRONG_STATE)
        self.connected_with = dtls_parameters
        self.router.events.transport_state(self, "connected")

    def restart_ice(self) -> dict[str, Any]:
        return {"usernameFragment": "new", "password": "new", "iceLite": True}

    def produce(
        self, kind: str, rtp_parameters: dict[str, Any], source: str, paused: bool = False
    ) -> FakeProducer:
        if rtp_parameters.get("broken"):
            raise RemoteProtocolError(MALFORMED, "rtpParameters")
        producer = FakeProducer(self, kind, source, paused)
        self.producers.append(producer)
        self.router.producers[producer.id] = producer
        return producer

    def consume(
        self, producer_id: str, rtp_capabilities: dict[str, Any], paused: bool = True
    ) -> FakeConsumer:
        consumer = FakeConsumer(self, self.router.producers[producer_id], paused)
        self.consumers.append(consumer)
        self.router.consumers[consumer.id] = consumer
        return consumer

    def produce_data(
        self, sctp_stream_parameters: dict[str, Any], label: str, protocol: str
    ) -> FakeDataProducer:
        producer = FakeDataProducer(self, label)
        self.data.append(producer)
        self.router.data_producers[producer.id] = producer
        return producer

    def consume_data(self, data_producer_id: str) -> FakeDataConsumer:
        consumer = FakeDataConsumer(self, self.router.data_producers[data_producer_id])
        self.data.append(consumer)
        self.router.data_consumers[consumer.id] = consumer
        return consumer

    def stats(self) -> dict[str, Any]:
        return {"id": self.id}

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        for member in [*self.producers, *self.consumers, *self.data]:
            member.close()


class FakeRouter:
    def __init__(self, room_id: str, events: RouterEvents, numbers: itertools.count[int]) -> None:
        self.room_id, self.events = room_id, events
        self.producers: dict[str, FakeProducer] = {}
        self.consumers: dict[str, FakeConsumer] = {}
        self.data_producers: dict[str, FakeDataProducer] = {}
        self.data_consumers: dict[str, FakeDataConsumer] = {}
        self.transports: list[FakeTransport] = []
        self.closed = 0
        self.kept_free = 0
        self._numbers = numbers

    def new_id(self, what: str) -> str:
        return f"{what}-{next(self._numbers)}"

    def consumers_of(self, producer_id: str) -> list[FakeConsumer]:
        return [consumer for consumer in self.consumers.values() if consumer.producer_id == producer_id]

    def create_transport(self, numbers: WireNumbers | None = None) -> TransportPort:
        transport = FakeTransport(self)
        self.transports.append(transport)
        return transport

    def can_consume(self, producer_id: str, rtp_capabilities: dict[str, Any]) -> bool:
        return producer_id in self.producers and bool(rtp_capabilities.get("codecs"))

    def keep_free(self, bits_per_second: int) -> None:
        self.kept_free = bits_per_second

    def close(self) -> None:
        self.closed += 1


class FakeRecorder:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.added: list[tuple[str, str]] = []
        self.signals: list[tuple[str, float]] = []
        self.started = False

    def start(self) -> None:
        self.started = True

    def add_producer(self, producer: ProducerPort, peer_label: str) -> None:
        self.added.append((producer.id, peer_label))

    def add_signal(self, descriptor: StreamDescriptor, started_at: float) -> None:
        self.signals.append((descriptor.stream_id, started_at))

    async def stop(self) -> Path:
        self.directory.mkdir(parents=True, exist_ok=True)
        manifest = self.directory / "manifest.json"
        manifest.write_text(json.dumps({"tracks": len(self.added)}))
        return manifest


class FakeEcho:
    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.connected_with: object = None
        self.closed = False

    def as_json(self) -> dict[str, Any]:
        return {
            "id": "echo",
            "iceParameters": {"usernameFragment": "frag", "password": "p" * 22, "iceLite": True},
            "iceCandidates": [{**CANDIDATE, "protocol": self.protocol}],
            "dtlsParameters": {"role": "auto", "fingerprints": [FINGERPRINT]},
            "sctpParameters": {"port": 5000, "maxMessageSize": 65536},
        }

    def connect(self, dtls_parameters: object) -> None:
        self.connected_with = dtls_parameters

    def report(self) -> dict[str, Any]:
        return {"state": "new", "protocol": None, "connectedMs": None, "echoed": 0}

    def close(self) -> None:
        self.closed = True


class FakePlane:
    """See `signaling.plane.MediaPlane`."""

    def __init__(self) -> None:
        self.routers: dict[str, FakeRouter] = {}
        self.recorders: dict[str, FakeRecorder] = {}
        self.closed = False
        self.echoes: list[FakeEcho] = []
        self.candidates = (IceCandidate.from_json(CANDIDATE),)
        self._numbers = itertools.count(1)

    def create_echo(self, protocol: Literal["udp", "tcp"]) -> FakeEcho:
        self.echoes.append(FakeEcho(protocol))
        return self.echoes[-1]

    @property
    def router_rtp_capabilities(self) -> dict[str, Any]:
        return CAPABILITIES

    def create_router(self, room_id: str, events: RouterEvents) -> RouterPort:
        self.routers[room_id] = FakeRouter(room_id, events, self._numbers)
        return self.routers[room_id]

    def create_recorder(
        self, router: RouterPort, directory: Path, room_id: str, recording_id: str
    ) -> RecorderPort:
        self.recorders[recording_id] = FakeRecorder(directory / recording_id)
        return self.recorders[recording_id]

    async def close(self) -> None:
        self.closed = True
