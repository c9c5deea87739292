"""How the media ports are opened, and the two sockets that come of it."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from typing import Literal

from media.limits import (
    ICE_CONSENT_TIMEOUT_MAX_S,
    ICE_CONSENT_TIMEOUT_MIN_S,
    ICE_CONSENT_TIMEOUT_S,
)
from media.transport.addresses import bind_tcp, bind_udp, own_addresses

Plane = Literal["auto", "python", "native"]
"""What moves the packets: the compiled core where it is there, plain Python, or the core alone."""
DEFAULT_PLANE: Plane = "auto"

SAME_PORT = -1
"""As `MediaSocketConfig.tcp_port`: the number of the UDP port."""

_PORT_PAIR_TRIES = 16
"""A free UDP port whose number is taken in TCP is given back; so many in a row are not by chance."""


@dataclass(frozen=True, slots=True)
class MediaSocketConfig:
    """How the media port is opened.

    :param listen_ip: address to bind; ``0.0.0.0`` or ``::`` for all.
    :param port: UDP port; 0 lets the system choose.
    :param announced_addresses: IP addresses told to peers, best first; empty: the bound one, or the one that
        this machine's default route uses.
    :param consent_timeout_s: silence after which a peer is given up, 10 to 30 s.
    :param tcp_port: TCP port for those whose network passes no UDP (RFC 6544); 0: none; `SAME_PORT`.
    :param plane: what moves the packets; ``native`` fails where the compiled core is not there.
    :param udp_announce: tell peers of the UDP port; without it only TCP is left, as behind a firewall.
    """

    listen_ip: str = "0.0.0.0"  # noqa: S104 - a media port is for every interface unless told otherwise
    port: int = 0
    announced_addresses: tuple[str, ...] = ()
    consent_timeout_s: float = ICE_CONSENT_TIMEOUT_S
    tcp_port: int = SAME_PORT
    udp_announce: bool = True
    plane: Plane = field(default_factory=lambda: DEFAULT_PLANE)

    def __post_init__(self) -> None:
        if not ICE_CONSENT_TIMEOUT_MIN_S <= self.consent_timeout_s <= ICE_CONSENT_TIMEOUT_MAX_S:
            raise ValueError("consent_timeout_s must be 10 to 30")
        if not self.udp_announce and self.tcp_port == 0:
            raise ValueError("neither UDP nor TCP would be announced")
        for address in (self.listen_ip, *self.announced_addresses):
            ipaddress.ip_address(address)


def bind_sockets(config: MediaSocketConfig) -> tuple[socket.socket, socket.socket | None]:
    """The UDP socket and the TCP one; with any free port, a number that both can have. Raises OSError."""
    for attempt in range(_PORT_PAIR_TRIES):
        udp = bind_udp(config.listen_ip, config.port)
        if config.tcp_port == 0:
            return udp, None
        port = udp.getsockname()[1] if config.tcp_port == SAME_PORT else config.tcp_port
        try:
            return udp, bind_tcp(config.listen_ip, port)
        except OSError:
            udp.close()
            if config.port or config.tcp_port != SAME_PORT or attempt + 1 == _PORT_PAIR_TRIES:
                raise
    raise AssertionError("unreachable")


def announced_addresses(config: MediaSocketConfig) -> tuple[str, ...]:
    """The addresses to tell peers: those configured, else what the machine knows of itself."""
    return config.announced_addresses or own_addresses(config.listen_ip)
