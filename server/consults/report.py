"""The printed report of a signed opinion: A4, Chinese or English, with a code to check it by.

Pure: a `ConsultationOut` in, the bytes of a PDF out; tenths of a second of CPU: it belongs into a thread. The
font is embedded, as far as its letters are used (Noto Sans SC, SIL OFL 1.1): it prints the same everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pylopdf_fonts_zh_cn
import segno
from fpdf import FPDF
from fpdf.enums import WrapMode, XPos, YPos
from fpdf.fonts import TTFFont

from server.archive.specialties import specialty
from server.config import DEFAULT_ZONE
from server.consults.report_words import Language, word
from server.consults.schema import ConsultationOut, OpinionOut

FONT = Path(pylopdf_fonts_zh_cn.__file__).with_name("NotoSansSC-Regular.otf")
_RED, _GREY, _BLACK = (176, 0, 32), (95, 95, 95), (0, 0, 0)
_MARGIN_MM, _LINE_MM, _LABEL_MM, _QR_MM = 18.0, 5.6, 30.0, 30.0
_FULL_WIDTH = 0x2E80
"""From here on letters are as wide as they are high, and lines break between any two of them."""


class _Page(FPDF):
    """A4 with our font, and a foot on every page."""

    def __init__(self, language: Language, foot: str, signed_at: float, zone: ZoneInfo) -> None:
        super().__init__(format="A4")
        self.set_margins(_MARGIN_MM, 14.0)
        self.set_auto_page_break(auto=True, margin=20.0)
        self.add_font("noto", "", FONT)
        self.set_creation_date(datetime.fromtimestamp(signed_at, UTC))
        self.set_lang("zh-CN" if language == "zh" else "en")
        self._language, self._foot = language, foot
        self._signed_at, self._zone = signed_at, zone

    def footer(self) -> None:
        self.set_y(-14)
        self.set_font("noto", size=8)
        self.set_text_color(*_GREY)
        page = word("page", self._language).format(page=self.page_no(), pages="{nb}")
        self.cell(self.epw / 2, 5, self._foot)
        self.cell(self.epw / 2, 5, page, align="R")

    def shown(self, text: str) -> str:
        """Letters that the font does not have are written as their number, never as an empty box."""
        font = self.fonts["noto"]
        assert isinstance(font, TTFFont)
        known = font.cmap
        return "".join(one if one in "\n\t" or ord(one) in known else f"[U+{ord(one):04X}]" for one in text)

    def zone_note(self) -> str:
        """Whose time is printed: Beijing's, as people say, or the zone by name and by what it is ahead."""
        if self._zone.key == DEFAULT_ZONE:
            return word("time_zone", self._language)
        ahead = f"{datetime.fromtimestamp(self._signed_at, self._zone):%z}"
        zone = f"{self._zone.key} (UTC{ahead[:3]}:{ahead[3:]})"
        return word("time_zone_of", self._language).format(zone=zone)

    def time(self, seconds: float | None) -> str:
        return "" if seconds is None else f"{datetime.fromtimestamp(seconds, self._zone):%Y-%m-%d %H:%M}"

    def line(self, text: str, size: float = 10.5, colour: tuple[int, int, int] = _BLACK) -> None:  # type: ignore[override]
        """A paragraph over the whole width."""
        self.set_font("noto", size=size)
        self.set_text_color(*colour)
        text = self.shown(text)
        wide = sum(ord(one) >= _FULL_WIDTH for one in text)
        wrap = WrapMode.CHAR if wide * 3 > len(text) else WrapMode.WORD
        self.multi_cell(0, size * 0.53, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT, wrapmode=wrap, align="L")

    def fact(self, label: str, value: str) -> None:
        """A label and its value beside it."""
        self.set_font("noto", size=10)
        self.set_text_color(*_GREY)
        self.cell(_LABEL_MM, _LINE_MM, label)
        self.set_text_color(*_BLACK)
        self.multi_cell(0, _LINE_MM, self.shown(value), new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")

    def part(self, title: str, text: str, size: float = 10.5) -> None:
        """A heading and its text; nothing without text."""
        if not text.strip():
            return
        self.ln(2.2)
        self.line(title, 9.5, _GREY)
        self.line(text, size)

    def rule(self) -> None:
        self.ln(1.6)
        self.set_draw_color(*_GREY)
        self.cell(0, 0, "", border="T", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(1.6)


def report_pdf(page: ConsultationOut, language: Language, verify_url: str, zone: ZoneInfo) -> bytes:
    """The report of a signed opinion.

    :param zone: the clinics': its times are printed, and the page names it.

    :param verify_url: where its code is checked, ``https://host/verify/ABCD-EFGH-JKMN``.
    """
    opinion = page.opinion
    assert opinion is not None
    assert opinion.signature is not None
    pdf = _Page(language, page.number, opinion.signature.signed_at, zone)
    pdf.set_title(word("title", language))
    pdf.add_page()
    pdf.set_font("noto", size=17)
    pdf.cell(0, 10, word("title", language), align="C", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.rule()
    for label, value in _facts(pdf, page, language):
        if value:
            pdf.fact(word(label, language), value)
    pdf.rule()
    pdf.part(word("purpose", language), page.purpose)
    pdf.part(word("summary", language), page.summary)
    pdf.rule()
    _opinion(pdf, page, opinion, language)
    _signature(pdf, page, opinion, language, verify_url)
    return bytes(pdf.output())


def _facts(pdf: _Page, page: ConsultationOut, language: Language) -> Iterator[tuple[str, str]]:
    pick = _picker(language)
    patient, requester, expert = page.patient, page.requester, page.expert
    age = "" if patient.age is None else word("years", language).format(age=patient.age)
    sex = word(patient.sex if patient.sex in ("male", "female") else "unknown", language)
    yield "number", page.number
    yield "patient", "  ".join(filter(None, (pick(patient.name, patient.name_en), sex, age)))
    yield "identifier", patient.identifier
    yield "kind", word(f"kind.{page.kind}", language)
    yield "specialty", _specialty(page.specialty, language)
    places = [requester.organization, *([expert.organization] if expert else [])]
    names = [pick(one.name, one.name_en) for one in places]
    yield "from", f"{names[0]}  {pick(requester.name, requester.name_en)}"
    if expert is not None:
        title = pick(expert.title, expert.title_en)
        yield "expert", f"{names[1]}  {pick(expert.name, expert.name_en)}  {title}"
    yield "submitted", pdf.time(page.submitted_at)
    yield "accepted", pdf.time(page.accepted_at)


def _opinion(pdf: _Page, page: ConsultationOut, opinion: OpinionOut, language: Language) -> None:
    pick = _picker(language)
    if opinion.critical:
        pdf.line(f"▲ {word('critical', language)}", 12, _RED)
        if opinion.critical_acknowledged_at is not None:
            pdf.fact(word("critical_seen", language), pdf.time(opinion.critical_acknowledged_at))
    pdf.part(word("findings", language), opinion.findings)
    pdf.part(word("conclusion", language), opinion.conclusion, size=13)
    pdf.part(word("advice", language), opinion.advice)
    pdf.part(word("follow_up", language), opinion.follow_up)
    if opinion.contributions:
        texts = [
            f"{_specialty(one.specialty, language)}（{pick(one.by.name, one.by.name_en)}）：{one.text}"
            for one in opinion.contributions
        ]
        pdf.part(word("contributions", language), "\n".join(texts))
    for each in opinion.addenda:
        title = f"{word('addendum', language)}  {pick(each.by.name, each.by.name_en)}  {pdf.time(each.at)}"
        pdf.part(title, each.text)
        if not each.signature.verified:
            pdf.line(word("broken", language), 10, _RED)
    if page.decision is not None:
        text = f"{word(page.decision.outcome, language)}：{page.decision.text}"
        pdf.part(f"{word('decision', language)}  {pdf.time(page.decision.at)}", text)


def _signature(
    pdf: _Page, page: ConsultationOut, opinion: OpinionOut, language: Language, verify_url: str
) -> None:
    """Who signed when, whether it stands, and how others check it. Never torn over two pages."""
    signature, author = opinion.signature, opinion.author
    assert signature is not None
    if pdf.will_page_break(_QR_MM + 20):
        pdf.add_page()
    pdf.rule()
    left, top = pdf.l_margin, pdf.get_y()
    _draw_code(pdf, verify_url, pdf.w - pdf.r_margin - _QR_MM, top)
    pdf.set_right_margin(_MARGIN_MM + _QR_MM + 4)
    pdf.set_xy(left, top)
    name = _picker(language)(author.name, author.name_en)
    pdf.fact(word("expert", language), name)
    pdf.fact(word("signed", language), pdf.time(signature.signed_at))
    pdf.line(
        word("stands" if signature.verified else "broken", language),
        10,
        _BLACK if signature.verified else _RED,
    )
    pdf.fact(word("key", language), f"{signature.algorithm} {fingerprint(signature.public_key)}")
    pdf.line(word("check", language), 9, _GREY)
    pdf.line(verify_url.rsplit("/", 1)[0], 9)
    pdf.fact(word("code", language), opinion.code or "")
    pdf.set_right_margin(_MARGIN_MM)
    pdf.set_y(max(pdf.get_y(), top + _QR_MM) + 1)
    pdf.line(f"{word('advisory', language)}  {pdf.zone_note()}", 8.5, _GREY)


def _draw_code(pdf: _Page, url: str, left: float, top: float) -> None:
    """The QR code as squares: sharp at any size."""
    rows = [list(row) for row in segno.make(url, error="m", micro=False).matrix]
    side = _QR_MM / len(rows)
    pdf.set_fill_color(0)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                pdf.rect(left + x * side, top + y * side, side, side, style="F")


def fingerprint(public_key: str) -> str:
    """Sixteen hex digits of a public key's SHA-256, in fours: to be read out on the telephone."""
    digits = hashlib.sha256(public_key.encode()).hexdigest()[:16]
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))


def _picker(language: Language) -> Callable[[str, str], str]:
    """The text in the report's language, or the other one where there is none."""

    def pick(zh: str, en: str) -> str:
        return (zh or en) if language == "zh" else (en or zh)

    return pick


def _specialty(code: str, language: Language) -> str:
    found = specialty(code)
    return code if found is None else _picker(language)(found.zh, found.en)
