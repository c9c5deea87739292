"""Every bound of the media layer that a peer could otherwise push: one line of reason each."""

from __future__ import annotations

# --- signals ---------------------------------------------------------------------------------------
SIGNAL_MAX_FRAME_BYTES = 64 * 1024  # 18 leads, 1 kHz, 1 s is 36 kB raw: twice the largest sane frame
SIGNAL_MAX_LEADS = 64  # DICOM General ECG carries 24 channels; room for a polygraph beside it
SIGNAL_MAX_RATE_HZ = 4000.0  # ECG is sampled at 250-1000 Hz; electrophysiology goes to 4 kHz
SIGNAL_MAX_SAMPLES = 8000  # two seconds at the highest rate: a live frame is 60 to 200 ms
SIGNAL_MAX_TEXT_BYTES = 32 * 1024  # a descriptor of 64 leads is about 6 kB, a token about 1 kB
SIGNAL_MAX_LABEL = 120  # characters of a label, code, name or unit a person could read on a screen
SIGNAL_WINDOW_FRAMES = 500  # unacknowledged frames in flight: 30 s, more than any disk stall we wait for
SIGNAL_MAX_AHEAD_FRAMES = 1_440_000  # the live edge may run ahead of the durable edge by 24 h of 60 ms
SIGNAL_MAX_GAPS = 256  # open gaps of one stream: a cut makes one, so 256 cuts not yet filled
SIGNAL_ANNOUNCE_TIMEOUT_S = 10.0  # a connection that never announces is a mistake or an attack
SIGNAL_IDLE_TIMEOUT_S = 60.0  # frames come every 60 ms; a minute of silence is a dead line
SIGNAL_LIVE_KEEP_S = 10.0  # what a late viewer gets at once: one ECG strip
SIGNAL_LIVE_KEEP_BYTES = 2 * 1024 * 1024  # of one stream; 10 s of 64 leads at 1 kHz is 1.3 MB raw
SIGNAL_MAX_STREAMS = 16  # streams of one room at once: a bedside has a handful
SIGNAL_VIEWER_FRAMES = 512  # frames a slow viewer may lag: 10 s of three streams; then the oldest goes
SIGNAL_VIEWER_TEXTS = 256  # control messages are never dropped; a viewer that lets 256 wait is cut off
SIGNAL_STORE_QUEUE_BYTES = 64 * 1024 * 1024  # waiting for the disk: a minute of 300 streams
SIGNAL_COMMIT_FILE_S = (
    1 / 300  # of rest for each file of a busy round: at most 300 syncs a second, and each for more frames
)
SIGNAL_COMMIT_BUSY_FILES = (
    16  # a round of so many files is a busy one: a few streams are made durable at once
)
SIGNAL_COMMIT_ROUND_FILES = 64  # at most: all 300 streams at once made a second's burst for the event loop
SIGNAL_FINGERPRINTS = 1024  # frames of a stream whose content is remembered: two windows in flight
SIGNAL_MAX_LOSSES = 256  # statements of loss of one stream: a card that damages more has to be replaced
SIGNAL_MAX_MARK_BYTES = 4096  # a mark in the record says a code and a time, no more
ANALYSIS_ROUND_S = 1.0  # of signal for one round: quality is judged by the second, nobody reads faster
ANALYSIS_WAITING_S = 5.0  # of one stream waiting for analysis; more is skipped, for the present counts
ANALYSIS_REVIEW_S = (
    7_200.0  # of a stored signal looked at afterwards, 4 s of work; as much as a page holds of it
)
ANALYSIS_STREAMS_KEPT = 32  # streams of a room whose alarms may still be acknowledged; the oldest goes
SIGNAL_FILE_MAX_BYTES = 256 * 1024 * 1024  # a file is read as a whole; twice the values below
SIGNAL_FILE_MAX_VALUES = 64 * 1024 * 1024  # samples of all leads together: 24 h of 3 leads at 250 Hz
SIGNAL_FILE_MAX_HEADER_BYTES = 64 * 1024  # a WFDB header of 64 signals is about 6 kB
SIGNAL_FILE_MAX_MEMBERS = 16  # files in a ZIP with one WFDB record: header, a few signal files, annotations
SIGNAL_FILE_MAX_NOTES = 1_000_000  # beats of a week at 99 a minute
SIGNAL_FILE_MAX_XML_BYTES = (
    32 * 1024 * 1024
)  # an hour of 3 leads at 500 Hz as text; the tree takes twice as much
SIGNAL_FILE_MAX_XML_ELEMENTS = 200_000  # an ECG of 18 leads with annotations of each beat has some thousands
SIGNAL_EXPORT_MAX_VALUES = 1024 * 1024 * 1024  # 2 GiB of samples: 24 h of 12 leads at 1 kHz
SIGNAL_EXPORT_MAX_CSV_VALUES = 64 * 1024 * 1024  # about 400 MB of text: 3 h of 12 leads at 500 Hz
SIGNAL_EXPORT_MAX_FHIR_VALUES = (
    2 * 1024 * 1024
)  # a receiver parses it as one JSON text: 5 min of 12 leads at 500 Hz
SIGNAL_EXPORT_CHUNK_VALUES = 1024 * 1024  # samples in memory at once while a file is written: 2 MiB
SIGNAL_PAST_PART_S = 20.0  # stored frames in one answer: a sheet, and what a filter needs before it
SIGNAL_PAST_OVERVIEW_S = 600.0  # of one lead in one answer: 48 kB, 10,000 frames to unpack
SIGNAL_PAST_WAITING = 64  # in line for the one thread that reads what is stored: some seconds of work
SIGNAL_PAST_WAITING_EACH = 6  # of them by one person: a sheet of an ECG and of some signals beside it
SIGNAL_PAST_FRAMES_KEPT = 2_000_000  # places of frames that are remembered, of all streams: 48 MB

