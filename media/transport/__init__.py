"""One UDP socket for everybody, TCP beside it: ICE-lite, DTLS, SRTP and data streams.

The only importer of aiortc.

A test holds this list against what is really exported.
"""

from __future__ import annotations

from media.transport.certificate import DtlsCertificate
from media.transport.client import ClientTransport
from media.transport.echo import EchoTransport
from media.transport.media_config import MediaSocketConfig
from media.transport.media_socket import MediaSocket, SocketCounters
from media.transport.parameters import DtlsParameters, DtlsRole, IceCandidate, IceParameters
from media.transport.peer import PeerTransport
from media.transport.secure import (
    IgnoringHandlers,
    TransportCounters,
    TransportHandlers,
    TransportState,
)

__all__ = [
    "ClientTransport",
    "DtlsCertificate",
    "DtlsParameters",
    "DtlsRole",
    "EchoTransport",
    "IceCandidate",
    "IceParameters",
    "IgnoringHandlers",
    "MediaSocket",
    "MediaSocketConfig",
    "PeerTransport",
    "SocketCounters",
    "TransportCounters",
    "TransportHandlers",
    "TransportState",
]
