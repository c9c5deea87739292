"""The demo as a user starts it: seeded once, kept, ended in order, and with all it promises."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from clients.sdk.api import ApiClient
from server.demo_county import PASSWORD, PEOPLE
from tests.server.processes import Demo
from tests.server.running import CallerFactory

NEW = {"name": "孙小梅", "sex": "female", "birthDate": "1990-05-01"}


def command(data: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "server.cli", "demo", "--data", str(data), *more, "--port", "0"]


async def test_the_demo_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    arguments = command(tmp_path / "county", "--media-port", "0", "--no-devices")
    demo = await Demo.start(arguments, 60)
    assert PASSWORD in demo.printed
    assert all(person.username in demo.printed for person in PEOPLE)
    async with ApiClient(demo.facts["url"]) as api:
        await api.login("village", PASSWORD)
        made = await api.request("POST", "/patients", NEW)
    assert await demo.stop(signal.SIGTERM) == 0
    again = await Demo.start(arguments, 60)
    async with ApiClient(again.facts["url"]) as api:
        await api.login("village", PASSWORD)
        assert (await api.patients("孙小"))[0]["id"] == made["id"]
        assert len(await api.practitioners()) == len(PEOPLE)
    assert await again.stop(signal.SIGINT) == 0


async def test_everybody_of_the_county_can_sign_in(caller: CallerFactory) -> None:
    for person in PEOPLE:
        who = await (await caller(person.username)).get("/auth/me")
        assert (who["name"], who["organization"]["id"]) == (person.zh, person.place)


async def test_the_rota_covers_now(caller: CallerFactory) -> None:
    someone = await caller("village")
    for specialty in ("cardiology", "neurology", "ultrasound"):
        (now,) = await someone.get(f"/schedules/on-call?specialty={specialty}")
        assert now["practitioners"]
