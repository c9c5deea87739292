/* The relay's per-packet rule in C: the twin of media/relay (plane, rewrite, demux, history, pacer, downstream).
 *
 * Pure: no socket, no crypto, no clock, no Python. Times are monotonic seconds of one clock and are arguments.
 * Nothing here locks; whoever calls holds `rule_lock(rule)`. What leaves goes to the sink, a packet at a time;
 * what Python must hear of is marked on the object it concerns and fetched with `rule_next_event`: events
 * merge, so there are never more of them than objects, and none is lost.
 *
 *     engine's thread                                  Python (decides; holds the same lock for a call)
 *     ---------------                                  ----------------------------------------------
 *     rule_receive(peer, packet)  -> sink              rule_next_event: stuck, gap, key frame wanted, switched ..
 *     rule_run(now)               -> sink (the pace)   rule_stuck / rule_resume, rule_missing_take, rule_retransmit ..
 *     rule_due, rule_has_news                          layers, subscriptions, targets (rule_tables.h)
 *
 * An outlet's `out` is the engine's own pointer for it: the rule hands it to the sink and never looks inside. */
#ifndef RULE_H
#define RULE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rule;              /* everything below; one per engine */
struct rule_peer;         /* one transport (or tap): its SSRCs, its pace, its transport-wide numbers */
struct rule_producer;     /* a track that comes in: payload types, extension ids, layers */
struct rule_layer;        /* one incoming SSRC */
struct rule_subscription; /* one outgoing SSRC */

/* Bytes by which a packet can grow: a place for a transport-wide number (8) and RTX's original number (2). */
#define RULE_GROWTH 10
#define RULE_FEEDBACK_ARRIVALS 512 /* told in one packet, at most */
#define RULE_PADDING_PACKET (12 + 8 + 255)

/* media/limits.py, section relay; the numbers stand there alone. */
struct rule_limits {
    int packet_bytes;       /* RELAY_PACKET_BYTES: a longer one is malformed */
    int pool_packets;       /* RELAY_POOL_PACKETS */
    int parked_packets;     /* RELAY_PARKED_PACKETS, of one peer */
    int history_packets;    /* RELAY_HISTORY_PACKETS */
    double history_s;       /* RELAY_HISTORY_S */
    int sent_packets;       /* RELAY_SENT_PACKETS, a power of two */
    int drops;              /* RELAY_DROPS */
    int max_step;           /* MAX_RTX_STEP */
    int padding_history;    /* PADDING_HISTORY_PACKETS */
    int missing_most;       /* NACK_MAX_MISSING */
    int missing_tries;      /* NACK_MAX_TRIES */
    double missing_age_s;   /* NACK_MAX_AGE_S */
    double missing_retry_s; /* NACK_MIN_RETRY_S */
    double voice_age_s;     /* VOICE_NACK_MAX_AGE_S */
    double voice_retry_s;   /* VOICE_NACK_RETRY_S */
    int voice_sent;         /* VOICE_SENT_PACKETS, a power of two */
    int voice_bytes;        /* VOICE_KEPT_BYTES */
    int voice_twice_after;  /* VOICE_TWICE_AFTER */
    int rtx_per_second;     /* RTX_PER_SECOND */
    double rtx_repeat_s;    /* RTX_REPEAT_S */
    double rtx_queue_s;
    double freeze_s;        /* FREEZE_S */
    int estimate_sent;      /* ESTIMATE_SENT_PACKETS, a power of two */
    double pace_factor;     /* PACE_FACTOR */
    double pace_long_factor;
    double pace_burst_s;
    double pace_long_s;
    double pace_queue_s;
    int pace_queue_bytes;
    int pace_queue_packets;
    double pace_turn_s;
    int arrivals;             /* TWCC_ARRIVALS: noted and not yet fetched, of one peer */
    int feedback_packets;     /* TRANSPORT_FEEDBACK_PACKETS: so many are told at once */
    double feedback_s;        /* TRANSPORT_FEEDBACK_S */
    int levels;               /* SPEAKER_LEVELS: of one microphone, not yet fetched */
    int feedback_turn;        /* TRANSPORT_FEEDBACK_TURN: publishers told in one turn */
    int twcc_statuses;        /* TWCC_MAX_STATUSES */
    int twcc_packet_arrivals; /* TWCC_PACKET_ARRIVALS, at most RULE_FEEDBACK_ARRIVALS */
    double twcc_late_s;       /* TWCC_LATE_S */
    double silence_s;         /* ESTIMATE_SILENCE_S */
    int heard_feedbacks;      /* HEARD_FEEDBACKS: gathered before Python looks */
    int heard_packets;        /* HEARD_PACKETS: told of one by one, if Python is late */
    int consumers;            /* MAX_CONSUMERS: subscriptions of one layer */
    int reports_per_packet;   /* REPORTS_PER_PACKET, at most 31 */
    int rtcp_bytes;           /* RTCP_PACKET_BYTES, at most 1500 */
    int reports_kept;         /* SENDER_REPORTS_KEPT, at most RULE_REPORTS_KEPT */
    double without_reports_s; /* WITHOUT_REPORTS_S */
};

