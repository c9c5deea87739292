"""``huizhen serve | demo | check | config``. Thin: each reads its options, calls one function and prints."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from media.clock import SystemClock
from server.app import Server
from server.check import CheckOptions, run_check
from server.config import Config, LogConfig, MediaConfig, load_config, sample_toml
from server.demo import run_demo
from server.demo_county import PASSWORD
from server.log import configure_logging
from server.loop import run
from server.run import serve

server_app = typer.Typer()

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file; see docs/huizhen.sample.toml.")
]


def ready_line(server: Server) -> str:
    """What a program that started us waits for on standard output."""
    config = server.services.config
    facts = {
        "url": server.url,
        "data": str(config.data_directory),
        "mediaPort": server.services.media_socket.port,
    }
    return "READY " + json.dumps(facts)


@server_app.command("serve")
def serve_command(config: ConfigOption = None) -> None:
    """Run the server until SIGTERM or Ctrl-C."""
    settings = load_config(config)
    configure_logging(settings.log)

    @asynccontextmanager
    async def announce(server: Server) -> AsyncIterator[None]:
        print(ready_line(server), flush=True)
        yield

    run(serve(settings, announce))


@server_app.command("demo")
def demo_command(
    data: Annotated[Path, typer.Option(help="Directory that keeps the demo county.")] = Path("demo-data"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8080,
    https_port: Annotated[int, typer.Option(help="HTTPS port for phones, self-signed; 0 = none.")] = 0,
    media_port: Annotated[int, typer.Option(help="UDP port; 0 takes a free one.")] = 40000,
    announce: Annotated[
        list[str] | None, typer.Option(help="Address under which browsers reach this machine.")
    ] = None,
    devices: Annotated[bool, typer.Option(help="Start the simulated ECG and ultrasound.")] = True,
) -> None:
    """Run a demo county with simulated devices; prints where to go and who can sign in."""
    base = load_config(None)
    settings = replace(
        base,
        storage=replace(base.storage, directory=str(data)),
        http=replace(base.http, host=host, port=port, https_port=https_port),
        media=_demo_media(base, host, media_port, announce or []),
        log=replace(base.log, level="warning") if base.log.level == "info" else base.log,
    )
    configure_logging(settings.log)
    run(run_demo(settings, devices=devices, ready_line=ready_line))


def _demo_media(base: Config, host: str, port: int, announce: list[str]) -> MediaConfig:
    # Bound to one address, that one is announced; bound to all, what the machine finds out or was told.
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound
    addresses = tuple(announce) or (() if everywhere else (host,))
    return replace(base.media, listen_ip=host, port=port, announced_addresses=addresses)


@server_app.command("check")
def check_command(
    url: Annotated[str | None, typer.Option(help="Server to check, with the demo's accounts.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    config: ConfigOption = None,
    password: Annotated[str, typer.Option(help="Of the demo's accounts.")] = PASSWORD,
    seconds: Annotated[float, typer.Option(help="How long media flows before it is judged.")] = 3.0,
    insecure: Annotated[bool, typer.Option(help="Take a self-signed certificate.")] = False,
) -> None:
    """Run a whole consult and say what works, what does not, and how long it takes."""
    configure_logging(LogConfig(level="error"))
    options = CheckOptions(url, config, password, seconds, tls_verify=not insecure)
    report = run(run_check(options, SystemClock()))
    report.show(Console())
    if json_file is not None:
        conditions = {"url": url, "seconds": seconds}
        json_file.write_text(json.dumps(report.as_json(conditions), ensure_ascii=False, indent=2), "utf-8")
    raise typer.Exit(1 if report.failed else 0)


@server_app.command("config")
def config_command() -> None:
    """Print the commented sample configuration."""
    typer.echo(sample_toml(), nl=False)
