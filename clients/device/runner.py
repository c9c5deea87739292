"""What every gateway does: options, its file, one room or the rooms it is assigned to."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from clients.device import faults
from clients.device.assignment import Assignment
from clients.device.faults import DeviceFault
from clients.device.status import StatusLine
from clients.device.supervisor import Session, Supervisor
from clients.device.trust import trust_of
from clients.sdk.trust import Trust
from media.errors import RemoteProtocolError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What the command line of each gateway says.

    :param server: base URL, ``http://host:port``.
    :param device_token: the device's own; it then waits to be assigned to a room.
    :param room_token: for one room, without waiting.
    :param file: a DICOM object; the real record in pydicom's wheel when None.
    :param loop: begin anew at the end.
    :param lang: ``zh`` or ``en``.
    :param ca: PEM file of the one authority, or self-signed certificate, to trust; the machine's when None.
    :param insecure: take any certificate.
    """

    server: str
    device_token: str | None = field(default=None, repr=False)
    room_token: str | None = field(default=None, repr=False)
    file: Path | None = None
    loop: bool = False
    lang: str = "zh"
    ca: Path | None = None
    insecure: bool = False


async def serve_rooms(
    options: GatewayOptions, session: Callable[[Assignment, Trust], Session], status: StatusLine
) -> None:
    """Run the session of the room that the token names, or of each room that the device is assigned to.

    :raises DeviceFault: there is no token, it is no good, or the session cannot go on.
    """
    trust = trust_of(options.ca, options.insecure)
    if options.room_token is not None:
        await session(room_of_token(options.room_token), trust).run()
    elif options.device_token is not None:
        start = lambda assignment: session(assignment, trust)  # noqa: E731
        await Supervisor(options.server, options.device_token, trust, start, status).run()
    else:
        raise DeviceFault(faults.EXIT_USAGE, faults.NO_TOKEN)


def load(file: Path, read: Callable[[Path], T]) -> T:
    """A file's content.

    :param read: raises `RemoteProtocolError` for what it cannot read, `OSError` when the disk fails.
    :raises DeviceFault: there is none, or it is not what it should be.
    """
    try:
        return read(file)
    except FileNotFoundError:
        raise DeviceFault(faults.EXIT_USAGE, faults.FILE_MISSING, str(file)) from None
    except OSError as problem:
        detail = f"{file}: {problem.strerror}"
        raise DeviceFault(faults.EXIT_USAGE, faults.FILE_UNREADABLE, detail) from problem
    except RemoteProtocolError as fault:
        raise DeviceFault(faults.EXIT_USAGE, faults.FILE_UNREADABLE, f"{file} ({fault})") from fault


def room_of_token(token: str) -> Assignment:
    """Read which room a token is for; the server checks whether it is good.

    :raises DeviceFault: it is no JWT with a room.
    """
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return Assignment("", str(claims["room"]), token)
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        raise DeviceFault(faults.EXIT_USAGE, faults.BAD_ROOM_TOKEN) from None