/* Where finished packets go. */
struct rule_sink {
    void *context;
    /* Room for `size` bytes of a packet that will leave by `out`, and for the engine's own trailer behind it;
     * NULL when it takes none now. The room is used until `commit`, which follows before the next `reserve`. */
    uint8_t *(*reserve)(void *context, void *out, size_t size);
    /* The reserved packet is written, `size` bytes; false when it was dropped (then it took no number). */
    bool (*commit)(void *context, void *out, size_t size);
    /* NULL, or told at the end of each call of Python's, under the lock: it may have left news, or an earlier
     * `rule_due`. */
    void (*settle)(void *context);
    /* NULL, or sends an RTCP packet by `out`, which is not kept: then the rule tells publishers by itself. */
    void (*control)(void *context, void *out, const uint8_t *packet, size_t size);
};

enum rule_event_kind {
    RULE_STUCK = 1,          /* peer: a packet waits for Python (`rule_stuck`): unknown SSRC, or a layer that is dead */
    RULE_FEEDBACK_DUE = 2,   /* peer: what its publisher is told by Python is due earlier */
    RULE_HELD = 4,           /* peer: something waits for the pace: `rule_due` became earlier */
    RULE_GAP = 8,            /* layer: packets are to be asked for, or lost for good (`rule_missing_take`) */
    RULE_KEY_WANTED = 16,    /* layer: another stream stands behind it */
    RULE_KEY_CAME = 32,      /* layer: a key frame came, or nobody needs one any more */
    RULE_SWITCHED = 64,      /* subscription: another layer is forwarded from now on */
    RULE_STARVED = 128,      /* subscription: frames were left out, a key frame is needed */
    RULE_LEVELS = 256,       /* producer: audio levels were heard (`rule_levels_take`) */
    RULE_HEARD = 512,        /* peer: the receiver says something that is to be looked at (`rule_heard_take`) */
};

struct rule_event {
    unsigned kinds; /* of `enum rule_event_kind`, several at once */
    void *handle;   /* the object's, as Python gave it (`rule_peer_new` ..) */
};

/* NULL without memory. The limits are copied. */
struct rule *rule_new(const struct rule_limits *limits);
/* Every peer, producer and subscription was freed before. */
void rule_free(struct rule *rule);
/* Guards every table behind `rule`. */
pthread_mutex_t *rule_lock(struct rule *rule);
void rule_set_sink(struct rule *rule, struct rule_sink sink);
/* What the sink is told to send to; NULL (the default) = nowhere: packets are refused. */
void rule_peer_set_out(struct rule_peer *peer, void *out);

/* Take one unprotected RTP packet of `peer`; it is copied where it is needed any longer. */
void rule_receive(struct rule *rule, struct rule_peer *peer, const uint8_t *packet, size_t size, double now);
/* Take one unprotected RTCP packet of `peer` if it is transport-wide feedback and nothing else, or reports alone; false =
 * it is not, or cannot be read: Python's. */
bool rule_hear(struct rule_peer *peer, const uint8_t *rtcp, size_t size, double now);
/* Send what waited for the pace of any peer and may leave; call at `rule_due`. */
void rule_run(struct rule *rule, double now);
/* The same of one peer. */
void rule_drain(struct rule *rule, struct rule_peer *peer, double now);
/* When `rule_run` is wanted; INFINITY while nothing waits. */
double rule_due(const struct rule *rule);
/* Whether `rule_next_event` has something; may be asked without the lock. */
bool rule_has_news(const struct rule *rule);
/* Take an event: layers first, then subscriptions, peers, producers; false when there is none. */
bool rule_next_event(struct rule *rule, struct rule_event *event);

/* Counters of the whole. */
struct rule_stats {
    uint64_t received;  /* packets given to `rule_receive` */
    uint64_t sent;      /* taken by the sink */
    uint64_t exhausted; /* dropped because `pool_packets` were in use */
    int pool_used;      /* packets kept: history, waiting, parked */
    int pool_size;      /* of which memory was ever taken */
};
struct rule_stats rule_stats(const struct rule *rule);

#endif
