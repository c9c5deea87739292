"""What the register keeps of a place, a person and a device, as plain values, and how each is written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from signaling.personal import Personal

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}[A-Za-z0-9]")
"""An institution code or a serial number: 3 to 64 letters, digits, dots and hyphens."""

REGISTRATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{3,31}")
"""The number of a licence to practise; China's have 15 or 27 digits."""

USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{2,63}")
"""Small letters, so that nobody has to remember which was large."""

PHONE = re.compile(r"\+?[0-9][0-9 -]{4,18}[0-9]")
"""A number as people write it, with or without the country (ITU-T E.164: at most 15 digits)."""

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
"""A language tag (RFC 5646): zh, en, bo, ug, zh-yue."""


@dataclass(frozen=True, slots=True)
class OrganizationFacts:
    """FHIR: Organization, with ``parent_id`` as partOf."""

    name: str
    name_en: str
    level: str
    parent_id: str | None
    code: str | None
    address: str


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """FHIR: Practitioner with one PractitionerRole.

    ``registration``: qualification.identifier; ``phone``: telecom; ``languages``: communication.
    """

    name: Personal[str]
    name_en: Personal[str]
    organization_id: str
    title: str
    title_en: str
    roles: tuple[str, ...]
    specialties: tuple[str, ...]
    languages: tuple[str, ...]
    registration: Personal[str] | None
    phone: Personal[str] | None


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """FHIR: Device, with ``site_id`` as its location."""

    kind: str
    name: str
    name_en: str
    organization_id: str
    site_id: str | None
    serial: str
