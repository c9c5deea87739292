"""``huizhen device``: the gateways that stand at the clinic, sending real recorded signals."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

import clients.device.ecg as ecg
import clients.device.ultrasound as ultrasound
from server.config import LogConfig
from server.log import configure_logging
from server.loop import run

device_app = typer.Typer(help="Gateways at the clinic.", no_args_is_help=True)

ServerOption = Annotated[str, typer.Option(help="Base address of the server, https://host:port.")]
TokenOption = Annotated[
    str | None, typer.Option("--token", help="The device's token; it then waits for a consult.")
]
RoomTokenOption = Annotated[str | None, typer.Option(help="A room token, to send at once.")]
LoopOption = Annotated[bool, typer.Option(help="Begin anew at the end of the record.")]
CaOption = Annotated[
    Path | None,
    typer.Option("--ca", help="PEM file with the certificate (authority or self-signed) to trust."),
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure/--no-insecure", help="Take any certificate; for a trial only.")
]
LanguageOption = Annotated[str, typer.Option(help="zh or en.")]

_QUIET = LogConfig(level="warning")


@device_app.command("ecg")
def device_ecg(
    server: ServerOption,
    token: TokenOption = None,
    room_token: RoomTokenOption = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="A file, - (text messages on standard input), tcp://HOST:PORT, mqtt://HOST/TOPIC, lsl:NAME, "
            "or synthetic:ecg,pleth?rate=72&noise=3; a real 12-lead record if none."
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="The same as --source FILE.")] = None,
    loop: LoopOption = False,
    outbox: Annotated[Path, typer.Option(help="Directory for what the server has not confirmed.")] = Path(
        "outbox"
    ),
    lang: LanguageOption = "zh",
    ca: CaOption = None,
    insecure: InsecureOption = False,
) -> None:
    """Send an ECG and other signals; every sample is kept until the server has it."""
    options = ecg.EcgOptions(
        server, token, room_token, file, loop, lang, ca, insecure, source=source, outbox=outbox
    )
    _run_gateway(ecg.run(options))


@device_app.command("ultrasound")
def device_ultrasound(
    server: ServerOption,
    token: TokenOption = None,
    room_token: RoomTokenOption = None,
    file: Annotated[Path | None, typer.Option(help="DICOM cine; a real ultrasound cine if none.")] = None,
    loop: LoopOption = False,
    lang: LanguageOption = "zh",
    ca: CaOption = None,
    insecure: InsecureOption = False,
) -> None:
    """Publish an ultrasound cine as a video track, by WHIP."""
    _run_gateway(
        ultrasound.run(
            ultrasound.UltrasoundOptions(server, token, room_token, file, loop, lang, ca, insecure)
        )
    )


def _run_gateway(gateway: Coroutine[Any, Any, int]) -> None:
    configure_logging(_QUIET)
    sys.exit(run(gateway))
