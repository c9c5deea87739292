"""Which media plane a server really runs, and whether its compiled module is of these sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from loadtest.server_process import ServerFailedError
from media.native.sources import digest

_READY_S = 10.0
_MEDIA = Path(__file__).parents[1] / "media"


def conditions(url: str, asked: str) -> dict[str, Any]:
    """What a report says of it, by the server's own word.

    :param url: a server that is up.
    :param asked: the configuration's ``media.plane``.

    :raises ServerFailedError: it runs another plane than was asked for by name, or a compiled module of other
        sources than these: its figures would be another program's.
    """
    with urlopen(f"{url}/readyz", timeout=_READY_S) as answer:  # noqa: S310 - the server that we started
        ready = json.load(answer)
    return judge(ready["mediaPlane"], ready["mediaBuild"], asked, digest(_MEDIA))


def judge(plane: str, build: str, asked: str, here: str | None) -> dict[str, Any]:
    """`conditions` without the question.

    :param here: digest of the sources beside this program; None where there are none, as in a wheel.
    """
    if asked not in ("auto", plane):
        raise ServerFailedError(f"the {asked} plane was asked for and the {plane} plane runs")
    if plane != "native":
        return {"plane": plane}
    if here is not None and not (build and here.startswith(build)):
        raise ServerFailedError(
            f"the compiled plane is of build {build or 'unknown'}, "
            f"the sources here are {here[: len(build) or 12]}: build it again (make setup)"
        )
    return {"plane": plane, "native_build": build}
