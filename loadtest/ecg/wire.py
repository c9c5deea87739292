"""What an ECG takes of a line, by the length of its frames: counted, nothing is sent."""

from __future__ import annotations

import uuid
from typing import Any

from loadtest.ecg.cases import WIRE
from loadtest.ecg.source import samples_of
from media.signals.descriptor import StreamDescriptor
from media.signals.frames import FLAG_DELTA, Frame, encode

LENGTHS_MS = (40, 60, 100, 200)
RATE_HZ = 1000
AROUND = 60
"""Bytes around a frame on its way to the server: WebSocket 8 (RFC 6455 section 5.2, masked), TCP with
timestamps 32, IPv4 20.
"""


def wire_cost() -> list[dict[str, Any]]:
    """A figure for each number of leads and length of frames, of the real record."""
    return [_cost(leads, length) for leads in (12, 18) for length in LENGTHS_MS]


def _cost(leads: int, length_ms: int) -> dict[str, Any]:
    described, samples = samples_of(leads)
    descriptor = StreamDescriptor(str(uuid.uuid4()), "ecg", "ECG", float(RATE_HZ), described)
    size = RATE_HZ * length_ms // 1000
    starts = range(0, len(samples) - size + 1, size)
    sizes = [
        len(encode(Frame.of(descriptor, number, 0, samples[start : start + size], FLAG_DELTA)))
        for number, start in enumerate(starts)
    ]
    seconds = len(sizes) * size / RATE_HZ
    return {
        "case": f"{WIRE}-{leads}-leads-{length_ms}-ms",
        "leads": leads,
        "samples_per_second": RATE_HZ,
        "frame_ms": length_ms,
        "frames_per_second": round(len(sizes) / seconds, 1),
        "bytes_per_frame": round(sum(sizes) / len(sizes)),
        "kilobits_per_second": round(8 * (sum(sizes) + AROUND * len(sizes)) / seconds / 1000, 1),
    }
