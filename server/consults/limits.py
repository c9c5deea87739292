"""What people can make grow in a consult, and how far. One line of reason each."""

from __future__ import annotations

BREAK_GLASS_MINUTES = 60
"""The longest look into a consult of others in an emergency: a shift's hand-over, not a shift."""

BREAK_GLASS_RUNNING = 3
"""Consults that one person may hold open so at a time: an emergency is one patient."""

BREAK_GLASS_LISTED = 1000
"""Emergency accesses looked through for one list, those without a review first."""

BREAK_GLASS_REASON = 8
"""Letters that a reason needs at least: "急诊抢救患者既往史"; a dot is none."""

MATERIAL_BYTES = 20 * 1024 * 1024
"""One material: a photograph of a film is 5 MB, an ultrasound clip 15."""

HELD_UPLOAD_S = 600.0
"""How long a file that was looked at waits to be kept: what is in it is read in a minute."""

HELD_UPLOADS = 16
"""Files that wait so at once: 320 MB of the disk at most; who comes too late sends the file again."""

HELD_UPLOADS_PER_PERSON = 2
"""Of one person: the one on the screen, and one in another tab."""

MATERIALS_PER_CONSULT = 30
"""Materials of one consult: a series of films and reports."""

MATERIAL_PIXELS = 50_000_000
"""Pixels of a picture: the largest telephone camera's; decoded, four bytes each."""

CLIP_PICTURES = 1000
"""Pictures of one clip: half a minute at 30 a second, and spare."""

CLIPS_WAITING = 16
"""Clips that are being read, one after the other, or wait for it; whoever comes then is told to try again."""

CLIP_BYTES = 64 * 1024 * 1024
"""Of one clip's pictures as they are sent: three times the file, which may be packed more tightly."""

VOICE_NOTE_S = 120
"""A voice note: two minutes are 400 words, more is a summary to be written."""

VOICE_NOTE_SLACK_S = 5.0
"""What a recorder may run over before it stops."""

VOICE_NOTE_BYTES = 4 * 1024 * 1024
"""A voice note's bytes: two minutes at 256 kbit/s, the most that a telephone's recorder takes for a voice."""

MESSAGES_PER_CONSULT = 200
"""Messages of one thread: more is a conversation by telephone."""

WATCHED_SHOWN = 300
"""Open consults on one screen: more are searched by filters, or taken away as a table."""

OVERSIGHT_ROWS = 100_000
"""Consults counted for one table of response times: two days of a province, two years of a county."""

OVERSIGHT_DAYS = 366
"""The longest stretch of one table."""

OPEN_PER_REQUESTER = 200
"""Requests of one practitioner that are not final: a busy clinic has a dozen, a looping client more."""

DEVICES_PER_CONSULT = 8
"""Devices attached to one consult: a clinic has an ECG, an ultrasound, a monitor."""

SEATS_PER_CONSULT = 8
"""Further specialties of a multidisciplinary consult: more do not speak in one hour."""

GUEST_LINKS_PER_CONSULT = 20
"""Invitations of one consult, ended ones included: a family and a few colleagues."""

GUEST_LINK_MINUTES = 24 * 60
"""The longest life of an invitation: a day, the longest that a planned session can slip."""

ADDENDA_PER_OPINION = 20
"""Addenda of one opinion: more is a new consult."""

PLANNED_AHEAD_S = 366 * 86_400.0
"""The furthest planned time: a consult of the year after next is a typing error that nobody would hear of."""

PLANNED_LATE_S = 300.0
"""How long past a planned time may be: "now", chosen to the minute and sent a little later."""

EVENTS_SHOWN = 200
"""The newest events of one consult that its JSON carries: a standing alarm adds one a minute."""

TEXT_LETTERS = 8_000
"""Letters of a summary, a finding, an opinion, a decision: three printed pages."""

LINE_LETTERS = 500
"""Letters of a purpose, a reason, a label: what fits the ring's one line and a bit."""

ROOM_TOKEN_S = 4 * 3600
"""How long a room token lasts: the longest session without asking again; an ended room refuses it anyway."""

FOLLOW_UPS = 8
"""System steps after one step: the longest chain of the table has four; more would be a loop."""

ROOM_COMMANDS_WAITING = 1000
"""Room commands (open, record, close) in line: 200 rooms ending at once make 600."""

VIEW_AUDIT_S = 600.0
"""Seconds within which one person's repeated looks at one consult are one entry of the audit trail."""

SEARCH_PAGE = 100
"""Consultations of one page: what a desk's table shows."""
