"""Bounds of a client: what a server, or a slow caller, could otherwise make grow."""

from __future__ import annotations

REQUEST_TIMEOUT_S = 10.0  # a reply to a request: the server answers in milliseconds or is gone
CONNECT_TIMEOUT_S = 15.0  # socket, join and media; the ICE checks give up after the same time
EVENT_QUEUE = 10_000  # room events nobody has read yet; the oldest goes first
SEND_HISTORY_PACKETS = 1024  # for retransmission: 2 s of a 4 Mbit/s picture
MAX_MISSING_PACKETS = 512  # packets of one track that are waited for; more is a break, not a loss
NACK_TRIES = 5  # requests for one packet, 200 ms apart
KEPT_FRAMES = 300  # encoded frames kept of one track to be decoded on request: 10 s of 30 frames/s
KEPT_BYTES = 8 * 1024 * 1024  # of the same
MAX_BEHIND_S = 0.5  # a source that lags more than this leaves frames out instead of catching up
SDP_ANSWER_BYTES = 65_536  # of a WHIP answer read at most
REPLY_BYTES = 64 * 1024 * 1024  # of a REST reply: a recording's file is the longest
