"""The audit trail over HTTP: narrowed, a page at a time, and as files; who may have which part of it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from media.errors import RemoteProtocolError
from server.app import Server
from server.archive.models import Account
from server.auth.actor import system_actor
from server.cli import app
from server.errors import BUSY
from server.limits import LIST_AUDIT_S
from tests.server.consults.test_consult_api import REQUEST, act, people, rung
from tests.server.running import Caller, CallerFactory

WHY = "急诊抢救，需了解既往会诊"


async def busy_morning(caller: CallerFactory) -> tuple[Caller, dict[str, Any]]:
    """A request that is accepted, looked into in an emergency, and refused to the regulator."""
    village, experts = await people(caller)
    _, page = await village.call("POST", "/consultations", REQUEST)
    await act(await rung(page, experts), page["id"], "accept")
    other, regulator = await caller("village2"), await caller("regulator")
    await other.call("POST", f"/consultations/{page['id']}/break-glass", {"reason": WHY, "minutes": 10})
    await regulator.call("GET", "/patients")
    return regulator, page


async def actions(regulator: Caller, question: str) -> set[str]:
    return {entry["action"] for entry in (await regulator.get(f"/audit?limit=100&{question}"))["items"]}


async def test_it_is_narrowed_by_who_what_when_and_consult(caller: CallerFactory) -> None:
    regulator, page = await busy_morning(caller)
    assert await actions(regulator, "what=refused") == {"access.refused"}
    assert await actions(regulator, "what=break_glass") == {"consultation.break_glass"}
    assert await actions(regulator, "what=sign_in") == {"auth.login"}
    assert "consultation.submit" in await actions(regulator, "what=change")
    assert "access.refused" not in await actions(regulator, "what=change")
    assert await actions(regulator, "action=consultation.accept") == {"consultation.accept"}
    by_number = await actions(regulator, f"number={page['number']}")
    assert {"consultation.submit", "consultation.accept", "consultation.break_glass"} <= by_number
    assert "auth.login" not in by_number
    assert await actions(regulator, "number=nobody") == set()
    for who in ("李秀兰", "xiulan", "village&what=sign_in", "prc-village"):
        assert "auth.login" in await actions(regulator, f"who={who}")
    [accepted] = (await regulator.get("/audit?action=consultation.accept"))["items"]
    [offered] = (await regulator.get("/audit?action=consultation.offer"))["items"]
    known = {accepted["actor"]["id"]: accepted["actor"]["name"]}
    assert {one: name["zh"] for one, name in offered["names"].items()} == known
    found = await regulator.get("/audit?who=village&what=sign_in&limit=100")
    assert {entry["actor"]["id"] for entry in found["items"]} == {"prc-village", "prc-village2"}
    assert all(
        entry["actor"]["id"] == "system" for entry in (await regulator.get("/audit?who=system"))["items"]
    )
    assert await actions(regulator, "who=nobody") == set()
    assert await actions(regulator, "from=2000-01-01T00:00:00Z&to=2001-01-01T00:00:00Z") == set()
    assert "auth.login" in await actions(regulator, "from=2000-01-01T00:00:00Z")


async def looks(regulator: Caller) -> list[tuple[str, str, dict[str, Any]]]:
    """(who, which list, what of it), the oldest first; what is not a list is left out."""
    found = (await regulator.get("/audit?action=oversight.view&limit=100"))["items"]
    return [(one["actor"]["id"], one["subjectId"], one["detail"]) for one in reversed(found)]


async def test_a_look_at_a_list_is_one_entry_an_hour_with_its_filters_and_no_patient(
    caller: CallerFactory, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    regulator, page = await busy_morning(caller)
    desk = await caller("desk")
    assert await looks(regulator) == []
    county = {"county": "org-yunling-hospital"}
    for _ in range(3):  # a screen that renews itself; another order, or more rows, is the same list
        await desk.get("/oversight/desk?limit=50")
        await desk.get("/oversight/desk?order=longest&limit=100")
    once = [("prc-desk", "desk", {**county, "consults": 1})]
    assert await looks(regulator) == once
    await desk.get("/oversight/desk?specialty=surgery&late=true")
    narrowed = {**county, "specialty": "surgery", "late": True, "consults": 0}
    assert (await looks(regulator))[1:] == [("prc-desk", "desk", narrowed)]
    await regulator.get("/oversight/now?place=org-shiqiao")
    await regulator.get("/oversight/responses?by=specialty")
    await regulator.get("/oversight/responses?by=specialty")
    place = {**county, "place": "org-shiqiao", "consults": 1}
    times = {**county, "grouped": "specialty", "days": 30, "consults": 1}
    assert (await looks(regulator))[2:] == [
        ("prc-regulator", "now", place),
        ("prc-regulator", "responses", times),
    ]
    # The desk's county with its patients; one's own consults are no look at others'.
    await desk.get("/consultations?scope=open")
    await (await caller("village")).get("/consultations?scope=open")
    await desk.get("/consultations?scope=mine")
    assert (await looks(regulator))[4:] == [
        ("prc-desk", "consultations", {**county, "scope": "open", "consults": 1})
    ]
    assert page["id"] not in str(await looks(regulator))
    # An hour later the screen that still stands there is a new look.
    now = server.services.clock.wall()
    monkeypatch.setattr(server.services.clock, "wall", lambda: now + LIST_AUDIT_S + 1)
    await (await caller("desk")).get("/oversight/desk")
    assert len(await looks(await caller("regulator"))) == 6


async def test_a_look_that_cannot_be_noted_is_not_given(
    caller: CallerFactory, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, regulator = await caller("desk"), await caller("regulator")

    async def full(*_: Any) -> None:
        raise RemoteProtocolError(BUSY)

    with monkeypatch.context() as disk:
        disk.setattr(server.services.audit, "record", full)
        assert (await desk.call("GET", "/oversight/desk"))[0] == 503
    await desk.get("/oversight/desk")
    assert [who for who, *_ in await looks(regulator)] == ["prc-desk"]


async def test_an_account_is_called_by_its_person_or_by_its_user_name(
    caller: CallerFactory, server: Server
) -> None:
    regulator = await caller("regulator")
    async with server.services.database.write() as session:
        session.add(Account(id="acc-ghost", username="ghost", password_hash="x", created_at=0.0))
        await session.flush()
        await server.services.audit.record(session, system_actor(), "auth.login", "account", "acc-ghost")
    ghost, own = (await regulator.get("/audit?action=auth.login"))["items"][:2]
    assert ghost["names"]["acc-ghost"] == {"zh": "ghost", "en": "ghost"}
    assert own["names"][own["subjectId"]]["zh"] == own["actor"]["name"]


async def test_pages_keep_to_what_was_asked(caller: CallerFactory) -> None:
    regulator, _ = await busy_morning(caller)
    seen, cursor = [], ""
    while True:
        page = await regulator.get(f"/audit?what=sign_in&limit=2{cursor}")
        seen += page["items"]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert len(seen) > 3
    assert {(entry["action"], entry["what"]) for entry in seen} == {("auth.login", "sign_in")}


async def test_the_lines_are_what_verify_reads_and_the_table_names_people(
    caller: CallerFactory, tmp_path: Path
) -> None:
    regulator, _ = await busy_morning(caller)
    status, lines = await regulator.call("GET", "/audit/export?format=jsonl")
    (tmp_path / "audit.jsonl").write_bytes(lines)
    checked = CliRunner().invoke(app, ["verify", "audit", str(tmp_path / "audit.jsonl")])
    assert (status, checked.exit_code, "gaps" in checked.stdout) == (200, 0, False), checked.stdout
    count = len(lines.splitlines())
    assert checked.stdout.startswith(f"{count} entries, whole")
    for secret in ("李秀兰", "张桂英", "胸痛", "急诊"):
        assert secret not in lines.decode()
    status, table = await regulator.call("GET", "/audit/export?format=csv&what=sign_in&who=prc-village")
    [row] = csv.DictReader(io.StringIO(table.decode("utf-8-sig")))
    assert (row["name"], row["what"], row["action"]) == ("李秀兰", "sign_in", "auth.login")
    exports = (await regulator.get("/audit?what=export"))["items"]
    assert [(one["detail"]["format"], one["detail"]["rows"]) for one in exports] == [
        ("csv", 1),
        ("jsonl", count),
    ]


async def test_too_long_a_trail_is_refused_whole(
    caller: CallerFactory, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    regulator = await caller("regulator")
    monkeypatch.setattr("server.api.audit.AUDIT_EXPORT_ROWS", 0)
    status, problem = await regulator.call("GET", "/audit/export")
    assert (status, problem["code"]) == (429, "limit_reached")
    assert (await regulator.get("/audit?what=export"))["items"] == []


async def test_who_takes_part_reads_the_consult_s_trail_and_an_emergency_opens_none(
    caller: CallerFactory,
) -> None:
    _, page = await busy_morning(caller)
    own = f"consultationId={page['id']}"
    assert await actions(await caller("village"), f"{own}&what=break_glass") == {"consultation.break_glass"}
    other = await caller("village2")
    await other.get(f"/consultations/{page['id']}")
    for path in (
        f"/audit?{own}",
        "/audit?what=break_glass",
        f"/audit?number={page['number']}",
        f"/audit/export?{own}",
    ):
        assert (await other.call("GET", path))[0] == 403, path
