"""Files into a running register and out of it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from sqlalchemy import func, select

from server.app import Server
from server.archive.models import Account, AuditEntry, Practitioner
from server.register import importing
from server.register.limits import IMPORT_BYTES
from signaling.personal import Personal
from tests.server.running import Caller, CallerFactory

PLACES = (
    "机构代码,机构名称,级别,上级机构代码\r\nT0001,新镇卫生院,乡镇,HOSP-1\r\nV0001,新村卫生室,村,T0001\r\n"
)
HEADER = "执业证书编号,姓名,机构代码,角色,专科,用户名,状态\r\n"
PEOPLE = (
    HEADER + "11044100001,钱一,T0001,乡镇医生,,qian.1,\r\n11044100002,钱二,HOSP-1,专家,产科；儿科,qian.2,\r\n"
)


async def sent(who: Caller, kind: str, mode: str, data: str | bytes) -> Any:
    raw = data.encode("gb18030") if isinstance(data, str) else data
    async with who.http.post(
        f"{who.url}/api/v1/register/import?kind={kind}&mode={mode}",
        data=io.BytesIO(raw),
        headers={"Authorization": f"Bearer {who.token}", "Content-Type": "text/csv"},
    ) as reply:
        body = await reply.json(content_type=None)
        who.contract.check("POST", "/api/v1/register/import", reply.status, reply.content_type, body)
        return body


async def with_code(caller: CallerFactory) -> Caller:
    """The desk of a county whose hospital has a code."""
    admin = await caller("admin")
    body = {"name": "云岭县人民医院", "nameEn": "Yunling", "level": "county", "code": "HOSP-1", "version": 1}
    assert (await admin.call("PUT", "/register/organizations/org-yunling-hospital", body))[0] == 200
    return await caller("desk")


def counts(report: Any) -> tuple[int, ...]:
    return tuple(report[name] for name in ("lines", "new", "changed", "same", "bad"))


async def test_nothing_is_written_until_it_is_asked_for_and_twice_is_once(
    caller: CallerFactory, server: Server
) -> None:
    desk = await with_code(caller)
    checked = await sent(desk, "organizations", "check", PLACES)
    assert (counts(checked), checked["written"]) == ((2, 2, 0, 0, 0), False)
    assert (await desk.get("/register/organizations?q=T0001"))["items"] == []
    assert (await sent(desk, "organizations", "all", PLACES))["written"]
    report = await sent(desk, "practitioners", "all", PEOPLE)
    assert (counts(report), report["written"]) == ((2, 2, 0, 0, 0), True)
    for mode in ("check", "all"):
        again = await sent(desk, "practitioners", mode, PEOPLE)
        assert (counts(again), again["written"]) == ((2, 0, 0, 2, 0), False)
    moved = await sent(desk, "practitioners", "all", PEOPLE.replace("钱二,HOSP-1", "钱二,T0001"))
    assert (counts(moved), moved["written"]) == ((2, 0, 1, 1, 0), True)
    (person,) = (await desk.get("/register/practitioners?q=qian.2"))["items"]
    assert (person["organization"]["name"], person["version"]) == ("新镇卫生院", 2)
    assert person["specialties"] == ["obstetrics", "paediatrics"]
    # No password yet: nobody signs in, also not with what stands in its place.
    for password in ("!", "nobody"):
        login = {"username": "qian.2", "password": password}
        assert (await desk.call("POST", "/auth/login", login))[1]["code"] == "invalid_credentials"
    status, given = await desk.call("POST", f"/register/practitioners/{person['id']}/password")
    assert (status, given["username"]) == (200, "qian.2")
    async with server.services.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Practitioner)) == 12
        assert await session.scalar(select(func.count()).select_from(Account)) == 12


async def test_one_bad_line_keeps_all_out_unless_the_good_ones_are_asked_for(caller: CallerFactory) -> None:
    desk = await with_code(caller)
    await sent(desk, "organizations", "all", PLACES)
    mixed = PEOPLE + "11044100003,钱三,NOWHERE,专家,产科,,\r\n"
    report = await sent(desk, "practitioners", "all", mixed)
    assert (counts(report), report["written"]) == ((3, 2, 0, 0, 1), False)
    (problem,) = report["problems"]
    assert (problem["line"], problem["column"], problem["value"]) == (4, "机构代码", "NOWHERE")
    assert "机构" in problem["message"]["zh"]
    assert (await desk.get("/register/practitioners?q=钱"))["items"] == []
    assert (await sent(desk, "practitioners", "good", mixed))["written"]
    assert len((await desk.get("/register/practitioners?q=钱"))["items"]) == 2


async def test_whom_a_file_changed_stands_in_the_trail(caller: CallerFactory, server: Server) -> None:
    desk = await with_code(caller)
    await sent(desk, "organizations", "all", PLACES)
    await sent(desk, "practitioners", "all", PEOPLE)
    people = (await desk.get("/register/practitioners?q=qian"))["items"]
    await sent(desk, "practitioners", "all", PEOPLE.replace("钱二,HOSP-1", "钱二,T0001"))
    query = select(AuditEntry.detail).where(
        AuditEntry.action == "register.import", AuditEntry.subject_id == "practitioners"
    )
    async with server.services.database.read() as session:
        details = (await session.scalars(query.order_by(AuditEntry.sequence))).all()
    named = [{key: value for key, value in one.items() if isinstance(value, list)} for one in details]
    ids = {one["account"]["username"]: one["id"] for one in people}
    assert [sorted(one.get("new", ())) for one in named] == [[], sorted(ids.values()), [], []]
    assert named[-1] == {"changed": [ids["qian.2"]]}
    assert details[-1]["file"] == details[-2]["file"]


async def test_nobody_closes_themselves_by_a_file(caller: CallerFactory, server: Server) -> None:
    desk = await with_code(caller)
    async with server.services.database.write() as session:
        (await session.get_one(Practitioner, "prc-desk")).registration = Personal("11044109999")
    for line in ("王,HOSP-1,值班台,,desk,停用", "王,HOSP-1,乡镇医生,,desk,在用"):
        report = await sent(desk, "practitioners", "good", HEADER + f"11044109999,{line}\r\n")
        assert [one["code"] for one in report["problems"]] == ["not_yourself"], report


async def test_a_closed_line_signs_out(
    caller: CallerFactory, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[str] = []
    monkeypatch.setattr(server.services.consults, "expert_left", lambda actor, one: left.append(one))
    desk, someone = await with_code(caller), await caller(None)
    await sent(desk, "organizations", "all", PLACES)
    await sent(desk, "practitioners", "all", PEOPLE)
    (person,) = (await desk.get("/register/practitioners?q=qian.1"))["items"]
    given = (await desk.call("POST", f"/register/practitioners/{person['id']}/password"))[1]
    fresh = {"username": "qian.1", "password": given["password"], "newPassword": "long enough 1"}
    someone.token = (await someone.call("POST", "/auth/password", fresh))[1]["accessToken"]
    assert (await someone.call("GET", "/auth/me"))[0] == 200
    closed = HEADER + "11044100001,钱一,T0001,乡镇医生,,qian.1,停用\r\n"
    assert not (await sent(desk, "practitioners", "check", closed))["written"]
    assert left == []
    assert (await sent(desk, "practitioners", "all", closed))["written"]
    assert left == [person["id"]]
    (shown,) = (await desk.get("/register/practitioners?q=qian.1&state=all"))["items"]
    assert shown["account"]["disabled"]
    assert (await someone.call("GET", "/auth/me"))[1]["code"] == "token_invalid"
    opened = await sent(desk, "practitioners", "all", PEOPLE)
    assert counts(opened) == (2, 0, 1, 1, 0)
    assert (await someone.call("GET", "/auth/me"))[0] == 200
    assert (await someone.call("POST", "/auth/refresh"))[1]["code"] == "unauthenticated"
    login = {"username": "qian.1", "password": fresh["newPassword"]}
    assert (await someone.call("POST", "/auth/login", login))[0] == 200
    for active in (False, True):  # on the page as by a file
        (shown,) = (await desk.get("/register/practitioners?q=qian.1&state=all"))["items"]
        change = {"version": shown["version"], "active": active}
        assert (await desk.call("POST", f"/register/practitioners/{person['id']}/closing", change))[0] == 200
    assert (await someone.call("POST", "/auth/refresh"))[1]["code"] == "unauthenticated"


async def test_what_changes_while_a_file_is_checked_is_checked_again(
    caller: CallerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await with_code(caller)
    await sent(desk, "organizations", "all", PLACES)
    checked = importing._checked
    taken: list[tuple[int, Any]] = []

    async def checked_then_taken(*given: Any) -> Any:
        found = await checked(*given)
        if not taken:
            taken.append(
                await desk.call("POST", "/register/practitioners/prc-village/account", {"username": "qian.1"})
            )
        return found

    monkeypatch.setattr(importing, "_checked", checked_then_taken)
    report = await sent(desk, "practitioners", "all", PEOPLE)
    assert taken[0][0] == 201
    assert [(one["line"], one["code"]) for one in report["problems"]] == [(2, "username_taken")]
    assert not report["written"]


async def test_the_exported_file_read_in_again_changes_nothing(caller: CallerFactory) -> None:
    desk = await with_code(caller)
    await sent(desk, "organizations", "all", PLACES)
    await sent(desk, "practitioners", "all", PEOPLE)
    admin = await caller("admin")
    for kind in ("organizations", "practitioners"):
        status, data = await desk.call("GET", f"/register/export?kind={kind}")
        assert status == 200
        report = await sent(admin, kind, "check", data)
        assert report["new"] == report["changed"] == 0
        assert report["same"] == 2 + (kind == "organizations")
        # The demo's own have no numbers yet; each is told.
        assert {one["code"] for one in report["problems"]} == {"missing"}
    status, data = await desk.call("GET", "/register/export?kind=practitioners&empty=true")
    assert (status, data.decode("utf-8-sig").count("\r\n")) == (200, 1)


async def test_a_formula_in_the_register_leaves_it_harmless(caller: CallerFactory) -> None:
    desk = await caller("desk")
    body = {"name": "=HYPERLINK(1)", "organizationId": "org-qingshi", "roles": ["township_doctor"]}
    assert (await desk.call("POST", "/register/practitioners", body))[0] == 201
    status, data = await desk.call("GET", "/register/export?kind=practitioners")
    assert status == 200
    assert "'=HYPERLINK(1)" in data.decode()


async def test_a_file_that_has_no_end_is_not_read(caller: CallerFactory) -> None:
    desk = await caller("desk")
    body = await sent(desk, "practitioners", "check", b"x" * (IMPORT_BYTES + 1))
    assert body["code"] == "too_large"

    async def endless() -> Any:
        for _ in range(IMPORT_BYTES // 65536 + 2):
            yield b"y" * 65536

    async with desk.http.post(
        f"{desk.url}/api/v1/register/import?kind=practitioners",
        data=endless(),
        headers={"Authorization": f"Bearer {desk.token}"},
    ) as reply:
        assert reply.status == 413


async def test_others_import_and_export_nothing(caller: CallerFactory) -> None:
    village = await caller("village")
    assert (await sent(village, "practitioners", "check", PEOPLE))["code"] == "forbidden"
    assert (await village.call("GET", "/register/export?kind=practitioners"))[0] == 403
