"""The compiled part of the media plane, where it was built and works here.

`available` is the one place that knows. The module borrows libsrtp from pylibsrtp's wheel by the addresses
of four functions; so the wheel's own declaration of them must be the one that the C code was written for, and
what comes out must be, byte for byte, what pylibsrtp itself gives. Otherwise the Python plane runs.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from media import limits
from media.native.sources import digest
from media.transport.srtp import SRTP_PROFILES, SrtpProfile, new_session

if TYPE_CHECKING:
    from media import _native

BUILD_DIGITS = 12
_FUNCTIONS = ("srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp")
_SIGNATURE = "srtp_err_status_t(*)(struct srtp_ctx_t_ *, void *, int *)"


RULE_LIMITS: dict[str, float] = {
    "packet_bytes": limits.RELAY_PACKET_BYTES,
    "pool_packets": limits.RELAY_POOL_PACKETS,
    "parked_packets": limits.RELAY_PARKED_PACKETS,
    "history_packets": limits.RELAY_HISTORY_PACKETS,
    "history_s": limits.RELAY_HISTORY_S,
    "sent_packets": limits.RELAY_SENT_PACKETS,
    "drops": limits.RELAY_DROPS,
    "max_step": limits.MAX_RTX_STEP,
    "padding_history": limits.PADDING_HISTORY_PACKETS,
    "missing_most": limits.NACK_MAX_MISSING,
    "missing_tries": limits.NACK_MAX_TRIES,
    "missing_age_s": limits.NACK_MAX_AGE_S,
    "missing_retry_s": limits.NACK_MIN_RETRY_S,
    "voice_age_s": limits.VOICE_NACK_MAX_AGE_S,
    "voice_retry_s": limits.VOICE_NACK_RETRY_S,
    "voice_sent": limits.VOICE_SENT_PACKETS,
    "voice_bytes": limits.VOICE_KEPT_BYTES,
    "voice_twice_after": limits.VOICE_TWICE_AFTER,
    "rtx_per_second": limits.RTX_PER_SECOND,
    "rtx_repeat_s": limits.RTX_REPEAT_S,
    "rtx_queue_s": limits.RTX_QUEUE_S,
    "freeze_s": limits.FREEZE_S,
    "estimate_sent": limits.ESTIMATE_SENT_PACKETS,
    "pace_factor": limits.PACE_FACTOR,
    "pace_long_factor": limits.PACE_LONG_FACTOR,
    "pace_burst_s": limits.PACE_BURST_S,
    "pace_long_s": limits.PACE_LONG_S,
    "pace_queue_s": limits.PACE_QUEUE_S,
    "pace_queue_bytes": limits.PACE_QUEUE_BYTES,
    "pace_queue_packets": limits.PACE_QUEUE_PACKETS,
    "pace_turn_s": limits.PACE_TURN_S,
    "arrivals": limits.TWCC_ARRIVALS,
    "feedback_packets": limits.TRANSPORT_FEEDBACK_PACKETS,
    "feedback_s": limits.TRANSPORT_FEEDBACK_S,
    "levels": limits.SPEAKER_LEVELS,
    "consumers": limits.MAX_CONSUMERS_PER_PRODUCER,
    "feedback_turn": limits.TRANSPORT_FEEDBACK_TURN,
    "twcc_statuses": limits.TWCC_MAX_STATUSES,
    "twcc_packet_arrivals": limits.TWCC_PACKET_ARRIVALS,
    "twcc_late_s": limits.TWCC_LATE_S,
    "silence_s": limits.ESTIMATE_SILENCE_S,
    "heard_feedbacks": limits.HEARD_FEEDBACKS,
    "heard_packets": limits.HEARD_PACKETS,
    "reports_per_packet": limits.REPORTS_PER_PACKET,
    "rtcp_bytes": limits.RTCP_PACKET_BYTES,
    "reports_kept": limits.SENDER_REPORTS_KEPT,
    "without_reports_s": limits.WITHOUT_REPORTS_S,
}
"""The compiled rule's bounds, by their names in ``media/native/rule.h``."""


class NativeUnavailableError(Exception):
    """The compiled module cannot be used; the text says why."""


@cache
def problem() -> str | None:
    """Why the compiled module cannot be used; None when it can. Looked at once in a process."""
    try:
        _prepare()
    except NativeUnavailableError as error:
        return str(error)
    return None


def available() -> bool:
    """Whether the compiled module is there and has passed its self-test."""
    return problem() is None


def module() -> ModuleType:
    """The compiled module. Raises NativeUnavailableError."""
    reason = problem()
    if reason is not None:
        raise NativeUnavailableError(reason)
    return importlib.import_module("media._native")


def build() -> str:
    """Which build of the compiled module this is: the beginning of its sources' digest. Raises
    NativeUnavailableError."""
    made_of: str = module().SOURCES
    return made_of[:BUILD_DIGITS]


def stale(made_of: str) -> bool:
    """Whether a module with this digest was built of other sources than stand here."""
    here = digest(Path(__file__).parents[1])
    return made_of != here if here is not None else not made_of


def srtp(profile: SrtpProfile, key: bytes, outbound: bool) -> _native.Srtp:
    """One direction of one SRTP session for the compiled module.

    :param key: master key and salt. Raises NativeUnavailableError.
    """
    return _srtp(module(), profile, key, outbound)


def _srtp(compiled: Any, profile: SrtpProfile, key: bytes, outbound: bool) -> _native.Srtp:
    session = new_session(profile, key, outbound)
    made: _native.Srtp = compiled.Srtp(context_address(session), session, outbound)
    return made


def new_rule() -> _native.Rule:
    """The relay's tables for one media socket. Raises NativeUnavailableError."""
    made: _native.Rule = module().Rule(RULE_LIMITS)
    return made


def context_address(session: Session) -> int:
    """Where libsrtp keeps a session; good as long as the session lives."""
    return int(ffi.cast("uintptr_t", session._srtp[0]))


def _prepare() -> None:
    try:
        compiled: Any = importlib.import_module("media._native")
    except ImportError as error:
        raise NativeUnavailableError(f"not built ({error})") from error
    if stale(getattr(compiled, "SOURCES", "")):
        raise NativeUnavailableError("built from other sources than these: build it again (make setup)")
    compiled.bind([_address(name) for name in _FUNCTIONS])
    for profile in SRTP_PROFILES:
        _compare(compiled, profile)


def _address(name: str) -> int:
    function = getattr(lib, name, None)
    if function is None or str(ffi.typeof(function)) != f"<ctype '{_SIGNATURE}'>":
        raise NativeUnavailableError(f"pylibsrtp declares {name} in another way")
    return int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))


def _compare(compiled: Any, profile: SrtpProfile) -> None:
    """The self-test: our calls give what pylibsrtp's give, and come back to what they were given."""
    key = bytes(range(profile.key_length + profile.salt_length))
    rtp = bytes.fromhex("806000010000000211223344") + bytes(range(200))
    rtcp = bytes.fromhex("80c8000611223344") + bytes(range(20))
    theirs = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile.libsrtp_id))
    ours = _srtp(compiled, profile, key, True)
    back = _srtp(compiled, profile, key, False)
    pairs = (
        (rtp, theirs.protect(rtp), ours.rtp, back.rtp),
        (rtcp, theirs.protect_rtcp(rtcp), ours.rtcp, back.rtcp),
    )
    for plain, expected, protect, unprotect in pairs:
        if protect(plain) != expected or unprotect(expected) != plain:
            raise NativeUnavailableError(f"the self-test of {profile.name} gave other bytes than pylibsrtp")
