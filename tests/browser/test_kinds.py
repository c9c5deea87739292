"""From the request to the signed report: every kind but the urgent one (`test_consult`), in real browsers."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pypdf
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, expect
from pydicom.data import get_testdata_file

from loadtest.browser import PASSWORD, Rest
from loadtest.server_process import ServerProcess
from server.archive.trail_file import check_lines, read_line
from tests.browser.people import PATIENCE_MS, Person

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)

FINDINGS = "窦性心律，偶发房性早搏"
CONCLUSION = "良性早搏可能"
ECG, CLIP = (
    Path(str(get_testdata_file(name, download=False)))
    for name in ("waveform_ecg.dcm", "examples_ybr_color.dcm")
)
PAINTED = """() => {
    const picture = document.querySelector('[data-testid=clip-picture]');
    if (!picture) return false;
    const { data } = picture.getContext('2d').getImageData(0, 0, picture.width, picture.height);
    return data.some((value, at) => at % 4 < 3 && value > 128);
}"""
"""The canvas holds something bright: the scan, not the black it began with."""


class Cast:
    """People who come to the browser when they are first spoken of."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self._people: dict[str, Person] = {}

    def __getitem__(self, username: str) -> Person:
        if username not in self._people:
            who = Person.at(self._browser, self._url, username)
            who.page.goto("/")
            self._people[username] = who
        return self._people[username]

    def go_home(self) -> None:
        for who in self._people.values():
            who.page.goto("/")

    def close(self) -> None:
        for who in self._people.values():
            who.context.close()
        assert [line for who in self._people.values() for line in who.complaints] == []