# --- recording -------------------------------------------------------------------------------------
RECORD_QUEUE_BYTES = 32 * 1024 * 1024  # waiting for the disk: 60 s of a 4 Mbit/s track
RECORD_QUEUE_ITEMS = 20_000  # the same bound for tiny packets: 6 minutes of audio
RECORD_MAX_TRACKS = 256  # tracks of one recording; a room of 20 that all reconnect ten times
RECORD_KEY_FRAME_S = 10.0  # a key frame at least this often, so that seeking lands close
RECORD_KEY_FRAME_RETRY_S = 0.5  # ask again while none came: the first request may be lost
RECORD_MAX_FILL_S = 8 * 3600.0  # longest pause of an audio track written as silence: a shift
RECORD_MAX_GAPS = 1000  # gaps listed one by one in the manifest; further ones are only counted

# --- rtp -------------------------------------------------------------------------------------------
REORDER_PACKETS = 512  # packets held behind a hole: a key frame of 600 kB while one packet is missing
REORDER_SECONDS = 0.3  # of RTP time a hole is waited for: two retransmission tries at 100 ms round trip
REORDER_RESTART = 3000  # a number this far back is a new stream, not a late packet (RFC 3550 appendix A.1)
MAX_FRAME_BYTES = 4 * 1024 * 1024  # one encoded picture; a 4K key frame is under 2 MB

TWCC_MAX_STATUSES = 16_384  # packets one transport feedback may speak of: 8 s at 20 Mbit/s, as after a cut
TWCC_ARRIVALS = 4096  # arrivals remembered for feedback: 0.5 s at 80 Mbit/s, above any publisher
TWCC_LATE_S = 0.5  # a packet later than this is no news to a bandwidth estimator
TWCC_PACKET_ARRIVALS = 400  # told in one feedback packet: 800 bytes of deltas and 116 of chunks at worst

