"""H.264 profile-level-id: which profiles are the same (RFC 6184 section 8.1, ITU-T H.264 A.2).

FFmpeg names plain baseline (``4200xx``) for streams that keep to constrained baseline; browsers offer
only the constrained one. Both are treated as constrained baseline here.
"""

from __future__ import annotations

import re

_FORM = re.compile(r"^[0-9a-fA-F]{6}$")
_DEFAULT = "420010"  # RFC 6184 section 8.1: baseline, level 1, when the parameter is absent
CONSTRAINED_BASELINE = "constrained-baseline"


def profile_of(profile_level_id: object) -> str | None:
    """A name for the profile, equal for profiles that can be exchanged; None when it is malformed."""
    text = str(profile_level_id or _DEFAULT)
    if not _FORM.match(text):
        return None
    idc, constraints = int(text[:2], 16), int(text[2:4], 16)
    if idc == 0x42 or (idc in (0x4D, 0x58) and constraints & 0x80):
        return CONSTRAINED_BASELINE
    if idc == 0x64 and constraints & 0x0C == 0x0C:
        return "constrained-high"
    return f"profile-{idc:02x}"


def normalized(profile_level_id: object) -> str:
    """The id under which a stream of an exchangeable profile is announced to receivers."""
    text = str(profile_level_id or _DEFAULT).lower()
    return f"42e0{text[4:]}" if profile_of(text) == CONSTRAINED_BASELINE else text
