"""HTTPS: the operator's certificate, or a self-signed one for phones on the same network.

Browsers give camera and microphone only to secure origins; on a phone, localhost is of no help. A self-signed
certificate makes a warning once, which is enough for a trial, not for a county.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server.config import Config

_DAYS = 397  # the longest that browsers accept (CA/Browser Forum ballot SC31)


def ssl_context(config: Config, now: float) -> ssl.SSLContext:
    """TLS for the HTTPS port, from the configured files or from the certificate made and kept in the data."""
    certificate, key = config.http.tls_certificate, config.http.tls_key
    if not certificate:
        certificate, key = _own_certificate(config, now)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key or None)
    return context


def _own_certificate(config: Config, now: float) -> tuple[str, str]:
    directory = config.data_directory / "tls"
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    if not (certificate.exists() and key.exists() and _still_good(certificate, now)):
        directory.mkdir(parents=True, exist_ok=True)
        names = ["localhost", "127.0.0.1", *config.media.announced_addresses]
        certificate_pem, key_pem = self_signed(names, now)
        _write_private(key, key_pem)
        certificate.write_bytes(certificate_pem)
    return str(certificate), str(key)


def self_signed(names: Sequence[str], now: float) -> tuple[bytes, bytes]:
    """``(certificate, key)`` in PEM for these host names and addresses, valid from ``now`` (Unix seconds)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Huizhen")])
    begin = datetime.fromtimestamp(now, UTC) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(n) for n in dict.fromkeys(names)]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), key_pem


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _still_good(path: Path, now: float) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.not_valid_after_utc.timestamp() > now + 86_400


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
