"""What an administrator, a doctor or a calendar program can make grow about rotas, and how far."""

from __future__ import annotations

LAYERS = 12
"""Layers of a rota: three lines of four (nights, weekends, holidays, the rest)."""

MEMBERS = 100
"""Members of a rotation: the largest department of a province's hospital."""

SLOTS = 400
"""Shifts of a custom list: four weeks of a dozen posts."""

TURN_DAYS = 366
"""The longest turn or cycle, days: a year; beyond it nobody rotates."""

OVERRIDE_DAYS = 92
"""The longest override, days: a quarter; longer changes belong into the layers."""

LEAVE_DAYS = 400
"""The longest leave, days: a year's study leave and the days around it."""

UNBROKEN_S = 24 * 3600.0
"""The longest that somebody takes a line at once. Whoever would stand longer than this by a change, and than
the rota's own turns, is named before it is decided."""

OVERRIDES_AHEAD = 500
"""Running and coming overrides of one rota; the next is refused: a rota of exceptions is no rota."""

ASKS_OPEN = 20
"""Swaps and leaves that one person may have open; the next is refused until the desk has decided."""

ASK_WAITS_S = 72 * 3600.0
"""A swap or leave that nobody answers expires after three days, or when its first shift begins."""

FEEDS_EACH = 1
"""Calendar addresses of one person or rota: a new one ends the old."""

COVERAGE_DAYS = 30
"""Gaps are looked for so many days ahead (the ward plans by the month)."""

CALENDAR_DAYS = 100
"""The longest span that one reply tells: a quarter and its edges."""

FEED_PAST_DAYS = 14
"""A calendar feed begins so many days ago,"""

FEED_AHEAD_DAYS = 60
"""and reaches so far ahead."""

HANDOVER_NOTICE_S = 30 * 60.0
"""Those who hand over and take over are told so long before."""

HANDOVER_LATE_S = 15 * 60.0
"""A hand-over is still told so long after it: who overslept is rung for."""

GAP_SOON_S = 24 * 3600.0
"""A gap that is still open so long before it begins is announced once more: the last day to find somebody."""

GAP_RUNS_S = 3600.0
"""A gap that runs already is still told for so long."""

DECISION_TOLD_S = 24 * 3600.0
"""A swap or leave that was decided is told until its shift begins, and for so long at least,"""

DECISION_LONGEST_S = 7 * 86_400.0
"""and for so long at most: a telephone that is off for a week belongs to somebody away."""

ASKS_SHOWN_S = 7 * 86_400.0
"""How long a swap or a leave is listed after its last shift: until the next week's plan is made."""

NOTICES_KEPT = 500
"""Open and old notices of one rota that a reply may hold; older ones stay in the table."""

GAPS_SEEN = CALENDAR_DAYS * 24
"""Gaps that whoever approves a leave says they were shown: one an hour of the longest span that is told."""

REASON_LETTERS = 200
"""Letters of a reason."""

POLICY_STEPS = 12
"""Steps of an escalation policy: a ring of 25 s each fills the five minutes."""

RING_LEAST_S = 10.0
"""The shortest ring: nobody takes a telephone out of a pocket and reads in less."""

RING_LONGEST_S = 24 * 3600.0
"""The longest ring: a routine request may wait for the next day's clinic."""

RINGING_AT_ONCE = 20
"""How many one step of a policy rings, unless it rings everyone: a specialty's doctors in one hospital."""

SCHEDULES_RUNG = 40
"""Rotas of one specialty that a request looks at, the nearest first: a county's hospitals, the city's, the
province's and the nation's; a province has some hundreds, and reading them all would be slow."""

GREEN_SPECIALTIES = 6
"""Specialties that a green channel rings at once."""

PLAN_DAYS = 14
"""Planned consults find a time within so many days: a routine request that waits longer is asked anew."""

TIMES_PROPOSED = 40
"""Times proposed for one consult: two days' half hours; more nobody reads."""

ALL_OF_A_PLAN = PLAN_DAYS * 24
"""Times looked at for one consult of a plan: every hour; whoever has fifty that wait finds one for each."""

PLANNED_AT_ONCE = 200
"""Consults in one plan, the oldest first: a county has some dozens waiting for a time."""
