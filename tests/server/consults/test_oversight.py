"""Oversight: what waits and how long answers took; read-only, without a patient, and every refusal noted."""

from __future__ import annotations

import csv
import io
import math
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from server.consults.oversight import Response, figures, percentile
from tests.server.consults.test_consult_api import REQUEST, act, people, rung
from tests.server.running import CallerFactory

CHINA = ZoneInfo("Asia/Shanghai")
MIDNIGHT = 1_767_196_800.0  # 2026-01-01 in China


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50).map(sorted), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_was_and_covers_its_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found is not None
    assert found in values
    assert sum(one <= found for one in values) >= math.floor(share * len(values))


def test_groups_count_what_never_came() -> None:
    rows = [
        Response("org-a", "cardiology", "urgent", MIDNIGHT + 3600 * hour, accept, None)
        for hour, accept in ((8, 10.0), (8, 30.0), (9, None))
    ]
    [eight, nine] = figures(rows, "hour", CHINA)
    assert (eight.key, eight.requests, eight.accept_median_s, eight.accept_p95_s) == ("08", 2, 10.0, 30.0)
    # The clinics' clock says which hour it was: Ürümqi's is two behind.
    assert [one.key for one in figures(rows, "hour", ZoneInfo("Asia/Urumqi"))] == ["06", "07"]
    assert (nine.requests, nine.accepted, nine.accept_median_s, nine.in_place_p95_s) == (1, 0, None, None)
    assert [one.key for one in figures(rows, "place", CHINA)] == ["org-a"]


async def test_the_regulator_sees_figures_and_no_patient_and_cannot_touch(caller: CallerFactory) -> None:
    village, experts = await people(caller)
    _, page = await village.call("POST", "/consultations", REQUEST)
    consult = page["id"]
    await act(await rung(page, experts), consult, "accept")
    regulator = await caller("regulator")
    now = await regulator.get("/oversight/now")
    [row] = now["items"]
    assert (row["number"], row["place"]["zh"], now["rooms"]) == (page["number"], "石桥村卫生室", 0)
    [place] = await regulator.get("/oversight/responses?by=place")
    assert (place["requests"], place["accepted"], place["name"]["en"]) == (1, 1, "Shiqiao Village Clinic")
    assert place["acceptMedianS"] < 60
    status, table = await regulator.call("GET", "/oversight/responses.csv?by=specialty")
    [line] = csv.DictReader(io.StringIO(table.decode("utf-8-sig")))
    assert (status, line["key"], line["name"]) == (200, "cardiology", "心血管内科")
    status, waiting = await regulator.call("GET", "/oversight/now.csv?kind=urgent&specialty=cardiology")
    [line] = csv.DictReader(io.StringIO(waiting.decode("utf-8-sig")))
    assert (status, line["number"], line["late"]) == (200, page["number"], "false")
    for other in ("kind=routine", "late=true", "specialty=surgery", "place=org-elsewhere"):
        _, none = await regulator.call("GET", f"/oversight/now.csv?{other}")
        assert len(none.splitlines()) == 1, other
    table += waiting
    for secret in ("张桂英", "胸痛", "pat-demo-1", consult):
        assert secret not in str(now) + str(place) + table.decode()
    await _refused_everything(regulator, consult)
    assert (await village.call("GET", "/oversight/now"))[0] == 403
    status, problem = await regulator.call("GET", "/oversight/responses?from=2020-01-01T00:00:00Z")
    assert (status, problem["code"]) == (422, "validation_failed")


async def _refused_everything(regulator: Any, consult: str) -> None:
    base = f"/consultations/{consult}"
    for method, path, body in (
        ("GET", base, None),
        ("GET", "/patients", None),
        ("POST", f"{base}/actions", {"action": "cancel", "reason": "x"}),
        ("POST", f"{base}/room-token", None),
        ("GET", f"{base}/report", None),
        ("GET", f"{base}/materials", None),
        ("POST", f"{base}/break-glass", {"reason": "好奇好奇好奇好奇"}),
        ("POST", "/consultations", REQUEST),
    ):
        status, _ = await regulator.call(method, path, body)
        assert status == 403, path


async def test_refused_accesses_stand_in_the_trail_once_a_minute(caller: CallerFactory) -> None:
    regulator = await caller("regulator")
    for _ in range(3):
        assert (await regulator.call("GET", "/patients"))[0] == 403
    assert (await regulator.call("POST", "/consultations", REQUEST))[0] == 403
    trail = (await regulator.get("/audit"))["items"]
    refused = [one for one in trail if one["action"] == "access.refused"]
    assert [(one["actor"]["id"], one["detail"]["operation"]) for one in refused] == [
        ("prc-regulator", "POST /api/v1/consultations"),
        ("prc-regulator", "GET /api/v1/patients"),
    ]
