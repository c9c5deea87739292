"""Who is rung, for how long, and who gets the consult: two experts in real browsers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from loadtest.browser import Rest, person
from loadtest.server_process import ServerProcess
from tests.browser.people import PATIENCE_MS

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)

EXPERTS = ("cardio1", "cardio2")
RING_S = 3
"""Long enough for a browser to show it, short enough to wait for."""


@pytest.fixture
def data(tmp_path: Path, seeded: Path) -> Path:
    return shutil.copytree(seeded, tmp_path / "demo")


@contextmanager
def running(data: Path, **settings: str) -> Iterator[ServerProcess]:
    server = ServerProcess(data, ["--no-devices"], settings=settings)
    try:
        yield server
    finally:
        assert server.stop() == 0, server.log_text()[-4000:]


@contextmanager
def experts(browser: Browser, url: str) -> Iterator[dict[str, BrowserContext]]:
    """Both cardiologists, logged in; nothing of theirs is open yet."""
    found = {name: person(browser, url, name) for name in EXPERTS}
    try:
        yield found
    finally:
        for context in found.values():
            context.close()


def in_order(rest: Rest) -> list[str]:
    """User names of the cardiologists in the order of today's rota."""
    (now,) = rest.call("GET", "/schedules/on-call?specialty=cardiology")
    return [str(one["id"]).removeprefix("prc-") for one in now["practitioners"]]


def at_home(context: BrowserContext) -> Page:
    """A page that would ring: its line to the server stands."""
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    with page.expect_websocket(lambda socket: "/socket.io" in socket.url) as line:
        page.goto("/")
    line.value.wait_for_event("framereceived", lambda frame: str(frame).startswith("40/events"))
    return page


def request(rest: Rest) -> dict[str, Any]:
    patient = rest.call("GET", "/patients")[0]["id"]
    made: dict[str, Any] = rest.call(
        "POST",
        "/consultations",
        {
            "kind": "urgent",
            "specialty": "cardiology",
            "patientId": patient,
            "purpose": "胸痛两小时",
            "summary": "血压 100/60",
            "consent": {"consult": True, "recording": False, "by": "patient"},
            "deviceIds": [],
            "submit": True,
        },
    )
    return made


def test_the_next_is_rung_when_nobody_answers_in_time(browser: Browser, data: Path) -> None:
    with (
        running(data, HUIZHEN_ONCALL_RING_SECONDS=str(RING_S)) as server,
        experts(browser, server.url) as contexts,
    ):
        asking = person(browser, server.url, "village")
        rest = Rest(asking, "village")
        first, second = (at_home(contexts[name]) for name in in_order(rest))
        made = request(rest)
        requester = asking.new_page()
        requester.goto(f"/c/{made['id']}")
        expect(first.get_by_test_id("ring-seconds")).to_be_visible()
        expect(second.get_by_test_id("ring")).to_have_count(0)
        expect(second.get_by_test_id("ring-seconds")).to_be_visible()
        expect(first.get_by_test_id("ring-accept")).to_have_count(0)
        # Nobody answers at all: the requester sees it, and so does the desk.
        expect(requester.get_by_test_id("state")).to_have_attribute("data-state", "UNFILLED")
        offers = rest.call("GET", f"/consultations/{made['id']}")["offers"]
        assert [offer["state"] for offer in offers] == ["timed_out", "timed_out"]
        assert [offer["practitioner"]["id"] for offer in offers] == [f"prc-{one}" for one in in_order(rest)]
        asking.close()


def test_of_two_who_accept_at_once_one_gets_in_and_the_other_is_told_who(
    browser: Browser, data: Path
) -> None:
    with running(data) as server, experts(browser, server.url) as contexts:
        asking = person(browser, server.url, "village")
        rest = Rest(asking, "village")
        early, late = in_order(rest)
        # The first of the line is not at a screen, so the one behind is rung together with the first.
        pages = {late: at_home(contexts[late])}
        made = request(rest)
        expect(pages[late].get_by_test_id("ring-accept")).to_be_visible()
        pages[early] = at_home(contexts[early])
        expect(pages[early].get_by_test_id("ring-accept")).to_be_visible()
        _accept_together(list(pages.values()))
        winner, loser = _winner(pages, rest, made["id"])
        pages[winner].wait_for_url(f"**/room/{made['id']}")
        expect(pages[loser].get_by_test_id("ring-ended")).to_contain_text(_name(contexts[winner], winner))
        assert not re.search("/room/", pages[loser].url)
        events = rest.call("GET", f"/consultations/{made['id']}")["events"]
        assert [event["action"] for event in events].count("accept") == 1
        asking.close()


def _accept_together(pages: list[Page]) -> None:
    """Press "accept" on each page; no request goes out before all have been pressed."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    for page in pages:
        page.route("**/api/v1/consultations/*/actions", hold)
    for page in pages:
        with page.expect_request("**/api/v1/consultations/*/actions"):
            page.get_by_test_id("ring-accept").click()
    assert len(held) == len(pages)
    for route in held:
        route.continue_()


def _winner(pages: dict[str, Page], rest: Rest, consultation: str) -> tuple[str, str]:
    for page in pages.values():
        expect(page.get_by_test_id("ring-accept")).to_have_count(0)
    winner = str(rest.call("GET", f"/consultations/{consultation}")["expert"]["id"]).removeprefix("prc-")
    (loser,) = set(pages) - {winner}
    return winner, loser


def _name(context: BrowserContext, username: str) -> str:
    return str(Rest(context, username).call("GET", "/auth/me")["name"])
