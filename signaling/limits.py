"""Every bound of this layer, with its reason. Nothing that a peer sends can grow past one of these."""

from __future__ import annotations

MESSAGE_BYTES_MAX = 256 * 1024
"""One Socket.IO message: the largest honest one (simulcast rtpCapabilities) is below 40 KiB."""

SOCKET_MESSAGE_BYTES_MAX = 16 * 1024 * 1024
"""What is read, not parsed, so that the sender of too large a message gets an answer: a server that closes
while bytes are unread resets the connection and the reason is lost (RFC 9112 section 9.6). Beyond: 1009."""

SOCKETS_MAX = 4096
"""WebSockets of one process: two for each of 2,000 people."""

TOKEN_BYTES_MAX = 8 * 1024
"""A token with every grant is below 1 KiB; more is not worth a signature check."""

REQUESTS_PER_SECOND = 40.0
"""A join takes about 15 requests; people afterwards make a few a second."""

REQUESTS_BURST = 160.0
"""A reload of a room with many tracks at once."""

SOCKET_TURN_MESSAGES = 16
"""Messages of one Socket.IO connection that are handled before others have their turn: a join is ten."""

SILENT_SOCKETS_S = 1.0
"""How often Socket.IO connections are looked at that do not answer pings."""

REFUSALS_IN_A_ROW_MAX = 200
"""Who goes on after this many refusals is broken or hostile and is disconnected."""

CHAT_PER_SECOND = 2.0
"""Faster than anybody types."""

CHAT_BURST = 10.0
"""A pasted list, line by line."""

CHAT_TEXT_MAX = 2000
"""Characters of one chat message: a page of text."""

CHAT_KEPT_MAX = 100
"""Chat messages given to who joins later."""

REASON_TEXT_MAX = 200
"""Characters of a reason written by the chair."""

DISPLAY_NAME_MAX = 80
"""Characters of a name beside a tile."""

IDENTIFIER_MAX = 128
"""Characters of an identifier (room, user, token, peer, producer)."""

OUTGOING_QUEUE_MAX = 1024
"""Messages waiting for one socket; at 40 events a second that is a client that stood still for 25 s."""

HELD_EVENTS_MAX = 1024
"""Events held back while one request of the same socket is handled."""

PEERS_MAX = 250
"""People in one room unless set lower: 200 listeners are planned, with room for reconnects."""

ROOMS_MAX = 2000
"""Open rooms of one process; a county has about 400 sites."""

CLOSED_ROOMS_REMEMBERED = 20_000
"""Ids of closed rooms kept so that a late token does not open them again; tokens end within hours."""

REVOKED_TOKENS_MAX = 10_000
"""Ended tokens of one room; each is one person sent out or one guest link."""

PEERS_PER_USER_MAX = 3
"""Tabs and phones of one person in one room; a fourth replaces the oldest."""

PRODUCERS_PER_PEER_MAX = 8
"""Microphone, camera, screen with sound, ultrasound with sound, and spare."""

DATA_PRODUCERS_PER_PEER_MAX = 8
"""Pointer, drawing, stills, and spare."""

CONSUMER_IDS_MAX = 256
"""Consumers named in one request."""

DETACHED_PEER_S = 30.0
"""How long a peer stays when only its socket is lost: a change of network takes 2-8 s, a router's restart
longer. One whose media is lost too is gone as soon as its consent has ended (15 s)."""

IDLE_ROOM_S = 60.0
"""How long a room that nobody opened by name stays when the last peer has left."""

SWEEP_S = 0.5
"""How often the timers above are looked at."""

EVENTS_QUEUE_MAX = 20_000
"""Room events waiting for the application; it takes them in order."""

ACCOUNT_SOCKETS_MAX = 16
"""Sockets of one account on /events: tabs and phones; a further one replaces the oldest."""

REFUSED_CONNECTS_MAX = 5
"""Refused namespace connects of one socket before it is dropped."""

SIGNAL_PUBLISHERS_PER_ROOM_MAX = 16
"""Devices sending signals into one room."""

