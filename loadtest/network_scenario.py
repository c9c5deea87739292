"""A consult on bad lines: what freezes, what is heard, what is given up, and how soon it comes back.

A village doctor (camera, microphone, 12-lead ECG, ultrasound) and an expert in two Chromiums, a family
member on the sdk beside them. In each case one person's line is bad for a while, both ways. Figures are
taken on the expert's page; the family member's line stays clean and shows whether others notice.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from playwright.sync_api import Error as PageError

from loadtest.course import Course
from loadtest.impair_check import measure
from loadtest.impair_line import Conditions
from loadtest.network_cases import GOOD, MEASURE_SECONDS, SETTLE_SECONDS, Case, shortfalls
from loadtest.network_figures import (
    Sample,
    by_step,
    clinical_order_kept,
    concealed_by_part,
    full_again,
    inbound,
    media_back,
    of_window,
    ways,
)
from loadtest.network_room import Room, running_room
from loadtest.report import Report, machine

SEED = 20261
SAMPLE_SECONDS = 0.5
DENSE_SAMPLE_SECONDS = 0.1
WHOLE_WITHIN_SECONDS = 25.0
"""How long a page gets on a good line to be at its best before a case begins; then it is opened anew."""
STEADY_SAMPLES = 4
WHOLE_RATE = 10
"""Pictures a second below which no case begins."""
SETTLING_S = 12.0
"""About how long it takes until a case may begin, and its figures are taken."""
BRIDGE_MS = 2.0
"""What the bridge may add in the middle; more means that figures are the machine's and not the line's."""

Progress = Callable[[str], None]


def run(report: Report, cases: Sequence[Case], progress: Progress, seconds: float = MEASURE_SECONDS) -> None:
    """Fill ``report``; ``seconds`` shortens the steady cases."""
    found: list[dict[str, Any]] = []
    report.figures["cases"] = found
    course = Course(report, [(case.name, _length(case, seconds) + SETTLING_S) for case in cases], progress)
    with (
        tempfile.TemporaryDirectory(prefix="huizhen-network-") as directory,
        running_room(Path(directory), SEED) as room,
    ):
        room.network.set_both("guest", Conditions())
        cost = measure(room.network, "guest")
        room.network.set_both("guest", GOOD)
        report.conditions |= machine() | {
            "chromium": room.chromium,
            "bridge": asdict(cost) | {"kbps": 10_000},
            "seed": SEED,
            "good_line": "20 ms round trip, no loss, no rate limit",
            "pages": "village (camera, microphone, ECG at 1 kHz, ultrasound) and expert; sdk guest",
            "camera_height": room.camera_height(),
        }
        if cost.lost or cost.p50_ms > BRIDGE_MS:
            report.shortfalls.append(f"the machine is too busy to measure on: the bridge itself took {cost}")
        for case in cases:
            found.append(_one(room, case, progress, seconds))
            report.shortfalls += shortfalls(case.name, found[-1])
            report.figures |= _summary(found)
            course.done()


def _summary(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The two figures of the whole run: the worst of the cases that take them, None when media never came."""
    figures: dict[str, Any] = {}
    for figure, ending in (
        ("reconnect_after_address_change_s", "-change"),
        ("rejoin_after_cut_s", "cut-10s"),
    ):
        taken = [one["media_back_after_s"] for one in cases if one["case"].endswith(ending)]
        if taken:
            figures[figure] = None if None in taken else max(taken)
    return figures


def _one(room: Room, case: Case, progress: Progress, seconds: float) -> dict[str, Any]:
    """One case from a good line on; its conditions and figures."""
    progress(f"{case.name} ...")
    if case.change == "interface":
        room.network.second_way(case.line)
    baseline, opened_anew = _settle(room)
    length = _length(case, seconds)
    began = time.time()
    identity = _identity(room, case)
    before = room.network.counters(case.line)
    room.network.set(case.line, up=case.steps, down=case.steps)
    if case.change == "address":
        room.network.change_address(case.line)
        began = time.time()
    elif case.change == "interface":
        room.network.change_interface(case.line)
        began = time.time()
    samples = _watch(room, case, baseline, began, length)
    ended = time.time()
    after = room.network.counters(case.line)
    room.network.set_both(case.line, GOOD)
    pauses = room.watches["expert"].pauses(ended)
    figures = of_window(samples, began * 1000, pauses)
    figures |= concealed_by_part(samples, (began + SETTLE_SECONDS) * 1000)
    if case.restored_s is not None:
        restored = (began + case.restored_s) * 1000
        figures["recovered_after_s"] = _recovered(samples, baseline, restored)
        figures["media_back_after_s"] = media_back(samples, restored)
        figures["same_identity"] = _identity(room, case) == identity
    if case.change:
        figures |= ways(samples)
    if len(case.steps) > 2:
        steps = by_step(samples, [(began + at) * 1000 for at, _ in case.steps], pauses)
        figures["by_step"] = steps
        figures["clinical_order_kept"] = clinical_order_kept(steps, baseline)
    figures["given_up"] = room.watches["expert"].given_up(began, ended)
    figures["guest_camera"] = room.guest.between(began, ended)
    figures["baseline"] = _short(baseline)
    figures["line_packets"] = _packets(before, after)
    figures["page_opened_anew_before"] = opened_anew
    figures["load_average_1_min"] = round(os.getloadavg()[0], 1)
    progress(f"{case.name}: {_sentence(figures)}")
    return {"case": case.name, "conditions": case.conditions() | {"seconds": length}, **figures}


