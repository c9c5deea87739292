"""Requests of all kinds leave nothing in the log that names a patient, a doctor, a password or a token."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from media.clock import SystemClock
from server import demo_county as county
from server.app import Server
from server.check import CheckOptions, run_check
from server.config import LogConfig
from server.log import configure_logging
from signaling.personal import Personal
from tests.server.running import CallerFactory, caller, server

__all__ = ["caller", "server"]

NEW = {
    "name": "钱小雨",
    "nameEn": "Qian Xiaoyu",
    "sex": "female",
    "birthDate": "1988-02-03",
    "phone": "13900001111",
}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the server writes when an operator asks for all there is."""
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    configure_logging(LogConfig(level="debug", format="json"), stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def secrets_of_the_county() -> set[str]:
    """Every text that belongs to a person of the demo."""
    found = {county.PASSWORD, *county.DEVICE_TOKENS.values()}
    for person in county.PEOPLE:
        found |= {person.zh, person.en}
    for patient in county.PATIENTS:
        found |= {patient.zh, patient.en, patient.birth_date, patient.identifier}
    # Plain words that appear in technical lines as well.
    return found - {"Administrator", "Regulator", "管理员", "监管员"}


async def test_a_clinic_s_morning(log: io.StringIO, server: Server, caller: CallerFactory) -> None:
    village = await caller("village")
    await village.get("/patients?q=桂英")
    await village.get("/patients/pat-demo-1")
    status, made = await village.call("POST", "/patients", NEW)
    assert status == 201
    await village.call("POST", "/patients", NEW | {"sex": "wrong"})
    await village.call("POST", "/patients", {"name": "钱小雨"})
    request = {
        "kind": "urgent",
        "specialty": "cardiology",
        "patientId": made["id"],
        "purpose": "钱小雨胸痛",
        "summary": "13900001111",
        "consent": {"consult": True, "recording": True, "by": "patient"},
        "submit": True,
    }
    status, consultation = await village.call("POST", "/consultations", request)
    assert status in (200, 201), consultation
    await village.get(f"/consultations/{consultation['id']}")
    stranger = await caller("village2")
    await stranger.call("GET", f"/consultations/{consultation['id']}")
    nobody = await caller(None)
    await nobody.call("POST", "/auth/login", {"username": "village", "password": county.PASSWORD + "x"})
    await (await caller("regulator")).get("/audit")
    assert village.token is not None
    text = log.getvalue()
    assert "audit patient.create" in text
    told = {secret for secret in secrets_of_the_county() | {*NEW.values()} - {"female"} if secret in text}
    assert told == set()
    assert village.token not in text


async def test_a_whole_consult(log: io.StringIO, server: Server) -> None:
    """Request, ring, room, media, chat, recording, opinion, decision: by the self-test's own flow."""
    options = CheckOptions(url=server.url, config=None, password=county.PASSWORD, seconds=0.2)
    report = await run_check(options, SystemClock())
    assert "the decision is recorded" in {outcome.name for outcome in report.steps if outcome.ok}
    text = log.getvalue()
    assert "audit consultation.sign" in text
    written = {"窦性心律", "huizhen check", "自检 self-test", "自检完成"}
    assert {secret for secret in secrets_of_the_county() | written if secret in text} == set()
    assert "eyJ" not in text, "a JSON Web Token stands in the log"


def test_the_log_would_show_a_leak(log: io.StringIO) -> None:
    """The test above can fail: a name that is written plainly is there, a wrapped one is not."""
    logging.getLogger("server.test").info("patient %s and %s", "张桂英", Personal("刘德福"))
    entry = json.loads(log.getvalue().strip().splitlines()[-1])
    assert "张桂英" in entry["event"]
    assert "刘德福" not in log.getvalue()
    assert "<personal " in entry["event"]
    assert (entry["level"], entry["logger"]) == ("info", "server.test")
