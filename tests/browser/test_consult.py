"""The whole main job, as its users do it: from the first call to the kept record.

Three people in real Chromium: a village doctor (Chinese), the cardiologists (one of them English) and a
family member on a phone; the clinic's ECG and ultrasound come from the real gateways. The steps build on
each other, so they stand in the order in which they happen.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Browser, expect

from loadtest.browser import PHONE, Rest
from loadtest.server_process import ServerProcess
from tests.browser.people import PATIENCE_MS, Person

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)

FINDINGS = "II、III、aVF 导联 ST 段抬高"
CONCLUSION = "急性下壁心肌梗死可能"
ADVICE = "立即转县医院导管室"
DECISION = "同意，已联系救护车"
GUEST = "家属张伟"
RECORDED_WITHIN_S = 2.0
"""How far a recording's length may be from what its users saw: the mark on, the consult ended."""


@dataclass
class Story:
    village: Person
    cardiologists: dict[str, Person]
    phone: Person
    pictures: Path | None = None
    expert: Person | None = None
    consultation: str = ""
    recorded_from: float = 0.0
    recorded_to: float = 0.0

    def picture(self, name: str, who: Person) -> None:
        """Keep what ``who`` sees, when pictures were asked for (``--pictures DIR``, for the README)."""
        if self.pictures is not None:
            who.page.screenshot(path=self.pictures / f"{name}.png")

    @property
    def chosen(self) -> Person:
        assert self.expert is not None, "nobody accepted"
        return self.expert

    @property
    def everyone(self) -> list[Person]:
        return [self.village, *self.cardiologists.values(), self.phone]


@pytest.fixture(scope="module")
def story(server: ServerProcess, browser: Browser, pytestconfig: pytest.Config) -> Iterator[Story]:
    directory = pytestconfig.getoption("--pictures")
    told = Story(
        pictures=Path(directory) if directory else None,
        village=Person.at(browser, server.url),
        cardiologists={
            "cardio1": Person.at(browser, server.url, locale="en-GB"),
            "cardio2": Person.at(browser, server.url),
        },
        phone=Person.at(browser, server.url, **PHONE),
    )
    yield told
    for who in told.everyone:
        who.context.close()
    assert [line for who in told.everyone for line in who.complaints] == []


def test_1_doctors_log_in_in_both_languages(story: Story) -> None:
    story.village.page.goto("/login")
    story.picture("login", story.village)
    story.village.log_in("village")
    for username, who in story.cardiologists.items():
        who.log_in(username)
    expect(story.village.page.locator("html")).to_have_attribute("lang", re.compile("^zh"))
    expect(story.cardiologists["cardio1"].page.locator("html")).to_have_attribute("lang", re.compile("^en"))


def test_2_the_village_doctor_asks_for_help(story: Story) -> None:
    village = story.village
    story.picture("home", village)
    village.get("request-open").click()
    village.get("request-patient-search").fill("张")
    village.get("request-patient-option").first.click()
    village.get("request-kind-urgent").check()
    village.get("request-specialty").select_option("cardiology")
    village.get("request-purpose").fill("胸痛两小时，请看心电图")
    village.get("request-summary").fill("突发胸痛伴出汗，血压 100/60。")
    village.get("request-device-ecg").first.check()
    village.get("request-device-ultrasound").first.check()
    village.get("request-consent").check()
    village.get("request-consent-recording").check()
    story.picture("request", village)
    village.get("request-submit").click()
    village.page.wait_for_url("**/c/*")
    story.consultation = village.page.url.rsplit("/", 1)[-1]
    expect(village.get("state")).to_have_attribute("data-state", "OFFERED")


def test_3_the_next_expert_is_rung_when_one_declines_and_accepting_opens_the_room(story: Story) -> None:
    first, second = _in_ring_order(story)
    expect(first.get("ring-seconds")).to_be_visible()
    expect(second.get("ring")).to_have_count(0)
    story.picture("ring", first)
    story.picture("waiting", story.village)
    first.get("ring-decline").click()
    first.get("ring-decline-reason").first.click()
    expect(first.get("ring")).to_have_count(0)
    expect(second.get("ring")).to_be_visible()
    story.picture("ring-second", second)
    second.get("ring-accept").click()
    second.page.wait_for_url(f"**/room/{story.consultation}")
    story.expert = second
    expect(story.village.get("state")).to_have_attribute("data-state", re.compile("ACCEPTED|READY"))


