"""DTLS 1.2 and later over datagrams handed in and out (RFC 6347, RFC 5764), by OpenSSL.

OpenSSL works on memory buffers here, so an end is a plain object without a task or a queue: every call
returns at once, and a loss is mended by `DtlsEndpoint.handle_timeout`, which the owner calls when `timeout`
has passed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

from OpenSSL import SSL

from media.limits import DTLS_MTU
from media.transport.certificate import DtlsCertificate, fingerprint
from media.transport.parameters import DtlsParameters
from media.transport.srtp import SRTP_PROFILES, SrtpKeys

DtlsState = Literal["connecting", "connected", "closed", "failed"]

_RECORD_HEADER = 13
_READ_SIZE = 65_536


class DtlsEndpoint:
    """One end of one DTLS association.

    :param certificate: proves this end.
    :param is_client: whether this end sends the first flight.
    :param remote: the fingerprints the other end's certificate must have.
    """

    def __init__(self, certificate: DtlsCertificate, is_client: bool, remote: DtlsParameters) -> None:
        self.state: DtlsState = "connecting"
        self.failure = ""
        """Why the state is failed: a few words without personal data."""
        self.srtp_keys: SrtpKeys | None = None
        self._is_client = is_client
        self._remote = remote
        self._connection = SSL.Connection(certificate.context, None)
        self._connection.set_ciphertext_mtu(DTLS_MTU)
        if is_client:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()

    def start(self) -> None:
        """Make the first flight (client), or get ready for it (server)."""
        self._handshake()

    def receive(self, datagram: bytes) -> list[bytes]:
        """Take one datagram; returns the application data it completed."""
        if self.state not in ("connecting", "connected"):
            return []
        self._connection.bio_write(datagram)
        if self.state == "connecting":
            self._handshake()
        return self._read() if self.state == "connected" else []

    def send(self, data: bytes) -> None:
        """Encrypt application data; nothing is sent unless connected."""
        if self.state != "connected":
            return
        try:
            self._connection.send(data)
        except SSL.Error as error:
            self._fail(_words(error))

    def datagrams_to_send(self) -> Iterator[bytes]:
        """What OpenSSL wants to send, cut at record boundaries into datagrams of at most `DTLS_MTU` bytes."""
        try:
            pending = self._connection.bio_read(_READ_SIZE)
        except SSL.Error:
            return
        yield from split_records(pending, DTLS_MTU)

    def timeout(self) -> float | None:
        """Seconds until `handle_timeout` is due; None when nothing waits for an answer."""
        if self.state in ("closed", "failed"):
            return None
        return self._connection.DTLSv1_get_timeout()

    def handle_timeout(self) -> None:
        """Repeat the last flight if its time has come (RFC 6347 section 4.2.4)."""
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            self._fail(_words(error))

    def close(self) -> None:
        """Say goodbye once (close_notify) and wait for nobody."""
        if self.state == "connected":
            try:
                self._connection.shutdown()
            except SSL.Error as error:
                self.failure = _words(error)
        self.state = "closed"

    def _handshake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            self._fail(_words(error))
            return
        self._verify()

    def _verify(self) -> None:
        """The handshake is over: is it the peer we were told of, and with which keys do we protect media?"""
        if not self._peer_is_expected():
            self._fail("fingerprint mismatch")
            return
        name = self._connection.get_selected_srtp_profile()
        profile = next((profile for profile in SRTP_PROFILES if profile.openssl_name == name), None)
        if profile is None:
            self._fail("no common SRTP profile")
            return
        length = 2 * (profile.key_length + profile.salt_length)
        material = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", length)
        self.srtp_keys = SrtpKeys.from_exporter(profile, material, self._is_client)
        self.state = "connected"

    def _peer_is_expected(self) -> bool:
        """RFC 8122 section 5: at least one fingerprint of a kind we know, and all of those are right."""
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            return False
        pairs = [(fingerprint(certificate, name), value) for name, value in self._remote.fingerprints]
        known = [(ours, theirs) for ours, theirs in pairs if ours is not None]
        return bool(known) and all(ours == theirs for ours, theirs in known)

    def _read(self) -> list[bytes]:
        messages = []
        while True:
            try:
                messages.append(self._connection.recv(_READ_SIZE))
            except SSL.WantReadError:
                return messages
            except SSL.ZeroReturnError:
                self.state = "closed"
                return messages
            except SSL.Error as error:
                self._fail(_words(error))
                return messages

    def _fail(self, reason: str) -> None:
        self.state = "failed"
        self.failure = reason


def split_records(stream: bytes, size: int) -> Iterator[bytes]:
    """Cut concatenated DTLS records into datagrams of at most ``size`` bytes, whole records each.

    A record is never cut, so one that is longer than ``size`` makes a datagram of its own.
    """
    start = position = 0
    while position < len(stream):
        end = position + _record_length(stream, position)
        if end - start > size and position > start:
            yield stream[start:position]
            start = position
        position = end
    if start < len(stream):
        yield stream[start:]


def _record_length(stream: bytes, position: int) -> int:
    """Length of the record at ``position`` (RFC 6347 section 4.1); all that is left for another thing."""
    if not 20 <= stream[position] <= 31 or len(stream) - position < _RECORD_HEADER:
        return len(stream) - position
    return _RECORD_HEADER + int(struct.unpack_from("!H", stream, position + 11)[0])


def _words(error: SSL.Error) -> str:
    """OpenSSL's own words for an error, which name no one."""
    reasons = [str(part[-1]) for part in error.args[0]] if error.args and error.args[0] else []
    return "; ".join(reasons) or type(error).__name__
