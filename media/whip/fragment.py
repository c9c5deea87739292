"""``application/trickle-ice-sdpfrag`` (RFC 8840 section 9): what a PATCH carries, and our answer to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from media.errors import TOO_LARGE, RemoteProtocolError
from media.limits import WHIP_MAX_ATTRIBUTES, WHIP_MAX_SDP_BYTES
from media.whip.errors import WHIP_FRAGMENT_MALFORMED

_LINE = re.compile(r"([am])=(.+)")
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
# RFC 8839 section 5.1: foundation component transport priority address port typ type, then name-value pairs.
_CANDIDATE = re.compile(r"\S{1,32} \d{1,3} \S{1,16} \d{1,10} \S{1,255} \d{1,5} typ \S{1,32}( \S+ \S+)*")


@dataclass(frozen=True, slots=True)
class IceFragment:
    """What a fragment says.

    :param ufrag: the peer's user name fragment, None when it says none; ``pwd`` alike.
    :param candidates: how many candidates it names. A lite agent needs none of them.
    """

    ufrag: str | None
    pwd: str | None
    candidates: int
    complete: bool


def parse_fragment(text: str) -> IceFragment:
    """Read one fragment.

    :raises RemoteProtocolError: too_large, or whip_fragment_malformed for what is not one.
    """
    if len(text) > WHIP_MAX_SDP_BYTES:
        raise RemoteProtocolError(TOO_LARGE, "SDP fragment")
    lines = [line for line in text.splitlines() if line]
    if not lines or len(lines) > WHIP_MAX_ATTRIBUTES:
        raise RemoteProtocolError(WHIP_FRAGMENT_MALFORMED, "lines")
    ufrag = pwd = None
    candidates, complete = 0, False
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise RemoteProtocolError(WHIP_FRAGMENT_MALFORMED, "a line is neither a= nor m=")
        name, _, value = match[2].partition(":") if match[1] == "a" else ("", "", "")
        if name == "ice-ufrag":
            ufrag = _checked(_UFRAG, value, name)
        elif name == "ice-pwd":
            pwd = _checked(_PWD, value, name)
        elif name == "candidate":
            _checked(_CANDIDATE, value, name)
            candidates += 1
        elif name == "end-of-candidates":
            complete = True
    if (ufrag is None) != (pwd is None):
        raise RemoteProtocolError(WHIP_FRAGMENT_MALFORMED, "ice-ufrag and ice-pwd come together")
    return IceFragment(ufrag, pwd, candidates, complete)


def restart_fragment(ice_parameters: Mapping[str, Any]) -> str:
    """The answer to an ICE restart: our new credentials (RFC 9725 section 4.3.3).

    :param ice_parameters: mediasoup's JSON.
    """
    ufrag, pwd = ice_parameters["usernameFragment"], ice_parameters["password"]
    return f"a=ice-lite\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n"


def _checked(pattern: re.Pattern[str], value: str, name: str) -> str:
    if not pattern.fullmatch(value.strip()):
        raise RemoteProtocolError(WHIP_FRAGMENT_MALFORMED, name)
    return value.strip()
