"""The options ``--ca`` and ``--insecure`` of every gateway."""

from __future__ import annotations

from pathlib import Path

from clients.device import faults
from clients.device.faults import DeviceFault
from clients.sdk.trust import Trust, trust_only


def trust_of(ca: Path | None, insecure: bool) -> Trust:
    """Which server's certificate the gateway takes.

    :raises DeviceFault: both are given, or ``ca`` is no certificate.
    """
    if ca is None:
        return not insecure
    if insecure:
        raise DeviceFault(faults.EXIT_USAGE, faults.CA_OR_INSECURE)
    try:
        return trust_only(ca)
    except OSError as problem:
        raise DeviceFault(faults.EXIT_USAGE, faults.CA_UNREADABLE, str(ca)) from problem
