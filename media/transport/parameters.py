"""What two ends tell each other before the first datagram, in mediasoup's JSON (ORTC dictionaries)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from media.errors import ErrorCode, RemoteProtocolError
from media.limits import MAX_FINGERPRINTS
from media.transport.errors import DTLS_PARAMETERS_INVALID, ICE_PARAMETERS_INVALID

DtlsRole = Literal["auto", "client", "server"]

# RFC 8839 section 5.4: ufrag 4..256 and pwd 22..256 of ALPHA / DIGIT / "+" / "/".
_ICE_UFRAG = re.compile(r"[A-Za-z0-9+/=_-]{4,256}")
_ICE_PWD = re.compile(r"[A-Za-z0-9+/=_-]{22,256}")
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){15,63}")


@dataclass(frozen=True, slots=True)
class IceParameters:
    """One end's ICE credentials (RFC 8445 section 5.3).

    :param username_fragment: 4 to 256 ICE characters.
    :param password: 22 to 256 ICE characters; key of every check's MESSAGE-INTEGRITY.
    :param ice_lite: this end only answers checks.
    """

    username_fragment: str
    password: str
    ice_lite: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "usernameFragment": self.username_fragment,
            "password": self.password,
            "iceLite": self.ice_lite,
        }

    @classmethod
    def from_json(cls, json: Any) -> IceParameters:
        """Read mediasoup's ``iceParameters``; raises `RemoteProtocolError` (ice_parameters_invalid)."""
        fields = _mapping(json, ICE_PARAMETERS_INVALID)
        ufrag, password = fields.get("usernameFragment"), fields.get("password")
        if not isinstance(ufrag, str) or not _ICE_UFRAG.fullmatch(ufrag):
            raise RemoteProtocolError(ICE_PARAMETERS_INVALID, "usernameFragment")
        if not isinstance(password, str) or not _ICE_PWD.fullmatch(password):
            raise RemoteProtocolError(ICE_PARAMETERS_INVALID, "password")
        return cls(ufrag, password, fields.get("iceLite") is True)


@dataclass(frozen=True, slots=True)
class IceCandidate:
    """One address where an end can be reached (RFC 8445 section 5.1).

    :param tcp_type: ``passive`` (RFC 6544) for an address that is connected to; None for UDP.
    """

    foundation: str
    priority: int
    ip: str
    port: int
    protocol: str = "udp"
    type: str = "host"
    tcp_type: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Both ``address`` and ``ip``: older clients read the one, newer ones the other."""
        tcp = {} if self.tcp_type is None else {"tcpType": self.tcp_type}
        return {
            "foundation": self.foundation,
            "priority": self.priority,
            "ip": self.ip,
            "address": self.ip,
            "port": self.port,
            "protocol": self.protocol,
            "type": self.type,
            **tcp,
        }

    @classmethod
    def from_json(cls, json: Any) -> IceCandidate:
        """Read mediasoup's candidate; raises `RemoteProtocolError` (ice_parameters_invalid)."""
        fields = _mapping(json, ICE_PARAMETERS_INVALID)
        ip, port, priority = (
            fields.get("address") or fields.get("ip"),
            fields.get("port"),
            fields.get("priority"),
        )
        if not isinstance(ip, str) or not isinstance(port, int) or not 0 < port < 65536:
            raise RemoteProtocolError(ICE_PARAMETERS_INVALID, "candidate address")
        if not isinstance(priority, int) or not 0 < priority < 2**32:
            raise RemoteProtocolError(ICE_PARAMETERS_INVALID, "candidate priority")
        protocol, kind = str(fields.get("protocol", "udp")).lower(), str(fields.get("type", "host"))
        tcp_type = fields.get("tcpType")
        if tcp_type is not None and not isinstance(tcp_type, str):
            raise RemoteProtocolError(ICE_PARAMETERS_INVALID, "candidate tcpType")
        return cls(str(fields.get("foundation", "1")), priority, ip, port, protocol, kind, tcp_type)


@dataclass(frozen=True, slots=True)
class DtlsParameters:
    """An end's DTLS role and certificate fingerprints (RFC 8122).

    :param role: the role of the end that speaks; ``auto`` leaves it to the other.
    :param fingerprints: pairs of algorithm (``sha-256``) and upper-case hex with colons.
    """

    role: DtlsRole
    fingerprints: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "fingerprints": [{"algorithm": name, "value": value} for name, value in self.fingerprints],
        }

    @classmethod
    def from_json(cls, json: Any) -> DtlsParameters:
        """Read mediasoup's ``dtlsParameters``; raises `RemoteProtocolError` (dtls_parameters_invalid)."""
        fields = _mapping(json, DTLS_PARAMETERS_INVALID)
        role, entries = fields.get("role", "auto"), fields.get("fingerprints")
        if role not in ("auto", "client", "server"):
            raise RemoteProtocolError(DTLS_PARAMETERS_INVALID, "role")
        if not isinstance(entries, list) or not 0 < len(entries) <= MAX_FINGERPRINTS:
            raise RemoteProtocolError(DTLS_PARAMETERS_INVALID, "fingerprints")
        return cls(cast(DtlsRole, role), tuple(_fingerprint(entry) for entry in entries))


def _fingerprint(json: Any) -> tuple[str, str]:
    fields = _mapping(json, DTLS_PARAMETERS_INVALID)
    algorithm, value = fields.get("algorithm"), fields.get("value")
    if not isinstance(algorithm, str) or not isinstance(value, str):
        raise RemoteProtocolError(DTLS_PARAMETERS_INVALID, "fingerprint")
    if not _FINGERPRINT.fullmatch(value.upper()):
        raise RemoteProtocolError(DTLS_PARAMETERS_INVALID, "fingerprint value")
    return algorithm.lower(), value.upper()


def _mapping(json: Any, code: ErrorCode) -> Mapping[str, Any]:
    if not isinstance(json, Mapping):
        raise RemoteProtocolError(code, "an object is expected")
    return json
