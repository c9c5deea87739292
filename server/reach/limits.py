"""What reaching people may cost, and for how long it is tried. One line of reason each."""

from __future__ import annotations

SUBSCRIPTIONS_EACH = 8
"""Browsers of one person that are pushed to; the one added longest ago goes."""

ENDPOINT_LETTERS = 1000
"""An endpoint's address: the longest known (Windows) has about 500."""

WAITING = 5_000
"""Rings that wait for one service; beyond it the oldest are given up: a ring is over by then."""

NOTICES_WAITING = 1_000
"""Notices that wait for one service; beyond it the oldest are given up: a county's hand-overs of a day."""

AT_ONCE = 16
"""Rings under way together to one service: a ring of everyone in a department goes out in one breath."""

NOTICES_AT_ONCE = 4
"""Notices under way together to one service: nobody counts their seconds, and a gateway takes few at once."""

ROWS_AT_ONCE = 500
"""Rows of one INSERT: SQLite and PostgreSQL take 32,000 values in a statement."""

REQUEST_S = 10.0
"""How long a push service or a gateway may take to answer."""

LEAVING_S = 2.0
"""How long a server that stops waits for answers; what has none by then is tried by the next one."""

LOOKUPS_AT_ONCE = 64
"""Threads that look names up: three services with full lanes whose names all hang leave some to others."""

CLAIM_S = 15.0
"""A delivery is one node's to try for so long: a request and the writing down of its answer, with room."""

TEST_S = 60.0
"""A test ring is tried for so long; what has not answered by then did not work."""

TESTS_EACH_HOUR = 30
"""Test rings of one person an hour: each may cost a text message."""

FIRST_RETRY_S = 1.0
"""Then twice as long each time,"""

LONGEST_RETRY_S = 30.0
"""up to this: a ring lives for a minute or two, a routine one for hours;"""

LONGEST_NOTICE_RETRY_S = 15 * 60.0
"""a notice lives for days, and a service that is down is asked four times an hour."""

PUSH_TTL_S = 28 * 86_400.0
"""The longest a push service is asked to keep a message: Google's refuses more than four weeks."""

DELIVERIES_KEPT_S = 30 * 86_400.0
"""How long what was sent, and what was given up, is kept for the operator to see."""

BODY_BYTES = 3_000
"""A push's text: services take 4,096 bytes encrypted (RFC 8030 section 7.2)."""
