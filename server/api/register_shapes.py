"""The JSON of the register's own pages: everything that those who maintain it see and send."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, StringConstraints

from server.api.models import ApiModel, Timestamp
from server.api.references import OrganizationRef, Revealed
from server.auth.actor import Role
from server.limits import DEFAULT_PAGE, MAX_PAGE, SEARCH_LETTERS
from server.register import facts as rules
from server.register.facts import DeviceFacts, OrganizationFacts, PersonFacts
from server.register.levels import Level
from server.register.limits import (
    ADDRESS_LETTERS,
    ALLIANCE_MEMBERS,
    LANGUAGES_EACH,
    NAME_LETTERS,
    ROLES_EACH,
    SPECIALTIES_EACH,
)
from signaling.personal import Personal

Id = Annotated[str, Field(min_length=1, max_length=40)]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


def _matching(pattern: re.Pattern[str]) -> AfterValidator:
    def check(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError("is not written so")
        return text

    return AfterValidator(check)


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_LETTERS),
    AfterValidator(_printable),
]
Words = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=NAME_LETTERS), AfterValidator(_printable)
]
Address = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=ADDRESS_LETTERS), AfterValidator(_printable)
]
Code = Annotated[str, _matching(rules.CODE)]
Registration = Annotated[str, _matching(rules.REGISTRATION)]
Phone = Annotated[str, _matching(rules.PHONE)]
Language = Annotated[str, _matching(rules.LANGUAGE)]
Username = Annotated[str, _matching(rules.USERNAME)]
State = Literal["active", "closed", "all"]
StaffRole = Literal["village_doctor", "township_doctor", "expert", "desk", "regulator", "admin"]
assert set(get_args(StaffRole)) == {str(one) for one in Role if one is not Role.DEVICE}


class ListQuery(ApiModel):
    """``cursor``: what the page before gave."""

    q: str | None = Field(default=None, max_length=SEARCH_LETTERS)
    state: State = "active"
    cursor: str | None = Field(default=None, max_length=40)
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE)


class OrganizationListQuery(ListQuery):
    level: Level | None = None
    parent_id: Id | None = None


class PeopleListQuery(ListQuery):
    role: StaffRole | None = None
    specialty: str | None = Field(default=None, max_length=40)
    organization_id: Id | None = None


class DeviceListQuery(ListQuery):
    kind: Literal["ecg", "ultrasound"] | None = None
    organization_id: Id | None = None


class OrganizationIn(ApiModel):
    name: Name
    name_en: Name
    level: Level
    parent_id: Id | None = None
    code: Code | None = None
    address: Address = ""

    def facts(self) -> OrganizationFacts:
        return OrganizationFacts(
            self.name, self.name_en, self.level.value, self.parent_id, self.code, self.address
        )


class OrganizationEdit(OrganizationIn):
    """``version``: the one that was seen; another's change in between gives 409 ``version_conflict``."""

    version: int


class ClosingIn(ApiModel):
    """``on``: the last day; today when left out."""

    version: int
    active: bool
    on: date | None = None


class OrganizationEntry(OrganizationRef):
    parent: OrganizationRef | None
    code: str | None
    address: str
    active: bool
    closed_on: str | None
    version: int
    editable: bool


class SiteIn(ApiModel):
    organization_id: Id
    name: Name
    name_en: Name


class SiteEdit(ApiModel):
    version: int
    name: Name
    name_en: Name
    active: bool = True


class SiteOut(ApiModel):
    """FHIR: Location."""

    id: str
    organization_id: str
    name: str
    name_en: str
    active: bool
    closed_on: str | None
    version: int


class SiteQuery(ApiModel):
    organization_id: Id


class AllianceIn(ApiModel):
    name: Name
    name_en: Name
    organization_ids: list[Id] = Field(min_length=2, max_length=ALLIANCE_MEMBERS)


class AllianceEdit(AllianceIn):
    version: int
    active: bool = True


class AllianceOut(ApiModel):
    """Organizations of several counties that consult one another."""

    id: str
    name: str
    name_en: str
    active: bool
    closed_on: str | None
    version: int
    organizations: list[OrganizationRef]


class PersonIn(ApiModel):
    name: Name
    name_en: Words = ""
    organization_id: Id
    title: Words = ""
    title_en: Words = ""
    roles: list[StaffRole] = Field(min_length=1, max_length=ROLES_EACH)
    specialties: list[str] = Field(default_factory=list, max_length=SPECIALTIES_EACH)
    languages: list[Language] = Field(default_factory=lambda: ["zh"], max_length=LANGUAGES_EACH)
    registration: Registration | None = None
    phone: Phone | None = None

    def facts(self) -> PersonFacts:
        return PersonFacts(
            name=Personal(self.name),
            name_en=Personal(self.name_en),
            organization_id=self.organization_id,
            title=self.title,
            title_en=self.title_en,
            roles=tuple(dict.fromkeys(self.roles)),
            specialties=tuple(dict.fromkeys(self.specialties)),
            languages=tuple(dict.fromkeys(self.languages)),
            registration=None if self.registration is None else Personal(self.registration),
            phone=None if self.phone is None else Personal(self.phone),
        )


class PersonEdit(PersonIn):
    version: int


class AccountState(ApiModel):
    """``temporary_until``: the password was set by somebody else and is to be changed by then."""

    username: str
    disabled: bool
    temporary_until: Timestamp | None


class PersonEntry(ApiModel):
    id: str
    name: Revealed
    name_en: Revealed
    title: str
    title_en: str
    organization: OrganizationRef
    roles: list[str]
    specialties: list[str]
    languages: list[str]
    registration: Revealed | None
    phone: Revealed | None
    active: bool
    closed_on: str | None
    version: int
    editable: bool
    account: AccountState | None


class AccountIn(ApiModel):
    username: Username


class TemporaryPasswordOut(ApiModel):
    """Shown once; it has to be changed at the next sign-in."""

    username: str
    password: str
    until: Timestamp


class DeviceIn(ApiModel):
    kind: Literal["ecg", "ultrasound"]
    name: Name
    name_en: Name
    organization_id: Id
    site_id: Id | None = None
    serial: Annotated[str, _matching(re.compile(rf"|{rules.CODE.pattern}"))] = ""

    def facts(self) -> DeviceFacts:
        return DeviceFacts(
            self.kind, self.name, self.name_en, self.organization_id, self.site_id, self.serial
        )


class DeviceEdit(DeviceIn):
    version: int
    active: bool = True


class VersionIn(ApiModel):
    version: int


class DeviceEntry(ApiModel):
    id: str
    kind: str
    name: str
    name_en: str
    organization: OrganizationRef
    site: SiteOut | None
    serial: str
    active: bool
    online: bool
    version: int
    editable: bool


class DeviceTokenOut(ApiModel):
    """``token`` is shown once; the one before has ended."""

    device: DeviceEntry
    token: str
