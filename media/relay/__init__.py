"""The selective forwarding unit: router, transports, producers, consumers, and the packet plane."""

from media.ortc import router_rtp_capabilities
from media.relay.consumer import Consumer
from media.relay.data import DataConsumer, DataProducer
from media.relay.producer import Producer
from media.relay.router import Router, RouterListener
from media.relay.tap import PacketSink
from media.relay.timer import RelayTimer
from media.relay.transport import WebRtcTransport

__all__ = [
    "Consumer",
    "DataConsumer",
    "DataProducer",
    "PacketSink",
    "Producer",
    "RelayTimer",
    "Router",
    "RouterListener",
    "WebRtcTransport",
    "router_rtp_capabilities",
]
