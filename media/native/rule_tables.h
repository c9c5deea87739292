/* The tables behind rule.h, and what Python's objects (rule_module.c) do with them.
 *
 * One C file an idea, beside the Python file it is the twin of:
 *   rule_packet.c     media/rtp/packet, red; rewrite.normalize    rule_payload.c    media/rtp/vp8, h264
 *   rule_numbers.c    media/rtp/numbers, clocks; numbering        rule_history.c    history.History; the packets' pool
 *   rule_reception.c  feedback.Reception, meter.FrameCount        rule_missing.c    feedback.Missing
 *   rule_layer.c      layer                                       rule_rewrite.c    rewrite.rewrite, layers
 *   rule_plane.c      plane (in and across)                       rule_rtx.c        plane (again), rtx, history (budget)
 *   rule_pacer.c      pacer, downstream.Path                      rule_upstream.c   upstream, media/rtp/arrivals
 *   rule_feedback.c   rtp.arrivals, rtp.twcc (writing)
 *   rule_reports.c    reports, feedback.Rate
 *   rule_hearing.c    hearing, rtp.twcc (reading)                 rule_gradient.c  gradient
 *   rule.c            the objects themselves, events */
#ifndef RULE_TABLES_H
#define RULE_TABLES_H

#include "rule_packet.h"

#include <stdatomic.h>

#define RULE_LAYERS 8          /* of one producer, and more than any encoder makes */
#define RULE_TEMPORAL_LAYERS 4 /* VP8's TID has two bits */
#define RULE_ALL_TEMPORAL 3
#define RULE_KEY_FRAMES (-1) /* in the place of a temporal layer: key frames and nothing between them */
#define RULE_CLASSES 5       /* of what waits: retransmissions, then media/relay/pacer's order */

/* -- the pool and histories (rule_history.c) ------------------------------------------------------------- */

struct rule_pool { /* packets of one size, taken a slab at a time, given back to the list, never to the system */
    struct rule_packet *free;
    void **slabs;
    int slab_count, used, size, most;
    size_t stride;
};
void rule_pool_init(struct rule_pool *pool, int most, size_t packet_bytes);
void rule_pool_free(struct rule_pool *pool);
/* One reference is the caller's; NULL when `most` are in use. */
struct rule_packet *rule_packet_take(struct rule_pool *pool);
void rule_packet_keep(struct rule_packet *packet);
void rule_packet_release(struct rule_pool *pool, struct rule_packet *packet);

struct rule_history {           /* history.History */
    struct rule_packet **order; /* ring in the order of arrival; NULL until the first packet */
    struct rule_packet **buckets;
    int most, start, count;
};
void rule_history_add(struct rule *rule, struct rule_history *history, struct rule_packet *packet);
struct rule_packet *rule_history_get(const struct rule_history *history, int64_t sequence);
bool rule_history_shed(struct rule *rule, struct rule_history *history);
void rule_history_clear(struct rule *rule, struct rule_history *history);

/* -- counters (rule_reception.c, rule_missing.c) --------------------------------------------------------- */

struct rule_reception { /* feedback.Reception */
    int64_t first, highest;
    uint64_t packets, octets, bursts, frames;
    double jitter, frozen_s, frame_at;
    int64_t frame_timestamp; /* -1 before the first */
    uint32_t transit;
    bool known, transit_known;
    uint32_t last_sr; /* middle of the publisher's last report's time, 0 = none came */
    double last_sr_at;
    int64_t told_expected, told_packets; /* in the last receiver report */
};
void rule_reception_init(struct rule_reception *reception);
void rule_received(struct rule_reception *reception, int64_t sequence, uint32_t timestamp, size_t size, int clock_rate,
                   double freeze_s, double now);

struct rule_frames { /* meter.FrameCount */
    uint64_t spread[RULE_TEMPORAL_LAYERS];
    int64_t key_timestamp;
    double key_at, key_gap;
    uint64_t next_key, key_octets;
};
void rule_frames_init(struct rule_frames *frames);
void rule_frames_count(struct rule_frames *frames, const struct rule_packet *packet, double now);

