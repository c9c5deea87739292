"""Printed reports: what stands on them, and how anybody checks one."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, cast
from zoneinfo import ZoneInfo

import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import LocalProtocolError
from server.app import Server
from server.config import HttpConfig
from server.consults.codes import ALPHABET, new_code, read_code
from server.consults.report import report_pdf
from server.consults.vocabulary import Action
from server.demo_county import PASSWORD
from server.limits import REPORT_CHECKS_PER_ADDRESS
from tests.server.consults.flow import signed
from tests.server.consults.test_consult_api import REQUEST, act, people, rung
from tests.server.consults.world import World
from tests.server.running import Caller, CallerFactory

CHINA = ZoneInfo("Asia/Shanghai")
URL = "https://hz.example.org/verify/ABCD-EFGH-JKMN"


def text_of(pdf: bytes) -> str:
    """What stands on its pages. pypdf reads the font's two-byte codes one by one and leaves the zeroes in."""
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return "\f".join(page.extract_text().replace("\0", "") for page in pages)


@given(st.text(alphabet=ALPHABET, min_size=12, max_size=12), st.integers(0, 3))
def test_a_code_is_read_however_it_is_typed(letters: str, style: int) -> None:
    code = "-".join((letters[:4], letters[4:8], letters[8:]))
    typed = (code, letters.lower(), f" {letters[:6]} {letters[6:]}", letters.replace("0", "o"))[style]
    assert read_code(typed) == code


@pytest.mark.parametrize(
    "typed", ["", "ABCD", "ABCD-EFGH-JKM!", "ABCD-EFGH-JKMN-P", "ABCD-EFGH-JKMU", "会" * 12]
)
def test_what_is_no_code_is_none(typed: str) -> None:
    assert read_code(typed) is None


def test_codes_differ() -> None:
    assert len({new_code() for _ in range(200)}) == 200


async def test_a_report_says_everything_in_both_languages(world: World) -> None:
    consult, expert = await signed(world)
    await world.act("village", consult, Action.ACKNOWLEDGE, outcome="partly", text="家属不同意转院")
    page = await world.see(expert, consult)
    assert page.opinion is not None
    rare = page.model_copy(update={"summary": "患者𠮷某，血氧 ≥ 95 %，体温 38 ℃"})
    zh = text_of(report_pdf(rare, "zh", URL, CHINA))
    for words in (
        "远程会诊意见书",
        "张桂英",
        "下壁心梗",
        "部分采纳",
        "家属不同意转院",
        "电子签名有效",
        page.number,
    ):
        assert words in zh
    assert "[U+20BB7]" in zh, "a letter without a picture is named, not left out"
    en = text_of(report_pdf(page, "en", URL, CHINA))
    for words in (
        "Teleconsultation report",
        "Zhang Guiying",
        "Partly adopted",
        "The electronic signature stands",
    ):
        assert words in en
    assert "https://hz.example.org/verify" in en
    assert page.opinion.code is not None
    assert page.opinion.code in en
    # The same instant on another wall, which is named.
    west = text_of(report_pdf(page, "zh", URL, ZoneInfo("Asia/Urumqi")))
    signed_at = page.opinion.signature.signed_at if page.opinion.signature else 0.0
    for text, hours, note in ((zh, 8, "时间为北京时间"), (west, 6, "时间按 Asia/Urumqi (UTC+06:00)")):
        wall = datetime.fromtimestamp(signed_at, timezone(timedelta(hours=hours)))
        assert f"{wall:%Y-%m-%d %H:%M}" in text
        assert note in text


async def test_its_font_is_embedded(world: World) -> None:
    consult, expert = await signed(world)
    pdf = report_pdf(await world.see(expert, consult), "zh", URL, CHINA)
    resources = cast(Any, pypdf.PdfReader(io.BytesIO(pdf)).pages[0])["/Resources"]
    for font in resources["/Font"].values():
        described = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"]
        assert {"/FontFile2", "/FontFile3"} & set(described)
    assert len(pdf) < 200_000


async def test_a_signature_that_does_not_stand_is_printed_as_such(world: World) -> None:
    consult, expert = await signed(world)
    page = await world.see(expert, consult)
    assert page.opinion is not None
    assert page.opinion.signature is not None
    broken = page.opinion.signature.model_copy(update={"verified": False})
    opinion = page.opinion.model_copy(update={"signature": broken})
    assert "电子签名无效" in text_of(
        report_pdf(page.model_copy(update={"opinion": opinion}), "zh", URL, CHINA)
    )


