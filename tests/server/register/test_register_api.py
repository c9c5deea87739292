"""Maintaining places, people and devices: what is kept, who may, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from server.app import Server
from tests.server.running import Caller, CallerFactory

HOSPITAL = "org-yunling-hospital"
CLINIC = {
    "name": "桃源村卫生室",
    "nameEn": "Taoyuan Village Clinic",
    "level": "village",
    "parentId": "org-qingshi",
    "code": "PDY-0001",
}
DOCTOR = {
    "name": "林小雨",
    "nameEn": "Lin Xiaoyu",
    "organizationId": HOSPITAL,
    "title": "主治医师",
    "titleEn": "Attending physician",
    "roles": ["expert"],
    "specialties": ["cardiology"],
    "languages": ["zh", "ii"],
    "registration": "110441000012345",
    "phone": "+86 138 0000 0000",
}


async def made(who: Caller, path: str, body: dict[str, Any]) -> Any:
    status, entry = await who.call("POST", f"/register/{path}", body)
    assert status == 201, entry
    return entry


async def refused(who: Caller, method: str, path: str, body: Any = None) -> str:
    status, problem = await who.call(method, f"/register/{path}", body)
    assert status >= 400, problem
    return str(problem["code"])


async def actions(caller: CallerFactory, subject: str) -> list[str]:
    page = await (await caller("regulator")).get("/audit?limit=100")
    return [entry["action"] for entry in page["items"] if entry["subjectId"] == subject]


async def test_a_clinic_is_made_changed_closed_and_opened_again(caller: CallerFactory) -> None:
    desk = await caller("desk")
    clinic = await made(desk, "organizations", CLINIC)
    assert clinic["parent"]["id"] == "org-qingshi"
    assert (clinic["version"], clinic["active"], clinic["editable"]) == (1, True, True)
    path = f"organizations/{clinic['id']}"
    status, changed = await desk.call(
        "PUT", f"/register/{path}", {**CLINIC, "address": "桃源村 1 号", "version": 1}
    )
    assert (status, changed["version"], changed["address"]) == (200, 2, "桃源村 1 号")
    assert await refused(desk, "PUT", path, {**CLINIC, "version": 1}) == "version_conflict"
    status, closed = await desk.call(
        "POST", f"/register/{path}/closing", {"version": 2, "active": False, "on": "2026-03-01"}
    )
    assert (status, closed["active"], closed["closedOn"]) == (200, False, "2026-03-01")
    shown = await desk.get("/register/organizations?q=PDY-0001")
    assert shown["items"] == []
    shown = await desk.get("/register/organizations?q=PDY-0001&state=closed&level=village")
    assert [one["id"] for one in shown["items"]] == [clinic["id"]]
    status, opened = await desk.call("POST", f"/register/{path}/closing", {"version": 3, "active": True})
    assert (status, opened["active"], opened["closedOn"]) == (200, True, None)
    assert await actions(caller, clinic["id"]) == [
        *("organization.open", "organization.close", "organization.change", "organization.create")
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"parentId": "org-nowhere"}, "out_of_reach"),
        ({"parentId": None}, "out_of_reach"),
        ({"level": "province"}, "parent_level"),
        ({"level": "kingdom"}, "validation_failed"),
        ({"code": "=1+1"}, "validation_failed"),
        ({"name": "  "}, "validation_failed"),
        ({"name": "a\u0000b"}, "validation_failed"),
    ],
)
async def test_a_wrong_clinic_is_refused(caller: CallerFactory, change: dict[str, Any], code: str) -> None:
    assert await refused(await caller("desk"), "POST", "organizations", CLINIC | change) == code


async def test_nobody_stands_above_themselves(caller: CallerFactory) -> None:
    admin = await caller("admin")
    hospital = (await admin.get("/register/organizations?level=county"))["items"][0]
    branch = await made(admin, "organizations", {**CLINIC, "level": "county", "parentId": HOSPITAL})
    body = {"name": "a", "nameEn": "a", "level": "county", "version": hospital["version"]}
    path = f"organizations/{HOSPITAL}"
    for parent in (HOSPITAL, branch["id"]):
        assert await refused(admin, "PUT", path, {**body, "parentId": parent}) == "parent_circle"
    assert await refused(admin, "PUT", path, {**body, "parentId": "org-gone"}) == "no_such_parent"
    # The township below it would stand under a village clinic.
    assert await refused(admin, "PUT", path, {**body, "level": "village"}) == "parent_level"
    assert await refused(admin, "POST", "organizations", CLINIC) == "code_taken"


async def test_what_still_works_is_not_closed(caller: CallerFactory) -> None:
    desk = await caller("desk")
    body = {"version": 1, "active": False}
    assert await refused(desk, "POST", "organizations/org-qingshi/closing", body) == "not_empty"


async def test_a_doctor_comes_gets_an_account_and_leaves(
    caller: CallerFactory, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[str] = []
    monkeypatch.setattr(server.services.consults, "expert_left", lambda actor, one: left.append(one))
    told: list[tuple[str, str]] = []

    async def notify(user_id: str, event: str, _payload: object) -> None:
        told.append((user_id, event))

    monkeypatch.setattr(server.services.gateway, "notify", notify)
    desk, someone = await caller("desk"), await caller(None)
    person = await made(desk, "practitioners", DOCTOR)
    assert {key: person[key] for key in ("registration", "phone", "languages")} == {
        "registration": "110441000012345",
        "phone": "+86 138 0000 0000",
        "languages": ["zh", "ii"],
    }
    path = f"practitioners/{person['id']}"
    assert await refused(desk, "POST", f"{path}/password") == "no_account"
    given = await made(desk, f"{path}/account", {"username": "lin.xiaoyu"})
    assert await _login(someone, "lin.xiaoyu", given["password"]) == "password_must_change"
    weak = {"username": "lin.xiaoyu", "password": given["password"], "newPassword": "short"}
    status, body = await someone.call("POST", "/auth/password", weak)
    assert (status, body["code"]) == (422, "password_weak")
    status, body = await someone.call("POST", "/auth/password", weak | {"newPassword": "a long one 1"})
    assert (status, body["practitioner"]["id"]) == (200, person["id"])
    someone.token = body["accessToken"]
    assert (await someone.get("/auth/me"))["name"] == "林小雨"
    # The register's own facts are not told to colleagues.
    assert not {"phone", "registration"} & set(await desk.get(f"/practitioners/{person['id']}"))
    assert told == [(person["id"], "signedOut")]
    reset = (await desk.call("POST", f"/register/{path}/password"))[1]
    assert told == [(person["id"], "signedOut")] * 2
    assert (await someone.call("GET", "/auth/me"))[1]["code"] == "token_invalid"
    assert (await someone.call("POST", "/auth/refresh"))[1]["code"] == "unauthenticated"
    assert await _login(someone, "lin.xiaoyu", "a long one 1") == "invalid_credentials"
    assert await _login(someone, "lin.xiaoyu", reset["password"]) == "password_must_change"
    status, closed = await desk.call("POST", f"/register/{path}/closing", {"version": 1, "active": False})
    assert (status, closed["active"], left) == (200, False, [person["id"]])
    assert await _login(someone, "lin.xiaoyu", reset["password"]) == "invalid_credentials"
    assert person["id"] not in [p["id"] for p in await desk.get("/practitioners?specialty=cardiology")]
    found = (await desk.get("/register/practitioners?q=lin.x&state=all"))["items"]
    assert [(one["id"], one["active"], one["account"]["disabled"]) for one in found] == [
        (person["id"], False, True)
    ]


async def _login(someone: Caller, username: str, password: str) -> str:
    status, body = await someone.call("POST", "/auth/login", {"username": username, "password": password})
    return "" if status == 200 else str(body["code"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"roles": ["admin"]}, "role_not_yours"),
        ({"roles": ["device"]}, "validation_failed"),
        ({"roles": []}, "validation_failed"),
        ({"specialties": []}, "expert_without_specialty"),
        ({"specialties": ["astrology"]}, "no_such_specialty_code"),
        ({"organizationId": "org-nowhere"}, "no_such_place"),
        ({"registration": "x"}, "validation_failed"),
        ({"phone": "call me"}, "validation_failed"),
        ({"languages": ["Chinese!"]}, "validation_failed"),
    ],
)
async def test_a_wrong_person_is_refused(caller: CallerFactory, change: dict[str, Any], code: str) -> None:
    assert await refused(await caller("desk"), "POST", "practitioners", DOCTOR | change) == code


async def test_the_desk_keeps_its_own_county_and_nobody_closes_themselves(caller: CallerFactory) -> None:
    admin, desk = await caller("admin"), await caller("desk")
    city = await made(admin, "organizations", {**CLINIC, "level": "city", "parentId": None, "code": "CITY-1"})
    stranger = await made(admin, "practitioners", {**DOCTOR, "organizationId": city["id"]})
    body = {**DOCTOR, "registration": None, "version": 1}
    assert await refused(desk, "PUT", f"practitioners/{stranger['id']}", body) == "out_of_reach"
    assert (await desk.get("/register/practitioners?q=林小雨"))["items"] == []
    assert not (await desk.get("/register/organizations?q=CITY-1"))["items"][0]["editable"]
    # The county moves under the city; its desk stays the county's and does not become the city's.
    hospital = (await admin.get("/register/organizations?q=云岭&level=county"))["items"][0]
    moved = {"name": "云岭县人民医院", "nameEn": "Yunling", "level": "county", "parentId": city["id"]}
    status, _ = await admin.call("PUT", f"/register/organizations/{HOSPITAL}", {**moved, "version": 1})
    assert (status, hospital["version"]) == (200, 1)
    assert await refused(desk, "PUT", f"practitioners/{stranger['id']}", body) == "out_of_reach"
    assert (await desk.get("/register/practitioners?q=陈静"))["items"][0]["editable"]
    closing = {"version": 1, "active": False}
    assert await refused(desk, "POST", "practitioners/prc-desk/closing", closing) == "not_yourself"
    assert await refused(desk, "POST", "practitioners/prc-admin/closing", closing) == "role_not_yours"
    assert await refused(desk, "POST", "practitioners/prc-admin/password") == "role_not_yours"
    lost = {**DOCTOR, "registration": None, "roles": ["expert"], "version": 1}
    assert await refused(admin, "PUT", "practitioners/prc-admin", lost) == "not_yourself"


async def test_numbers_and_names_are_taken_once(caller: CallerFactory) -> None:
    desk = await caller("desk")
    first = await made(desk, "practitioners", DOCTOR)
    assert await refused(desk, "POST", "practitioners", DOCTOR) == "registration_taken"
    body = {"username": "cardio1"}
    assert await refused(desk, "POST", f"practitioners/{first['id']}/account", body) == "username_taken"


async def test_a_device_stands_at_a_site_and_gets_another_token(caller: CallerFactory) -> None:
    desk, device = await caller("desk"), await caller(None)
    site = await made(
        desk, "sites", {"organizationId": HOSPITAL, "name": "急诊抢救室", "nameEn": "Resuscitation room"}
    )
    facts = {
        "kind": "ecg",
        "name": "十八导联心电图机",
        "nameEn": "18-lead ECG",
        "organizationId": HOSPITAL,
        "siteId": site["id"],
        "serial": "SN-18-0001",
    }
    new = await made(desk, "devices", facts)
    assert (new["device"]["site"]["name"], new["device"]["version"]) == ("急诊抢救室", 1)
    assert await refused(desk, "POST", "devices", facts) == "serial_taken"
    elsewhere = {**facts, "organizationId": "org-qingshi", "serial": ""}
    assert await refused(desk, "POST", "devices", elsewhere) == "no_such_place"
    device.token = new["token"]
    assert (await device.call("GET", "/specialties"))[0] == 200
    path = f"devices/{new['device']['id']}"
    status, again = await desk.call("POST", f"/register/{path}/token", {"version": 1})
    assert (status, again["device"]["version"]) == (200, 2)
    assert (await device.call("GET", "/specialties"))[1]["code"] == "token_invalid"
    closing = {"version": site["version"], "name": "a", "nameEn": "a", "active": False}
    assert await refused(desk, "PUT", f"sites/{site['id']}", closing) == "not_empty"
    status, closed = await desk.call("PUT", f"/register/{path}", {**facts, "version": 2, "active": False})
    assert (status, closed["active"]) == (200, False)
    assert (await desk.call("PUT", f"/register/sites/{site['id']}", closing))[0] == 200
    listed = await desk.get("/register/devices?q=SN-18&state=closed")
    assert [one["id"] for one in listed["items"]] == [new["device"]["id"]]


async def test_an_alliance_reaches_across_counties(caller: CallerFactory) -> None:
    admin, desk = await caller("admin"), await caller("desk")
    city = await made(admin, "organizations", {**CLINIC, "level": "city", "parentId": None, "code": "CITY-1"})
    body = {"name": "胸痛联盟", "nameEn": "Chest pain alliance", "organizationIds": [city["id"], HOSPITAL]}
    assert await refused(desk, "POST", "alliances", body) == "forbidden"
    assert (
        await refused(admin, "POST", "alliances", {**body, "organizationIds": ["x", "y"]}) == "no_such_place"
    )
    alliance = await made(admin, "alliances", body)
    assert {one["id"] for one in alliance["organizations"]} == {city["id"], HOSPITAL}
    assert [one["name"] for one in await desk.get("/alliances")] == ["胸痛联盟"]
    status, closed = await admin.call(
        "PUT", f"/register/alliances/{alliance['id']}", {**body, "version": 1, "active": False}
    )
    assert (status, closed["active"], closed["version"]) == (200, False, 2)


async def test_pages_hold_everybody_once(caller: CallerFactory) -> None:
    admin = await caller("admin")
    seen: list[str] = []
    cursor = ""
    while True:
        page = await admin.get(f"/register/practitioners?limit=3{cursor}")
        seen += [one["id"] for one in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert len(seen) == len(set(seen)) == 10
    assert {"prc-cardio1", "prc-cardio2"} == {
        one["id"] for one in (await admin.get("/register/practitioners?specialty=cardiology"))["items"]
    }
    assert [one["id"] for one in (await admin.get("/register/practitioners?role=desk"))["items"]] == [
        "prc-desk"
    ]


async def test_others_do_not_see_the_register(caller: CallerFactory) -> None:
    for username in ("village", "cardio1", "regulator"):
        someone = await caller(username)
        for path in ("organizations", "practitioners", "devices", "sites?organizationId=x"):
            assert (await someone.call("GET", f"/register/{path}"))[0] == 403
