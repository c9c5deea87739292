"""The self-signed certificate an end proves itself with; its fingerprint is what the other end was told."""

from __future__ import annotations

import datetime
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from media.transport.srtp import SRTP_PROFILES

LIFETIME_DAYS = 30
ROTATE_AFTER_S = 7 * 86_400.0
"""A new certificate after a week: every transport made with the old one ends long before its 30 days."""

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}

# OpenSSL's number for DTLS 1.2; 1.0 is refused (RFC 8996).
_DTLS1_2 = 0xFEFD


class DtlsCertificate:
    """A P-256 key, its certificate and the OpenSSL context that uses them.

    :param now: Unix seconds; the certificate is valid from a day before, for clocks that are wrong.
    """

    def __init__(self, now: float) -> None:
        self.made_at = now
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key, datetime.datetime.fromtimestamp(now, datetime.UTC))
        self.fingerprint = fingerprint(certificate, "sha-256") or ""
        self.context = _context(key, certificate)

    def is_stale(self, now: float) -> bool:
        """Whether new transports should get a new certificate."""
        return not 0 <= now - self.made_at < ROTATE_AFTER_S


def fingerprint(certificate: x509.Certificate, algorithm: str) -> str | None:
    """RFC 8122 section 5 text of the certificate's digest; None for an algorithm we do not take."""
    digest = _DIGESTS.get(algorithm)
    return None if digest is None else certificate.fingerprint(digest).hex(":").upper()


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(16))])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=LIFETIME_DAYS))
        .sign(key, hashes.SHA256())
    )


def _context(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
    context.set_min_proto_version(_DTLS1_2)
    # Any certificate passes here; the fingerprint told over signaling is compared after the handshake.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    context.set_cipher_list(
        b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
        b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
    )
    context.set_tlsext_use_srtp(b":".join(profile.openssl_name for profile in SRTP_PROFILES))
    return context