struct rule_missing_entry {
    int64_t sequence;
    double next, since;
    int tries;
};
struct rule_missing { /* feedback.Missing */
    struct rule_missing_entry *entries;
    int count;
    int64_t newest;
    double due, round_trip;
    uint64_t requested;
    bool known, lost_for_good, round_trip_known;
    bool voice; /* feedback.VOICE holds, not feedback.PICTURE */
};
void rule_missing_init(struct rule_missing *missing);
void rule_missing_free(struct rule_missing *missing);
/* Whether this one is missing and was asked for: what comes now is an answer. */
bool rule_missing_asked(const struct rule_missing *missing, int64_t sequence);
/* Another table takes its place: everything is forgotten, the counts too. */
void rule_missing_reset(struct rule_missing *missing);
bool rule_missing_arrived(struct rule *rule, struct rule_missing *missing, int64_t sequence, double now, bool again);
/* The numbers to ask for now, at most `missing_most`; how many. */
int rule_missing_take(struct rule *rule, struct rule_missing *missing, int64_t *numbers, double now);

struct rule_bitrate { /* feedback.Rate */
    double at;
    int64_t octets, bps;
    bool known;
};

/* -- objects --------------------------------------------------------------------------------------------- */

struct rule_news { /* first member of all that events concern */
    struct rule_news *next, *previous;
    unsigned kinds;
    void *handle;
};
enum rule_order { RULE_OF_LAYERS, RULE_OF_SUBSCRIPTIONS, RULE_OF_PEERS, RULE_OF_PRODUCERS, RULE_ORDERS };
void rule_tell(struct rule *rule, enum rule_order order, struct rule_news *news, unsigned kind);
void rule_forget_news(struct rule *rule, struct rule_news *news);

struct rule_subscriber {
    struct rule_subscription *subscription;
    bool gone; /* left while the list was walked: still visited, then taken out */
};

struct rule_layer {
    struct rule_news news;
    struct rule *rule;
    struct rule_producer *producer;
    int index, clock_rate;
    int64_t ssrc, rtx_ssrc; /* -1 = not known */
    bool asks_again, voice, alive;
    double last_at;
    struct rule_unwrapper sequences, pictures;
    struct rule_clock clock;
    struct rule_reception reception;
    struct rule_bitrate rate;
    struct rule_missing missing;
    struct rule_history history;
    struct rule_frames frames;
    struct rule_subscriber *subscribers;
    int listed, live, room; /* entries, those that are not gone, of memory */
    bool walked;
    uint32_t restarts;
    uint64_t recovered, duplicates, rtx_padding;
    int width, height; /* of the last key frame, pixels; 0 = not known */
};
void rule_layer_init(struct rule_layer *layer);
/* Another stream took its place: nothing of the old numbers holds (Layer.restart). */
void rule_layer_restart(struct rule_layer *layer);
/* The same, and its consumers begin again at a key frame (plane.restart). */
void rule_layer_replaced(struct rule_layer *layer);
bool rule_subscribe(struct rule_layer *layer, struct rule_subscription *subscription);
void rule_unsubscribe(struct rule_layer *layer, struct rule_subscription *subscription);
void rule_layer_walked(struct rule_layer *layer);
int64_t rule_unwrap_picture(struct rule_layer *layer, int picture_id, int bits);

struct rule_level {
    double at;
    uint8_t level; /* 0 is silence, 127 the loudest */
};

struct rule_producer {
    struct rule_news news;
    struct rule_peer *peer;
    struct rule_producer *next; /* of the peer's */
    struct rule_ingress ingress;
    bool paused;
    int layer_count, consumers;
    struct rule_layer layers[RULE_LAYERS];
    struct rule_level *levels; /* ring; the newest stay */
    int level_start, level_count;
    bool levels_told; /* Python knows that there are some, and comes for them until there are none */
};

struct rule_sent { /* the numbers of one sent packet */
    int64_t sequence;
    double resent_at; /* -INFINITY = never */
    uint32_t timestamp;
    int32_t out; /* -1 = empty */
    int32_t picture_id;
    int16_t tl0;
    int16_t layer;
};

