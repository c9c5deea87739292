"""Rotas over HTTP: who may do what, every change undone or previewed, calendars by a secret address."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from server.app import Server
from tests.server.oncall.calendar_reader import read_calendar
from tests.server.running import Caller, CallerFactory

ROTA = "/schedules/sch-cardiology"


def day(number: int, hours: float = 0) -> str:
    """The hand-over (08:00 in China) so many days from today, and hours."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=number, hours=hours)).isoformat().replace("+00:00", "Z")


async def first_on(someone: Caller, at: str) -> str:
    (now,) = await someone.get(f"/schedules/on-call?specialty=cardiology&at={at}")
    return str(now["practitioners"][0]["id"])


def other(person: str) -> str:
    return "prc-cardio2" if person == "prc-cardio1" else "prc-cardio1"


async def test_a_calendar_without_holes(caller: CallerFactory) -> None:
    someone = await caller("village")
    calendar = await someone.get(f"{ROTA}/calendar?start={day(0)}&end={day(31)}")
    assert calendar["levels"] == [1, 2]
    assert calendar["gaps"] == []
    assert calendar["editable"] is False
    first = [one for one in calendar["stretches"] if one["level"] == 1]
    assert len(first) == 31
    assert all(a["ends"] == b["starts"] for a, b in pairwise(first))
    assert {one["id"] for one in calendar["people"]} == {"prc-cardio1", "prc-cardio2"}
    for span in (f"start={day(3)}&end={day(3)}", f"start={day(0)}&end={day(101)}", "start=x&end=y"):
        status, problem = await someone.call("GET", f"{ROTA}/calendar?{span}")
        assert (status, problem["code"]) == (422, "validation_failed")
    far = await someone.call("GET", "/schedules/on-call?at=9999-12-31T23:00:00Z")
    assert far[0] == 422


async def test_an_override_previewed_made_and_taken_back(caller: CallerFactory) -> None:
    desk = await caller("desk")
    holder = await first_on(desk, day(5))
    change = {"change": "replace", "starts": day(5), "ends": day(6), "who": holder, "by": other(holder)}
    seen = await desk.get(ROTA)
    status, told = await desk.call("POST", f"{ROTA}/preview", {"override": change})
    assert (status, told["newGaps"]) == (200, [])
    # Whoever stood behind would hold both lines.
    assert [one["person"] for one in told["twice"]] == [other(holder)]
    assert [(one["before"], one["after"]) for one in told["differences"]] == [([holder], [other(holder)])]
    assert await first_on(desk, day(5)) == holder
    body = {**change, "reason": "外出会议", "version": seen["version"]}
    status, made = await desk.call("POST", f"{ROTA}/overrides", body)
    assert status == 201
    assert await first_on(desk, day(5)) == other(holder)
    status, problem = await desk.call("POST", f"{ROTA}/overrides", {**body, "starts": day(8), "ends": day(9)})
    assert (status, problem["code"]) in {(409, "version_conflict"), (422, "override_without_effect")}
    assert (await desk.call("DELETE", f"{ROTA}/overrides/{made['id']}"))[0] == 204
    assert await first_on(desk, day(5)) == holder
    assert (await desk.call("DELETE", f"{ROTA}/overrides/{made['id']}"))[1]["code"] == "wrong_state"
    events = await desk.get(f"{ROTA}/events")
    assert [(one["action"], one["reason"]) for one in events] == [
        ("rota.undo", ""),
        ("rota.override", "外出会议"),
    ]
    assert events[0]["actor"]["name"] == "刘芳"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"starts": day(6), "ends": day(5)}, "override_ends_early"),
        ({"starts": day(-6), "ends": day(-5)}, "override_over"),
        ({"by": "prc-nobody"}, "unknown_member"),
        ({"by": "prc-neuro1"}, "not_of_specialty"),
        ({"level": 7}, "unknown_level"),
        ({"by": None}, "override_incomplete"),
        ({"who": "prc-neuro1"}, "override_without_effect"),
        ({"ends": "2399-01-01T00:00:00Z"}, "validation_failed"),
        ({"change": "x"}, "validation_failed"),
        ({"reason": "x" * 201}, "validation_failed"),
    ],
)
async def test_a_wrong_override_is_told_what_is_wrong(
    caller: CallerFactory, change: dict[str, Any], code: str
) -> None:
    desk = await caller("desk")
    body = {"change": "replace", "starts": day(5), "ends": day(6), "by": "prc-cardio1", **change}
    status, problem = await desk.call("POST", f"{ROTA}/overrides", body)
    assert (status >= 400, problem["code"]) == (True, code)
    assert problem["message"]["zh"]
    assert problem["message"]["en"]


