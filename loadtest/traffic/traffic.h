/* The load generator's packet engine: many light participants behind one UDP socket, in one thread without Python.
 *
 * Every participant's transport has a loopback address of its own (base + its number), so one socket bound to
 * 0.0.0.0 speaks for all: recvmmsg reads a batch of everybody's packets, sendmmsg sends one. RTP and RTCP stay
 * here; STUN and DTLS go up to Python through a bounded ring. libsrtp's functions come in by address.
 */
#ifndef HUIZHEN_TRAFFIC_H
#define HUIZHEN_TRAFFIC_H

#include <stdint.h>

typedef int (*lt_srtp)(void *context, void *packet, int *length);

struct lt_functions {
    lt_srtp protect, unprotect, protect_rtcp, unprotect_rtcp;
};

/* One outgoing track. Sizes are those of the whole RTP packet before protection. */
struct lt_track_config {
    int32_t transport;
    uint32_t ssrc;
    uint8_t payload_type;
    uint8_t is_video;
    uint8_t mid_id, abs_id, number_id, level_id; /* header extension ids, 0 = not sent */
    char mid[8];                                 /* of `mid_length` characters */
    uint8_t mid_length;
    uint32_t clock_rate;
    uint64_t frame_ns;        /* between frames */
    uint32_t packet_size;     /* largest packet of a frame, 120..1250 */
    uint32_t sizes_count;     /* entries of `frame_sizes` */
    const uint32_t *frame_sizes; /* bytes of each frame in turn (copied); a frame is cut into equal packets */
    uint32_t key_frame_size;  /* bytes of a key frame, which is sent when asked for */
    char cname[24];
};

/* All counters since the last `lt_reset`. */
struct lt_totals {
    uint64_t sent;            /* RTP packets that the kernel took */
    uint64_t send_dropped;    /* that it did not */
    uint64_t expected;        /* packets that should arrive: sent, once for each live sink of the track */
    uint64_t arrived;         /* RTP packets of known streams, repetitions and padding left out */
    uint64_t arrived_bytes;   /* UDP payload of all RTP that arrived */
    uint64_t repeated;        /* duplicates, retransmissions and padding */
    uint64_t holes;           /* numbers missing between the first and the last packet of each stream */
    uint64_t checked;         /* opened and compared with what was sent */
    uint64_t corrupt;         /* not authentic, or other content than was sent, or of another track */
    uint64_t disordered;      /* arrived after a later one */
    uint64_t unknown;         /* RTP of no stream we know */
    uint64_t nacked, key_frames_asked, key_frames_sent, feedback_sent, feedback_heard, reports_heard;
    uint64_t frames_late;     /* frames that we ourselves sent more than 5 ms after their time */
    uint64_t up_dropped;      /* datagrams for Python that found the ring full */
    uint64_t silent_streams;  /* sinks that got nothing since the reset */
    uint64_t stalls;          /* closed loop: nothing arrived for a while, so what was under way was given up */
};

#define LT_BUCKETS 2048

struct lt_engine;

struct lt_engine *lt_open(uint32_t base_ip, uint16_t port, const struct lt_functions *functions, int32_t most_transports,
                          int32_t most_tracks, int32_t most_streams);
void lt_close(struct lt_engine *);
int32_t lt_port(const struct lt_engine *);
int32_t lt_event_fd(const struct lt_engine *);

/* The engine's thread; returns after `lt_stop`. */
void lt_run(struct lt_engine *);
void lt_stop(struct lt_engine *);
/* Waits until the thread has taken its next turn, 10 ms at most. */
void lt_turn(struct lt_engine *);

/* A transport towards an address (host byte order); its number, -1 when full. */
int32_t lt_transport_add(struct lt_engine *, uint32_t remote_ip, uint16_t remote_port);
/* Another address of the other end, as when it is known only later. */
void lt_transport_remote(struct lt_engine *, int32_t transport, uint32_t remote_ip, uint16_t remote_port);
void lt_transport_remove(struct lt_engine *, int32_t transport);
int32_t lt_send_plain(struct lt_engine *, int32_t transport, const uint8_t *data, int32_t length);
/* From now on RTP flows: contexts of libsrtp, the extension id of transport-wide numbers that arrive (0: no feedback). */
int32_t lt_set_keys(struct lt_engine *, int32_t transport, void *outbound, void *inbound, int32_t number_id);

int32_t lt_track_add(struct lt_engine *, const struct lt_track_config *);
void lt_track_remove(struct lt_engine *, int32_t track);
/* Send, or fall silent. `start_ns` (CLOCK_MONOTONIC, 0 = now) is the first frame's time. */
void lt_track_active(struct lt_engine *, int32_t track, int32_t active, uint64_t start_ns);
/* Another pace; 0 keeps the present one. */
void lt_track_pace(struct lt_engine *, int32_t track, uint64_t frame_ns);

/* A stream we receive: content of `track` (-1: not compared) under this ssrc. */
int32_t lt_stream_add(struct lt_engine *, int32_t transport, uint32_t ssrc, uint32_t rtx_ssrc, int32_t track);
/* The publisher of a stream became known. */
void lt_stream_track(struct lt_engine *, int32_t stream, int32_t track);
void lt_stream_remove(struct lt_engine *, int32_t stream);

/* Next datagram for Python: its length, 0 when there is none. */
int32_t lt_take(struct lt_engine *, uint8_t *into, int32_t room, int32_t *transport);

/* Open loop (window 0): by the clock. Closed loop: at most `window` packets of egress under way. */
void lt_closed_loop(struct lt_engine *, int32_t window);
/* Open every n-th packet of a stream and compare its content; 1 = each. */
void lt_check_every(struct lt_engine *, int32_t n);
void lt_reset(struct lt_engine *);
void lt_read(struct lt_engine *, struct lt_totals *, uint32_t delay_buckets[LT_BUCKETS]);
/* Microseconds at the lower edge of a bucket. */
double lt_bucket_us(int32_t bucket);

/* What one stream got: packets, holes, first arrival (CLOCK_REALTIME ns, 0 = none); 0 when there is no such stream. */
int32_t lt_stream_read(struct lt_engine *, int32_t stream, uint64_t *arrived, uint64_t *holes, uint64_t *first_ns);

/* The floor: receive, unprotect, protect for each sink, send; nothing else. Never returns, but for want of memory (-1).
 *
 * Source i has the address source_ips[0] + i and the sinks first_sink[i] .. first_sink[i + 1] - 1; all sinks have one
 * port. Addresses in host byte order. */
int32_t lt_floor(int32_t fd, const struct lt_functions *, int32_t sources, const uint32_t *source_ips, void *const *inbound,
                 const int32_t *first_sink, const uint32_t *sink_ips, uint16_t port, void *const *outbound);

#endif
