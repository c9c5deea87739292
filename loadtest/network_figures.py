"""From samples of a watched page to the figures of one case. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from loadtest.report import percentile

Sample = Mapping[str, Any]
"""What `loadtest.network_watch.Watch.sample` gives; times in ms since 1970."""

FULL_RATE_SHARE = 0.7
"""Full quality is the resolution of before at this share of its frame rate at least."""


SAMPLES_PER_MS = 48
"""Chromium counts what it plays at Opus's 48 kHz (RFC 7587 section 4.1)."""
STILL_MS = 1500
"""A picture that has not changed for so long at the end of a window does not move."""
IN_FLIGHT_MS = 100
"""What was on its way when a line broke still comes for this long, and proves nothing."""


def inbound(sample: Sample, source: str) -> Mapping[str, Any]:
    """The statistics of one source; empty while it is not received. The newest stream wins."""
    found = [one for one in sample["inbound"] if one["source"] == source]
    return max(found, key=lambda one: one.get("packetsReceived", 0), default={})


Pauses = Mapping[str, Sequence[tuple[float, float]]]
"""By source: from when to when (ms since 1970) the server told that it sends no picture."""


def of_window(samples: Sequence[Sample], began_ms: float, pauses: Pauses | None = None) -> dict[str, Any]:
    """Freezes, concealment, layers and ECG between the first and the last sample.

    Picture gaps are those that reach beyond ``began_ms``; what was told to be paused is no freeze.
    A counter that became smaller means that the
    page made a new receiver meanwhile; then it counts from there.
    """
    first, last = samples[0], samples[-1]
    minutes = (last["at"] - first["at"]) / 60_000
    figures: dict[str, Any] = _audio(first, last)
    longest: list[tuple[float, str, float]] = []
    for source in ("camera", "ultrasound"):
        if not any(inbound(sample, source) for sample in samples):
            continue
        gaps = _gaps(last, source, began_ms, (pauses or {}).get(source, ()))
        longest += [(length, source, begin) for begin, length in gaps]
        most = max((length for _, length in gaps), default=0.0)
        figures[source] = _video(samples, source, minutes) | {"longest_gap_ms": round(most)}
    length, source, begin = max(longest, default=(0.0, "", began_ms))
    figures["longest_freeze_ms"] = round(length) if "camera" in figures else None
    figures["longest_freeze_of"] = (
        {"source": source, "at_s": round((begin - began_ms) / 1000, 2)} if source else None
    )
    figures["sources_moving"] = [
        source
        for source, seen in last["pictures"].items()
        if last["at"] - seen["last"] < STILL_MS and seen["last"] > began_ms
    ]
    return figures | _ecg(first, last)


def _grown(first: Mapping[str, Any], last: Mapping[str, Any], name: str) -> float:
    before, after = first.get(name, 0) or 0, last.get(name, 0) or 0
    return float(after - before if after >= before else after)


def _audio(first: Sample, last: Sample) -> dict[str, Any]:
    before, after = inbound(first, "microphone"), inbound(last, "microphone")
    total = _grown(before, after, "totalSamplesReceived")
    concealed = _grown(before, after, "concealedSamples")
    audible = concealed - _grown(before, after, "silentConcealedSamples")
    if not total:
        return {"audio_concealed_percent": None}
    return {
        "audio_concealed_percent": round(100 * concealed / total, 2),
        "audio_concealed_audibly_percent": round(100 * max(0.0, audible) / total, 2),
    }


def concealed_by_part(samples: Sequence[Sample], settled_ms: float) -> dict[str, Any]:
    """Sound while the sender notices that a line is another one, and after ``settled_ms``, apart.

    ``transition_concealed_ms`` is a sum of time, as a share would depend on what it is divided by. None where
    too few samples were taken.
    """
    before = [sample for sample in samples if sample["at"] < settled_ms]
    after = [sample for sample in samples if sample["at"] >= settled_ms]
    found: dict[str, Any] = {"transition_concealed_ms": None, "settled_concealed_percent": None}
    if before and after:
        first, then = inbound(before[0], "microphone"), inbound(after[0], "microphone")
        found["transition_concealed_ms"] = round(_grown(first, then, "concealedSamples") / SAMPLES_PER_MS)
    if len(after) > 1:
        found["settled_concealed_percent"] = _audio(after[0], after[-1])["audio_concealed_percent"]
    return found


