"""The story's pages for those who do not see or point well: axe-core's WCAG 2.2 A and AA rules, the keyboard.

Desk pages are light, phone pages dark, so both sets of colours are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from loadtest.browser import PASSWORD, PHONE, Rest, person
from loadtest.server_process import ServerProcess
from tests.browser.people import PATIENCE_MS, Person

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)

AXE = Path(__file__).parents[2] / "clients" / "web" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
DESK: dict[str, Any] = {"viewport": {"width": 1366, "height": 768}, "color_scheme": "light"}
DARK_PHONE: dict[str, Any] = {**PHONE, "color_scheme": "dark"}
LOOKS = [
    pytest.param(locale, device, id=f"{locale[:2]}-{name}")
    for locale in ("zh-CN", "en-GB")
    for name, device in (("desk", DESK), ("phone", DARK_PHONE))
]
TABS = 60
"""No page of the story has more stops before the one that matters."""


@dataclass
class Ward:
    """One consult in session: an expert sits in its room, the village doctor is looked at."""

    server: ServerProcess
    rest: Rest
    expert: Person
    expert_name: str
    id: str


@pytest.fixture(scope="module")
def ward(server: ServerProcess, browser: Browser) -> Iterator[Ward]:
    rest = Rest(person(browser, server.url, "village"), "village")
    made = rest.call("POST", "/consultations", _request(rest))
    name = made["offers"][0]["practitioner"]["id"].removeprefix("prc-")
    expert = Person.at(browser, server.url)
    Rest(expert.context, name).call("POST", f"/consultations/{made['id']}/actions", {"action": "accept"})
    expert.page.goto(f"/room/{made['id']}")
    expect(expert.get("tile").first).to_be_visible()
    yield Ward(server, rest, expert, name, made["id"])
    expert.context.close()


def _request(rest: Rest) -> dict[str, Any]:
    return {
        "kind": "urgent",
        "specialty": "cardiology",
        "patientId": rest.call("GET", "/patients")[0]["id"],
        "purpose": "胸痛两小时，请看心电图",
        "summary": "突发胸痛伴出汗，血压 100/60。",
        "consent": {"consult": True, "recording": True, "by": "patient"},
        "deviceIds": ["dev-ecg-1"],
        "submit": True,
    }


def violations(page: Page) -> list[str]:
    """What axe finds on the page as it stands: rule, element, why."""
    # Evaluated rather than added as a script: the page's own policy lets no foreign script in.
    page.evaluate(AXE.read_text("utf-8") + "; null")
    found: dict[str, Any] = page.evaluate(
        "(tags) => axe.run(document, { runOnly: { type: 'tag', values: tags } })", TAGS
    )
    broken = [
        f"{page.url} {rule['id']} {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
    # WCAG 1.4.10, reflow: a page scrolls one way only.
    wider = page.evaluate("() => document.documentElement.scrollWidth - screen.width")
    if wider > 0:
        broken.append(f"{page.url} is {wider} px wider than its screen")
    return broken


@pytest.mark.parametrize(("locale", "device"), LOOKS)
def test_no_page_of_the_story_breaks_a_rule(
    ward: Ward, browser: Browser, locale: str, device: dict[str, Any]
) -> None:
    who = Person.at(browser, ward.server.url, locale=locale, reduced_motion="reduce", **device)
    found: list[str] = []

    def look(path: str, ready: str) -> None:
        who.page.goto(path)
        expect(who.get(ready).first).to_be_visible()
        found.extend(violations(who.page))

    look("/login", "login-username")
    who.log_in("village")
    look("/", "request-open")
    look("/request", "request-submit")
    who.get("request-submit").click()
    expect(who.page.locator("[aria-invalid=true]").first).to_be_visible()
    found += violations(who.page)
    look(f"/c/{ward.id}", "state")
    look(f"/room/{ward.id}", "tile")
    who.wait_for("() => window.__huizhen.ecg().samplesDrawn > 0")
    found += violations(who.page)
    who.get("leave").click()
    look("/rota", "on-call-now")
    who.context.close()
    assert found == []


@pytest.mark.parametrize(("locale", "device"), LOOKS)
def test_no_page_of_the_desk_breaks_a_rule(
    ward: Ward, browser: Browser, locale: str, device: dict[str, Any]
) -> None:
    who = Person.at(browser, ward.server.url, "desk", locale=locale, reduced_motion="reduce", **device)
    found: list[str] = []
    for path, ready in (("/desk", "consultation-row"), ("/audit", "audit-row"), (f"/c/{ward.id}", "state")):
        who.page.goto(path)
        expect(who.get(ready).first).to_be_visible()
        found += violations(who.page)
    who.context.close()
    assert found == []


def test_the_keyboard_is_enough_to_ask_for_help(ward: Ward, browser: Browser) -> None:
    who = Person.at(browser, ward.server.url, **DESK)
    keys = who.page.keyboard
    who.page.goto("/login")
    tab_to(who.page, "login-username")
    keys.type("village")
    tab_to(who.page, "login-password")
    keys.type(PASSWORD)
    keys.press("Enter")
    who.page.wait_for_url("**/")
    tab_to(who.page, "request-open")
    keys.press("Enter")
    who.page.wait_for_url("**/request")
    tab_to(who.page, "request-patient-search")
    keys.type("张")
    expect(who.get("request-patient-option").first).to_be_visible()
    keys.press("Enter")
    expect(who.get("request-patient")).to_be_visible()
    tab_to(who.page, "request-specialty")
    who.get("request-specialty").press("ArrowDown")
    tab_to(who.page, "request-purpose")
    keys.type("请看心律")
    tab_to(who.page, "request-summary")
    keys.type("心悸一天")
    tab_to(who.page, "request-kind-")
    keys.press("Space")
    tab_to(who.page, "request-consent")
    keys.press("Space")
    tab_to(who.page, "request-submit")
    keys.press("Enter")
    who.page.wait_for_url("**/c/*")
    expect(who.get("state")).to_be_visible()
    who.context.close()


def tab_to(page: Page, test_id: str) -> None:
    """Press Tab until the element (whose test id begins so) has the focus; each stop shows that it has it."""
    for _ in range(TABS):
        here = page.evaluate(_FOCUS)
        if here["id"].startswith(test_id):
            return
        page.keyboard.press("Tab")
        here = page.evaluate(_FOCUS)
        assert here["shown"], f"the focus is not to be seen on {here}"
    pytest.fail(f"no key leads to {test_id}")


_FOCUS = """() => {
    const it = document.activeElement;
    if (!it || it === document.body) return { id: '', tag: 'body', shown: true };
    const style = getComputedStyle(it);
    const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    const shown = outlined || style.boxShadow !== 'none';
    return { id: it.dataset.testid || '', tag: it.tagName, text: it.textContent.slice(0, 40), shown };
}"""


def test_the_keyboard_answers_a_ring(ward: Ward, browser: Browser) -> None:
    rest = ward.rest
    (now,) = rest.call("GET", "/schedules/on-call?specialty=neurology")
    username = now["practitioners"][0]["id"].removeprefix("prc-")
    who = Person.at(browser, ward.server.url, reduced_motion="reduce", **DESK)
    who.log_in(username)
    rest.call("POST", "/consultations", {**_request(rest), "specialty": "neurology", "deviceIds": []})
    expect(who.get("ring-seconds")).to_be_visible()
    assert violations(who.page) == []
    tab_to(who.page, "ring-accept")
    tab_to(who.page, "ring-decline")
    who.page.keyboard.press("Enter")
    tab_to(who.page, "ring-decline-reason")
    assert violations(who.page) == []
    who.page.keyboard.press("Enter")
    expect(who.get("ring")).to_have_count(0)
    who.context.close()


def test_the_room_s_keys_mute_and_hide(ward: Ward) -> None:
    page = ward.expert.page
    for key, control in (("m", "toggle-mic"), ("v", "toggle-camera")):
        before = ward.expert.get(control).get_attribute("aria-pressed")
        page.keyboard.press(key)
        expect(ward.expert.get(control)).not_to_have_attribute("aria-pressed", str(before))
        page.keyboard.press(key)
        expect(ward.expert.get(control)).to_have_attribute("aria-pressed", str(before))


def test_letters_as_commands_can_be_turned_off(ward: Ward) -> None:
    """WCAG 2.1.4: who dictates would mute at the first m."""
    who = ward.expert
    before = who.get("toggle-mic").get_attribute("aria-pressed")
    for on in (False, True):
        who.get("room-settings").click()
        who.get("letter-keys").set_checked(on)
        assert violations(who.page) == []
        who.page.keyboard.press("Escape")
        expect(who.get("letter-keys")).to_have_count(0)
        who.page.keyboard.press("m")
        who.page.evaluate("() => new Promise(requestAnimationFrame)")
        changed = who.get("toggle-mic").get_attribute("aria-pressed") != before
        assert changed is on
    who.page.keyboard.press("m")


@pytest.mark.parametrize(("locale", "device"), LOOKS)
def test_the_opinion_and_the_record_break_no_rule(
    ward: Ward, browser: Browser, locale: str, device: dict[str, Any]
) -> None:
    """The last tests: the consult is ended."""
    expert = Rest(ward.expert.context, ward.expert_name)
    if expert.call("GET", f"/consultations/{ward.id}")["endedAt"] is None:
        expert.call("POST", f"/consultations/{ward.id}/actions", {"action": "end"})
    who = Person.at(
        browser, ward.server.url, ward.expert_name, locale=locale, reduced_motion="reduce", **device
    )
    who.page.goto(f"/c/{ward.id}")
    expect(who.get("opinion-findings")).to_be_visible()
    found = violations(who.page)
    who.page.goto(f"/record/{ward.id}")
    expect(who.get("record-play")).to_be_visible()
    found += violations(who.page)
    who.context.close()
    assert found == []


def test_what_breaks_a_rule_is_found(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content('<main><img src="data:,"><p style="color: #aaa; background: #fff">faint</p></main>')
    rules = {line.split()[1] for line in violations(page)}
    assert {"image-alt", "color-contrast", "html-has-lang"} <= rules
    page.close()