LAYER = {
    "level": 1,
    "unit": "week",
    "startDate": "2026-01-05",
    "handover": "08:00",
    "members": ["prc-cardio2"],
}


@pytest.mark.parametrize(
    ("layers", "zone", "code"),
    [
        ([{**LAYER, "members": []}], "Asia/Shanghai", "no_members"),
        ([], "Asia/Shanghai", "no_layers"),
        ([LAYER], "Asia/Nowhere", "unknown_zone"),
        ([LAYER, LAYER], "Asia/Shanghai", "same_rank"),
        ([{**LAYER, "members": ["prc-sono1"]}], "Asia/Shanghai", "not_of_specialty"),
        ([{**LAYER, "handover": "24:00"}], "Asia/Shanghai", "validation_failed"),
        ([{**LAYER, "weekdays": [7]}], "Asia/Shanghai", "validation_failed"),
        (
            [
                {
                    **LAYER,
                    "unit": "custom",
                    "slots": [{"member": "prc-cardio1", "day": 0, "starts": "08:00", "minutes": 1441}],
                }
            ],
            "Asia/Shanghai",
            "shift_too_long",
        ),
    ],
)
async def test_a_wrong_rota_is_told_what_is_wrong(
    caller: CallerFactory, layers: list[Any], zone: str, code: str
) -> None:
    desk = await caller("desk")
    version = (await desk.get(ROTA))["version"]
    body = {"version": version, "timeZone": zone, "layers": layers}
    status, problem = await desk.call("PUT", ROTA, body)
    assert (status, problem["code"]) == (422, code)
    assert (await desk.get(ROTA))["version"] == version


async def test_a_new_rota_and_its_layers(caller: CallerFactory) -> None:
    desk = await caller("desk")
    body = {
        "specialty": "cardiology",
        "name": "心内夜班",
        "nameEn": "Cardiology nights",
        "timeZone": "Asia/Shanghai",
        "layers": [
            {**LAYER, "rank": 1, "dayKind": "day_off", "dayStarts": "20:00", "dayEnds": "08:00"},
            LAYER,
        ],
    }
    status, made = await desk.call("POST", "/schedules", body)
    assert (status, made["version"], made["editable"]) == (201, 1, True)
    assert [(one["rank"], one["dayKind"]) for one in made["layers"]] == [(0, "any"), (1, "day_off")]
    assert (await desk.call("POST", "/schedules", body))[1]["code"] == "schedule_exists"
    status, problem = await desk.call("POST", "/schedules", {**body, "specialty": "astrology"})
    assert (status, problem["code"]) == (422, "no_such_specialty")
    path = f"/schedules/{made['id']}"
    edit = {"version": 1, "timeZone": "Asia/Urumqi", "layers": [LAYER]}
    status, edited = await desk.call("PUT", path, edit)
    assert (status, edited["version"], edited["timeZone"]) == (200, 2, "Asia/Urumqi")
    assert (await desk.call("PUT", path, edit))[1]["code"] == "version_conflict"


async def test_others_look_and_do_not_touch(caller: CallerFactory) -> None:
    change = {"change": "replace", "starts": day(5), "ends": day(6), "by": "prc-cardio1"}
    for username in ("regulator", "village", "cardio1"):
        someone = await caller(username)
        assert (await someone.get(ROTA))["editable"] is False
        for method, path, body in (
            ("POST", f"{ROTA}/overrides", change),
            ("PUT", ROTA, {"version": 1, "timeZone": "UTC", "layers": []}),
            ("PUT", "/schedules/holidays/2026-03-03", {"kind": "day_off"}),
        ):
            status, problem = await someone.call(method, path, body)
            assert (status, problem["code"]) == (403, "forbidden")
    regulator = await caller("regulator")
    assert await regulator.get(f"{ROTA}/events") == []
    leave = {"starts": day(1), "ends": day(2)}
    assert (await regulator.call("POST", "/schedules/leave", leave))[0] == 403
    assert (await (await caller("village")).call("GET", f"{ROTA}/events"))[0] == 403
    assert (await (await caller(None)).call("GET", "/schedules"))[0] == 401