struct rule_spoken { /* a packet of a voice as it was sent (media/relay/again) */
    double resent_at; /* -INFINITY = never */
    uint16_t out, size; /* size 0 = empty */
    int16_t number_at;
    uint8_t data[];
};

struct rule_egress { /* rewrite.Egress, layers.TemporalFilter */
    uint32_t ssrc;
    struct rule_numbers sequences, pictures;
    int temporal_target, temporal_current;
    int64_t temporal_timestamp; /* -1 = none */
    bool temporal_is_key;
    uint32_t timestamp_delta, last_timestamp;
    bool started; /* last_timestamp is known */
    double last_sent_at;
    int16_t tl0;
    uint8_t tl0_delta;
    int16_t plain_type;
    bool removes;
    bool removed[256]; /* the router's extension ids this receiver does not know */
    struct rule_sent *sent;
    uint64_t packets, octets;
};

/* -- reports (rule_reports.c) ---------------------------------------------------------------------------- */

#define RULE_REPORTS_KEPT 16
#define RULE_CNAME_BYTES 255
struct rule_block { /* rtcp.ReportBlock */
    int fraction_lost;
    int32_t cumulative_lost;
    uint32_t highest, jitter, last_sr, delay;
};
struct rule_report_sent {
    uint32_t middle; /* of its NTP time */
    double at;
};
struct rule_answers { /* reports.Answers */
    struct rule_report_sent sent[RULE_REPORTS_KEPT]; /* ring of `reports_kept` */
    int next, count;
    bool known;
    struct rule_block block; /* the last one */
    double round_trip;       /* -1 = not known */
};

struct rule_subscription {
    struct rule_news news;
    struct rule *rule;
    struct rule_producer *producer;
    struct rule_peer *outlet;
    struct rule_egress egress;
    int clock_rate;
    int numbered; /* id under which the receiver knows transport-wide numbers, 0 = it does not */
    bool waits;
    int priority; /* class of what waits */
    int held;
    int64_t starting; /* timestamp of the key frame it began with, or will once that may leave; -1 = none */
    struct rule_layer *current, *target, *timeline;
    double started_at; /* -1 = not yet */
    uint64_t retransmitted, refused;
    int rtx_payload_type; /* -1 = without RTX */
    uint32_t rtx_ssrc;
    uint16_t rtx_sequence;
    bool voice; /* its packets go again as they were */
    uint8_t *spoken; /* ring of `voice_sent` rule_spoken; NULL until the first packet, and of what is no voice */
    double budget, refilled_at; /* history.RetransmissionBudget */
    uint64_t budget_refused;
    struct rule_subscription *next_leaving, *previous_leaving; /* of the outlet's */
    struct rule_answers answers;
    struct rule_bitrate rate;
    int told_layers; /* at the last report */
    uint8_t cname_length;
    char cname[RULE_CNAME_BYTES];
};

struct rule_waiting { /* pacer.Waiting */
    struct rule_waiting *next;
    struct rule_subscription *subscription;
    struct rule_layer *layer;   /* NULL of a retransmission */
    struct rule_packet *packet; /* a reference; NULL of a retransmission */
    int size;
    uint16_t sequence; /* to send again */
    bool starts;
};
struct rule_queue {
    struct rule_waiting *head, *tail;
};

struct rule_pacer { /* pacer.Pacer */
    struct rule_queue queues[RULE_CLASSES];
    double turns[RULE_CLASSES]; /* since when a class stands, if anything of it waits */
    double queued_s; /* how long what leaves now stands in the line's own queue */
    double fast, slow, pace, open_at, opens_at, most_bytes;
    int64_t bytes;
    int count;
    uint64_t dropped;
};