# --- transport: the UDP socket ---------------------------------------------------------------------
MAX_TRANSPORTS = 4096  # on one socket: two for each of 2,000 people, far above what one core forwards
MAX_ADDRESSES_PER_TRANSPORT = 8  # of one peer at a time: Wi-Fi, mobile, VPN in IPv4 and IPv6, and spare
MAX_DATAGRAM = 2048  # bytes read: above any path MTU met here; what is longer is cut and fails its check
MAX_DATAGRAMS_PER_WAKE = 64  # about 1 ms of work in one turn of the loop, so that nothing else waits longer
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024  # kernel buffer asked for each way: 100 ms at 300 Mbit/s
OUTBOX_DATAGRAMS = 256  # leave together: a picture of 6 packets to 40 receivers; 1.5 ms of work, 600 kB
ENGINE_PEERS = 2 * MAX_TRANSPORTS  # of the compiled plane: every transport, and as many recorders' taps
ENGINE_UP_BYTES = 2 * 1024 * 1024  # waiting for Python: half a second of 30 Mbit/s to recorders and TCP peers

# --- transport: the TCP port -----------------------------------------------------------------------
MAX_TCP_CONNECTIONS = 4096  # one for each transport; browsers open it even where UDP works
MAX_TCP_STRANGERS = 256  # that have not shown credentials yet; above it the oldest goes for the newest
MAX_TCP_ACCEPTS_PER_WAKE = 32  # in one turn of the loop, so that media does not wait for a flood
TCP_BACKLOG = 256  # handshakes that the kernel completes while we are busy
TCP_STRANGER_S = 10.0  # to show credentials: a browser does within a round trip
TCP_IDLE_S = 60.0  # without a datagram; browsers ping even a path in reserve every 25 s
TCP_LINGER_S = 2.0  # for a closed transport's last words to leave: a slow line's round trip
TCP_READ_BYTES = 65_536  # of one connection in one turn of the loop: about 50 packets
TCP_SEND_BUFFER_BYTES = 131_072  # media waiting on one connection: a key frame of 50-150 kB; then dropped
TCP_NOTSENT_BYTES = 16_384  # left to the kernel unsent: what is in there nobody can drop any more
ECHO_MESSAGES_MAX = 100  # of one connectivity test: a round trip a fifth of a second for 20 s
ECHO_BYTES_MAX = 1024  # of one of its messages: one packet

# --- transport: STUN and ICE -----------------------------------------------------------------------
MAX_STUN_ATTRIBUTES = 32  # in one message: browsers send fewer than ten
ICE_CONSENT_TIMEOUT_S = 13.5  # silence after which a peer is given up: past a cut of 10 s, and gone in 15 s
ICE_CONSENT_TIMEOUT_MAX_S = 30.0  # the longest that may be configured (RFC 7675 section 5.1)
ICE_CONSENT_TIMEOUT_MIN_S = 10.0  # the shortest that may be configured: Wi-Fi to mobile takes up to 8 s
ICE_CHECK_TIMEOUT_S = 15.0  # how long the controlling side tries to reach the server
TRANSPORT_CONNECT_TIMEOUT_S = 30.0  # from connect to DTLS up: OpenSSL backs off 1 + 2 + 4 + 8 s on loss

# --- transport: DTLS and data ----------------------------------------------------------------------
MAX_EARLY_DTLS_DATAGRAMS = 4  # kept until the fingerprint is known: a ClientHello in two parts, twice
DTLS_MTU = 1200  # bytes of a handshake datagram: fits IPv6's 1280 and every tunnel met
MAX_FINGERPRINTS = 8  # of certificates, in one set of DTLS parameters
MAX_DATA_STREAMS = 256  # of one transport: chat, pointers, drawing are a handful for each participant
MAX_DATA_MESSAGE = 262_144  # bytes of one data message: what browsers and aiortc announce
MAX_DATA_BUFFERED = 1_048_576  # bytes waiting on one transport; a further message is dropped and counted
MAX_DATA_DISORDER = 4096  # out-of-order or repeated SCTP chunks: four windows of small chunks
MAX_DATA_WINDOW_OVERRUN = 65_536  # bytes over our SCTP window before the association is aborted