async def test_a_swap_with_approval(caller: CallerFactory) -> None:
    desk = await caller("desk")
    mine, theirs = day(4), day(5)
    holder = await first_on(desk, mine)
    asker, agreeing = await caller(holder[4:]), await caller(other(holder)[4:])
    body = {
        "scheduleId": "sch-cardiology",
        "otherId": other(holder),
        "given": {"level": 1, "starts": mine, "ends": day(5)},
        "back": {"level": 1, "starts": theirs, "ends": day(6)},
        "reason": "孩子家长会",
    }
    wrong = {**body, "given": body["back"]}
    assert (await asker.call("POST", "/schedules/swaps", wrong))[1]["code"] == "not_your_shift"
    status, swap = await asker.call("POST", "/schedules/swaps", body)
    assert (status, swap["stage"], swap["allowed"]) == (201, "proposed", ["withdraw"])
    assert (await asker.call("POST", "/schedules/swaps", body))[1]["code"] == "asked_already"
    path = f"/schedules/asks/{swap['id']}/actions"
    assert (await desk.call("POST", path, {"action": "approve"}))[1]["code"] == "wrong_state"
    assert (await (await caller("neuro1")).call("POST", path, {"action": "agree"}))[0] == 404
    assert (await asker.call("POST", path, {"action": "agree"}))[1]["code"] == "not_yours_to_decide"
    status, agreed = await agreeing.call("POST", path, {"action": "agree", "version": 1})
    assert (status, agreed["stage"], agreed["allowed"]) == (200, "agreed", ["refuse"])
    stale = await desk.call("POST", path, {"action": "approve", "version": 1})
    assert stale[1]["code"] == "version_conflict"
    (shown,) = await desk.get("/schedules/asks")
    assert (shown["allowed"], shown["reason"]) == (["approve", "refuse"], "孩子家长会")
    status, approved = await desk.call("POST", path, {"action": "approve", "version": 2})
    assert (status, approved["stage"]) == (200, "approved")
    assert [await first_on(desk, at) for at in (mine, theirs)] == [other(holder), holder]
    assert await (await caller("neuro1")).get("/schedules/asks") == []


async def approval(desk: Caller, ask: str) -> dict[str, Any]:
    """As a desk approves that was shown what it would change."""
    seen = [
        {"scheduleId": rota["schedule"]["id"], **{key: gap[key] for key in ("level", "starts", "ends")}}
        for rota in await desk.get(f"/schedules/asks/{ask}/preview")
        for gap in rota["newGaps"]
    ]
    return {"action": "approve", "seenGaps": seen}


