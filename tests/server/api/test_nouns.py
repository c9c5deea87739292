"""Places, people, patients, devices, specialties, the audit trail: what each is allowed to see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.app import Server
from tests.server.running import Caller, CallerFactory

NEW_PATIENT = {"name": "孙小梅", "sex": "female", "birthDate": "1990-05-01", "identifier": "YL-1990"}


async def test_organizations(caller: CallerFactory) -> None:
    someone = await caller("village")
    places = await someone.get("/organizations")
    assert {place["level"] for place in places} == {"county", "township", "village"}
    village = await someone.get("/organizations/org-shiqiao")
    assert (village["name"], village["parentId"]) == ("石桥村卫生室", "org-qingshi")
    assert (await someone.call("GET", "/organizations/nowhere"))[0] == 404


async def test_practitioners_by_specialty_and_letters(caller: CallerFactory) -> None:
    someone = await caller("village")
    hearts = await someone.get("/practitioners?specialty=cardiology")
    assert [person["id"] for person in hearts] == ["prc-cardio1", "prc-cardio2"]
    for letters in ("陈", "chen"):
        assert [p["id"] for p in await someone.get(f"/practitioners?q={letters}")] == ["prc-cardio2"]
    assert (await someone.get("/practitioners/prc-sono1"))["name"] == "何敏"


async def test_specialties_have_both_names(caller: CallerFactory) -> None:
    found = {s["code"]: s["name"] for s in await (await caller("village")).get("/specialties")}
    assert found["cardiology"] == {"zh": "心血管内科", "en": "Cardiology"}


@pytest.mark.parametrize("letters", ["桂英", "guiying", "Zhang G", "zhangg", "YL-1958"])
async def test_a_patient_is_found_by_a_few_letters(caller: CallerFactory, letters: str) -> None:
    found = await (await caller("village")).get(f"/patients?q={letters}")
    assert [patient["name"] for patient in found] == ["张桂英"]


@pytest.mark.parametrize("letters", ["%", "_", "'; DROP TABLE patients; --", "\\"])
async def test_letters_are_only_letters(caller: CallerFactory, letters: str) -> None:
    someone = await caller("village")
    status, found = await someone.call("GET", "/patients", params={"q": letters})
    assert (status, found) == (200, [])


async def test_patients_of_another_place_are_not_seen(caller: CallerFactory) -> None:
    assert [p["name"] for p in await (await caller("village2")).get("/patients")] == ["吴秋月"]
    status, body = await (await caller("village2")).call("GET", "/patients/pat-demo-1")
    assert (status, body["code"]) == (404, "not_found")


async def test_a_new_patient_comes_first(caller: CallerFactory) -> None:
    someone = await caller("village")
    status, made = await someone.call("POST", "/patients", NEW_PATIENT)
    assert status == 201
    assert made["birthDate"] == "1990-05-01"
    assert made["age"] >= 35
    assert (await someone.get("/patients"))[0] == made
    assert await someone.get(f"/patients/{made['id']}") == made


async def test_born_today_is_today_on_the_clinics_wall(
    caller: CallerFactory, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At four in the morning in China it is yesterday in Greenwich."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monkeypatch.setattr(server.services.clock, "wall", (midnight + timedelta(hours=20)).timestamp)
    someone = await caller("village")
    days = [(midnight + timedelta(days=ahead)).date().isoformat() for ahead in (1, 2)]
    given = [await someone.call("POST", "/patients", NEW_PATIENT | {"birthDate": day}) for day in days]
    assert [status for status, _ in given] == [201, 422]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "  "}, "name"),
        ({"sex": "x"}, "sex"),
        ({"birthDate": "tomorrow"}, "birthDate"),
        ({"birthDate": "2999-01-01"}, "birthDate"),
        ({"birthDate": "1700-01-01"}, ""),
        ({"identifier": "x" * 65}, "identifier"),
    ],
)
async def test_a_wrong_patient_is_refused_by_field(
    caller: CallerFactory, change: dict[str, Any], field: str
) -> None:
    status, body = await (await caller("village")).call("POST", "/patients", NEW_PATIENT | change)
    assert (status, body["code"]) == (422, "validation_failed")
    assert field in body["detail"]


async def test_roles_that_care_for_nobody_see_no_patients(caller: CallerFactory) -> None:
    for username in ("regulator", "admin"):
        status, body = await (await caller(username)).call("GET", "/patients")
        assert (status, body["code"]) == (403, "forbidden")


async def test_devices_of_my_place(caller: CallerFactory) -> None:
    devices = await (await caller("village")).get("/devices")
    assert {(d["id"], d["kind"], d["online"]) for d in devices} == {
        ("dev-ecg-1", "ecg", False),
        ("dev-us-1", "ultrasound", False),
    }
    assert await (await caller("village2")).get("/devices") == []


async def test_the_audit_trail_has_pages_newest_first(caller: CallerFactory) -> None:
    village = await caller("village")
    for _ in range(3):
        await village.get("/patients/pat-demo-1")
    regulator = await caller("regulator")
    seen = await all_entries(regulator, 2)
    numbers = [entry["id"] for entry in seen]
    assert numbers == sorted(numbers, reverse=True)
    views = [entry for entry in seen if entry["action"] == "patient.view"]
    assert len(views) == 3
    assert views[0]["actor"]["name"] == "李秀兰"
    assert views[0]["subjectId"] == "pat-demo-1"


async def all_entries(regulator: Caller, limit: int) -> list[Any]:
    found: list[Any] = []
    cursor = ""
    while True:
        page = await regulator.get(f"/audit?limit={limit}{cursor}")
        found += page["items"]
        assert len(page["items"]) <= limit
        if page["nextCursor"] is None:
            return found
        cursor = f"&cursor={page['nextCursor']}"


async def test_others_do_not_read_the_whole_trail(caller: CallerFactory) -> None:
    someone = await caller("cardio1")
    assert (await someone.call("GET", "/audit"))[0] == 403
    assert (await someone.call("GET", "/audit?consultationId=con-unknown"))[0] == 404
