"""What the register, and a file for it, may hold. One line of reason each."""

from __future__ import annotations

DEPTH = 8
"""Organizations above one another: six levels, and two for branches of a hospital."""

NAME_LETTERS = 80
"""Letters of a name, a title or an address's line."""

ADDRESS_LETTERS = 200
"""Letters of an address."""

ROLES_EACH = 6
"""Roles of one person: there are six that a person may have."""

SPECIALTIES_EACH = 12
"""Specialties of one person; more says nothing any more."""

LANGUAGES_EACH = 8
"""Languages of one person."""

ALLIANCE_MEMBERS = 1000
"""Organizations of one alliance: two counties of village clinics."""

SITES_EACH = 200
"""Sites of one organization: the wards of a provincial hospital."""

TEMPORARY_PASSWORD_S = 7 * 86_400.0
"""A password set by somebody else works for a week: long enough to reach a village on market day."""

PASSWORD_LETTERS = 10
"""The shortest password of one's own (NIST SP 800-63B asks for 8 and for no composition rules)."""

IMPORT_BYTES = 8 * 1024 * 1024
"""A file: 20,000 people at 400 bytes a line."""

IMPORT_LINES = 20_000
"""Lines of a file: the doctors of a province's capital; more are sent in parts."""

CELL_LETTERS = 400
"""Letters of one cell: the longest address and list of specialties."""

PROBLEMS_TOLD = 1_000
"""Bad lines that a reply lists; the count is of all. Nobody mends more before trying again."""

QUOTES_TOLD = 100
"""Quotes without an end that are looked past: each may cost the reading of a cell's 128 kB."""

NAMED_AT_ONCE = 50
"""People or places that one entry of the audit trail names after a file: what a row of its page can show."""

IMPORTS_AT_ONCE = 1
"""Files read at once: each holds the memory of its lines several times over."""