struct rule_arrival {
    int64_t number; /* unwrapped */
    int64_t ticks;
    int32_t next; /* in its bucket; -1 = the last */
};
struct rule_arrivals { /* rtp.arrivals.Arrivals */
    struct rule_arrival *ring; /* in the order of arrival */
    int32_t *buckets;
    int room; /* of the ring: it grows with what comes, to TWCC_ARRIVALS */
    int start, count, pending;
    int64_t first; /* not yet told */
    bool rewound;  /* a late one lowered it: what follows is told again */
    bool known;
    struct rule_unwrapper numbers;
};
struct rule_stamp { /* one packet with abs-send-time, for REMB */
    double at;
    uint32_t send_time, size, ssrc;
};

struct rule_route {
    struct rule_layer *layer; /* NULL = a free place */
    uint32_t ssrc;
    bool is_rtx;
};

struct rule_sent_number { /* of the newest number that falls on this place of the ring */
    double at;
    int32_t size; /* -1 = empty, or told of */
};

/* -- what a receiver says (rule_hearing.c, rule_gradient.c) ---------------------------------------------- */

enum rule_signal { RULE_NORMAL, RULE_OVERUSE, RULE_UNDERUSE };
#define RULE_GRADIENT_POINTS 20
struct rule_group {
    double first_sent, last_sent, first_arrived, last_arrived;
};
struct rule_point {
    double at, delay; /* milliseconds */
};
struct rule_line { /* gradient.TrendLine */
    double first, sum_x, sum_y, sum_xx, sum_xy;
    int until_anew;
};
struct rule_gradient { /* gradient.DelayGradient */
    double threshold, threshold_at, accumulated, smoothed, slope, over_ms;
    struct rule_group group, previous;
    struct rule_point points[RULE_GRADIENT_POINTS];
    struct rule_line line;
    int start, count, deltas, over_count;
    bool grouped, previous_known, threshold_known;
    enum rule_signal signal;
};
void rule_gradient_init(struct rule_gradient *gradient);
void rule_gradient_reset(struct rule_gradient *gradient);
void rule_gradient_packet(struct rule_gradient *gradient, double sent_at, double arrived_at);

#define RULE_HEARD_RECORDS 16
#define RULE_HEARD_RATES 64
struct rule_told { /* one packet that arrived (hearing.Acknowledged) */
    int64_t number;
    double sent_at, arrived_at;
    int32_t size;
};
struct rule_rate {
    double at;
    int64_t size;
};
struct rule_heard { /* hearing.Heard; its packets and rates stand in the order of the records */
    double at;
    int64_t expected, arrived;
    int told, rates, feedbacks;
    bool silent, calm;
    enum rule_signal signal;
};
struct rule_heard_all {
    int count;
    struct rule_heard records[RULE_HEARD_RECORDS];
    struct rule_rate rates[RULE_HEARD_RATES];
    struct rule_told *told;
};
struct rule_hearing { /* hearing.PlainHearing */
    struct rule_unwrapper numbers, references;
    struct rule_gradient gradient;
    bool heard, spoken, probing;
    double heard_at, calm_until, calm_delay, calm_bps;
    int64_t end; /* number after the newest one spoken of */
    double before_at;        /* last arrival of the feedback before the newest one */
    struct rule_rate newest; /* of the newest one */
    int64_t probe_first, probe_last;
    int count, rate_count, told_count, told_room;
    struct rule_heard records[RULE_HEARD_RECORDS];
    struct rule_rate rates[RULE_HEARD_RATES];
    struct rule_told *told;
};

struct rule_peer {
    struct rule_news news;
    struct rule *rule;
    void *out;
    struct rule_peer *next, *previous; /* of the rule's */
    struct rule_producer *producers;
    int subscriptions; /* that leave by it */
    struct rule_subscription *leaving, *last_leaving; /* they, the oldest first */
    struct rule_subscription *spoken_of; /* where the receiver's next block is looked for first; NULL = there */
    struct rule_route *routes; /* open addressing */
    int route_count, route_room;
    struct rule_packet *parked, *parked_last; /* wait for Python; data, size and received_at alone are set */
    int parked_count;
    uint64_t malformed, unrouted, overflowed;
    /* the way out */
    struct rule_pacer pacer;
    struct rule_peer *next_holding, *previous_holding; /* those with something that waits */
    bool holding;
    int voice_copies; /* of each voice, 0..2 */
    int64_t number; /* the next packet's, unwrapped */
    struct rule_sent_number *sent;
    struct rule_hearing *hearing; /* NULL until something was told of it */
    /* the way in: what the publisher is told */
    int feedback_id;      /* of the extension that is read in each packet, 0 = none */
    bool feedback_stamps; /* abs-send-time instead of numbers */
    double feedback_due;
    uint32_t feedback_ssrc, local_ssrc;
    uint8_t feedback_count;
    bool telling; /* it stands in the list of those that are told */
    struct rule_peer *next_telling, *previous_telling;
    struct rule_arrivals arrivals;
    struct rule_stamp *stamps;
    int stamp_count;
};