async def test_the_desk_sees_what_a_swap_would_do_and_is_asked_again_when_it_would_leave_a_gap(
    caller: CallerFactory,
) -> None:
    desk = await caller("desk")
    holder = await first_on(desk, day(4))
    leaving = other(holder)
    neuro, taker = await caller("neuro1"), await caller(leaving[4:])
    given = {"level": 1, "starts": day(4), "ends": day(5)}
    body = {"scheduleId": "sch-cardiology", "otherId": leaving, "given": given}
    _, swap = await (await caller(holder[4:])).call("POST", "/schedules/swaps", body)
    path = f"/schedules/asks/{swap['id']}"
    await taker.call("POST", f"{path}/actions", {"action": "agree"})
    (told,) = await desk.get(f"{path}/preview")
    assert (told["schedule"]["id"], told["timeZone"]) == ("sch-cardiology", "Asia/Shanghai")
    assert [(one["before"], one["after"]) for one in told["differences"]] == [([holder], [leaving])]
    assert ([one["person"] for one in told["twice"]], told["newGaps"]) == ([leaving], [])
    assert (await neuro.call("GET", f"{path}/preview"))[0] == 404
    assert (await (await caller("regulator")).call("GET", f"{path}/preview"))[0] == 403
    # A leave whose gap was shown; then the rota changes: somebody who covered it is taken away.
    away = {"starts": day(6), "ends": day(7)}
    _, leave = await taker.call("POST", "/schedules/leave", away)
    seen = await approval(desk, leave["id"])
    remove = {"change": "remove", "starts": day(6), "ends": day(7), "who": holder}
    level = 1 if await first_on(desk, day(6)) == leaving else 2
    assert [gap["level"] for gap in seen["seenGaps"]] == [level]
    assert (await desk.call("POST", f"{ROTA}/overrides", {**remove, "level": 3 - level}))[0] == 201
    add = {"change": "add", "starts": day(6), "ends": day(7), "by": leaving, "level": 3 - level}
    assert (await desk.call("POST", f"{ROTA}/overrides", add))[0] == 201
    act = f"/schedules/asks/{leave['id']}/actions"
    status, problem = await desk.call("POST", act, seen)
    assert (status, problem["code"]) == (409, "gap_not_seen")
    assert problem["message"]["zh"]
    again = await approval(desk, leave["id"])
    assert len(again["seenGaps"]) == 2
    assert (await desk.call("POST", act, again))[1]["stage"] == "approved"
    assert (await desk.call("GET", f"/schedules/asks/{leave['id']}/preview"))[1]["code"] == "wrong_state"


async def test_the_desk_says_why_it_refuses_and_both_doctors_read_it(caller: CallerFactory) -> None:
    desk = await caller("desk")
    holder = await first_on(desk, day(4))
    asker, agreeing = await caller(holder[4:]), await caller(other(holder)[4:])
    given = {"level": 1, "starts": day(4), "ends": day(5)}
    body = {"scheduleId": "sch-cardiology", "otherId": other(holder), "given": given}
    _, swap = await asker.call("POST", "/schedules/swaps", body)
    path = f"/schedules/asks/{swap['id']}/actions"
    for wrong, code in (
        ({}, "reason_required"),
        ({"why": "other"}, "reason_required"),
        ({"why": "other", "reason": "  "}, "reason_required"),
        ({"why": "because"}, "validation_failed"),
        ({"why": "gap", "reason": "x" * 201}, "validation_failed"),
    ):
        assert (await desk.call("POST", path, {"action": "refuse", **wrong}))[1]["code"] == code
    no = {"action": "refuse", "why": "two_lines", "reason": "没有后备"}
    status, refused = await desk.call("POST", path, no)
    assert (status, refused["stage"]) == (200, "refused")
    for reader in (asker, agreeing, desk):
        (shown,) = await reader.get("/schedules/asks")
        told = shown["refusal"]
        assert (told["by"]["name"], told["why"], told["words"]) == ("刘芳", "two_lines", "没有后备")
    trail = await desk.get("/audit?action=swap.refuse")
    assert [one["detail"]["refusal"] for one in trail["items"]] == ["two_lines"]
    assert "没有后备" not in str(trail)
    # Nobody owes a reason for keeping their own shift.
    _, swap = await asker.call("POST", "/schedules/swaps", body)
    path = f"/schedules/asks/{swap['id']}/actions"
    status, refused = await agreeing.call("POST", path, {"action": "refuse"})
    assert (status, refused["refusal"]["why"], refused["refusal"]["words"]) == (200, None, "")
    assert refused["refusal"]["by"]["id"] == other(holder)


async def test_a_swap_whose_shift_went_meanwhile_is_not_approved(caller: CallerFactory) -> None:
    desk = await caller("desk")
    holder = await first_on(desk, day(4))
    asker, agreeing = await caller(holder[4:]), await caller(other(holder)[4:])
    given = {"level": 1, "starts": day(4), "ends": day(5)}
    body = {"scheduleId": "sch-cardiology", "otherId": other(holder), "given": given}
    _, swap = await asker.call("POST", "/schedules/swaps", body)
    path = f"/schedules/asks/{swap['id']}/actions"
    await agreeing.call("POST", path, {"action": "agree"})
    change = {"change": "remove", "starts": day(4), "ends": day(5), "who": holder}
    assert (await desk.call("POST", f"{ROTA}/overrides", change))[0] == 201
    status, problem = await desk.call("POST", path, {"action": "approve"})
    assert (status, problem["code"]) == (409, "not_your_shift")
    (shown,) = await desk.get("/schedules/asks")
    assert shown["stage"] == "agreed"


