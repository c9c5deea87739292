"""Maintaining places and people, and being reached, in real browsers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from loadtest.browser import Rest, person
from loadtest.server_process import ServerProcess
from tests.browser.people import PATIENCE_MS, Person
from tests.browser.test_accessibility import LOOKS, violations

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)

PUSHES = 6
"""How often a push is handed over before it is called lost."""

GAP = {
    "type": "gap",
    "schedule": "sch-neurology",
    "specialty": {"zh": "神经内科", "en": "Neurology"},
    "place": {"zh": "云岭县人民医院", "en": "Yunling County Hospital"},
    "timeZone": "Asia/Shanghai",
    "day": "2026-03-03",
    "starts": "2026-03-03T00:00:00.000Z",
    "ends": "2026-03-04T00:00:00.000Z",
    "count": 1,
    "soon": True,
}
"""As `server.reach.messages.gap_body` makes it."""

SHOWN_WITHIN = """async ([patience, tag]) => {
    const registration = await navigator.serviceWorker.ready;
    for (const end = performance.now() + patience; performance.now() < end; ) {
        const note = (await registration.getNotifications()).find((one) => one.tag.startsWith(tag));
        if (note) return { title: note.title, body: note.body, to: note.data.to ?? null };
        await new Promise((next) => setTimeout(next, 50));
    }
    return null;
}"""
"""The notification that is shown, asked for again and again during this many milliseconds."""


@pytest.fixture(scope="module")
def server(county: Path) -> Iterator[ServerProcess]:
    """Without gateways: nothing here is about them."""
    process = ServerProcess(county, ["--no-devices"])
    yield process
    assert process.stop() == 0, process.log_text()[-4000:]


def signed_in(browser: Browser, server: ServerProcess, name: str, **options: Any) -> Person:
    who = Person.at(browser, server.url, name, **{"viewport": {"width": 1366, "height": 900}, **options})
    who.page.goto("/")
    return who


def test_a_doctor_is_registered_and_chooses_a_password(server: ServerProcess, browser: Browser) -> None:
    desk = signed_in(browser, server, "desk")
    desk.page.goto("/people")
    expect(desk.get("person-row").first).to_be_visible()
    desk.get("person-new").click()
    desk.get("person-name").fill("林小雨")
    desk.get("person-place").select_option("org-yunling-hospital")
    desk.get("role-expert").check()
    desk.get("specialty-obstetrics").check()
    desk.get("person-save").click()
    expect(desk.get("person-save")).to_have_count(0)
    desk.get("people-search").fill("林小雨")
    expect(desk.get("person-row")).to_have_count(1)
    desk.get("person-account").click()
    desk.get("account-username").fill("lin.xiaoyu")
    desk.get("account-send").click()
    temporary = desk.get("secret").inner_text()
    desk.get("secret-close").click()
    expect(desk.get("person-row")).to_contain_text("临时密码")
    doctor = Person.at(browser, server.url)
    doctor.page.goto("/login")
    doctor.get("login-username").fill("lin.xiaoyu")
    doctor.get("login-password").fill(temporary)
    doctor.get("login-submit").click()
    doctor.get("login-fresh").fill("my own password")
    doctor.get("login-again").fill("my own password")
    assert violations(doctor.page) == []
    doctor.get("login-submit").click()
    doctor.page.wait_for_url("**/")
    desk.get("person-close").click()
    desk.get("closing-send").click()
    expect(desk.get("person-row")).to_contain_text("停用")
    assert [desk.complaints, doctor.complaints] == [[], []]
    for who in (desk, doctor):
        who.context.close()


def test_a_file_is_checked_before_it_is_written(
    server: ServerProcess, browser: Browser, tmp_path: Path
) -> None:
    rest = Rest(person(browser, server.url, "admin"), "admin")
    hospital = {
        "name": "云岭县人民医院",
        "nameEn": "Yunling",
        "level": "county",
        "code": "HOSP-1",
        "version": 1,
    }
    rest.call("PUT", "/register/organizations/org-yunling-hospital", hospital)
    desk = signed_in(browser, server, "desk")
    desk.page.goto("/people?tab=import")
    desk.get("import-kind").select_option("organizations")
    file = tmp_path / "机构.csv"
    good = "机构代码,机构名称,级别,上级机构代码\r\nTT-0001,新镇卫生院,乡镇,HOSP-1\r\n"
    file.write_bytes((good + "TT-0002,错镇卫生院,乡镇,NOWHERE\r\n").encode("gb18030"))
    desk.get("import-file").set_input_files(file)
    expect(desk.get("bad-line")).to_have_attribute("data-code", "no_parent")
    expect(desk.get("bad-line")).to_contain_text("上级机构代码")
    assert violations(desk.page) == []
    mended = tmp_path / "机构2.csv"
    mended.write_bytes(good.encode("utf-8-sig"))
    desk.get("import-file").set_input_files(mended)
    desk.get("import-write").click()
    expect(desk.get("import-report")).to_have_attribute("data-written", "true")
    desk.get("tab-places").click()
    desk.get("places-search").fill("TT-0001")
    expect(desk.get("place-row")).to_have_count(1)  # the search has narrowed the list
    expect(desk.get("place-row")).to_contain_text("新镇卫生院")
    assert desk.complaints == []
    desk.context.close()


def test_a_file_that_was_changed_since_is_asked_for_again(
    server: ServerProcess, browser: Browser, tmp_path: Path
) -> None:
    desk = signed_in(browser, server, "desk")
    desk.page.goto("/people?tab=import")
    desk.get("import-kind").select_option("organizations")
    file = tmp_path / "机构.csv"
    file.write_text("机构代码,机构名称,级别,上级机构代码\nTT-9,错镇卫生院,乡镇,NOWHERE\n", "utf-8-sig")
    desk.get("import-file").set_input_files(file)
    expect(desk.get("bad-line")).to_have_count(1)
    file.write_text("机构代码,机构名称,级别,上级机构代码\n", "utf-8-sig")
    desk.get("import-again").click()
    expect(desk.get("import-stale")).to_contain_text("机构.csv")
    expect(desk.get("import-report")).to_have_count(0)
    with desk.page.expect_file_chooser() as chooser:
        desk.get("import-rechoose").click()
    chooser.value.set_files(file)
    expect(desk.get("import-report")).to_have_attribute("data-written", "false")
    expect(desk.get("import-stale")).to_have_count(0)
    assert desk.complaints == []
    desk.context.close()


def test_an_alliance_is_made_and_changed(server: ServerProcess, browser: Browser) -> None:
    admin = signed_in(browser, server, "admin")
    admin.page.goto("/people?tab=places")
    admin.get("alliance-new").click()
    admin.get("alliance-name").fill("云岭医联体")
    for count, place in enumerate(("org-qingshi", "org-liuwan"), 1):
        expect(admin.get("alliance-save")).to_be_disabled()
        admin.get("alliance-add").select_option(place)
        expect(admin.get("alliance-member")).to_have_count(count)
    assert violations(admin.page) == []
    admin.get("alliance-save").click()
    expect(admin.get("alliance-row")).to_contain_text("柳湾村卫生室")
    admin.get("alliance-close").click()
    expect(admin.get("alliance-row")).to_contain_text("停用")
    assert admin.complaints == []
    admin.context.close()


def test_a_test_ring_says_that_the_page_can_be_rung(server: ServerProcess, browser: Browser) -> None:
    expert = signed_in(browser, server, "neuro1")
    expert.get("reach-open").click()
    expect(expert.get("reach-now")).to_contain_text("可以呼叫到您")
    expert.get("reach-test").click()
    expect(expert.get("reach-way")).to_have_attribute("data-state", "seen")
    assert expert.complaints == []
    expert.context.close()


def test_a_push_is_shown_by_the_worker_without_a_patient(server: ServerProcess, browser: Browser) -> None:
    """What the push service would deliver, handed to the browser by its own debugger."""
    expert = Person.at(browser, server.url)
    expert.context.grant_permissions(["notifications"])
    page = expert.page
    page.goto("/login")
    page.evaluate("() => navigator.serviceWorker.register('/sw.js?language=zh')")
    session = expert.context.new_cdp_session(page)
    versions: list[Any] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated", lambda event: versions.extend(event["registrations"])
    )
    session.send("ServiceWorker.enable")
    # A push handed over while the worker still activates may be dropped without a word, as a push service may
    # drop one. It is handed over again, which shows one notification all the same (one tag).
    expert.wait_for("async () => (await navigator.serviceWorker.ready).active.state === 'activated'")

    def shown(message: dict[str, Any]) -> Any:
        target = {"origin": server.url, "registrationId": versions[-1]["registrationId"]}
        for _ in range(PUSHES):
            session.send("ServiceWorker.deliverPushMessage", {**target, "data": json.dumps(message)})
            told = page.evaluate(SHOWN_WITHIN, [5_000, message["type"]])
            if told:
                return told
        return None

    assert shown({"type": "test", "id": "dlv-none"}) == {
        "title": "试呼",
        "body": "这台设备可以收到呼叫。",
        "to": None,
    }
    assert shown({**GAP, "id": "dlv-none"}) == {
        "title": "24 小时内无人值守 · 神经内科",
        "body": "云岭县人民医院 · 3月3日 08:00 – 3月4日 08:00",
        "to": "/rota?rota=sch-neurology&day=2026-03-03",
    }
    assert expert.complaints == []
    expert.context.close()


def test_the_switch_takes_the_line_and_gives_it_back(server: ServerProcess, browser: Browser) -> None:
    (now,) = Rest(person(browser, server.url, "village"), "village").call(
        "GET", "/schedules/on-call?specialty=cardiology"
    )
    behind = str(now["practitioners"][1]["id"]).removeprefix("prc-")
    expert = signed_in(browser, server, behind)
    switch = expert.get("duty-switch")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    assert expert.complaints == []
    expert.context.close()


@pytest.mark.parametrize(("locale", "device"), LOOKS)
def test_no_page_of_the_register_breaks_a_rule(
    server: ServerProcess, browser: Browser, locale: str, device: dict[str, Any]
) -> None:
    who = Person.at(browser, server.url, "desk", locale=locale, reduced_motion="reduce", **device)
    found: list[str] = []
    ready = {"people": "person-row", "places": "place-row", "devices": "device-row"}
    ready |= {"import": "import-file", "deliveries": "on-call-reach"}
    for tab, test_id in ready.items():
        who.page.goto(f"/people?tab={tab}")
        expect(who.get(test_id).first).to_be_visible()
        found += violations(who.page)
    who.page.goto("/people")
    who.get("person-edit").first.click()
    expect(who.get("person-name")).to_be_visible()
    found += violations(who.page)
    who.page.goto("/reach")
    expect(who.get("reach-now")).to_be_visible()
    found += violations(who.page)
    who.context.close()
    assert found == []
