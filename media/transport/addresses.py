"""Which addresses of this machine peers are told, and as which candidates (RFC 8445, RFC 6544)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

from media.limits import SOCKET_BUFFER_BYTES, TCP_BACKLOG
from media.transport.parameters import IceCandidate
from media.transport.stun import candidate_priority

UDP_TYPE_PREFERENCE = 126  # RFC 8445 section 5.1.2.2: host
TCP_TYPE_PREFERENCE = 90  # below every UDP way but a relayed one (RFC 6544 section 4.2)
_PASSIVE_PREFERENCE = 4 << 13  # RFC 6544 section 4.2: the direction's part of the local preference


def ip_family(ip: str) -> socket.AddressFamily:
    """The socket family of an address in text form."""
    return socket.AF_INET6 if ipaddress.ip_address(ip).version == 6 else socket.AF_INET


def bind_udp(ip: str, port: int) -> socket.socket:
    """A non-blocking UDP socket with large kernel buffers; raises OSError."""
    udp = socket.socket(ip_family(ip), socket.SOCK_DGRAM)
    try:
        udp.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        udp.bind((ip, port))
    except OSError:
        udp.close()
        raise
    return udp


def bind_tcp(ip: str, port: int) -> socket.socket:
    """A non-blocking listening socket; raises OSError."""
    listening = socket.socket(ip_family(ip), socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((ip, port))
        listening.listen(TCP_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def own_addresses(listen_ip: str) -> tuple[str, ...]:
    """The bound address, or the one that the default route uses."""
    listen = ipaddress.ip_address(listen_ip)
    if not listen.is_unspecified:
        return (listen_ip,)
    return (_route_address(listen.version),)


def _route_address(version: int) -> str:
    """Our address towards the world. Connecting UDP sends nothing; it asks the routing table."""
    family: Any = socket.AF_INET if version == 4 else socket.AF_INET6
    beyond, loopback = ("192.0.2.1", "127.0.0.1") if version == 4 else ("2001:db8::1", "::1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((beyond, 9))
        except OSError:
            return loopback
        return str(probe.getsockname()[0])


def udp_candidates(addresses: Sequence[str], port: int) -> tuple[IceCandidate, ...]:
    """Host candidates, the first address with the highest priority."""
    return tuple(
        IceCandidate(str(index + 1), candidate_priority(UDP_TYPE_PREFERENCE, 65535 - index), address, port)
        for index, address in enumerate(addresses)
    )


def tcp_candidates(addresses: Sequence[str], port: int) -> tuple[IceCandidate, ...]:
    """Passive host candidates, each below every UDP one."""
    return tuple(
        IceCandidate(
            f"tcp{index + 1}",
            candidate_priority(TCP_TYPE_PREFERENCE, _PASSIVE_PREFERENCE + 8191 - index),
            address,
            port,
            "tcp",
            "host",
            "passive",
        )
        for index, address in enumerate(addresses)
    )