struct rule {
    pthread_mutex_t lock;
    struct rule_limits limits;
    struct rule_sink sink;
    struct rule_pool pool;
    struct rule_news orders[RULE_ORDERS]; /* heads of rings */
    atomic_int telling;                   /* how many stand in them: may be read without the lock */
    struct rule_peer *peers, *holding, *telling_peers;
    double feedback_due; /* the earliest of those that are told */
    void *scratch;       /* for one feedback */
    struct rule_waiting *free_waiting, *waiting_slabs;
    struct rule_stats stats;
};

/* -- what Python decides (rule.c, rule_layer.c) ---------------------------------------------------------- */

/* NULL without memory. `handle` comes back in events; a tap has none. */
struct rule_peer *rule_peer_new(struct rule *rule, void *handle);
/* Its producers and its subscriptions were freed before. */
void rule_peer_free(struct rule_peer *peer);
struct rule_producer *rule_producer_new(struct rule_peer *peer, const struct rule_ingress *ingress, int layers,
                                        int clock_rate, bool asks_again, void *handle);
/* Its subscriptions were freed before. */
void rule_producer_free(struct rule_producer *producer);
bool rule_bind(struct rule_peer *peer, uint32_t ssrc, struct rule_layer *layer, bool is_rtx);
void rule_unbind(struct rule_peer *peer, uint32_t ssrc);
const struct rule_route *rule_route(const struct rule_peer *peer, uint32_t ssrc);

struct rule_subscription *rule_subscription_new(struct rule_producer *producer, struct rule_peer *outlet,
                                                const struct rule_subscription *values, uint32_t ssrc,
                                                int first_sequence, bool remember, void *handle);
void rule_subscription_free(struct rule_subscription *subscription);
/* The target is another layer from now on. Which layers (1 << index) have no subscriber left; -1 when the target takes
 * no more. Python knows of what it did itself, so these are no events. */
int rule_aim(struct rule_subscription *subscription, struct rule_layer *target);
int rule_leave(struct rule_subscription *subscription);
/* The target's key frame has to wait: nothing older is of use, and it goes first. */
void rule_start(struct rule_subscription *subscription, uint32_t timestamp);
/* That key frame has come, and waits for the pace. */
static inline bool rule_begun(const struct rule_subscription *subscription) {
    return !subscription->current && subscription->starting >= 0;
}
void rule_cut(struct rule_subscription *subscription);

/* The first packet that waits for Python, NULL when none does; `dead` is its layer if its SSRC is known. */
const struct rule_packet *rule_stuck(const struct rule_peer *peer, struct rule_layer **dead);
/* Python has decided about the first one: take it as things are now, and those behind it that can be taken. */
void rule_resume(struct rule *rule, struct rule_peer *peer, bool malformed);

/* -- inside ---------------------------------------------------------------------------------------------- */

void rule_forward(struct rule_layer *layer, struct rule_packet *packet, double now);
void rule_deliver(struct rule_subscription *subscription, struct rule_layer *layer, struct rule_packet *packet,
                  bool starts, uint32_t send_time, double now);
void rule_begin(struct rule_egress *egress, const struct rule_packet *packet, uint32_t timestamp_delta);

struct rule_written { /* the numbers a packet goes out with; -1 = absent */
    uint32_t timestamp;
    int32_t picture_id;
    int16_t tl0;
    uint16_t out;
};
/* False = left out. */
bool rule_rewrite(const struct rule_packet *packet, struct rule_egress *egress, const struct rule *rule, int layer,
                  struct rule_written *written);
