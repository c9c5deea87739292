"""Capabilities and negotiation: codec match, payload types, header extensions. No I/O."""

from media.ortc.capabilities import PLAIN_CAPABILITIES, ROUTER_CAPABILITIES, router_rtp_capabilities
from media.ortc.model import (
    Codec,
    Encoding,
    HeaderExtension,
    RtpCapabilities,
    RtpParameters,
    parse_rtp_capabilities,
    parse_rtp_parameters,
)
from media.ortc.negotiate import (
    ConsumerIdentity,
    ProducerMapping,
    can_consume,
    consumable_parameters,
    consumer_parameters,
    map_producer,
)

__all__ = [
    "PLAIN_CAPABILITIES",
    "ROUTER_CAPABILITIES",
    "Codec",
    "ConsumerIdentity",
    "Encoding",
    "HeaderExtension",
    "ProducerMapping",
    "RtpCapabilities",
    "RtpParameters",
    "can_consume",
    "consumable_parameters",
    "consumer_parameters",
    "map_producer",
    "parse_rtp_capabilities",
    "parse_rtp_parameters",
    "router_rtp_capabilities",
]
