"""The rota in real browsers: a swap with approval, an announced gap, changes by hand and their undoing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from loadtest.browser import Rest, person
from loadtest.server_process import ServerProcess
from tests.browser.people import PATIENCE_MS, Person
from tests.browser.test_accessibility import LOOKS, violations

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)

CARDIOLOGY = "/rota?rota=sch-cardiology"


@pytest.fixture(scope="module")
def desk(server: ServerProcess, browser: Browser) -> Iterator[Rest]:
    context = person(browser, server.url, "desk")
    yield Rest(context, "desk")
    context.close()


def signed_in(browser: Browser, server: ServerProcess, name: str, **options: Any) -> Person:
    who = Person.at(browser, server.url, name, **{"viewport": {"width": 1366, "height": 900}, **options})
    who.page.goto("/")
    return who


def handover(days: int) -> str:
    """The hand-over (08:00 in China) so many days ahead."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def shift(days: int) -> str:
    """The first line's shift of that day, as the dialog's choices are named."""
    return f"1 {handover(days)} {handover(days + 1)}".replace("Z", ".000Z")


def on_call(rest: Rest, at: str) -> list[str]:
    (now,) = rest.call("GET", f"/schedules/on-call?specialty=cardiology&at={at}")
    return [str(one["id"]).removeprefix("prc-") for one in now["practitioners"]]


def test_a_swap_with_approval(server: ServerProcess, browser: Browser, desk: Rest) -> None:
    asker, other = on_call(desk, handover(3))
    asking, agreeing = (signed_in(browser, server, name) for name in (asker, other))
    approving = signed_in(browser, server, "desk")
    asking.page.goto(CARDIOLOGY)
    expect(asking.get("rota-bar").first).to_be_visible()
    approving.page.goto("/desk")
    asking.get("rota-swap").click()
    wanted = asking.get("swap-given").locator(f"option[value='{shift(3)}']")
    expect(wanted).to_have_count(1)
    asking.get("swap-given").select_option(shift(3))
    asking.get("swap-back").select_option(shift(4))
    asking.get("swap-reason").fill("家长会")
    asking.get("swap-send").click()
    expect(asking.get("rota-ask")).to_have_attribute("data-stage", "proposed")
    # The others learn of it where they are: on the home page, and at the desk.
    agreeing.get("ask-agree").click()
    expect(asking.get("rota-ask")).to_have_attribute("data-stage", "agreed")
    assert on_call(desk, handover(3))[0] == asker
    approving.get("ask-approve").click()
    expect(approving.get("preview-change")).to_have_count(2)
    expect(approving.get("rota-preview")).to_contain_text("心血管内科")
    assert violations(approving.page) == []
    approving.get("decide-confirm").click()
    expect(asking.get("rota-ask")).to_have_attribute("data-stage", "approved")
    assert [on_call(desk, handover(day))[0] for day in (3, 4)] == [other, asker]
    assert [who.complaints for who in (asking, agreeing, approving)] == [[], [], []]
    for who in (asking, agreeing, approving):
        who.context.close()


def test_a_gap_is_announced_at_the_desk_and_shown_in_red(
    server: ServerProcess, browser: Browser, desk: Rest
) -> None:
    who = signed_in(browser, server, "desk")
    who.page.goto("/desk")
    expect(who.page.locator("h1")).to_be_visible()
    expect(who.get("gap-notices")).to_have_count(0)
    leave = {"starts": handover(2), "ends": handover(4), "practitionerId": "prc-neuro1"}
    made = desk.call("POST", "/schedules/leave", leave)
    expect(who.get("gap-notices")).to_contain_text("神经内科")
    who.get("gap-notices").get_by_role("link").first.click()
    expect(who.get("rota-gap").first).to_be_visible()
    assert who.get("rota-gap").count() == 2
    red = who.get("rota-gap").first.evaluate("(it) => getComputedStyle(it).backgroundColor")
    assert red == "rgb(179, 32, 31)"
    desk.call("POST", f"/schedules/asks/{made['id']}/actions", {"action": "withdraw"})
    expect(who.get("gap-notices")).to_have_count(0)
    assert who.complaints == []
    who.context.close()


def test_the_desk_changes_a_shift_by_keyboard_sees_what_if_and_undoes(
    server: ServerProcess, browser: Browser, desk: Rest
) -> None:
    who = signed_in(browser, server, "desk")
    who.page.goto(CARDIOLOGY)
    holder, other = on_call(desk, handover(2))
    bar = who.page.locator(f"[data-cell='prc-{holder} {handover(2)[:10]}'] [data-testid=rota-bar]").first
    expect(bar).to_be_visible()
    bar.focus()
    who.page.keyboard.press("Enter")
    expect(who.get("override-who")).to_have_value(f"prc-{holder}")
    who.get("override-by").select_option(f"prc-{other}")
    expect(who.get("rota-preview")).to_contain_text("→")
    assert on_call(desk, handover(2))[0] == holder
    who.get("override-reason").fill("会议")
    who.get("override-save").click()
    expect(who.get("rota-undo")).to_be_visible()
    assert on_call(desk, handover(2))[0] == other
    who.get("rota-undo").click()
    expect(who.get("rota-undo")).to_have_count(0)
    assert on_call(desk, handover(2))[0] == holder
    # The same by drawing it onto the other's row; a removal would leave a gap, and says so first.
    row = who.page.locator(f"[data-cell='prc-{other} {handover(2)[:10]}']")
    bar.drag_to(row)
    expect(who.get("override-by")).to_have_value(f"prc-{other}")
    who.get("override-change").select_option("remove")
    expect(who.get("preview-gaps")).to_be_visible()
    assert who.complaints == []
    who.context.close()