async def test_leave_asked_for_approved_and_announced_as_a_gap(caller: CallerFactory, server: Server) -> None:
    neuro, desk = await caller("neuro1"), await caller("desk")
    body = {"starts": day(10), "ends": day(12), "reason": "年假"}
    status, leave = await neuro.call("POST", "/schedules/leave", body)
    assert (status, leave["stage"]) == (201, "proposed")
    assert await desk.get("/schedules/notices") == []
    path = f"/schedules/asks/{leave['id']}/actions"
    assert (await desk.call("POST", path, {"action": "approve"}))[1]["code"] == "gap_not_seen"
    assert (await desk.call("POST", path, await approval(desk, leave["id"])))[0] == 200
    await server.services.rota_watch.look(time.time())
    (notice,) = await desk.get("/schedules/notices")
    assert (notice["kind"], notice["scheduleId"]) == ("gap", "sch-neurology")
    assert (notice["starts"], notice["ends"]) == (
        day(10).replace("Z", ".000Z"),
        day(12).replace("Z", ".000Z"),
    )
    assert notice["detail"] == {"why": "away", "nobody": True, "people": ["prc-neuro1"]}
    calendar = await desk.get(f"/schedules/sch-neurology/calendar?start={day(9)}&end={day(13)}")
    assert [(one["why"], one["missing"]) for one in calendar["gaps"]] == [("away", ["prc-neuro1"])]
    assert (await neuro.call("POST", path, {"action": "withdraw"}))[0] == 200
    await server.services.rota_watch.look(time.time())
    assert await desk.get("/schedules/notices") == []


async def test_the_desk_enters_leave_that_holds_at_once(caller: CallerFactory) -> None:
    desk = await caller("desk")
    holder = await first_on(desk, day(3))
    body = {"starts": day(3), "ends": day(4), "practitionerId": holder}
    status, leave = await desk.call("POST", "/schedules/leave", body)
    assert (status, leave["stage"], leave["asker"]["id"]) == (201, "approved", holder)
    assert await first_on(desk, day(3, 1)) == other(holder)
    preview = {"leave": {"practitionerId": other(holder), "starts": day(3), "ends": day(4)}}
    _, told = await desk.call("POST", f"{ROTA}/preview", preview)
    assert any(gap["nobody"] for gap in told["newGaps"])


async def test_take_it_now(caller: CallerFactory) -> None:
    desk = await caller("desk")
    (now,) = await desk.get("/schedules/on-call?specialty=cardiology")
    first, second = (one["id"] for one in now["practitioners"])
    taker = await caller(second[4:])
    status, made = await taker.call("POST", f"{ROTA}/take-now", {"reason": "他在手术台上"})
    assert (status, made["by"], made["who"]) == (201, second, None)
    (after,) = await desk.get("/schedules/on-call?specialty=cardiology")
    assert after["practitioners"][0]["id"] == second
    assert (await taker.call("POST", f"{ROTA}/take-now", {}))[1]["code"] == "already_on_call"
    stranger = await caller("neuro1")
    assert (await stranger.call("POST", f"{ROTA}/take-now", {}))[1]["code"] == "not_of_specialty"
    assert (await stranger.call("DELETE", f"{ROTA}/overrides/{made['id']}"))[0] == 403
    assert (await taker.call("DELETE", f"{ROTA}/overrides/{made['id']}"))[0] == 204
    (again,) = await desk.get("/schedules/on-call?specialty=cardiology")
    assert again["practitioners"][0]["id"] == first