def _gaps(
    last: Sample, source: str, began_ms: float, pauses: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for begin, length in last["pictures"].get(source, {}).get("gaps", ()):
        if begin + length > began_ms:
            found += _without(begin, begin + length, pauses)
    return found


def _without(begin: float, end: float, pauses: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """What remains of a gap outside of the pauses: begin and length of its pieces."""
    pieces = []
    for paused, resumed in pauses:
        if paused < end and resumed > begin:
            pieces.append((begin, max(0.0, paused - begin)))
            begin = max(begin, min(resumed, end))
    return [*pieces, (begin, end - begin)]


def _video(samples: Sequence[Sample], source: str, minutes: float) -> dict[str, Any]:
    before, after = inbound(samples[0], source), inbound(samples[-1], source)
    seen = [one for sample in samples if (one := inbound(sample, source)).get("frameHeight")]
    seconds = minutes * 60
    return {
        "freezes_per_minute": round(_grown(before, after, "freezeCount") / minutes, 1),
        "frozen_percent": round(100 * _grown(before, after, "totalFreezesDuration") / seconds, 1),
        "heights": sorted({int(one["frameHeight"]) for one in seen}),
        "height_at_end": int(seen[-1]["frameHeight"]) if seen else None,
        "frames_per_second": round(median([one.get("framesPerSecond", 0) for one in seen]), 1) if seen else 0,
        "kbps": round(_grown(before, after, "bytesReceived") * 8 / seconds / 1000),
        "packets_lost_after_repair": int(_grown(before, after, "packetsLost")),
        "retransmitted": int(_grown(before, after, "retransmittedPacketsReceived")),
    }


def _ecg(first: Sample, last: Sample) -> dict[str, Any]:
    before, after = first["ecg"], last["ecg"]
    if not before or not after or after["sequence"] < 0:
        return {"ecg_gaps": None}
    frames = after["sequence"] - before["sequence"]
    delays = after["delays"][-max(frames, 1) :]
    seconds = (last["at"] - first["at"]) / 1000
    return {
        "ecg_gaps": after["gaps"] - before["gaps"] if after["gaps"] >= before["gaps"] else after["gaps"],
        "ecg_samples_per_second": round((after["samples"] - before["samples"]) / seconds),
        "ecg_delay_p99_ms": round(percentile(delays, 99), 1) if delays else None,
    }


def full_again(sample: Sample, baseline: Sample, source: str = "camera") -> bool:
    """Whether a source has the resolution of ``baseline`` and (nearly) its frame rate."""
    now, then = inbound(sample, source), inbound(baseline, source)
    if not then:
        return True
    same_height = now.get("frameHeight", 0) >= then.get("frameHeight", 0)
    enough = now.get("framesPerSecond", 0) >= FULL_RATE_SHARE * then.get("framesPerSecond", 0)
    return bool(same_height and enough)


def by_step(
    samples: Sequence[Sample], begins_ms: Sequence[float], pauses: Pauses | None = None
) -> list[dict[str, Any]]:
    """The figures of each step of a line; a step without two samples is left out."""
    found = []
    for begin, end in zip(begins_ms, [*begins_ms[1:], float("inf")], strict=True):
        within = [sample for sample in samples if begin <= sample["at"] < end]
        if len(within) >= 2:
            found.append(
                {"at_s": round((begin - begins_ms[0]) / 1000, 1), **of_window(within, begin, pauses)}
            )
    return found


def clinical_order_kept(steps: Sequence[Mapping[str, Any]], baseline: Sample) -> bool:
    """Whether the ultrasound was never lowered while the camera was not.

    Lowered: at a step's end fewer lines than in ``baseline``, or less than `FULL_RATE_SHARE` of its rate.
    """
    return all(_lowered(step, "camera", baseline) for step in steps if _lowered(step, "ultrasound", baseline))


def _lowered(step: Mapping[str, Any], source: str, baseline: Sample) -> bool:
    then = inbound(baseline, source)
    now = step.get(source)
    if not then:
        return False
    if now is None:
        return True
    fewer_lines = (now["height_at_end"] or 0) < then.get("frameHeight", 0)
    slower = now["frames_per_second"] < FULL_RATE_SHARE * then.get("framesPerSecond", 0)
    return bool(fewer_lines or slower)


def ways(samples: Sequence[Sample]) -> dict[str, Any]:
    """How media found its way: whether all connections lived in the frame, and restarts of ICE meanwhile."""
    seen = {way["fragment"] for sample in samples for way in sample["ways"]}
    return {
        "connections_in_frame": all(way["framed"] for sample in samples for way in sample["ways"]),
        "ice_restarts": len(seen) - len({way["fragment"] for way in samples[0]["ways"]}),
    }


def media_back(samples: Sequence[Sample], since_ms: float) -> float | None:
    """Seconds from ``since_ms`` until a remote picture was shown and sound had come; None if not seen.

    Samples are taken while waiting, so the answer is as exact as they are dense.
    """
    reference: Sample | None = None
    for sample in samples:
        if sample["at"] < since_ms + IN_FLIGHT_MS:
            continue
        if reference is None:
            reference = sample
            continue
        picture = sample["pictures"].get("camera", {}).get("last", 0) > reference["at"]
        before = inbound(reference, "microphone").get("packetsReceived", 0)
        sound = inbound(sample, "microphone").get("packetsReceived", 0)
        if picture and (sound > before or 0 < sound < before):
            return round(float(sample["at"] - since_ms) / 1000, 2)
    return None