@pytest.mark.parametrize(("locale", "device"), LOOKS)
def test_the_calendar_breaks_no_rule(
    server: ServerProcess,
    browser: Browser,
    desk: Rest,
    locale: str,
    device: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    who = Person.at(browser, server.url, "desk", locale=locale, reduced_motion="reduce", **device)
    who.page.goto(CARDIOLOGY)
    expect(who.get("rota-bar").first).to_be_visible()
    found = violations(who.page)
    who.get("rota-month").click()
    expect(who.get("rota-bar").nth(40)).to_be_attached()
    found += violations(who.page)
    who.get("rota-override").click()
    (_, behind) = on_call(desk, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    who.get("override-by").select_option(f"prc-{behind}")
    expect(who.get("rota-preview")).to_be_visible()
    found += violations(who.page)
    if pictures := request.config.getoption("--pictures"):
        who.page.screenshot(path=f"{pictures}/rota-dialog-{request.node.callspec.id}.png")
        who.page.keyboard.press("Escape")
        who.page.screenshot(path=f"{pictures}/rota-month-{request.node.callspec.id}.png", full_page=True)
        who.get("rota-week").click()
        who.page.screenshot(path=f"{pictures}/rota-week-{request.node.callspec.id}.png", full_page=True)
    assert (found, who.complaints) == ([], [])
    who.context.close()


def test_the_desk_edits_the_escalation_and_takes_an_earlier_state_again(
    server: ServerProcess, browser: Browser, desk: Rest
) -> None:
    who = signed_in(browser, server, "desk", reduced_motion="reduce")
    who.page.goto(CARDIOLOGY)
    path = "/schedules/sch-cardiology/escalation"
    for seconds in ("5", "30", "45"):
        who.get("rota-escalation").click()
        who.get("escalation-seconds").first.fill(seconds)
        if seconds == "5":
            expect(who.get("escalation-save")).to_be_disabled()
            found = violations(who.page)
            who.page.keyboard.press("Escape")
        else:
            expect(who.get("escalation-story")).to_contain_text(f"0:{seconds}")
            who.get("escalation-save").click()
        expect(who.get("escalation")).to_have_count(0)
    assert desk.call("GET", path)["policies"]["urgent"]["steps"][0]["seconds"] == 45
    who.get("rota-escalation").click()
    who.page.locator("dialog summary").click()
    who.get("escalation-change").nth(1).get_by_role("button").click()
    expect(who.get("escalation-seconds").first).to_have_value("30")
    who.get("escalation-save").click()
    expect(who.get("escalation")).to_have_count(0)
    assert desk.call("GET", path)["policies"]["urgent"]["steps"][0]["seconds"] == 30
    assert (found, who.complaints) == ([], [])
    who.context.close()


def test_the_desk_edits_layers_and_holidays(server: ServerProcess, browser: Browser, desk: Rest) -> None:
    who = signed_in(browser, server, "desk", reduced_motion="reduce")
    who.page.goto(CARDIOLOGY)
    who.get("rota-layers").click()
    expect(who.get("layers-save")).to_be_disabled()
    who.get("layer-remove").last.click()
    expect(who.get("rota-preview")).to_be_visible()
    who.get("layer-add").click()
    expect(who.get("layers-save")).to_be_disabled()  # nobody takes turns in it yet
    found = violations(who.page)
    who.get("layer-join").last.select_option(index=1)
    who.get("layer-days").last.select_option("workday")
    who.get("layers-save").click()
    expect(who.get("layers")).to_have_count(0)
    assert desk.call("GET", "/schedules/sch-cardiology")["layers"][-1]["dayKind"] == "workday"
    who.get("rota-holidays").click()
    who.get("holiday-day").fill("2026-12-12")
    who.get("holiday-kind").select_option("workday")
    who.get("holiday-save").click()
    entered = who.page.locator("[data-testid=holiday][data-day='2026-12-12']")
    expect(entered).to_have_count(1)
    found += violations(who.page)
    entered.get_by_role("button").click()
    expect(entered).to_have_count(0)
    assert (found, who.complaints) == ([], [])
    who.context.close()


def test_the_desk_makes_a_rota_for_a_specialty_without_one(
    server: ServerProcess, browser: Browser, desk: Rest
) -> None:
    who = signed_in(browser, server, "desk", reduced_motion="reduce")
    who.page.goto("/rota")
    who.get("rota-new").click()
    who.get("rota-name").fill("神经内科二线")
    who.get("rota-specialty").select_option("neurology")
    expect(who.get("layer-join").locator("option")).to_have_count(2)
    who.get("layer-join").select_option("prc-neuro1")
    who.get("layers-save").click()
    expect(who.get("layers")).to_have_count(0)
    expect(who.get("rota-schedule").locator("option:checked")).to_have_text("神经内科二线")
    (made,) = [one for one in desk.call("GET", "/schedules") if one["name"] == "神经内科二线"]
    assert [one["id"] for one in made["layers"][0]["members"]] == ["prc-neuro1"]
    assert who.complaints == []
    who.context.close()
