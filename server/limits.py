"""What a peer of the HTTP side can make grow, and how far. One line of reason each."""

from __future__ import annotations

MAX_BODY_BYTES = 256 * 1024
"""A request body: the longest summary and opinion take 60 kB; files never come through JSON."""

AUDIT_ACTORS = 500
"""People whose names have the letters of one search of the audit trail: a surname of a province."""

AUDIT_EXPORT_ROWS = 200_000
"""Entries of one file of the audit trail: some months of a county, 100 MB; a longer time is several files."""

ACCEPTED_PER_TURN = 16
"""New connections in one turn of the event loop: 80 a second where a turn takes 0.2 s; a join brings two."""

MAX_PAGE = 100
"""Items of one page: what a screen can show without paging."""

DEFAULT_PAGE = 50
"""Items of a page when the client does not say."""

LOGIN_FAILURES_PER_ACCOUNT = 8
"""Wrong passwords for one user name within the window, then a wait:

a person mistypes less, a guesser needs more.
"""

LOGIN_FAILURES_PER_ADDRESS = 40
"""The same for one address: a whole clinic sits behind one address."""

LOGIN_WINDOW_S = 300.0
"""How long a wrong password counts, seconds."""

LOGIN_KEYS = 10_000
"""User names and addresses remembered at once; the oldest is forgotten first (40 bytes each, under 1 MB)."""

PASSWORD_CHECKS_AT_ONCE = 4
"""Argon2 takes 64 MiB a check by default: four at once stay under 256 MiB."""

PASSWORD_CHECKS_WAITING = 64
"""Checks in line behind those; more than a minute of waiting is no service, so the next is refused."""

REFUSAL_AUDIT_S = 60.0
"""Seconds within which one person's refused tries at one operation are one entry of the audit trail."""

LIST_AUDIT_S = 3600.0
"""Seconds within which one person's looks at one list of consults, narrowed alike, are one entry of the audit
trail: a wall screen that renews itself all day leaves 24."""

LISTS_LOOKED_AT = 10_000
"""Readers and lists remembered at once; the oldest is forgotten first and noted anew (300 bytes each)."""

REPORT_CHECKS_PER_ADDRESS = 30
"""Printed reports checked from one address within the window: a records room types two a minute."""

REPORT_CHECKS_WINDOW_S = 60.0
"""How long a check of a report counts, seconds."""

REFRESH_TOKENS_PER_ACCOUNT = 20
"""Browsers of one person that stay signed in; the oldest is signed out."""

SIGNAL_EXPORTS_AT_ONCE = 2
"""Signal files written at once: each keeps a thread and a core busy, and the rooms come first."""

SIGNAL_EXPORTS_WAITING = 20
"""Exports in line behind those: a file of an hour takes seconds, so the last waits under a minute."""

DATABASE_WAIT_S = 10.0
"""How long a writer waits for its turn before the request fails with ``busy``."""

SEARCH_LETTERS = 64
"""Letters of a search: longer than any name."""