def _in_ring_order(story: Story) -> tuple[Person, Person]:
    """Who is rung now, and the colleague who is not."""
    ringing = [name for name, who in story.cardiologists.items() if _is_rung(who, name, story.consultation)]
    assert len(ringing) == 1, f"rung: {ringing}"
    (other,) = set(story.cardiologists) - set(ringing)
    return story.cardiologists[ringing[0]], story.cardiologists[other]


def _is_rung(who: Person, username: str, consultation: str) -> bool:
    items = Rest(who.context, username).call("GET", "/consultations?scope=ringing")["items"]
    return consultation in [item["id"] for item in items]


def test_4_both_see_and_hear_each_other(story: Story) -> None:
    story.village.get("enter-room").click()
    story.village.page.wait_for_url(f"**/room/{story.consultation}")
    for who in (story.village, story.chosen):
        expect(who.get("recording-mark")).to_be_visible()
    story.recorded_from = time.monotonic()
    for who in (story.village, story.chosen):
        who.wait_for_media("camera", frames=20)
        who.wait_for_media("microphone")


def test_5_a_third_person_joins_from_a_phone_by_a_guest_link(story: Story) -> None:
    story.village.get("guest-link-create").click()
    link = story.village.get("guest-link-url").input_value()
    story.village.page.keyboard.press("Escape")
    story.phone.page.goto(link)
    story.phone.get("guest-name").fill(GUEST)
    story.phone.get("guest-join").click()
    story.phone.wait_for_media("camera", frames=20, count=2)
    for who in (story.village, story.chosen):
        who.wait_for_media("camera", frames=20, count=2)
        who.wait_for_media("microphone", count=2)
    _assert_fits_the_screen(story.phone)


def _assert_fits_the_screen(who: Person) -> None:
    wide = who.page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"the page is {wide} px wider than the phone"


def test_6_the_ecg_and_the_ultrasound_are_live(story: Story) -> None:
    for who in (story.village, story.chosen):
        who.wait_for("() => window.__huizhen.ecg().samplesDrawn > 3000")
        expect(who.get("ecg-canvas")).to_be_visible()
        who.wait_for_media("ultrasound", frames=20)
        assert _ink(who) > 500, "no trace is drawn on the paper"

    story.picture("room", story.chosen)
    story.picture("room-village", story.village)
    story.picture("room-phone", story.phone)


def _ink(who: Person) -> int:
    """How many dark pixels the ECG paper shows: the trace is nearly black on pink paper."""
    picture = who.get("ecg-canvas").screenshot()
    return int(
        who.page.evaluate(
            """async (base64) => {
                const image = new Image();
                image.src = 'data:image/png;base64,' + base64;
                await image.decode();
                const canvas = new OffscreenCanvas(image.width, image.height);
                const context = canvas.getContext('2d');
                context.drawImage(image, 0, 0);
                const pixels = context.getImageData(0, 0, image.width, image.height).data;
                let dark = 0;
                for (let at = 0; at < pixels.length; at += 4) {
                    if (pixels[at] + pixels[at + 1] + pixels[at + 2] < 240) dark += 1;
                }
                return dark;
            }""",
            _base64(picture),
        )
    )


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


def test_7_chat_mute_and_removal(story: Story) -> None:
    chosen, village, phone = story.chosen, story.village, story.phone
    for who in (chosen, village):
        who.get("chat-open").click()
    chosen.get("chat-input").fill("请把探头往左一点")
    chosen.get("chat-send").click()
    expect(village.get("chat-message").last).to_contain_text("请把探头往左一点")
    village.get("toggle-mic").click()
    expect(village.get("toggle-mic")).to_have_attribute("aria-pressed", re.compile("true|false"))
    village.get("toggle-mic").click()
    chosen.get("peer-remove").first.click()
    expect(phone.get("error")).to_be_visible()
    chosen.wait_for("() => document.querySelectorAll('[data-testid=tile][data-source=camera]').length <= 2")


