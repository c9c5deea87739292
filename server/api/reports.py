"""Printed reports, and the public page by which anybody who holds one checks it."""

from __future__ import annotations

import asyncio
from typing import Literal

from aiohttp import web
from pydantic import Field
from sqlalchemy import func, select

from media.errors import NOT_FOUND, WRONG_STATE, RemoteProtocolError
from server.api.auth import client_address
from server.api.context import RequestContext
from server.api.entering import CLINICAL
from server.api.models import ApiModel, Bilingual, Timestamp
from server.api.origin import public_origin
from server.api.routing import endpoint
from server.archive.models import Organization, Patient, Practitioner
from server.archive.specialties import specialty
from server.consults.codes import read_code
from server.consults.models import Addendum, Consultation, Opinion, PractitionerKey
from server.consults.report import fingerprint, report_pdf
from server.consults.signed import opinion_verified
from server.errors import TOO_MANY_ATTEMPTS


class ReportQuery(ApiModel):
    language: Literal["zh", "en"] = "zh"


class CheckIn(ApiModel):
    """``patient_name``: as printed, if the holder wants to know that the report is this patient's."""

    patient_name: str = Field(default="", max_length=100)


class CheckOut(ApiModel):
    """What a code says: who signed what kind of report when, and whether it stands. Nothing of the patient.

    ``stands``: opinion and addenda are letter by letter what was signed. ``patient_matches``: None when no
    name was given.
    """

    code: str
    number: str
    stands: bool
    signed_at: Timestamp
    signer: Bilingual
    organization: Bilingual
    specialty: Bilingual
    addenda: int
    key_fingerprint: str
    patient_matches: bool | None


@endpoint(
    "GET",
    "/api/v1/consultations/{consultation_id}/report",
    summary="The signed opinion as a page to print",
    roles=CLINICAL,
    writes=False,
    media_type="application/pdf",
)
async def read_report(ctx: RequestContext, consultation_id: str, query: ReportQuery) -> web.Response:
    """PDF, A4. Carries a code by which anybody checks it on ``/verify``. Stands in the audit trail."""
    page = await ctx.services.consults.reading.one(ctx.actor, consultation_id, ctx.now)
    if page.opinion is None or page.opinion.signature is None or page.opinion.code is None:
        raise RemoteProtocolError(WRONG_STATE, "nothing is signed yet")
    url = f"{public_origin(ctx.services.config, ctx.request)}/verify/{page.opinion.code}"
    pdf = await asyncio.to_thread(report_pdf, page, query.language, url, ctx.services.config.zone)
    async with ctx.services.database.write() as session:
        await ctx.services.audit.record(
            session,
            ctx.actor,
            "consultation.report",
            "consultation",
            consultation_id,
            {"language": query.language},
        )
    headers = {
        "Content-Disposition": f'inline; filename="{page.number}-{query.language}.pdf"',
        "Cache-Control": "no-store",
    }
    return web.Response(body=pdf, content_type="application/pdf", headers=headers)


@endpoint("POST", "/api/v1/verify/{code}", summary="Check a printed report", public=True, writes=False)
async def check_report(ctx: RequestContext, code: str, body: CheckIn) -> CheckOut:
    """For anybody who holds the page: a code cannot be guessed, and tries are counted for each address."""
    address = client_address(ctx)
    if ctx.services.report_checks.wait_s(address, ctx.now) > 0:
        raise RemoteProtocolError(TOO_MANY_ATTEMPTS)
    ctx.services.report_checks.failed(address, ctx.now)
    wanted = read_code(code)
    opinion = await ctx.session.scalar(select(Opinion).where(Opinion.code == wanted)) if wanted else None
    if opinion is None or opinion.signed_at is None:
        raise RemoteProtocolError(NOT_FOUND, "report")
    return await _checked(ctx, opinion, body.patient_name)


async def _checked(ctx: RequestContext, opinion: Opinion, patient_name: str) -> CheckOut:
    session = ctx.session
    row = await session.get_one(Consultation, opinion.consultation_id)
    author = await session.get_one(Practitioner, opinion.author_id)
    place = await session.get_one(Organization, author.organization_id)
    key = await session.get(PractitionerKey, opinion.key_id or "")
    wanted = specialty(row.specialty)
    count = select(func.count()).where(Addendum.consultation_id == row.id)
    matches = None
    if patient_name.strip():
        patient = await session.get_one(Patient, row.patient_id)
        names = {_folded(patient.name.reveal()), _folded(patient.name_en.reveal())} - {""}
        matches = _folded(patient_name) in names
    assert opinion.signed_at is not None
    return CheckOut(
        code=opinion.code or "",
        number=row.number,
        stands=await opinion_verified(session, row.id) is True,
        signed_at=opinion.signed_at,
        signer=Bilingual(zh=author.name.reveal(), en=author.name_en.reveal()),
        organization=Bilingual(zh=place.name, en=place.name_en),
        specialty=Bilingual(
            zh=wanted.zh if wanted else row.specialty, en=wanted.en if wanted else row.specialty
        ),
        addenda=await session.scalar(count) or 0,
        key_fingerprint="" if key is None else fingerprint(key.public_key),
        patient_matches=matches,
    )


def _folded(name: str) -> str:
    return "".join(name.split()).casefold()