async def test_long_texts_go_over_pages_and_the_signature_stays_whole(world: World) -> None:
    consult, expert = await signed(world)
    page = await world.see(expert, consult)
    assert page.opinion is not None
    long = page.opinion.model_copy(update={"findings": "窦性心律，电轴不偏。" * 300})
    pages = text_of(report_pdf(page.model_copy(update={"opinion": long}), "zh", URL, CHINA)).split("\f")
    assert len(pages) > 1
    last = pages[-1]
    assert "查验码" in last
    assert "电子签名有效" in last


async def reported(caller: CallerFactory) -> tuple[str, Caller, dict[str, Any]]:
    """A signed diagnostic read over HTTP: its id, the requester, its page."""
    village, experts = await people(caller)
    _, page = await village.call("POST", "/consultations", {**REQUEST, "kind": "diagnostic"})
    consult, expert = page["id"], await rung(page, experts)
    await act(expert, consult, "accept")
    assert (await village.call("GET", f"/consultations/{consult}/report"))[0] == 409
    await act(expert, consult, "end")
    opinion = {"findings": "窦性心律", "conclusion": "正常心电图", "followUp": "一月后复查"}
    await expert.call("PUT", f"/consultations/{consult}/opinion", opinion)
    await expert.call("POST", f"/consultations/{consult}/opinion/sign", {"password": PASSWORD})
    return consult, village, await village.get(f"/consultations/{consult}")


async def test_anybody_checks_a_report_by_its_code_and_learns_nothing_of_the_patient(
    caller: CallerFactory,
) -> None:
    consult, village, page = await reported(caller)
    status, pdf = await village.call("GET", f"/consultations/{consult}/report?language=en")
    assert (status, pdf[:5]) == (200, b"%PDF-")
    code = page["opinion"]["code"]
    assert code in text_of(pdf)
    trail = await village.get(f"/audit?consultationId={consult}")
    assert "consultation.report" in {entry["action"] for entry in trail["items"]}

    anybody = await caller(None)
    status, checked = await anybody.call("POST", f"/verify/{code.lower().replace('-', '')}", {})
    assert (status, checked["stands"], checked["number"]) == (200, True, page["number"])
    assert checked["patientMatches"] is None
    for secret in ("张桂英", "Zhang", "窦性心律", "pat-demo-1"):
        assert secret not in str(checked)
    for name, same in (("张 桂英", True), ("zhang guiying", True), ("王五", False)):
        _, checked = await anybody.call("POST", f"/verify/{code}", {"patientName": name})
        assert checked["patientMatches"] is same
    status, problem = await anybody.call("POST", "/verify/0000-0000-0000", {})
    assert (status, problem["code"]) == (404, "not_found")


async def test_what_stands_on_paper_leads_to_the_configured_address(
    caller: CallerFactory, server: Server
) -> None:
    """A proxy holds the certificate, and the hospital prints inside: neither address is for others."""
    consult, village, _ = await reported(caller)
    _, found = await village.call("GET", f"/consultations/{consult}/report")
    assert f"{server.url}/verify" in text_of(found)
    config = server.services.config
    outside = replace(config.http, public_url="https://consult.example.org")
    server.services.config = replace(config, http=outside)
    _, pdf = await village.call("GET", f"/consultations/{consult}/report")
    assert "https://consult.example.org/verify" in text_of(pdf)
    assert server.url not in text_of(pdf)


@pytest.mark.parametrize("url", ["consult.example.org", "https://", "https://a.example/x", "ftp://a.example"])
def test_a_public_address_is_an_origin(url: str) -> None:
    with pytest.raises(LocalProtocolError, match="public_url"):
        HttpConfig(public_url=url)


async def test_codes_cannot_be_tried_out(server: Server, caller: CallerFactory) -> None:
    anybody = await caller(None)
    tries = [
        await anybody.call("POST", f"/verify/{new_code()}", {}) for _ in range(REPORT_CHECKS_PER_ADDRESS)
    ]
    assert {status for status, _ in tries} == {404}
    status, problem = await anybody.call("POST", f"/verify/{new_code()}", {})
    assert (status, problem["code"]) == (429, "too_many_attempts")


async def test_a_report_is_for_those_who_may_see_the_consult(caller: CallerFactory) -> None:
    consult, _, _ = await reported(caller)
    stranger = await caller("village2")
    status, problem = await stranger.call("GET", f"/consultations/{consult}/report")
    assert (status, problem["code"]) == (403, "forbidden")
