"""Consults over HTTP: the JSON of the contract, codes, and who is let in. A real server, real rooms."""

from __future__ import annotations

from typing import Any

from server.demo_county import PASSWORD
from tests.server.running import Caller, CallerFactory

REQUEST = {
    "kind": "urgent",
    "specialty": "cardiology",
    "patientId": "pat-demo-1",
    "purpose": "胸痛两小时",
    "summary": "血压 90/60",
    "consent": {"consult": True, "recording": True, "by": "patient"},
    "deviceIds": ["dev-ecg-1"],
    "submit": True,
}


async def act(who: Caller, consult: str, action: str, **given: Any) -> tuple[int, Any]:
    return await who.call("POST", f"/consultations/{consult}/actions", {"action": action, **given})


async def rung(page: dict[str, Any], experts: dict[str, Caller]) -> Caller:
    [offer] = [offer for offer in page["offers"] if offer["state"] == "ringing"]
    return experts[offer["practitioner"]["id"]]


async def people(caller: CallerFactory) -> tuple[Caller, dict[str, Caller]]:
    experts = {f"prc-{name}": await caller(name) for name in ("cardio1", "cardio2")}
    return await caller("village"), experts


async def test_a_consult_over_http(caller: CallerFactory) -> None:
    village, experts = await people(caller)
    status, page = await village.call("POST", "/consultations", REQUEST)
    assert status == 201
    consult = page["id"]
    assert (page["state"], page["kind"], page["patient"]["name"]) == ("OFFERED", "urgent", "张桂英")
    assert page["next"]["action"] == "ring_timeout"
    assert page["next"]["name"]["en"] == "the next expert is rung"
    assert "cancel" in page["allowed"]
    assert {"from", "to", "at", "actor", "action", "reason"} == set(page["events"][0])

    expert = await rung(page, experts)
    assert (await expert.get("/consultations?scope=ringing"))["items"][0]["id"] == consult
    status, page = await act(expert, consult, "accept", version=page["version"])
    assert (status, page["state"]) == (200, "ACCEPTED")
    [other] = [one for one in experts.values() if one is not expert]
    status, problem = await act(other, consult, "accept")
    assert (status, problem["code"]) == (403, "forbidden")

    status, entry = await expert.call("POST", f"/consultations/{consult}/room-token")
    assert (status, entry["role"], entry["roomId"]) == (200, "expert", f"c-{consult}")
    assert entry["routerRtpCapabilities"]["codecs"]
    # The same with a renewed session, for a page that is opened in the room.
    status, session = await expert.call("POST", f"/auth/refresh?room={consult}")
    assert (status, session["room"]["role"], session["room"]["consultation"]["id"]) == (
        200,
        "expert",
        consult,
    )
    status, session = await other.call("POST", f"/auth/refresh?room={consult}")
    assert (status, session["room"], session["accessToken"] != "") == (200, None, True)

    status, link = await village.call("POST", f"/consultations/{consult}/guest-links", {"label": "家属"})
    assert status == 201
    guest = await caller(None)
    secret = link["url"].removeprefix("/g/")
    assert (await guest.get(f"/guest/{secret}"))["state"] == "open"
    status, token = await guest.call("POST", f"/guest/{secret}/token", {"displayName": "张强"})
    assert (status, token["role"]) == (201, "guest")
    status, _ = await village.call("DELETE", f"/consultations/{consult}/guest-links/{link['id']}")
    assert status == 204
    status, problem = await guest.call("POST", f"/guest/{secret}/token", {"displayName": "张强"})
    assert (status, problem["code"]) == (410, "guest_link_ended")
    [listed] = await village.get(f"/consultations/{consult}/guest-links")
    assert listed["url"] is None
    assert listed["endedAt"] is not None