async def test_calendars_by_a_secret_address_that_can_be_renewed(caller: CallerFactory) -> None:
    expert, nobody = await caller("cardio1"), await caller(None)
    status, feed = await expert.call("POST", "/schedules/feeds", {})
    assert status == 201
    status, file = await nobody.call("GET", feed["path"])
    assert status == 200
    mine = read_calendar(file)
    assert {one.summary for one in mine} == {"心血管内科 一线 王建国", "心血管内科 二线 王建国"}
    assert all(one.ends - one.starts == 86_400 for one in mine[1:-1])
    _, whole = await expert.call("POST", "/schedules/feeds", {"scheduleId": "sch-cardiology"})
    _, file = await nobody.call("GET", whole["path"])
    assert len(read_calendar(file)) > len(mine)
    _, renewed = await expert.call("POST", "/schedules/feeds", {})
    assert (await nobody.call("GET", feed["path"]))[1]["code"] == "feed_unknown"
    assert (await nobody.call("GET", renewed["path"]))[0] == 200
    assert (await nobody.call("GET", "/schedules/feeds/guess"))[0] == 404
    left = {"version": 1, "active": False}
    desk = await caller("desk")
    assert (await desk.call("POST", "/register/practitioners/prc-cardio1/closing", left))[0] == 200
    for path in (renewed["path"], whole["path"]):
        assert (await nobody.call("GET", path))[1]["code"] == "feed_unknown"


async def test_the_desk_s_holidays(caller: CallerFactory) -> None:
    desk = await caller("desk")
    known = await desk.get("/schedules/holidays?year=2026")
    kinds = {one["day"]: (one["kind"], one["name"]) for one in known["days"]}
    assert known["announced"] is True
    assert kinds["2026-02-17"][0] == "day_off"
    assert kinds["2026-02-14"] == ("workday", "调休上班")
    assert (await desk.call("PUT", "/schedules/holidays/2026-03-03", {"kind": "day_off", "name": "停诊"}))[
        0
    ] == 204
    after = await desk.get("/schedules/holidays?year=2026")
    assert [one["name"] for one in after["days"] if one["entered"]] == ["停诊"]
    assert (await desk.call("PUT", "/schedules/holidays/2026-03-03", {"kind": "any"}))[0] == 204
    assert await desk.get("/schedules/holidays?year=2026") == known
    assert (await desk.call("PUT", "/schedules/holidays/2026-13-03", {"kind": "any"}))[0] == 422


async def test_an_escalation_policy_of_a_rota(caller: CallerFactory) -> None:
    desk, doctor = await caller("desk"), await caller("village")
    path = f"{ROTA}/escalation"
    seen = await doctor.get(path)
    assert seen["own"] == []
    assert [one["together"] for one in seen["policies"]["urgent"]["steps"]] == [1, 1, 2, 2, None]
    assert (seen["defaults"], seen["ringS"]["urgent"]) == (seen["policies"], 60)
    quick = {"everyoneByS": 60, "steps": [{"seconds": 30, "together": 2}, {"together": None, "desk": True}]}
    body = {"version": seen["version"], "policies": {"urgent": quick}, "reason": "流感季"}
    assert (await doctor.call("PUT", path, body))[0] == 403
    status, kept = await desk.call("PUT", path, body)
    assert (status, kept["own"]) == (200, ["urgent"])
    assert kept["policies"]["urgent"]["steps"][0] == {"seconds": 30, "together": 2, "desk": False}
    assert (await desk.call("PUT", path, body))[1]["code"] == "version_conflict"
    # What was set can be read again later, and put back.
    (event,) = await desk.get(f"{ROTA}/events")
    assert event["detail"]["policies"]["urgent"]["everyoneByS"] == 60
    wrongs: list[dict[str, Any]] = [
        {"everyoneByS": 301, "steps": [{}]},
        {"steps": [{"seconds": 1}]},
        {"steps": [{"together": 0}]},
        {"steps": [{}] * 13},
    ]
    for wrong in wrongs:
        again = {"version": kept["version"], "policies": {"urgent": wrong}}
        assert (await desk.call("PUT", path, again))[1]["code"] == "policy_invalid"


async def test_times_and_a_plan(caller: CallerFactory) -> None:
    desk, doctor, expert = await caller("desk"), await caller("village"), await caller("cardio1")
    assert await desk.get("/planning") == {"planned": []}
    assert (await doctor.call("GET", "/planning"))[0] == 403
    assert (await expert.call("GET", "/consultations/con-nowhere/times"))[0] == 404
