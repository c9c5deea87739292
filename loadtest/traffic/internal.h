/* What the engine's files share; nobody outside includes this. */
#ifndef HUIZHEN_TRAFFIC_INTERNAL_H
#define HUIZHEN_TRAFFIC_INTERNAL_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "traffic.h"

#define BATCH 64          /* datagrams of one system call */
#define SLOT 2048         /* bytes of one datagram's buffer */
#define RING 4096         /* datagrams that may wait for Python */
#define WINDOW_BITS 1024  /* numbers behind the newest whose arrival is remembered */
#define ARRIVALS 4096     /* arrivals between two feedbacks; a power of two */
#define STREAM_SLOTS 65536 /* of the table by (transport, ssrc); a power of two */
#define REPORT_NS 1000000000ull
#define FEEDBACK_NS 100000000ull /* libwebrtc's own interval */
#define STALL_NS 50000000ull
#define LATE_NS 5000000ull

/* Where our mark stands in every RTP payload: behind the longest codec header we write. */
#define MARK_AT 16
#define MARK_MAGIC 0x687a6c74u
struct mark {
    uint32_t magic, track;
    uint64_t index, sent_ns; /* of the packet in its track; CLOCK_REALTIME */
};
#define LEAST_PAYLOAD (MARK_AT + (int)sizeof(struct mark))

struct transport {
    bool used, keyed;
    uint32_t remote_ip, local_ip;
    uint16_t remote_port;
    void *outbound, *inbound;
    uint8_t number_id;
    uint16_t next_number; /* of our own packets */
    /* arrivals to be told of: for each number of the last stretch its time in us, 0 = not arrived */
    uint64_t *arrivals;
    bool arrivals_begun;
    uint32_t told_to, newest; /* unwrapped numbers */
    uint8_t feedback_count;
    uint64_t feedback_due, report_due;
    int32_t first_stream; /* linked by `next` */
};

struct track {
    bool used, active, key_wanted;
    struct lt_track_config config;
    uint32_t *sizes;
    uint32_t at; /* next of the sizes */
    uint16_t sequence, picture_id;
    uint8_t tl0;
    uint64_t index;
    uint64_t due_ns, began_ns, packets, octets, report_due, key_after;
    uint32_t first_timestamp, last_timestamp;
    int32_t sinks; /* live streams that get it */
};

struct stream {
    bool used, started;
    int32_t transport, track, next;
    uint32_t ssrc, rtx_ssrc;
    uint32_t newest, base; /* unwrapped numbers */
    uint64_t window[WINDOW_BITS / 64];
    uint64_t arrived, first_ns, since_report, expected_at_report;
    uint32_t sr_middle; /* of the last sender report */
    uint64_t sr_at;
    uint32_t last_transit, jitter16;
    uint32_t checked_turn;
};

struct ring_slot {
    int32_t transport, length;
    uint8_t data[SLOT];
};

struct batch {
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_in addresses[BATCH];
    _Alignas(16) uint8_t control[BATCH][128];
    _Alignas(16) uint8_t data[BATCH][SLOT];
    int count;
    int media; /* of them RTP */
};

struct lt_engine {
    int fd, event_fd;
    uint32_t base_ip;
    uint16_t port;
    struct lt_functions srtp;
    pthread_mutex_t lock;
    pthread_cond_t turned; /* the thread has taken a turn */
    uint64_t turns;
    atomic_bool stopping;
    struct transport *transports;
    struct track *tracks;
    struct stream *streams;
    int32_t most_transports, most_tracks, most_streams;
    int32_t used_transports, used_tracks; /* highest number in use + 1 */
    int32_t *stream_table;
    struct batch in, out;
    struct ring_slot *ring;
    uint32_t ring_head, ring_tail;
    struct lt_totals totals;
    uint32_t delays[LT_BUCKETS];
    int32_t check_every;
    int32_t window, turn; /* closed loop */
    int64_t under_way;
    uint64_t heard_ns;
    uint8_t filler[4096];
};

uint64_t lt_now(void);      /* CLOCK_MONOTONIC, ns */
uint64_t lt_realtime(void); /* CLOCK_REALTIME, ns */
uint64_t lt_ntp(void);

/* send.c */
uint8_t *lt_slot(struct lt_engine *);
void lt_push(struct lt_engine *, const struct transport *, int length, bool media);
void lt_flush(struct lt_engine *);
/* Send what is due; returns when the next frame is. */
uint64_t lt_send_due(struct lt_engine *, uint64_t now);

/* receive.c */
/* Read what is there; true when there may be more. */
bool lt_receive(struct lt_engine *, uint64_t now);
struct stream *lt_find_stream(struct lt_engine *, int32_t transport, uint32_t ssrc);

/* feedback.c */
void lt_note_arrival(struct transport *, uint16_t number, uint64_t at_ns);
void lt_rtcp_received(struct lt_engine *, struct transport *, const uint8_t *packet, int length, uint64_t now);
/* Send the reports that are due; returns when the next one is. */
uint64_t lt_send_reports(struct lt_engine *, uint64_t now);

static inline uint16_t lt_get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t lt_get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static inline void lt_put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static inline void lt_put32(uint8_t *at, uint32_t value)
{
    lt_put16(at, value >> 16);
    lt_put16(at + 2, value);
}

#endif