async def test_a_diagnostic_read_signed_and_acknowledged_over_http(caller: CallerFactory) -> None:
    village, experts = await people(caller)
    _, page = await village.call("POST", "/consultations", {**REQUEST, "kind": "diagnostic"})
    consult, expert = page["id"], await rung(page, experts)
    await act(expert, consult, "accept")
    await act(expert, consult, "end")
    opinion = {"findings": "窦性心律", "conclusion": "正常心电图", "advice": "随访", "critical": False}
    status, page = await expert.call("PUT", f"/consultations/{consult}/opinion", opinion)
    assert (status, page["opinion"]["state"]) == (200, "draft")
    sign = f"/consultations/{consult}/opinion/sign"
    status, problem = await expert.call("POST", sign, {"password": "guess"})
    assert (status, problem["code"]) == (403, "wrong_password")
    status, page = await expert.call("POST", sign, {"password": PASSWORD})
    assert (status, page["state"]) == (200, "RETURNED")
    assert page["opinion"]["signature"]["algorithm"] == "Ed25519"
    assert page["opinion"]["signature"]["verified"] is True
    status, page = await act(village, consult, "acknowledge", data={"decision": "随访"})
    assert (status, page["state"], page["decision"]["text"]) == (200, "ACKNOWLEDGED", "随访")
    trail = await village.get(f"/audit?consultationId={consult}")
    assert "consultation.sign" in {entry["action"] for entry in trail["items"]}


async def test_drafts_are_changed_and_what_is_missing_is_named(caller: CallerFactory) -> None:
    village, _ = await people(caller)
    _, page = await village.call("POST", "/consultations", {**REQUEST, "summary": "", "submit": False})
    consult = page["id"]
    status, problem = await act(village, consult, "submit")
    assert (status, problem["code"], problem["detail"]) == (422, "incomplete", "summary")
    status, page = await village.call("PATCH", f"/consultations/{consult}", {"summary": "大汗"})
    assert (status, page["summary"], page["version"]) == (200, "大汗", 2)
    status, problem = await act(village, consult, "submit", version=1)
    assert (status, problem["code"]) == (409, "version_conflict")
    status, page = await act(village, consult, "submit", version=2)
    assert (status, page["state"]) == (200, "OFFERED")


async def test_bad_requests_are_named(caller: CallerFactory) -> None:
    village, experts = await people(caller)
    for change, code in (
        ({"patientId": "pat-demo-4"}, "no_such_patient"),
        ({"deviceIds": ["dev-none"]}, "no_such_device"),
        ({"specialty": "astrology"}, "no_such_specialty"),
        ({"kind": "whenever"}, "validation_failed"),
    ):
        status, problem = await village.call("POST", "/consultations", {**REQUEST, **change})
        assert (status, problem["code"]) == (422, code)
    _, page = await village.call("POST", "/consultations", REQUEST)
    status, problem = await act(await rung(page, experts), page["id"], "explode")
    assert (status, problem["code"]) == (422, "validation_failed")
    status, problem = await village.call("GET", "/consultations?cursor=x")
    assert (status, problem["code"]) == (400, "malformed")


async def test_nobody_else_gets_in(caller: CallerFactory) -> None:
    village, _ = await people(caller)
    _, page = await village.call("POST", "/consultations", REQUEST)
    for name in ("village2", "neuro1", "admin", "regulator"):
        stranger = await caller(name)
        status, problem = await stranger.call("GET", f"/consultations/{page['id']}")
        assert (status, problem["code"]) == (403, "forbidden")
    status, problem = await (await caller(None)).call("GET", f"/consultations/{page['id']}")
    assert (status, problem["code"]) == (401, "unauthenticated")


async def test_who_is_on_call(caller: CallerFactory) -> None:
    village = await caller("village")
    [cardiology] = await village.get("/schedules/on-call?specialty=cardiology")
    assert {one["id"] for one in cardiology["practitioners"]} == {"prc-cardio1", "prc-cardio2"}
    [later] = await village.get(f"/schedules/on-call?specialty=cardiology&at={cardiology['until']}")
    assert later["practitioners"] == list(reversed(cardiology["practitioners"]))
    schedules = await village.get("/schedules")
    assert {one["specialty"] for one in schedules} == {"cardiology", "neurology", "ultrasound"}
    one = await village.get(f"/schedules/{schedules[0]['id']}")
    assert [layer["level"] for layer in one["layers"]] == [1, 2]
    status, problem = await village.call("GET", "/schedules/none")
    assert (status, problem["code"]) == (404, "not_found")