def _length(case: Case, seconds: float) -> float:
    return min(case.seconds, seconds) if case.restored_s is None else case.seconds


def _identity(room: Room, case: Case) -> str | None:
    joins = room.watches[case.line].peer_ids if case.line in room.watches else []
    return joins[-1][1] if joins else None


def _settle(room: Room) -> tuple[Sample, bool]:
    """Wait on good lines until the expert's pictures are whole; its page is opened anew if they are not.

    A machine or a publisher that cannot give the whole picture at all is taken as it is in the end.
    """
    for opened_anew in (False, True):
        if opened_anew:
            for name in ("village", "expert"):
                room.open(name)
            room.wait_for_pictures("expert")
        room.put_camera_on_stage("expert")
        whole = 0
        until = time.monotonic() + WHOLE_WITHIN_SECONDS
        while time.monotonic() < until:
            room.watches["expert"].pause(SAMPLE_SECONDS)
            sample = room.watches["expert"].sample()
            whole = whole + 1 if _whole(sample, room.camera_height()) else 0
            if whole >= STEADY_SAMPLES:
                return sample, opened_anew
    return sample, True


def _whole(sample: Sample, height: int) -> bool:
    camera, ultrasound = inbound(sample, "camera"), inbound(sample, "ultrasound")
    rates = [one.get("framesPerSecond") or 0 for one in (camera, ultrasound)]
    return camera.get("frameHeight", 0) >= height and min(rates) >= WHOLE_RATE


def _watch(room: Room, case: Case, baseline: Sample, began: float, length: float) -> list[Sample]:
    """Samples from now on; a case that watches recovery ends soon after all is well again."""
    watch = room.watches["expert"]
    samples = [_sample(room, baseline)]
    restored = None if case.restored_s is None else began + case.restored_s
    while (now := time.time()) < began + length:
        after = restored is not None and now >= restored
        watch.pause(DENSE_SAMPLE_SECONDS if after else SAMPLE_SECONDS)
        samples.append(_sample(room, samples[-1]))
        if after and restored is not None and now > restored + 3:
            since = restored * 1000
            if _recovered(samples, baseline, since) is not None and media_back(samples, since) is not None:
                break
    return samples


def _sample(room: Room, previous: Sample) -> Sample:
    try:
        return room.watches["expert"].sample()
    except PageError:
        return previous  # the page is on its way to another document; the next sample tells


def _recovered(samples: Sequence[Sample], baseline: Sample, since_ms: float) -> float | None:
    """Seconds until full quality was reached for good: from the begin of the last run of full samples."""
    later = [sample for sample in samples if sample["at"] >= since_ms]
    reached: float | None = None
    for sample in later:
        if not full_again(sample, baseline):
            reached = None
        elif reached is None:
            reached = round((sample["at"] - since_ms) / 1000, 2)
    return reached


def _packets(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What the line did in this case, both directions."""
    return {
        direction: {
            name: after[direction][name] - before[direction][name]
            for name in ("sent", "lost", "overflowed", "cut")
        }
        for direction in ("up", "down")
    }


def _short(baseline: Sample) -> dict[str, Any]:
    return {
        source: {
            "height": inbound(baseline, source).get("frameHeight"),
            "frames_per_second": inbound(baseline, source).get("framesPerSecond"),
        }
        for source in ("camera", "ultrasound")
    }


def _sentence(figures: dict[str, Any]) -> str:
    names = (
        "longest_freeze_ms",
        "audio_concealed_percent",
        "transition_concealed_ms",
        "recovered_after_s",
        "media_back_after_s",
    )
    return ", ".join(f"{name} {figures[name]}" for name in names if name in figures)
