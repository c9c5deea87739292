"""Gateways and a server whose certificate no authority vouches for, by real HTTPS on 127.0.0.1."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.device import ecg, faults, ultrasound
from clients.device.ecg import EcgOptions
from clients.device.ultrasound import UltrasoundOptions
from media.clock import CountedClock, SystemClock
from server.cli import app
from server.tls import self_signed
from tests.clients.sdk.real_server import ROOM, RealServer, running_server
from tests.server.processes import until

UNTRUSTED = "the server's certificate is not trusted"


@dataclass(frozen=True)
class County:
    """A server with a self-signed certificate, and that certificate's file."""

    server: RealServer
    certificate: Path


@pytest.fixture
async def county(tmp_path: Path) -> AsyncIterator[County]:
    certificate = write_certificate(tmp_path / "own", "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    async with running_server(tmp_path, context) as server:
        yield County(server, certificate)


def write_certificate(directory: Path, name: str) -> Path:
    directory.mkdir()
    certificate, key = self_signed([name], SystemClock().wall())
    (directory / "certificate.pem").write_bytes(certificate)
    (directory / "key.pem").write_bytes(key)
    return directory / "certificate.pem"


def options(county: County, tmp_path: Path) -> EcgOptions:
    token = county.server.token("dev-ecg-1", "device", signals=("publish",))
    return EcgOptions(county.server.url, room_token=token, outbox=tmp_path / "outbox", lang="en")


async def quick(chosen: EcgOptions) -> int:
    """Run to the end of the record, in counted time."""
    clock = CountedClock()

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)
        await asyncio.sleep(0)

    async with asyncio.timeout(20):
        return await ecg.run(chosen, clock, sleep)


async def seen_on(capsys: pytest.CaptureFixture[str], words: str) -> None:
    """Wait until a gateway has said ``words``."""
    said = ""
    async with asyncio.timeout(20):
        while words not in said:
            await asyncio.sleep(0)
            said += capsys.readouterr().err


async def cancelled(task: asyncio.Task[int]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("by", ["ca", "insecure"])
async def test_the_ecg_is_sent_to_a_server_with_its_own_certificate(
    county: County, tmp_path: Path, by: str
) -> None:
    chosen = replace(
        options(county, tmp_path), ca=county.certificate if by == "ca" else None, insecure=by == "insecure"
    )
    assert await quick(chosen) == faults.EXIT_DONE
    (stream,) = county.server.rooms.signal_store.streams(ROOM)
    assert (stream.samples, stream.missing) == (10_000, ())


@pytest.mark.parametrize("by", ["nothing", "another"])
async def test_a_certificate_that_is_not_trusted_is_said_and_the_ecg_kept(
    county: County, tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    other = write_certificate(tmp_path / "other", "127.0.0.1")
    running = asyncio.create_task(
        ecg.run(replace(options(county, tmp_path), ca=other if by == "another" else None))
    )
    await seen_on(capsys, UNTRUSTED)
    await until(lambda: any((tmp_path / "outbox" / ROOM).glob("*.seg")))
    await cancelled(running)
    assert county.server.rooms.signal_store.streams(ROOM) == []


async def test_a_certificate_of_another_name_is_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate = write_certificate(tmp_path / "own", "consult.example.org")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    async with running_server(tmp_path, context) as server:
        chosen = replace(options(County(server, certificate), tmp_path), ca=certificate)
        running = asyncio.create_task(ecg.run(chosen))
        await seen_on(capsys, UNTRUSTED)
        await cancelled(running)


async def test_a_device_waits_for_its_consult_at_such_a_server(
    county: County, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = EcgOptions(
        county.server.url, device_token="account:dev-ecg-1", outbox=tmp_path / "box", lang="en"
    )
    for chosen, words in (
        (waiting, UNTRUSTED),
        (replace(waiting, ca=county.certificate), faults.WAITING.en),
        (replace(waiting, insecure=True), faults.WAITING.en),
    ):
        running = asyncio.create_task(ecg.run(chosen))
        await seen_on(capsys, words)
        await cancelled(running)


async def test_the_ultrasound_is_published_at_such_a_server(
    county: County, capsys: pytest.CaptureFixture[str]
) -> None:
    token = county.server.token("dev-us-1", "device", publish=("ultrasound",))
    plain = UltrasoundOptions(county.server.url, room_token=token, loop=True, lang="en")
    for chosen, words in (
        (plain, UNTRUSTED),
        (replace(plain, ca=county.certificate), faults.SENDING.en),
        (replace(plain, insecure=True), faults.SENDING.en),
    ):
        running = asyncio.create_task(ultrasound.run(chosen))
        await seen_on(capsys, words)
        await cancelled(running)


@pytest.mark.parametrize("kind", ["ecg", "ultrasound"])
def test_the_command_line_says_what_is_wrong_with_a_certificate(kind: str, tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    common = ["device", kind, "--server", "https://127.0.0.1:9", "--room-token", "x", "--lang", "en"]
    if kind == "ecg":
        common += ["--outbox", str(tmp_path / "outbox")]
    for more, words in (
        (["--ca", str(tmp_path / "none.pem")], faults.CA_UNREADABLE.en),
        (["--ca", str(text)], faults.CA_UNREADABLE.en),
        (["--ca", str(text), "--insecure"], faults.CA_OR_INSECURE.en),
        (["--no-insecure"], faults.BAD_ROOM_TOKEN.en),
    ):
        done = CliRunner().invoke(app, [*common, *more])
        assert (done.exit_code, words in done.output) == (faults.EXIT_USAGE, True), done.output
