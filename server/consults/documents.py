"""What exactly is signed, and whether it still stands.

An opinion's document binds its words to the consult, the patient, the signer and the time; an addendum's
binds it to the opinion's signature as well, so that it cannot be moved to another one.
"""

from __future__ import annotations

from server.consults.models import Addendum, Consultation, Opinion, PractitionerKey
from server.consults.signing import verify
from server.times import iso_from_unix

Document = dict[str, str | bool | int]
FIRST_FORM, FORM = 1, 2


def opinion_document(row: Consultation, opinion: Opinion, signed_at: float) -> Document:
    """The signed form of an opinion. Form 1 had neither follow-up nor contributions nor a report's code."""
    document: Document = {
        "type": "opinion",
        "version": opinion.form,
        "consultationId": row.id,
        "patientId": row.patient_id,
        "signer": opinion.author_id,
        "signedAt": iso_from_unix(signed_at),
        "findings": opinion.findings.reveal(),
        "conclusion": opinion.conclusion.reveal(),
        "advice": opinion.advice.reveal(),
        "critical": opinion.critical,
    }
    if opinion.form == FIRST_FORM:
        return document
    return {
        **document,
        "followUp": opinion.follow_up.reveal(),
        "contributions": opinion.contributions.reveal(),
        "code": opinion.code or "",
    }


def addendum_document(
    row: Consultation, opinion: Opinion, author_id: str, text: str, signed_at: float
) -> Document:
    """The signed form of an addendum."""
    return {
        "type": "addendum",
        "version": 1,
        "consultationId": row.id,
        "patientId": row.patient_id,
        "opinion": opinion.signature or "",
        "signer": author_id,
        "signedAt": iso_from_unix(signed_at),
        "text": text,
    }


def opinion_stands(row: Consultation, opinion: Opinion, key: PractitionerKey | None) -> bool:
    """True when the stored opinion is, letter by letter, what its author signed with their own key."""
    if key is None or opinion.signature is None or opinion.signed_at is None:
        return False
    if key.practitioner_id != opinion.author_id:
        return False
    return verify(key.public_key, opinion_document(row, opinion, opinion.signed_at), opinion.signature)


def addendum_stands(
    row: Consultation, opinion: Opinion, addendum: Addendum, key: PractitionerKey | None
) -> bool:
    """The same for an addendum."""
    if key is None or key.practitioner_id != addendum.author_id:
        return False
    document = addendum_document(row, opinion, addendum.author_id, addendum.text.reveal(), addendum.signed_at)
    return verify(key.public_key, document, addendum.signature)