/* Into `room` with all that differs between consumers; `gap` bytes are left between header and payload. The size. */
size_t rule_write(const struct rule_packet *packet, const struct rule_egress *egress,
                  const struct rule_written *written, uint32_t send_time, uint8_t *room, size_t gap);

int rule_retransmit(struct rule_subscription *subscription, const uint16_t *sequences, int count, double now);
/* Keep what is about to leave with this number; NULL where nothing is kept. */
struct rule_spoken *rule_keep(struct rule_subscription *subscription, uint16_t out, const uint8_t *packet, size_t size,
                              int number_at);
/* It left: where voices go again, the one before the last does now, and the one before that. */
void rule_kept(struct rule_subscription *subscription, struct rule_spoken *kept, double now);
int rule_resend(struct rule_subscription *subscription, uint16_t sequence, double now);
/* One that had to wait. */
void rule_resend_waiting(struct rule_subscription *subscription, uint16_t sequence, double now);
int rule_pad(struct rule_peer *peer, struct rule_subscription *const *subscriptions, int count, int least, double now);
bool rule_unwrap_rtx(struct rule_layer *layer, const uint8_t *data, const struct rule_header *header,
                     int payload_type, struct rule_packet *packet);

void rule_pacer_init(struct rule_pacer *pacer, const struct rule_limits *limits);
void rule_set_target(struct rule_peer *peer, double bps, double queued_s);
bool rule_resends(const struct rule_subscription *subscription, uint16_t sequence);
void rule_hold(struct rule_peer *peer, struct rule_waiting item, double now);
void rule_forget_waiting(struct rule_peer *peer, const struct rule_subscription *subscription);
/* All that waits of it, but what is sent again. */
void rule_leave_out(struct rule_peer *peer, const struct rule_subscription *subscription);
uint8_t *rule_reserve(struct rule_peer *peer, size_t size);
/* Write the transport's number where it stands, send, keep the books. */
bool rule_commit(struct rule_peer *peer, uint8_t *room, size_t size, int number_at, double now);
/* Send once more, byte for byte, what was committed before; when it arrives tells nothing more of the line's delay. */
bool rule_repeat(struct rule_peer *peer, const uint8_t *packet, size_t size, int number_at, double now);

void rule_heard_take(struct rule_peer *peer, struct rule_heard_all *all);
void rule_be_calm(struct rule_peer *peer, double until, double delay, double most_bps);
void rule_probing(struct rule_peer *peer, bool probing, int64_t first, int64_t last);
void rule_forget_delays(struct rule_peer *peer);
void rule_hearing_free(struct rule_peer *peer);

/* False = malformed. */
bool rule_note_arrival(struct rule_peer *peer, const uint8_t *data, size_t size, const struct rule_header *header,
                       double now);
int rule_arrivals_untold(struct rule_peer *peer, struct rule_arrival *told);
void rule_arrivals_told(struct rule_peer *peer, int64_t next, int64_t before);
typedef void (*rule_control_function)(void *context, void *out, const uint8_t *packet, size_t size);
void rule_write_feedback(struct rule_peer *peer, double now, rule_control_function send, void *context);
void rule_plan_feedback(struct rule_peer *peer);
void rule_forget_feedback(struct rule_peer *peer);
void rule_tell_publishers(struct rule *rule, double now);
void rule_report(struct rule_peer *peer, bool connected, uint64_t wall_ntp, double now, rule_control_function send,
                 void *context);
bool rule_take_reports(struct rule_peer *peer, const uint8_t *rtcp, size_t size, double now);
void rule_answered(struct rule_subscription *one, const struct rule_block *block, double now);
void rule_learn_clock(struct rule_layer *layer, uint64_t ntp, uint32_t timestamp, double now);
void rule_upstream_free(struct rule_peer *peer);
void rule_note_level(struct rule_producer *producer, const uint8_t *data, const struct rule_header *header,
                     double now, bool *malformed);

#endif
