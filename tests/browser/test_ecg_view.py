"""The ECG as its readers use it: even, frozen, measured, looked back at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from loadtest import canvas
from loadtest.browser import PHONE, Rest, person
from loadtest.join import start_consult
from loadtest.server_process import ServerProcess
from media.signals.formats import FORMATS, About, Source, read_file, sample_record
from tests.browser.pdf_lines import lines, sheets
from tests.browser.people import PATIENCE_MS, Person
from tests.browser.test_accessibility import violations

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)

DESK: dict[str, Any] = {"viewport": {"width": 1366, "height": 768}, "color_scheme": "light"}
DARK_PHONE: dict[str, Any] = {**PHONE, "color_scheme": "dark"}


@dataclass
class Consult:
    url: str
    id: str
    expert: str


@pytest.fixture(scope="module")
def consult(server: ServerProcess, browser: Browser) -> Iterator[Consult]:
    village = person(browser, server.url, "village")
    rest = Rest(village, "village")
    consultation, expert = start_consult(browser, server.url, rest)
    accepted: str = rest.call("GET", f"/consultations/{consultation}")["expert"]["id"]
    yield Consult(server.url, consultation, accepted.removeprefix("prc-"))
    expert.close()
    village.close()


def in_the_room(browser: Browser, consult: Consult, username: str = "village", **options: Any) -> Person:
    """With a second of the ECG on the screen."""
    who = Person.at(browser, consult.url, username, reduced_motion="reduce", **options)
    who.page.goto(f"/room/{consult.id}")
    who.wait_for("() => window.__huizhen?.ecg().samplesDrawn > 1000")
    return who


def test_it_is_drawn_evenly_on_a_slow_processor(browser: Browser, consult: Consult) -> None:
    """A short form of ``python -m loadtest canvas``; how evenly depends on what else the machine does."""
    figures = canvas.measure(browser, consult.url, consult.id, canvas.CASES[0], 3)
    assert figures["frames"] > 60
    assert figures["frame_p50_ms"] < canvas.LONG_MS
    assert figures["samples_drawn"] > 1500


@pytest.mark.parametrize(
    ("locale", "device"), [("zh-CN", DESK), ("en-GB", DARK_PHONE)], ids=["zh-desk", "en-phone"]
)
def test_frozen_measured_and_looked_back_at(
    browser: Browser, consult: Consult, locale: str, device: dict[str, Any]
) -> None:
    who = in_the_room(browser, consult, locale=locale, **device)
    if device is DARK_PHONE:
        who.page.locator("nav.pages button").nth(1).click()
    limited(who, 20, 30)  # the record's rate is above: an alarm comes while the rest is looked at
    before = who.wait_for("() => window.__huizhen.ecg().samplesDrawn")
    who.get("ecg-calipers").click()
    expect(who.get("ecg-past")).to_be_visible()
    expect(who.get("caliper-reading")).to_contain_text("mV")
    assert violations(who.page) == []

    reading = who.get("caliper-reading").text_content()
    who.get("caliper-right").focus()
    for _ in range(3):
        who.page.keyboard.press("Shift+ArrowRight")
    expect(who.get("caliper-reading")).not_to_have_text(str(reading))

    ago = who.get("ecg-past-ago")
    who.get("ecg-past-back").click()
    who.wait_for("() => Number(document.querySelector('[data-testid=ecg-past-ago]').dataset.seconds) >= 2")
    # Live goes on unseen: the page stands, and falls behind.
    behind = int(str(ago.get_attribute("data-seconds")))
    who.wait_for(
        "(n) => Number(document.querySelector('[data-testid=ecg-past-ago]').dataset.seconds) > n + 1", behind
    )
    assert who.wait_for("(n) => window.__huizhen.ecg().samplesDrawn > n + 1000", before)
    who.get("ecg-freeze").click()
    expect(who.get("ecg-past")).to_have_count(0)
    expect(who.get("calipers")).to_have_count(0)

    who.get("ecg-more").click()
    expect(who.get("ecg-card")).to_be_visible()
    assert violations(who.page) == []
    who.page.keyboard.press("Escape")

    alarmed_and_acknowledged(who, *ALARM_WORDS[locale])
    who.get("ecg-limits").click()
    who.get("limits-child").click()  # also when it is chosen already: its own numbers again
    expect(who.get("limits-low")).to_have_value("75")
    assert violations(who.page) == []
    who.get("limits-save").click()
    expect(who.get("ecg-limits")).to_contain_text("75–160")
    assert who.complaints == []
    who.context.close()


ALARM_WORDS = {"zh-CN": ("高于上限 30", "已确认"), "en-GB": ("above the limit of 30", "Acknowledged")}


def limited(who: Person, low: int, high: int) -> None:
    who.get("ecg-limits").click()
    who.get("limits-low").fill(str(low))
    who.get("limits-high").fill(str(high))
    who.get("limits-save").click()


def alarmed_and_acknowledged(who: Person, words: str, seen: str) -> None:
    """In words, by whoever is first: what another of these tests acknowledged may still stand."""
    alarm = who.page.locator("[data-testid=ecg-alarm][data-kind=tachycardia]")
    expect(alarm).to_contain_text(words)
    assert violations(who.page) == []
    if alarm.get_attribute("data-state") != "acknowledged":
        alarm.get_by_test_id("ecg-acknowledge").click()
    expect(alarm).to_have_attribute("data-state", "acknowledged")
    expect(alarm).to_contain_text(seen)


def test_an_expert_s_phone_has_room_for_every_button(browser: Browser, consult: Consult) -> None:
    """Nine controls, the last of which leaves, on the narrowest phone; nothing makes the page wider."""
    narrow = {**PHONE, "viewport": {"width": 360, "height": 740}}
    who = in_the_room(browser, consult, consult.expert, **narrow)
    leave = who.get("leave").bounding_box()
    assert leave is not None
    assert leave["x"] + leave["width"] <= 360
    assert violations(who.page) == []
    assert who.complaints == []
    who.context.close()


def test_ten_seconds_are_250_mm_on_paper(browser: Browser, consult: Consult) -> None:
    who = in_the_room(browser, consult, **DESK)
    who.wait_for("() => window.__huizhen.ecg().samplesDrawn > 9000")  # a sheet holds ten seconds
    # The browser's own window cannot be answered here; what it would print is asked for by `page.pdf`.
    who.page.evaluate("() => { window.print = () => { window.printed = true } }")
    who.get("ecg-print-open").click()
    who.wait_for("() => window.printed")
    pdf = who.page.pdf(prefer_css_page_size=True)
    assert sheets(pdf) == 1
    level = [(abs(x2 - x1), y1) for x1, y1, x2, y2 in lines(pdf) if abs(y2 - y1) < 0.01]
    lengths = {round(length, 1) for length, _ in level}
    assert 250.0 in lengths  # the strip's own measure; the grid below it carries the pulses as well
    grid = sorted({round(y, 2) for length, y in level if abs(length - 260) < 0.05})
    steps = {round(after - before, 1) for before, after in pairwise(grid)}
    assert steps == {1.0}
    # When it is printed the strip goes.
    expect(who.page.locator(".ecg-print")).to_have_count(0)
    assert who.complaints == []
    who.context.close()


INKED = """(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    .data.filter((value, at) => at % 4 === 3 && value > 0).length"""
DARK_INK = """(canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let dark = 0;
    for (let at = 0; at < data.length; at += 4) if (data[at] < 80 && data[at + 1] < 80) dark += 1;
    return dark;
}"""
DRAWN = "() => window.__huizhen.ecg().samplesDrawn"


def looked_back_to(who: Person) -> int:
    """Seconds from the live edge to where the first page that there is ends."""
    who.get("ecg-past-position").press("Home")
    return int(str(who.get("ecg-past-ago").get_attribute("data-seconds")))


@pytest.mark.parametrize(
    ("locale", "device"), [("zh-CN", DESK), ("en-GB", DARK_PHONE)], ids=["zh-desk", "en-phone"]
)
def test_what_was_before_one_came_is_fetched(
    browser: Browser, consult: Consult, locale: str, device: dict[str, Any]
) -> None:
    """Who comes late looks back to the first sample, a page or an overview at a time."""
    who = in_the_room(browser, consult, locale=locale, **device)
    if device is DARK_PHONE:
        who.page.locator("nav.pages button").nth(1).click()
    who.get("ecg-freeze").click()
    expect(who.get("ecg-past")).to_be_visible()
    came_with = 10 + int(who.wait_for(DRAWN)) // 1000
    # The stream is as old as this file's tests; run alone, it has to grow older first.
    deadline = time.monotonic() + 60
    while looked_back_to(who) < came_with + 4:
        assert time.monotonic() < deadline
        drawn = who.wait_for(DRAWN)
        assert who.wait_for("(n) => window.__huizhen.ecg().samplesDrawn > n + 1000", drawn)
    expect(who.get("ecg-past-state")).to_have_count(0)
    assert violations(who.page) == []

    # A line that is down is said, and asked for again.
    who.page.route("**/signals/past/**", lambda route: route.abort())
    who.get("ecg-overview").click()
    expect(who.get("error")).to_be_visible()
    who.page.unroute("**/signals/past/**")
    who.get("error").get_by_role("button").click()
    expect(who.get("overview-rows")).to_have_attribute("data-ready", "true")
    assert violations(who.page) == []
    row = who.get("overview-rows").locator("canvas").first
    size = row.bounding_box()
    assert size is not None
    assert size["height"] > 30
    assert row.evaluate(INKED) > 200
    who.get("overview-rows").get_by_role("button").first.press("Enter")
    expect(who.get("overview-rows")).to_have_count(0)
    expect(who.get("ecg-past")).to_be_visible()
    expect(who.get("ecg-past-state")).to_have_count(0)
    assert who.complaints == []
    who.context.close()


@pytest.mark.parametrize(
    ("locale", "device"), [("zh-CN", DESK), ("en-GB", DARK_PHONE)], ids=["zh-desk", "en-phone"]
)
def test_an_ecg_file_is_laid_beside_a_consult(
    browser: Browser, consult: Consult, tmp_path: Path, locale: str, device: dict[str, Any]
) -> None:
    """Looked into, then kept, then opened on paper; a broken one says what is wrong."""
    made = tmp_path / f"{locale}.edf"
    (waveform,) = read_file(sample_record())
    with made.open("wb") as file:
        FORMATS["edf"].write(Source.of(waveform), About("test"), file)
    broken = tmp_path / "broken.edf"
    broken.write_bytes(made.read_bytes()[:3000])

    who = Person.at(browser, consult.url, "village", reduced_motion="reduce", locale=locale, **device)
    who.page.goto(f"/c/{consult.id}")
    who.get("material-add").set_input_files(broken)
    expect(who.get("error")).to_be_visible()
    who.get("material-add").set_input_files(made)
    expect(who.get("material-found")).to_contain_text("1000 Hz")
    assert violations(who.page) == []
    who.get("material-keep").click()
    item = who.get("material").filter(has_text=made.name)
    item.get_by_role("button").first.click()
    expect(who.get("record-ecg")).to_have_attribute("data-state", "ready")
    assert who.page.get_by_test_id("record-ecg").locator("canvas").first.evaluate(DARK_INK) > 1000
    before = who.get("material-signal-position").input_value()
    who.get("material-signal-position").press("PageDown")
    assert who.get("material-signal-position").input_value() != before
    assert violations(who.page) == []
    assert who.complaints == []
    who.context.close()
