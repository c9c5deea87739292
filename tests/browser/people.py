"""The people of the story, each at a browser of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page

from loadtest.browser import PASSWORD, person

PATIENCE_MS = 30_000
"""How long a condition may take on two busy cores; reached only when it never comes."""


@dataclass
class Person:
    """One person with one page open.

    Console errors are kept: a page that works but complains is not done.
    """

    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def at(
        cls, browser: Browser, url: str, username: str | None = None, *, locale: str = "zh-CN", **options: Any
    ) -> Person:
        """Signed in as ``username`` already, without its page; None: nobody yet."""
        context = person(browser, url, username, locale=locale, **options)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        who = cls(context, page)
        page.on("pageerror", lambda error: who.complaints.append(str(error)))
        return who

    def get(self, test_id: str) -> Locator:
        return self.page.get_by_test_id(test_id)

    def log_in(self, username: str) -> None:
        """Through the login page, as a person does."""
        self.page.goto("/login")
        self.get("login-username").fill(username)
        self.get("login-password").fill(PASSWORD)
        self.get("login-submit").click()
        self.page.wait_for_url("**/")

    def wait_for(self, condition: str, arg: object = None) -> Any:
        """Wait until the JavaScript function ``condition(arg)``, which may be async, gives something true.

        Playwright's own ``wait_for_function`` takes a promise for true, so the page asks itself.
        """
        return self.page.evaluate(
            f"""async ([arg, patience]) => {{
                const holds = {condition};
                for (const end = performance.now() + patience; performance.now() < end; ) {{
                    const value = await holds(arg);
                    if (value) return value;
                    await new Promise((next) => setTimeout(next, 50));
                }}
                throw new Error(`never came true for ${{JSON.stringify(arg)}}: ${{holds}}`);
            }}""",
            [arg, PATIENCE_MS],
        )

    def media(self) -> list[dict[str, Any]]:
        """The page's own receiving statistics, one entry a consumer."""
        found: dict[str, Any] = self.page.evaluate("async () => (await window.__huizhen.stats()).consumers")
        return list(found.values())

    def wait_for_media(self, source: str, *, frames: int = 0, count: int = 1) -> None:
        """Wait until ``count`` consumers of ``source`` decoded over ``frames`` pictures, or hear sound."""
        self.wait_for(
            """async ([source, frames, count]) => {
                if (!window.__huizhen) return false;
                const all = Object.values((await window.__huizhen.stats()).consumers);
                const good = all.filter((one) => one.source === source
                    && (one.kind === 'video' ? one.framesDecoded > frames : one.audioEnergy > 0));
                return good.length >= count;
            }""",
            [source, frames, count],
        )
