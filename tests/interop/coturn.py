"""Debian's coturn as the tests run it: TLS on loopback and nothing else, credentials by a shared secret."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from signaling.ice_servers import TurnServer

SECRET = "shared between the server and coturn"  # not a secret: tests only
START_S = 20.0


@dataclass(frozen=True)
class Coturn:
    """A running coturn."""

    turn: TurnServer
    log: Path

    def allocations(self) -> int:
        """How many relayed addresses it has given out."""
        return self.log.read_text(errors="replace").count("ALLOCATE processed, success")


def _write_certificate(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "key.pem").write_bytes(pem)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@asynccontextmanager
async def running_coturn(directory: Path) -> AsyncIterator[Coturn]:
    """Only ``turns:`` over TCP; peers on loopback are allowed, since everything is there."""
    _write_certificate(directory)
    port, log = _free_port(), directory / "turn.log"
    options = {
        "listening-ip": "127.0.0.1",
        "relay-ip": "127.0.0.1",
        "tls-listening-port": str(port),
        "cert": str(directory / "cert.pem"),
        "pkey": str(directory / "key.pem"),
        "realm": "huizhen.test",
        "static-auth-secret": SECRET,
        "log-file": str(log),
        "pidfile": str(directory / "turn.pid"),
        "db": str(directory / "turndb"),
    }
    flags = ["use-auth-secret", "no-udp", "no-tcp", "no-dtls", "no-cli", "allow-loopback-peers"]
    flags += ["fingerprint", "simple-log", "verbose", "no-stdout-log"]
    process = await asyncio.create_subprocess_exec(
        "turnserver",
        "-n",
        *(f"--{name}={value}" for name, value in options.items()),
        *(f"--{flag}" for flag in flags),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(START_S):
            while not await _answers(port):
                assert process.returncode is None, log.read_text() if log.exists() else "coturn ended"
        turn = TurnServer((f"turns:127.0.0.1:{port}?transport=tcp",), SECRET, 600)
        yield Coturn(turn, log)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        await asyncio.sleep(0.05)
        return False
    writer.close()
    return True
