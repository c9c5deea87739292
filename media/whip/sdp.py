"""As much of SDP (RFC 8866) as WHIP needs: lines to sections with attributes, nothing interpreted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from media.errors import TOO_LARGE, RemoteProtocolError
from media.limits import WHIP_MAX_ATTRIBUTES, WHIP_MAX_SDP_BYTES, WHIP_MAX_SECTIONS
from media.whip.errors import WHIP_OFFER_MALFORMED

_LINE = re.compile(r"([a-z])=(.*)")
_MEDIA = re.compile(r"(audio|video|application|text|message|image) (\d{1,5})(?:/\d+)? (\S+) (.+)")


@dataclass(frozen=True, slots=True)
class Section:
    """The session part, or one ``m=`` section.

    :param kind: ``session``, ``audio``, ``video``, ``application`` ...
    :param formats: payload types as they stand in the ``m=`` line.
    :param attributes: name and value of each ``a=`` line in order; flags have an empty value.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]

    @property
    def port_usable(self) -> bool:
        """Offered, not switched off: a bundled section may have port 0 and say so (RFC 9143 section 6)."""
        return self.port != 0 or self.get("bundle-only") is not None

    def get(self, name: str) -> str | None:
        """Value of the first attribute of this name."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator[str]:
        """Values of every attribute of this name."""
        return (value for key, value in self.attributes if key == name)


def parse_sdp(text: str) -> tuple[Section, tuple[Section, ...]]:
    """The session part and the media sections of a description.

    :raises RemoteProtocolError: too_large, or whip_offer_malformed for what is not SDP.
    """
    if len(text) > WHIP_MAX_SDP_BYTES:
        raise RemoteProtocolError(TOO_LARGE, "SDP")
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if not line:
            continue
        if not _LINE.fullmatch(line):
            raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "a line is not type=value")
        if line.startswith("m="):
            blocks.append([])
        blocks[-1].append(line)
    if not blocks[0] or blocks[0][0] != "v=0":
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "does not begin with v=0")
    if len(blocks) - 1 > WHIP_MAX_SECTIONS:
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "too many media sections")
    session = Section("session", 0, "", (), _attributes(blocks[0]))
    return session, tuple(_section(block) for block in blocks[1:])


def _section(lines: list[str]) -> Section:
    match = _MEDIA.fullmatch(lines[0][2:])
    if match is None:
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "m= line")
    kind, port, protocol, formats = match.groups()
    return Section(kind, int(port), protocol, tuple(formats.split()), _attributes(lines[1:]))


def _attributes(lines: list[str]) -> tuple[tuple[str, str], ...]:
    pairs = tuple(
        (name, value)
        for line in lines
        if line.startswith("a=")
        for name, _, value in (line[2:].partition(":"),)
    )
    if len(pairs) > WHIP_MAX_ATTRIBUTES:
        raise RemoteProtocolError(WHIP_OFFER_MALFORMED, "too many attributes")
    return pairs
