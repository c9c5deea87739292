"""What the lines of a file mean, held against the register as it stands. No I/O.

Every bad line is told; a line that is not is an `OrganizationLine` or a `PersonLine`, ready to be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

from server.archive.specialties import SPECIALTIES
from server.auth.actor import Role
from server.register import facts as rules
from server.register.csv_columns import Line, listed
from server.register.csv_text import BadLine
from server.register.errors import NOT_YOURSELF
from server.register.facts import OrganizationFacts, PersonFacts
from server.register.levels import LEVEL_NAMES, Level, in_circle, may_stand_under, too_deep
from server.register.limits import (
    ADDRESS_LETTERS,
    LANGUAGES_EACH,
    NAME_LETTERS,
    ROLES_EACH,
    SPECIALTIES_EACH,
)
from server.register.scope import RESERVED
from signaling.personal import Personal

ROLE_WORDS: Mapping[Role, str] = {
    Role.VILLAGE_DOCTOR: "乡村医生",
    Role.TOWNSHIP_DOCTOR: "乡镇医生",
    Role.EXPERT: "专家",
    Role.DESK: "值班台",
    Role.REGULATOR: "监管",
    Role.ADMIN: "管理员",
}
STATE_WORDS = {"active": True, "在用": True, "": True, "closed": False, "停用": False}

_ROLES = {word: role for role, word in ROLE_WORDS.items()} | {role.value: role for role in ROLE_WORDS}
_SPECIALTIES = {name: one.code for one in SPECIALTIES for name in (one.code, one.zh, one.en.lower())}
_LEVELS = {name.lower(): level for level, names in LEVEL_NAMES.items() for name in (level.value, *names)} | {
    f"{names[0]}级": level for level, names in LEVEL_NAMES.items()
}


@dataclass(frozen=True, slots=True)
class Known:
    """The register as it stands, by the numbers that files use.

    :param organizations: institution code -> id.
    :param levels: id -> level; of every organization.
    :param parents: id -> parent's id; of every organization.
    :param open_ids: organizations that are open.
    :param scope: ids that the sender may maintain.
    :param people: registration number -> (id, organization's id, roles).
    :param usernames: user name -> practitioner's id.
    :param admin: whether the sender may give reserved roles and make organizations that stand alone.
    :param today: the day that closing dates default to.
    :param sender: the practitioner who sends the file; "" = nobody of the register.
    """

    organizations: Mapping[str, str]
    levels: Mapping[str, str]
    parents: Mapping[str, str | None]
    open_ids: AbstractSet[str]
    scope: AbstractSet[str]
    people: Mapping[str, tuple[str, str, tuple[str, ...]]]
    usernames: Mapping[str, str]
    admin: bool
    today: date
    sender: str = ""


@dataclass(frozen=True, slots=True)
class OrganizationLine:
    """``parent_code`` stands in for ``facts.parent_id`` where the parent comes with the same file."""

    line: int
    code: str
    facts: OrganizationFacts
    parent_code: str | None
    active: bool
    closed_on: str | None


@dataclass(frozen=True, slots=True)
class PersonLine:
    line: int
    registration: str
    facts: PersonFacts
    username: str | None
    active: bool
    closed_on: str | None


class _Cells:
    """Reads a line's cells and collects what is wrong with them."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.problems: list[BadLine] = []

    def bad(self, key: str, code: str, zh: str, en: str) -> None:
        self.problems.append(self.line.bad(key, code, zh, en))

    def text(self, key: str, letters: int = NAME_LETTERS) -> str:
        cell = self.line.cells.get(key, "")
        if len(cell) > letters:
            self.bad(key, "too_long", f"超过 {letters} 字。", f"Longer than {letters} letters.")
        return cell

    def written(self, key: str, fits: Callable[[str], object], zh: str, en: str) -> str | None:
        cell = self.line.cells.get(key, "")
        if cell and not fits(cell):
            self.bad(key, "format", zh, en)
        return cell or None

    def items(
        self, key: str, most: int, words: Callable[[str], str | None], zh: str, en: str
    ) -> tuple[str, ...]:
        cell = listed(self.line.cells.get(key, ""))
        found = [words(one) for one in cell]
        for one, meaning in zip(cell, found, strict=True):
            if meaning is None:
                self.bad(key, "unknown", f"{zh}：{one[:20]}", f"{en}: {one[:20]}")
        if len(cell) > most:
            self.bad(key, "too_many", f"最多 {most} 项。", f"At most {most}.")
        return tuple(dict.fromkeys(one for one in found if one is not None))

    def standing(self, today: date) -> tuple[bool, str | None]:
        """Active or closed, and since when."""
        state = STATE_WORDS.get(self.line.cells.get("state", "").lower())
        if state is None:
            self.bad("state", "unknown", "状态应为“在用”或“停用”。", "The state is active or closed.")
        on = self.line.cells.get("closed_on", "").replace("/", "-")
        try:
            day = date.fromisoformat(on) if on else None
        except ValueError:
            self.bad("closed_on", "format", "日期应写作 2026-03-01。", "Dates are written 2026-03-01.")
            day = None
        if state is not False:
            if on:
                self.bad(
                    "closed_on",
                    "not_closed",
                    "在用的不应有停用日期。",
                    "Only what is closed has a closing date.",
                )
            return True, None
        return False, (day or today).isoformat()


def check_people(lines: Sequence[Line], known: Known) -> tuple[list[PersonLine], list[BadLine]]:
    """The lines that can be written, and everything that is wrong with the others."""
    good: list[PersonLine] = []
    problems: list[BadLine] = []
    numbers: dict[str, int] = {}
    names: dict[str, int] = {}
    for line in lines:
        cells = _Cells(line)
        person = _person(cells, known)
        _once(cells, "registration", numbers, person.registration)
        if person.username is not None:
            _once(cells, "username", names, person.username)
        problems += cells.problems
        if not cells.problems:
            good.append(person)
    return good, problems


def _once(cells: _Cells, key: str, seen: dict[str, int], value: str) -> None:
    first = seen.setdefault(value, cells.line.line)
    if first != cells.line.line:
        cells.bad(key, "twice", f"与第 {first} 行重复。", f"The same as in line {first}.")


def _person(cells: _Cells, known: Known) -> PersonLine:
    registration = cells.written(
        "registration",
        rules.REGISTRATION.fullmatch,
        "编号应为 4 至 32 位字母或数字。",
        "4 to 32 letters or digits.",
    )
    organization_id = known.organizations.get(cells.line.cells["organization"], "")
    if organization_id not in known.open_ids:
        cells.bad(
            "organization", "no_organization", "没有此代码的在用机构。", "No open organization has this code."
        )
    elif organization_id not in known.scope:
        cells.bad("organization", "out_of_reach", "不属于您维护的机构。", "Another county's desk keeps it.")
    roles = cells.items("roles", ROLES_EACH, lambda word: _word(_ROLES, word), "没有此角色", "No such role")
    specialties = cells.items(
        "specialties",
        SPECIALTIES_EACH,
        lambda word: _word(_SPECIALTIES, word),
        "没有此专科",
        "No such specialty",
    )
    if Role.EXPERT in roles and not cells.line.cells.get("specialties"):
        cells.bad(
            "specialties",
            "expert_without_specialty",
            "专家至少要有一个专科。",
            "An expert needs a specialty.",
        )
    languages = cells.items(
        "languages",
        LANGUAGES_EACH,
        lambda tag: tag if rules.LANGUAGE.fullmatch(tag) else None,
        "语言应写作 zh、en、bo",
        "Languages are written zh, en, bo",
    )
    username = cells.written(
        "username",
        rules.USERNAME.fullmatch,
        "用户名应为 3 至 64 位小写字母、数字、点或横线。",
        "3 to 64 small letters, digits, dots or hyphens.",
    )
    phone = cells.written(
        "phone", rules.PHONE.fullmatch, "电话号码格式不对。", "This is no telephone number."
    )
    _check_known_person(cells, known, registration or "", roles, username)
    active, closed_on = cells.standing(known.today)
    _check_sender(cells, known, registration or "", roles, active)
    facts = PersonFacts(
        name=Personal(cells.text("name")),
        name_en=Personal(cells.text("name_en")),
        organization_id=organization_id,
        title=cells.text("title"),
        title_en=cells.text("title_en"),
        roles=roles,
        specialties=specialties,
        languages=languages or ("zh",),
        registration=Personal(registration or ""),
        phone=None if phone is None else Personal(phone),
    )
    return PersonLine(cells.line.line, registration or "", facts, username, active, closed_on)


def _check_known_person(
    cells: _Cells, known: Known, registration: str, roles: tuple[str, ...], username: str | None
) -> None:
    person_id, home, before = known.people.get(registration, ("", "", ()))
    if person_id and home not in known.scope:
        cells.bad(
            "registration",
            "out_of_reach",
            "此人属于其他县的机构。",
            "Another county's desk keeps this person.",
        )
    if not known.admin and RESERVED & ({*roles} | {*before}):
        cells.bad(
            "roles",
            "role_not_yours",
            "只有管理员可以授予或变更此角色。",
            "Only an administrator gives or takes this role.",
        )
    owner = known.usernames.get(username or "")
    if owner is not None and owner != person_id:
        cells.bad("username", "username_taken", "该用户名已被他人使用。", "Somebody else has this user name.")


def _check_sender(
    cells: _Cells, known: Known, registration: str, roles: tuple[str, ...], active: bool
) -> None:
    """Nobody locks themselves out, as on the page."""
    person_id, _, before = known.people.get(registration, ("", "", ()))
    if person_id and person_id == known.sender and (not active or not {*before} <= {*roles}):
        cells.bad("state" if not active else "roles", NOT_YOURSELF.code, NOT_YOURSELF.zh, NOT_YOURSELF.en)


def _word(words: Mapping[str, str], text: str) -> str | None:
    return words.get(text) or words.get(text.lower())


def check_organizations(lines: Sequence[Line], known: Known) -> tuple[list[OrganizationLine], list[BadLine]]:
    """The lines that can be written, parents before their children, and what is wrong with the others.

    A line whose parent's line is bad is bad itself: it would hang in the air.
    """
    read = [(cells, _organization(cells, known)) for cells in map(_Cells, lines)]
    seen: dict[str, int] = {}
    for cells, one in read:
        _once(cells, "code", seen, one.code)
    _check_tree(read, known)
    bad = {one.code for cells, one in read if cells.problems}
    grown = True
    while grown:
        orphans = [
            (cells, one)
            for cells, one in read
            if one.code not in bad and one.parent_code in bad and one.facts.parent_id is None
        ]
        for cells, one in orphans:
            cells.bad("parent", "parent_bad", "上级机构所在的行有误。", "The parent's own line is wrong.")
            bad.add(one.code)
        grown = bool(orphans)
    problems = [problem for cells, _ in read for problem in cells.problems]
    return _parents_first([one for cells, one in read if not cells.problems]), problems


def _organization(cells: _Cells, known: Known) -> OrganizationLine:
    code = cells.written(
        "code",
        rules.CODE.fullmatch,
        "机构代码应为 3 至 64 位字母、数字、点或横线。",
        "3 to 64 letters, digits, dots or hyphens.",
    )
    level = _LEVELS.get(cells.line.cells["level"].lower())
    if level is None:
        words = "、".join(names[0] for names in LEVEL_NAMES.values())
        cells.bad("level", "unknown", f"级别应为：{words}。", f"The level is one of {', '.join(Level)}.")
    organization_id = known.organizations.get(code or "")
    if organization_id is not None and organization_id not in known.scope:
        cells.bad("code", "out_of_reach", "不属于您维护的机构。", "Another county's desk keeps it.")
    active, closed_on = cells.standing(known.today)
    name = cells.text("name")
    parent_code = cells.line.cells.get("parent") or None
    facts = OrganizationFacts(
        name=name,
        name_en=cells.text("name_en") or name,
        level=(level or Level.VILLAGE).value,
        parent_id=known.organizations.get(parent_code or ""),
        code=code,
        address=cells.text("address", ADDRESS_LETTERS),
    )
    return OrganizationLine(cells.line.line, code or "", facts, parent_code, active, closed_on)


def _check_tree(read: Sequence[tuple[_Cells, OrganizationLine]], known: Known) -> None:
    """Parents as they would stand once the whole file is written; a new organization goes by its code."""
    in_file = {one.code for _, one in read}
    names = {code: known.organizations.get(code, f"new {code}") for code in in_file}
    parents, levels, closing = dict(known.parents), dict(known.levels), set[str]()
    for _, one in read:
        here = names[one.code]
        parents[here] = one.facts.parent_id or names.get(one.parent_code or "")
        levels[here] = one.facts.level
        if not one.active:
            closing.add(here)
    for cells, one in read:
        here, parent = names[one.code], parents[names[one.code]]
        if one.parent_code is None:
            if not known.admin and known.parents.get(here, "new") is not None:
                cells.bad(
                    "parent",
                    "missing",
                    "只有管理员可以设立没有上级的机构。",
                    "Only an administrator makes one that stands alone.",
                )
        elif parent is None:
            cells.bad("parent", "no_parent", "没有此代码的上级机构。", "No organization has this code.")
        elif in_circle(here, parents):
            cells.bad("parent", "parent_circle", "上级机构形成了循环。", "It would stand above itself.")
        else:
            _check_under(cells, one, parent, known, levels, too_deep(here, parents), closing)


def _check_under(
    cells: _Cells,
    one: OrganizationLine,
    parent: str,
    known: Known,
    levels: Mapping[str, str],
    deep: bool,
    closing: AbstractSet[str],
) -> None:
    if not may_stand_under(Level(one.facts.level), Level(levels[parent])):
        cells.bad("parent", "parent_level", "上级机构的级别低于本机构。", "The parent is of a lower level.")
    if deep:
        cells.bad("parent", "too_deep", "机构层级过多。", "Too many organizations stand above one another.")
    if parent in known.parents and parent not in known.scope:
        cells.bad(
            "parent", "out_of_reach", "上级不属于您维护的机构。", "Another county's desk keeps the parent."
        )
    closed = parent in closing or (parent in known.parents and parent not in known.open_ids)
    if one.active and closed:
        cells.bad("parent", "parent_closed", "上级机构已停用。", "The parent is closed.")


def _parents_first(lines: Sequence[OrganizationLine]) -> list[OrganizationLine]:
    by_code = {one.code: one for one in lines}
    found: dict[str, OrganizationLine] = {}

    def put(one: OrganizationLine) -> None:
        if one.code in found:
            return
        above = by_code.get(one.parent_code or "")
        if above is not None:
            put(above)  # the tree has no circle and a bounded depth by now
        found[one.code] = one

    for one in lines:
        put(one)
    return list(found.values())
