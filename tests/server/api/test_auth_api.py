"""Signing in, staying signed in, signing out; and what a wrong password gets."""

from __future__ import annotations

from typing import Any

from media.errors import Fault
from server.app import Server
from server.demo_county import PASSWORD
from server.limits import LOGIN_FAILURES_PER_ACCOUNT
from tests.server.running import CallerFactory


async def test_login_says_who_one_is(caller: CallerFactory) -> None:
    someone = await caller(None)
    status, body = await someone.call("POST", "/auth/login", {"username": "cardio1", "password": PASSWORD})
    assert status == 200
    person = body["practitioner"]
    assert (person["name"], person["nameEn"], person["title"]) == ("王建国", "Wang Jianguo", "主任医师")
    assert person["roles"] == ["expert"]
    assert person["specialties"] == ["cardiology"]
    assert person["organization"]["level"] == "county"
    assert body["expiresIn"] > 0


async def test_the_refresh_token_is_in_a_cookie_that_pages_cannot_read(caller: CallerFactory) -> None:
    someone = await caller(None)
    async with someone.http.post(
        f"{someone.url}/api/v1/auth/login", json={"username": "village", "password": PASSWORD}
    ) as reply:
        cookie = reply.headers["Set-Cookie"]
        assert "hz_refresh" not in await reply.text()
    assert cookie.startswith("hz_refresh=")
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/api/v1/auth", "Max-Age="):
        assert attribute in cookie


async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(caller: CallerFactory) -> None:
    someone = await caller(None)
    answers = [
        await someone.call("POST", "/auth/login", {"username": name, "password": "wrong"})
        for name in ("village", "nobody")
    ]
    assert answers[0] == answers[1]
    status, body = answers[0]
    assert (status, body["code"]) == (401, "invalid_credentials")
    assert set(body["message"]) == {"zh", "en"}


async def test_too_many_wrong_passwords_have_to_wait(caller: CallerFactory) -> None:
    someone = await caller(None)
    for _ in range(LOGIN_FAILURES_PER_ACCOUNT):
        await someone.call("POST", "/auth/login", {"username": "village", "password": "wrong"})
    status, body = await someone.call("POST", "/auth/login", {"username": "village", "password": PASSWORD})
    assert (status, body["code"]) == (429, "too_many_attempts")
    assert (await (await caller(None)).login("village2")).token


async def test_a_refresh_gives_a_new_session_and_each_cookie_works_once(caller: CallerFactory) -> None:
    someone = await caller("village")
    old = cookie_of(someone.http)
    status, body = await someone.call("POST", "/auth/refresh")
    assert status == 200
    assert body["practitioner"]["nameEn"] == "Li Xiulan"
    assert cookie_of(someone.http) != old


async def test_a_refresh_token_used_again_much_later_ends_the_family(
    caller: CallerFactory, server: Server
) -> None:
    someone = await caller("village")
    stolen = cookie_of(someone.http)
    now = server.services.clock.wall()
    fresh = await server.services.auth.refresh(stolen, now)
    # Two tabs that renew at once are no theft.
    assert (await server.services.auth.refresh(stolen, now + 1)).access_token
    status, body = await call_later(server, stolen, now + 60)
    assert (status, body) == (401, "unauthenticated")
    assert await call_later(server, fresh.refresh_token, now + 61) == (401, "unauthenticated")


async def call_later(server: Server, token: str, now: float) -> tuple[int, str]:
    try:
        await server.services.auth.refresh(token, now)
    except Fault as fault:
        return fault.code.status, fault.code.code
    return 200, ""


def cookie_of(session: Any) -> str:
    return next(str(morsel.value) for morsel in session.cookie_jar if morsel.key == "hz_refresh")


async def test_logout_ends_the_browser(caller: CallerFactory) -> None:
    someone = await caller("village")
    kept = cookie_of(someone.http)
    assert (await someone.call("POST", "/auth/logout"))[0] == 204
    status, body = await someone.call("POST", "/auth/refresh", headers={"Cookie": f"hz_refresh={kept}"})
    assert (status, body["code"]) == (401, "unauthenticated")


async def test_me(caller: CallerFactory) -> None:
    assert (await (await caller("desk")).get("/auth/me"))["roles"] == ["desk"]


async def test_without_a_token_or_with_a_foreign_one_nothing_is_told(caller: CallerFactory) -> None:
    someone = await caller(None)
    for token, code in ((None, "unauthenticated"), ("abc", "token_invalid"), ("hzd_x", "token_invalid")):
        someone.token = token
        status, body = await someone.call("GET", "/patients")
        assert (status, body["code"]) == (401, code)


async def test_a_login_stands_in_the_audit_trail(caller: CallerFactory) -> None:
    await caller("village")
    page = await (await caller("regulator")).get("/audit")
    logins = [entry for entry in page["items"] if entry["action"] == "auth.login"]
    assert {entry["actor"]["id"] for entry in logins} == {"prc-village", "prc-regulator"}