@pytest.fixture(scope="module")
def server(county: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(county, ["--no-devices"])
    yield process
    assert process.stop() == 0, process.log_text()[-4000:]


@pytest.fixture(scope="module")
def everybody(browser: Browser, server: ServerProcess) -> Iterator[Cast]:
    """One browser a person for all stories of the module: nobody signs in anew for each."""
    cast = Cast(browser, server.url)
    yield cast
    cast.close()


@pytest.fixture
def cast(everybody: Cast) -> Cast:
    """Everybody at home, where rings come."""
    everybody.go_home()
    return everybody


def picture() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(made, "PNG")
    return made.getvalue()


def attach(village: Person) -> None:
    """A picture that is taken out and put back, a program that is refused, and a second of voice."""
    files: list[FilePayload] = [
        {"name": "胸片.png", "mimeType": "image/png", "buffer": picture()},
        {"name": "x.exe", "mimeType": "application/x-msdownload", "buffer": b"MZ"},
    ]
    village.get("attach-add").set_input_files(files)
    expect(village.page.locator("main")).to_contain_text("x.exe 的类型无法在此显示")
    village.get("attach-remove").click()
    expect(village.get("attach-file")).to_have_count(0)
    village.get("attach-undo").click()
    village.get("voice-start").click()
    expect(village.get("voice-stop")).to_be_visible()
    village.page.wait_for_timeout(700)  # of the note: it has to hold something
    village.get("voice-stop").click()
    expect(village.get("attach-play")).to_be_visible()


def hear(expert: Person) -> None:
    """What came with the request is there, and the voice can be played."""
    expect(expert.get("material")).to_have_count(2)
    expert.page.locator("[data-testid=material][data-type^=audio] button").click()
    expect(expert.get("material-voice")).to_be_visible()
    expert.wait_for("() => document.querySelector('[data-testid=material-voice]').readyState >= 1")


def ask(
    village: Person, kind: str, *members: str, files: bool = False, sent: Sequence[FilePayload | Path] = ()
) -> str:
    """Fill the request page; the consult's id.

    :param files: attach what the request page can do with files; ``sent``: just these.
    """
    village.get("request-open").click()
    village.get("request-patient-search").fill("张")
    village.get("request-patient-option").first.click()
    village.get("request-specialty").select_option("cardiology")
    village.get("request-purpose").fill("反复心悸，请会诊")
    village.get("request-summary").fill("心悸一月，血压 130/80。")
    village.get(f"request-kind-{kind}").check()
    for member in members:
        village.get(f"request-member-{member}").check()
    if files:
        attach(village)
    if sent:
        village.get("attach-add").set_input_files(sent)  # type: ignore[arg-type]
    village.get("request-consent").check()
    village.get("request-submit").click()
    village.page.wait_for_url("**/c/*")
    asked = "SUBMITTED" if kind in ("routine", "mdt", "teaching") else "OFFERED"
    expect(village.get("state")).to_have_attribute("data-state", asked)
    return village.page.url.rsplit("/", 1)[-1]


def triage(desk: Person, consult: str) -> None:
    desk.page.goto(f"/c/{consult}")
    desk.get("action-triage").click()
    expect(desk.get("state")).to_have_attribute("data-state", "OFFERED")


def accept(cast: Cast, consult: str) -> Person:
    """The cardiologist who is rung takes it, and is where it goes on."""
    expert = cast[chair_of(cast, consult)]
    expert.page.locator(f"[data-testid=ring][data-consult={consult}]").get_by_test_id("ring-accept").click()
    expert.page.wait_for_url(f"**/{consult}")
    return expert


def chair_of(cast: Cast, consult: str) -> str:
    """User name of the cardiologist who is rung."""
    page = Rest(cast["desk"].context, "desk").call("GET", f"/consultations/{consult}")
    rung = [one["practitioner"]["id"] for one in page["offers"] if one["specialty"] == "cardiology"]
    return str(rung[0]).removeprefix("prc-")


def meet_and_end(village: Person, expert: Person, consult: str) -> None:
    """Both go into the room; the expert ends the session."""
    village.page.goto(f"/c/{consult}")
    village.get("enter-room").click()
    for who in (expert, village):
        who.get("precheck-enter").click()
    expect(expert.get("end-consult")).to_be_visible()
    wait_for_state(village, consult, "IN_SESSION")
    expert.get("end-consult").click()
    expert.page.wait_for_url(f"**/c/{consult}")


def wait_for_state(village: Person, consult: str, state: str) -> None:
    rest = Rest(village.context, "village")
    for _ in range(PATIENCE_MS // 100):
        if rest.call("GET", f"/consultations/{consult}")["state"] == state:
            return
        village.page.wait_for_timeout(100)
    raise AssertionError(f"never {state}")


def sign(expert: Person) -> None:
    expert.get("opinion-findings").fill(FINDINGS)
    expert.get("opinion-conclusion").fill(CONCLUSION)
    expert.get("opinion-follow-up").fill("三月后复查动态心电图")
    expert.get("opinion-password").fill(PASSWORD)
    expert.get("opinion-sign").click()
    expect(expert.get("opinion-signature")).to_have_attribute("data-verified", "true")


def report_of(village: Person, consult: str) -> str:
    """Read the opinion, decide, and print it: what stands on the paper."""
    village.page.goto(f"/c/{consult}")
    expect(village.get("opinion-text")).to_contain_text(CONCLUSION)
    village.get("decision-partly").check()
    village.get("decision-text").fill("先观察，三月后复查")
    village.get("decision-submit").click()
    expect(village.get("decision-outcome")).to_have_text("部分采纳")
    with village.page.expect_download() as download:
        village.get("report-zh").click()
    pages = pypdf.PdfReader(io.BytesIO(download.value.path().read_bytes())).pages
    return "".join(page.extract_text() for page in pages).replace("\0", "")


def test_a_routine_consult_from_the_request_to_the_checked_report(
    browser: Browser, server: ServerProcess, cast: Cast
) -> None:
    village = cast["village"]
    consult = ask(village, "routine", files=True)
    hear(village)
    triage(cast["desk"], consult)
    expert = accept(cast, consult)
    meet_and_end(village, expert, consult)
    sign(expert)
    printed = report_of(village, consult)
    for words in (FINDINGS, CONCLUSION, "部分采纳", "电子签名有效"):
        assert words in printed
    village.get("rating-5").check()
    village.get("rating-submit").click()
    expect(village.get("rating")).to_be_visible()
    _check_at_another_hospital(browser, server, village)


def _check_at_another_hospital(browser: Browser, server: ServerProcess, village: Person) -> None:
    """Without an account, by the address that the code leads to."""
    address = village.get("report-code").get_attribute("href")
    other = Person.at(browser, server.url)
    other.page.goto(address or "")
    expect(other.get("verify-result")).to_have_attribute("data-stands", "true")
    assert "张" not in other.get("verify-result").inner_text()
    other.get("verify-name").fill("王五")
    other.get("verify-submit").click()
    expect(other.get("verify-patient")).to_contain_text("不一致")
    other.context.close()


def test_a_multidisciplinary_consult_is_signed_by_its_chair(cast: Cast) -> None:
    village = cast["village"]
    consult = ask(village, "mdt", "neurology", "ultrasound")
    triage(cast["desk"], consult)
    chair = cast[chair_of(cast, consult)]
    for username, words in (("neuro1", "无局灶体征"), ("sono1", "左室收缩正常")):
        member = cast[username]
        member.get("ring-accept").click()
        member.page.wait_for_url(f"**/c/{consult}")
        member.get("contribution-text").fill(words)
        member.get("contribution-submit").click()
        expect(member.get("seat-contribution").filter(has_text=words)).to_have_count(1)
    chair.get("ring-accept").click()
    chair.page.wait_for_url(f"**/c/{consult}")
    chair.get("enter-room").click()
    meet_and_end(village, chair, consult)
    sign(chair)
    expect(chair.get("contributions")).to_contain_text("无局灶体征")
    printed = report_of(village, consult)
    for words in ("多学科会诊", "神经内科", "无局灶体征", "左室收缩正常", "电子签名有效"):
        assert words in printed


def test_guidance_is_in_the_room_at_once_and_leaves_a_signed_report(cast: Cast) -> None:
    village = cast["village"]
    consult = ask(village, "guidance")
    expert = accept(cast, consult)
    assert "/room/" in expert.page.url
    meet_and_end(village, expert, consult)
    sign(expert)
    assert "远程指导" in report_of(village, consult)


def test_a_teaching_round_is_let_through_by_the_desk_and_signed(cast: Cast) -> None:
    village = cast["village"]
    consult = ask(village, "teaching")
    triage(cast["desk"], consult)
    expert = accept(cast, consult)
    expert.get("enter-room").click()
    meet_and_end(village, expert, consult)
    sign(expert)
    assert "教学查房" in report_of(village, consult)


def test_a_picture_and_text_consult_is_answered_in_writing(cast: Cast) -> None:
    village = cast["village"]
    consult = ask(
        village,
        "picture_text",
        sent=[{"name": "皮疹.png", "mimeType": "image/png", "buffer": picture()}],
    )
    expert = accept(cast, consult)
    expect(expert.get("enter-room")).to_have_count(0)
    expert.get("material").get_by_role("button").click()
    expect(expert.get("material-picture")).to_be_visible()
    village.page.goto("/")
    expert.get("message-text").fill("皮疹几天了？")
    expert.get("message-send").click()
    waiting = village.page.locator(f"[data-id={consult}]")
    expect(waiting).to_contain_text("看新留言")
    waiting.click()
    expect(village.get("message")).to_contain_text("皮疹几天了？")
    village.get("message-text").fill("三天，未用药")
    village.get("message-send").click()
    expect(expert.get("message").nth(1)).to_contain_text("三天，未用药")
    sign(expert)
    assert "图文会诊" in report_of(village, consult)


def test_an_ecg_and_an_ultrasound_clip_are_read_without_a_room(cast: Cast) -> None:
    village = cast["village"]
    consult = ask(village, "diagnostic", sent=[ECG, CLIP])
    expert = accept(cast, consult)
    expect(expert.get("material")).to_have_count(2)
    expert.get("material").filter(has_text=CLIP.name).get_by_role("button").first.click()
    expert.wait_for(PAINTED)
    expert.get("clip-play").click()
    expect(expert.get("clip-play")).to_have_text("播放")
    number = int(expert.get("clip-picture").get_attribute("data-shown") or "")
    expert.get("clip-forth").click()
    expect(expert.get("clip-picture")).to_have_attribute("data-shown", str((number + 1) % 30))
    expert.page.keyboard.press("Escape")
    expert.get("material").filter(has_text=ECG.name).get_by_role("button").first.click()
    expect(expert.get("material-signal")).to_contain_text("1000 Hz")
    expert.page.keyboard.press("Escape")
    expect(village.get("state")).to_contain_text("专家正在看资料")
    sign(expert)
    assert "远程诊断" in report_of(village, consult)


def test_the_regulator_sees_and_cannot_touch(cast: Cast) -> None:
    village, regulator = cast["village"], cast["regulator"]
    consult = ask(village, "routine")
    regulator.page.goto("/oversight")
    number = Rest(village.context, "village").call("GET", f"/consultations/{consult}")["number"]
    expect(regulator.get("oversight-row").filter(has_text=number)).to_have_count(1)
    expect(regulator.get("oversight-group")).to_have_count(1)
    text = regulator.page.locator("main").inner_text()
    assert "张" not in text
    assert "心悸" not in text
    with regulator.page.expect_download() as download:
        regulator.get("oversight-export").click()
    assert "石桥村卫生室" in download.value.path().read_text("utf-8-sig")
    regulator.get("filter-kind").select_option("routine")
    regulator.get("filter-late").check()
    expect(regulator.get("oversight-row")).to_have_count(0)
    regulator.get("filter-clear").click()
    with regulator.page.expect_download() as download:
        regulator.get("waiting-export").click()
    assert number in download.value.path().read_text("utf-8-sig")
    regulator.page.goto(f"/c/{consult}")
    expect(regulator.get("error")).to_be_visible()
    expect(regulator.get("state")).to_have_count(0)
    rest = Rest(regulator.context, "regulator")
    for method, path in (("POST", f"/consultations/{consult}/actions"), ("GET", "/patients")):
        with pytest.raises(RuntimeError, match="403"):
            rest.call(method, path, {"action": "cancel"} if method == "POST" else None)
    _search_the_trail(regulator)


def _search_the_trail(regulator: Person) -> None:
    """What was refused is found, and taken away as lines that can be checked."""
    regulator.page.goto("/audit")
    regulator.get("audit-what").select_option("refused")
    regulator.get("audit-who").fill("regulator")
    expect(regulator.page.locator("[data-testid=audit-row]:not(.refused)")).to_have_count(0)
    expect(regulator.get("audit-row").filter(has_text="访问被拒绝")).not_to_have_count(0)
    with regulator.page.expect_download() as download:
        regulator.get("audit-jsonl").click()
    lines = download.value.path().read_bytes().splitlines()
    assert len(lines) >= 2
    assert check_lines(read_line(line, number) for number, line in enumerate(lines, 1)).broken is None