SIGNAL_VIEWERS_PER_ROOM_MAX = 256
"""As many as peers in a room."""

SIGNAL_MESSAGE_BYTES_MAX = 256 * 1024
"""Above the largest frame: one too large is answered by its code; beyond this the socket is closed (1009)."""

SIGNAL_HELLO_S = 10.0
"""Time to send the first message on a signal socket."""

SIGNAL_CLOSE_S = 2.0
"""How long a closed signal socket is waited for."""

SIGNAL_AT_ONCE_BYTES = 32 * 1024
"""In a signal socket's own buffer; beyond it messages wait in their queue, where they may be left out: half a
second of the largest stream."""

SIGNAL_HEARTBEAT_S = 10.0
"""WebSocket ping of signal sockets; a dead one is noticed within twice this."""

ANALYSIS_LOOK_S = 0.1
"""How often the streams are looked at that have a second of signal waiting for analysis."""

ANALYSIS_BUSY_STREAMS = 100
"""From so many streams on, rounds are longer: a round costs nearly the same whatever it holds."""

ANALYSIS_BUSY_ROUND_S = 1.8
"""Of signal; the analyzer judges quality by blocks of one to two seconds. Findings come 0.8 s later."""

ANALYSIS_STREAMS_PER_LOOK = 64
"""Streams analysed in one go; the others' turn comes 0.1 s later, which spreads them over the second."""

ANALYSIS_NICE = 10
"""Of the thread that analyses (a tenth of the event loop's weight): people who join and frames wait for the
loop, findings may be a second later. Signal that waits longer than 5 s is skipped, and that is said."""

ANALYSIS_TOLD_PER_TURN = 8
"""Streams whose findings are told in one turn of the event loop, 0.5 ms. One a turn took 4 s for 64 of them
where 300 rooms make a turn 60 ms long, and the next round of analysis waits for it."""

VIEWER_REQUESTS_PER_SECOND = 2.0
"""Acknowledgements of one viewer: a person presses a button."""

VIEWER_REQUESTS_BURST = 10.0
"""As many alarms as stand in a room, pressed away one after the other."""

CONNECTIVITY_S = 20.0
"""How long one connectivity test lasts: ICE gives up after 15 s."""

CONNECTIVITY_PER_USER_MAX = 8
"""Tests of one user at once: UDP, TCP and three TURN URLs, with room."""

CONNECTIVITY_TESTS_MAX = 256
"""Tests of one process at once: each is a transport that others may need."""

CONNECTIVITY_PER_SECOND = 0.5
"""New tests of one user; a page runs five and waits for a person to ask again."""

CONNECTIVITY_BURST = 12.0
"""Two runs of the page one after the other."""

CONNECTIVITY_USERS_MAX = 4096
"""Users whose rate is remembered; the longest idle is forgotten first."""

SDP_SESSIONS_MAX = 512
"""Devices by WHIP on one process, and players by WHEP."""

WHIP_SDP_BYTES_MAX = 64 * 1024
"""An offer with a camera and sound is below 8 KiB."""

WHIP_LOST_S = 15.0
"""A WHIP device without media for this long (RFC 7675 consent lost) has gone."""

SIGNALS_KEPT_FREE_MAX_BPS = 400_000
"""Of each receiver's line: three ECGs. What a device announces must not push out all video."""

NODES_MAX = 64
"""Nodes that are kept in mind: a province has fewer."""

BEAT_S = 2.0
"""How often a node says that it lives."""

NODE_SILENT_S = 10.0
"""Five beats missed: nobody is counted as online at that node any more."""

BUS_OUTGOING_MAX = 4096
"""Messages that wait for the bus: a change of every socket at once."""

BUS_MESSAGE_BYTES_MAX = 512 * 1024
"""One message between nodes: the list of everybody online at one (4096 of 100 bytes)."""

BUS_WAIT_S = 2.0
"""What one step on the bus may take: in the house it takes a millisecond."""

BUS_SILENT_S = 6.0
"""Not even our own beats come back: connect anew."""

BUS_RETRY_S = 0.5
"""Between two tries to connect."""
