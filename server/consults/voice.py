"""Voice notes among the materials: what a browser's recorder makes, and how long it lasts.

Chromium and Firefox write Opus into WebM (Firefox also into Ogg), Safari AAC into MP4. Nothing is decoded:
the packets are walked through to the end, which finds a file that is cut, holds a picture, or is too long.
"""

from __future__ import annotations

import io
from typing import Final

import av

from server.consults.errors import VOICE_NOTE_TOO_LONG, ActionRefused
from server.consults.limits import VOICE_NOTE_BYTES, VOICE_NOTE_S, VOICE_NOTE_SLACK_S

WEBM, OGG, MP4 = "audio/webm", "audio/ogg", "audio/mp4"
VOICE_TYPES: Final = {WEBM: "webm", OGG: "ogg", MP4: "m4a"}
"""Media types, and what the name of such a file ends with."""

_FORMATS: Final = {WEBM: "matroska", OGG: "ogg", MP4: "mp4"}
_CODECS: Final = frozenset({"opus", "aac"})


def voice_type_of(data: bytes) -> str | None:
    """The media type of a voice note; None when the bytes are none.

    :raises ActionRefused: voice_note_too_long.
    """
    media_type = _by_head(data)
    if media_type is None:
        return None
    seconds = _seconds(data, _FORMATS[media_type])
    if seconds is None:
        return None
    if seconds > VOICE_NOTE_S + VOICE_NOTE_SLACK_S or len(data) > VOICE_NOTE_BYTES:
        raise ActionRefused(VOICE_NOTE_TOO_LONG)
    return media_type


def _by_head(data: bytes) -> str | None:
    """EBML's mark (RFC 8794 section 11.2.1), Ogg's page (RFC 3533 section 6), MP4's first box (ISO
    14496-12).
    """
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return WEBM
    if data.startswith(b"OggS"):
        return OGG
    return MP4 if data[4:8] == b"ftyp" else None


def _seconds(data: bytes, container_format: str) -> float | None:
    """How long the only track lasts, by its packets; None when there is no voice in it, or another track."""
    try:
        with av.open(io.BytesIO(data), "r", format=container_format) as container:
            [stream] = container.streams
            if stream.type != "audio" or stream.codec_context.name.removeprefix("lib") not in _CODECS:
                return None
            end = 0.0
            for packet in container.demux(stream):
                if packet.pts is not None and packet.time_base is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            return end or None
    except (av.FFmpegError, ValueError, LookupError, OSError):
        return None