# --- ortc ------------------------------------------------------------------------------------------
ORTC_MAX_CODECS = 64  # Chromium names about 40 with every profile and its RTX
ORTC_MAX_CODEC_PARAMETERS = 32  # fmtp parameters of one codec; H.264 and Opus have at most a dozen
ORTC_MAX_FEEDBACK = 16  # feedback kinds of one codec; Chromium names six
ORTC_MAX_HEADER_EXTENSIONS = 64  # Chromium names about 20 over both kinds
ORTC_MAX_ENCODINGS = 4  # simulcast layers; browsers send three
ORTC_MAX_TEXT = 256  # characters of any name in parameters: mid, rid, cname, mime type, fmtp value

# --- whip ------------------------------------------------------------------------------------------
WHIP_MAX_SDP_BYTES = 65_536  # a browser's largest offer is about 10 kB
WHIP_MAX_SECTIONS = 8  # one camera and one microphone are two; OBS and FFmpeg send two
WHIP_MAX_ATTRIBUTES = 512  # of one section: Chromium's video section with every codec has about 120
WHIP_MAX_ENCODINGS = 4  # simulcast layers of one picture; browsers send three

# --- relay -----------------------------------------------------------------------------------------
RELAY_PACKET_BYTES = 1500  # of RTP: above every path's MTU; a longer packet is malformed
RELAY_POOL_PACKETS = (
    131_072  # kept by the compiled plane in all, 1.6 kB each: 1.5 s of 87 000 packets a second
)
RELAY_PARKED_PACKETS = 256  # of one publisher, until Python has said whose they are: a key frame of 250 kB
RELAY_HISTORY_PACKETS = 1024  # kept for retransmission, per layer: 1.5 s of 6 Mbit/s at 1200 bytes
RELAY_HISTORY_S = 1.5  # older is of no use: a receiver gives up a frame after about a second
RELAY_SENT_PACKETS = 1024  # numbers remembered per consumer, to find a packet again; a power of two
VOICE_SENT_PACKETS = 32  # of a voice, kept as they were sent: 0.64 s, a power of two; later is too late
VOICE_KEPT_BYTES = 600  # of such a packet: Opus at 128 kbit/s, twice in RED, with header extensions
VOICE_TWICE_AFTER = 2  # packets: 40 ms, past most bursts of loss and before it is played
VOICE_TWICE_LOSS = 0.03  # from here on a line is lossy: one packet in 33 is heard
VOICE_TWICE_S = 10.0  # and stays so; seen from the sender, loss looks smaller while voices go twice
VOICE_TWICE_LEAST_BPS = 200_000  # below it the line has no room for 60 kbit/s that may bring nothing
VOICE_THRICE_LOSS = 0.08  # from here on both copies of one packet in a hundred are lost, and that is heard
VOICE_THRICE_LEAST_BPS = 500_000  # of which 60 kbit/s more, where two speak, are an eighth
RELAY_DROPS = 512  # numbers left out on purpose and remembered, so that late packets keep their place
NACK_MAX_MISSING = 300  # of one layer; a larger hole is answered with a key frame instead
NACK_MAX_TRIES = 8  # a packet asked for so often is gone; with the age below the round trip decides
NACK_MAX_AGE_S = 1.0  # a receiver has frozen and asked for a key frame by then
VOICE_NACK_MAX_AGE_S = 0.4  # of a voice: what comes later than this nobody waits for
VOICE_NACK_RETRY_S = 0.015  # of a voice: a request may be lost; who has just sent it again takes no notice
NACK_MIN_RETRY_S = 0.04  # between two requests for one packet, whatever the round trip measured
RTX_PER_SECOND = 600  # retransmissions to one consumer; a lost second of 2 Mbit/s is 210 packets
RTX_REPEAT_S = 0.02  # the same packet is not resent sooner; two NACKs may cross
RTX_QUEUE_S = 0.5  # nor as long as it stands in the line's queue, up to this: more than most lines hold
KEYFRAME_BURST = 3  # key frames asked for at once when many join: each is a burst of 50-150 kB
KEYFRAME_REFILL_S = 1.0  # after the burst one a second: more would leave no bits for motion
KEYFRAME_SPACING_S = 0.2  # two askers within this share one key frame
KEYFRAME_RETRY_S = (0.4, 0.8, 1.6, 2.0)  # an unanswered request is repeated; the last one for ever
LAYER_SILENT_S = 0.7  # a camera's layer without a packet for this long is dead (browsers suspend silently)
LAYER_BEHIND_S = 0.25  # so far behind a lower one it is dead already: its publisher sends, and leaves it out
STILL_LAYER_SILENT_S = 5.0  # the same of a screen or ultrasound, which may stand still
TRANSPORT_FEEDBACK_S = 0.1  # between two transport feedbacks: 10 a second take 8 kbit/s of the downlink
TRANSPORT_FEEDBACK_TURN = 32  # publishers told in one turn of the media thread: 0.1 ms for which packets wait
TRANSPORT_FEEDBACK_PACKETS = 64  # so many arrivals are told at once: a fast publisher is answered sooner
ESTIMATE_START_BPS = 1_000_000  # before a receiver has told anything: one camera and all voices
ESTIMATE_MIN_BPS = 60_000  # a voice and its overhead: below it there is no consult
ESTIMATE_MAX_BPS = 20_000_000  # of one receiver: ten cameras; more is never probed for
ESTIMATE_SENT_PACKETS = 4096  # sent and not yet told of: 2 s at 20 Mbit/s; a power of two
ESTIMATE_SETTLE_S = 1.0  # of feedback before the first estimate counts, unless the line is seen to be full
HEARD_CALM_S = (
    1.0  # feedback is looked at so often where nothing is lost or late and no more comes than is known
)
HEARD_FEEDBACKS = 16  # gathered meanwhile: of a receiver that tells more often than ten times a second
HEARD_PACKETS = 4096  # told of one by one, if whoever looks is late: all that was sent and not told of
ESTIMATE_SILENCE_S = 1.0  # without feedback for so long the line was cut, not congested
PACE_FACTOR = 2.5  # of the target: how fast a key frame may leave
PACE_LONG_FACTOR = 1.25  # of the target, over `PACE_LONG_S` and longer: no standing queue in the network
PACE_BURST_S = 0.012  # sent at once: a little more than a slot of the timer that goes on with it
PACE_LONG_S = 0.5  # a key frame of half a second's bits passes at the fast pace
PACE_TURN_S = (
    0.4  # what matters less stands no longer behind what matters more: then a frame of it goes first
)
PACE_QUEUE_S = 1.5  # of the target may wait; beyond it whole frames of what matters least are left out
PACE_QUEUE_BYTES = 150_000  # may wait whatever the target: a key frame of an ultrasound is not left out
PACE_QUEUE_PACKETS = 1024  # waiting at most, whatever the target: as many as a layer's history
PROBE_LEAST_S = 0.03  # a probe shorter than this measures the sender's timer
PROBE_MOST_BYTES = 60_000  # of one probe: 24 ms at 20 Mbit/s
PADDING_HISTORY_PACKETS = 32  # the newest packets of a track that a probe sends again
PROBE_INTERVAL_S = 2.0  # between probes while more is wanted; doubled when they find nothing
PROBE_MAX_INTERVAL_S = 2.5  # so that a line that has become wide again is found within 10 s
DOWNSTREAM_SILENT_S = (
    1.5  # without feedback: a paused line is probed by itself, a dead one costs 3 kB each 2.5 s
)
REMB_INTERVAL_S = 1.0  # between two caps told to a publisher that grow; a lower one is told at once
REMB_SSRCS = 32  # named in one cap: two for each layer of a camera, a screen and an ultrasound, and room
REPORT_INTERVAL_S = 1.0  # RTCP reports; RFC 3550's 5 s is too slow for loss-based rate control
RTCP_PACKET_BYTES = 1100  # a compound stays below every path's MTU with SRTCP's 14-30 bytes
REPORTS_PER_PACKET = 31  # the count field of RR has five bits
SENDER_REPORTS_KEPT = 8  # of each consumer, to tell the round trip from the receiver's answer
WITHOUT_REPORTS_S = 5.0  # without a publisher's report our own clock is used; earlier the two would mix
MAX_PRODUCERS_PER_TRANSPORT = 16  # microphone, camera, screen with sound, ultrasound: with room
MAX_CONSUMERS_PER_TRANSPORT = 1024  # a lecture of 200 with two tracks each, and room
MAX_CONSUMERS_PER_PRODUCER = 4096  # of one track: every place of a county may listen to one lecture
MAX_DATA_PRODUCERS_PER_TRANSPORT = 64  # pointer, drawing, chat, files are a handful
MAX_DATA_CONSUMERS_PER_TRANSPORT = 256  # as many streams as a transport opens
MAX_RTX_STEP = 1000  # a sequence number further away than this is a new stream, not loss
TIMER_SLOT_S = 0.01  # what is due within one slot wakes the loop once
TIMER_TURN = 16  # of those so many, 2 ms, in one turn of the loop: between turns it reads its sockets

