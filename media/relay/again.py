"""What is sent again: what a receiver asks for, what a probe is made of, voices on lossy lines. Plain plane.

Pictures go again by RTX. A voice goes again as it was, number, header extension and all: under AES-GCM two
different packets with one number would give the authentication key away (RFC 7714 section 8.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from media.limits import (
    PADDING_HISTORY_PACKETS,
    RELAY_HISTORY_S,
    VOICE_KEPT_BYTES,
    VOICE_SENT_PACKETS,
    VOICE_TWICE_AFTER,
)
from media.relay import rewrite, rtx
from media.relay.pacer import Waiting
from media.relay.rewrite import MediaPacket
from media.rtp.packet import parse_header

if TYPE_CHECKING:
    from media.relay.subscription import PlainSubscription

_VOICE_MASK = VOICE_SENT_PACKETS - 1

Spoken = list[tuple[int, bytes, int] | None]
"""A ring of a voice's newest packets: (sequence, packet as it was sent, where its wide number is)."""


def keep(
    subscription: PlainSubscription,
    voice: Spoken,
    sequence: int,
    packet: bytearray,
    number_at: int,
    now: float,
) -> None:
    """Keep what was sent; where voices go again, that before the last does now, and the one before it."""
    if len(packet) > VOICE_KEPT_BYTES:
        return
    voice[sequence & _VOICE_MASK] = (sequence, bytes(packet), number_at)
    for copy in range(subscription.gate.voice_copies):
        before = sequence - VOICE_TWICE_AFTER - copy & 0xFFFF
        if _is_kept(voice, before):
            _say_again(subscription, voice, before, now)


def _is_kept(voice: Spoken, sequence: int) -> bool:
    kept = voice[sequence & _VOICE_MASK]
    return kept is not None and kept[0] == sequence


def _say_again(subscription: PlainSubscription, voice: Spoken, sequence: int, now: float) -> None:
    kept = voice[sequence & _VOICE_MASK]
    if kept is not None and not subscription.repeat(kept[1], kept[2], now):
        subscription.refused += 1


def retransmit(subscription: PlainSubscription, sequences: Iterable[int], now: float) -> int:
    """Answer a NACK; returns how many can be sent again.

    By RTX from the layers' histories, at the line's pace; what waits already does not go twice. A voice does
    not wait. What no history holds any more will be missed for ever, and a receiver asks for it for two
    seconds or three before it asks for a key frame: that is asked for here, unless one has come since.
    """
    if subscription.voice is not None:
        return _retransmit_voice(subscription, subscription.voice, sequences, now)
    gate, is_gone, count = subscription.gate, False, 0
    for sequence in sequences:
        found = _sent(subscription, sequence)
        if found is None:
            is_gone = is_gone or _is_gone(subscription, sequence, now)
            continue
        waits = now < gate.open_at
        if waits and gate.resends(subscription, sequence):
            continue
        if not subscription.budget.allows(sequence, now, gate.queued_s):
            continue
        if waits:
            size = len(found[0].data) + 2
            subscription.hold(Waiting(subscription, None, None, False, sequence, size), now)
        else:
            _resend(subscription, *found, now)
        count += 1
    subscription.retransmitted += count
    if is_gone:
        subscription.starved()
    return count


def _is_gone(subscription: PlainSubscription, sequence: int, now: float) -> bool:
    """Whether this was sent of the layer that is sent now, is kept no more, and no key frame came since."""
    entry, current = rewrite.sent(subscription.egress, sequence), subscription.current
    if entry is None or current is None or entry[5] != current.index + 1:
        return False
    return now - current.frames.key_at >= RELAY_HISTORY_S


def _retransmit_voice(
    subscription: PlainSubscription, voice: Spoken, sequences: Iterable[int], now: float
) -> int:
    count = 0
    for sequence in sequences:
        if _is_kept(voice, sequence) and subscription.budget.allows(sequence, now):
            _say_again(subscription, voice, sequence, now)
            count += 1
    subscription.retransmitted += count
    return count


def resend(subscription: PlainSubscription, sequence: int, now: float) -> int:
    """Send one packet again by RTX if it is still there; returns its size in bytes, or 0."""
    found = _sent(subscription, sequence)
    return _resend(subscription, *found, now) if found is not None else 0


def pad(subscriptions: Iterable[PlainSubscription], least: int, now: float) -> int:
    """Send at least so many bytes that carry nothing new; returns how many, 0 when no track has RTX.

    The newest packets of a track that is being sent go again, which repairs what was lost without notice;
    where nothing is being sent there is padding alone. By RTX, so that the media's numbers are left alone.
    """
    able = [one for one in subscriptions if one.rtx_ssrc >= 0 and one.numbered]
    for subscription in able:
        newest = subscription.egress.sequences.newest_out
        sent = back = 0
        while sent < least and (size := resend(subscription, newest - back & 0xFFFF, now)):
            sent += size
            back = (back + 1) % PADDING_HISTORY_PACKETS
        if sent:
            return sent
    return _pad_empty(able[0], least, now) if able else 0


def _pad_empty(subscription: PlainSubscription, least: int, now: float) -> int:
    sent = 0
    while sent < least:
        subscription.rtx_sequence = (subscription.rtx_sequence + 1) & 0xFFFF
        packet, number_at = rtx.padding(
            subscription.rtx_payload_type,
            subscription.rtx_ssrc,
            subscription.rtx_sequence,
            subscription.egress.last_timestamp or 0,
            subscription.numbered,
        )
        subscription.send(packet, number_at, now)
        sent += len(packet)
    return sent


def _sent(subscription: PlainSubscription, sequence: int) -> tuple[MediaPacket, rewrite.Sent] | None:
    """A packet that left with this number, and its numbers, while both are remembered."""
    entry = rewrite.sent(subscription.egress, sequence)
    if entry is None:
        return None
    packet = subscription.layers[entry[5] - 1].history.get(entry[0])
    return None if packet is None else (packet, entry)


def _resend(subscription: PlainSubscription, packet: MediaPacket, entry: rewrite.Sent, now: float) -> int:
    _, picture_id, timestamp, sequence, tl0, _ = entry
    egress = subscription.egress
    rewrite.write(packet, egress.ssrc, sequence, timestamp, picture_id, tl0)
    rewrite.stamp(packet, rewrite.abs_send_time(now))
    if not subscription.numbered:
        rewrite.clear_number(packet)
    data = packet.data
    if egress.removed_extensions and packet.extension_profile:
        data = rewrite.without_extensions(data, parse_header(data), egress.removed_extensions)
    subscription.rtx_sequence = (subscription.rtx_sequence + 1) & 0xFFFF
    again = rtx.as_rtx(
        data,
        packet.payload_start,
        subscription.rtx_payload_type,
        subscription.rtx_ssrc,
        subscription.rtx_sequence,
    )
    if not subscription.send(again, packet.number_at if subscription.numbered else -1, now):
        subscription.refused += 1
    return len(again)