def test_8_the_expert_ends_the_consult_and_signs_the_opinion(story: Story) -> None:
    chosen = story.chosen
    expect(chosen.get("recording-mark")).to_be_visible()
    expect(story.village.get("recording-mark")).to_be_visible()
    story.recorded_to = time.monotonic()
    chosen.get("end-consult").click()
    chosen.page.wait_for_url(f"**/c/{story.consultation}")
    chosen.get("opinion-findings").fill(FINDINGS)
    chosen.get("opinion-conclusion").fill(CONCLUSION)
    chosen.get("opinion-advice").fill(ADVICE)
    chosen.get("opinion-password").fill("huizhen-demo")
    story.picture("opinion", chosen)
    chosen.get("opinion-sign").click()
    expect(chosen.get("opinion-signature")).to_have_attribute("data-verified", "true")


def test_9_the_village_doctor_reads_it_and_decides(story: Story) -> None:
    village = story.village
    village.page.goto(f"/c/{story.consultation}")
    expect(village.get("opinion-text")).to_contain_text(CONCLUSION)
    expect(village.get("opinion-signature")).to_have_attribute("data-verified", "true")
    story.picture("returned", village)
    village.get("decision-text").fill(DECISION)
    village.get("decision-submit").click()
    expect(village.get("state")).to_have_attribute("data-state", "ACKNOWLEDGED")


def test_10_both_play_the_session_back(story: Story) -> None:
    for who in (story.village, story.chosen):
        who.page.goto(f"/record/{story.consultation}")
        expect(who.get("record-duration")).to_be_visible()
        who.get("record-play").click()
        who.wait_for(
            """() => [...document.querySelectorAll('[data-testid=record-video]')]
                .some((video) => video.currentTime > 1
                    && video.getVideoPlaybackQuality().totalVideoFrames > 10)"""
        )
    story.picture("record", story.village)
    recording = _recording(story)
    kept = recording["durationMs"] / 1000
    assert kept == pytest.approx(story.recorded_to - story.recorded_from, abs=RECORDED_WITHIN_S)
    for who in (story.village, story.chosen):
        shown = float(who.get("record-duration").get_attribute("data-seconds") or 0)
        assert shown == pytest.approx(kept, abs=0.1)
    owners = {track["participant"]["name"] for track in recording["tracks"]}
    assert {"李秀兰", GUEST} < owners
    expect(story.village.get("record-owner").filter(has_text=GUEST)).to_have_count(1)


def test_10a_the_ecg_is_taken_along_as_a_dicom_file(story: Story) -> None:
    village = story.village
    village.get("export-open").first.click()
    village.get("export-strip").first.check()
    with village.page.expect_download() as download:
        village.get("export-dicom").first.click()
    expect(village.get("export-done").first).to_be_visible()
    story.picture("record-export", village)
    dataset = pydicom.dcmread(download.value.path())
    group = dataset.WaveformSequence[0]
    assert download.value.suggested_filename.endswith(".dcm")
    assert (dataset.Modality, group.NumberOfWaveformChannels) == ("ECG", 12)
    # The recording may be shorter than a strip; whole frames are taken.
    assert 1 <= group.NumberOfWaveformSamples / float(group.SamplingFrequency) <= 10.3
    assert np.ptp(np.frombuffer(group.WaveformData, "<i2")) > 100


def _recording(story: Story) -> dict[str, Any]:
    rest = Rest(story.village.context, "village")
    (listed,) = rest.call("GET", f"/consultations/{story.consultation}/recordings")
    found: dict[str, Any] = rest.call("GET", f"/recordings/{listed['id']}")
    return found


def test_11_everyones_steps_stand_in_the_audit_trail(story: Story) -> None:
    story.village.page.goto(f"/audit?consultation={story.consultation}")
    expect(story.village.get("audit-row").first).to_be_visible()
    story.picture("audit", story.village)
    actions = story.village.get("audit-row").evaluate_all("rows => rows.map(row => row.dataset.action)")
    for step in ("submit", "accept", "sign", "acknowledge"):
        assert any(step in action for action in actions), f"{step} is not among {actions}"


def test_12_no_patient_is_named_in_the_log(story: Story, server: ServerProcess) -> None:
    log = server.log_text()
    for secret in ("张", "胸痛", FINDINGS, "huizhen-demo\n", GUEST):
        assert secret not in log.split("READY", 1)[-1], f"{secret} stands in the log"
