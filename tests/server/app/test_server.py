"""Starting and stopping: in order, twice, half way, and with HTTPS."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from media.clock import SystemClock
from server.app import Server
from server.demo import seed
from server.tls import self_signed, ssl_context
from tests.server.running import config_in

NOW = 1_767_225_600.0


async def test_a_second_start_keeps_what_there_was(tmp_path: Path) -> None:
    config = config_in(tmp_path / "data")
    first = await Server.start(config, SystemClock())
    assert await seed(first.services) is True
    await first.stop()
    again = await Server.start(config, SystemClock())
    assert await seed(again.services) is False
    await again.stop()
    await again.stop()


async def test_a_start_that_fails_leaves_nothing_open(tmp_path: Path) -> None:
    config = config_in(tmp_path / "data")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = replace(config, http=replace(config.http, port=taken.getsockname()[1]))
        with pytest.raises(OSError, match="in use"):
            await Server.start(busy, SystemClock())
    running = await Server.start(config, SystemClock())
    await running.stop()


async def test_phones_get_https_with_a_certificate_that_is_kept(tmp_path: Path) -> None:
    config = config_in(tmp_path / "data")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    running = await Server.start(replace(config, http=replace(config.http, https_port=free)), SystemClock())
    certificate = tmp_path / "data" / "tls" / "certificate.pem"
    trusted = ssl.create_default_context(cafile=str(certificate))
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{running.https_url}/healthz", ssl=trusted) as reply,
    ):
        assert reply.status == 200
    await running.stop()
    assert (certificate.parent / "key.pem").stat().st_mode & 0o777 == 0o600


def test_the_self_signed_certificate_is_for_these_names_and_renewed_in_time(tmp_path: Path) -> None:
    certificate_pem, _ = self_signed(["hz.example", "192.0.2.7", "192.0.2.7"], NOW)
    names = (
        x509.load_pem_x509_certificate(certificate_pem)
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )
    assert names.get_values_for_type(x509.DNSName) == ["hz.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    config = config_in(tmp_path)
    path = tmp_path / "tls" / "certificate.pem"
    ssl_context(config, NOW)
    first = path.read_bytes()
    ssl_context(config, NOW + 86_400)
    assert path.read_bytes() == first
    ssl_context(config, NOW + 397 * 86_400)
    assert path.read_bytes() != first