# --- relay: allocation -----------------------------------------------------------------------------
ALLOCATION_INTERVAL_S = 0.2  # a line that shrinks is answered within a fifth of a second
ALLOCATION_HEADROOM = 1.15  # more is sent only when so many times its rate fits: rates swing by a tenth
ALLOCATION_SLACK = 0.1  # a picture is not paused for want of less than this share: estimates swing by it
ALLOCATION_HOLD_S = 1.0  # what is better must fit for this long before it is taken
ALLOCATION_HOLD_FULL_S = 2.0  # the same where everything fits: the line is another one
ALLOCATION_HOLD_MAX_S = 4.0  # after steps up that failed; still full again within 10 s of a better line
ALLOCATION_EASE = 1.3  # where so many times everything fits and everybody is served, prices are asked seldom:
ALLOCATION_EASE_S = 2.0  # so often; a thinner line, a track, a speaker, a rate that swells is seen at once
ALLOCATION_PLAN_S = 10.0  # and all steps of them so often: how a rate is spread is known when a line narrows
ALLOCATION_FAILED_S = 5.0  # a step down so soon after a step up says that it was one too many
RATE_WINDOW_S = 1.0  # over which a layer's rate is taken: longer than the burst of a key frame
RATE_READINGS = 8  # kept of each layer: a window's at the allocator's pace, and room
RATE_READING_S = 0.15  # several allocators may look at one layer; one reading serves them all
SPEAKER_INTERVAL_S = 0.3  # between two judgements of who speaks, as in the paper
SPEAKER_LEVEL_S = 0.02  # what one level stands for: an Opus packet
SPEAKER_LEVELS = 50  # kept of each microphone: one second
QUALITY_INTERVAL_S = 3.0  # between two judgements of the lines: a report a second, three to look at
FREEZE_S = 0.5  # without a new picture a camera stands still for the eye
POOR_LOSS = 0.02  # from here on loss is told as the cause
POOR_ROUND_TRIP_S = 0.4  # from here on people talk into each other (ITU-T G.114: 0.2 s one way, and the rest)
BUSY_LATENESS_S = 0.1  # our own work this late is heard
SILENT_TRACK_S = 2.0  # without a packet: Opus in DTX sends each 0.4 s
STILL_TRACK_SILENT_S = 10.0  # the same of a screen or ultrasound, which may stand still
KEY_FRAME_GAP_MAX_S = 4.0  # key frames farther apart than this make no picture to follow
