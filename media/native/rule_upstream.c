/* What a publisher is told of its uplink, and how loud it is: media/relay/upstream, media/rtp/arrivals.
 *
 * Transport-wide numbers (draft-holmer-rmcat-transport-wide-cc-extensions-01): every packet's number and arrival
 * are noted here; ten times a second rule_feedback.c tells of them. */
#include "rule_tables.h"

#include <stdlib.h>

#define TICK_S 0.00025 /* unit of an arrival time */

#define FIRST_ROOM 256 /* half a second of a camera; a power of two times this is the whole */

static int32_t *bucket(const struct rule_arrivals *arrivals, int64_t number) {
    return &arrivals->buckets[(uint64_t)number % (uint64_t)arrivals->room];
}

/* A ring of `room` places with what the one before holds; false without memory. */
static bool make_ring(struct rule_arrivals *arrivals, int room) {
    struct rule_arrival *ring = malloc((size_t)room * sizeof *ring);
    int32_t *buckets = malloc((size_t)room * sizeof *buckets);
    if (!ring || !buckets) {
        free(ring);
        free(buckets);
        return false;
    }
    for (int index = 0; index < arrivals->count; index++)
        ring[index] = arrivals->ring[(arrivals->start + index) % arrivals->room];
    free(arrivals->ring);
    free(arrivals->buckets);
    arrivals->ring = ring;
    arrivals->buckets = buckets;
    arrivals->room = room;
    arrivals->start = 0;
    for (int index = 0; index < room; index++)
        buckets[index] = -1;
    for (int index = 0; index < arrivals->count; index++) {
        int32_t *first = bucket(arrivals, ring[index].number);
        ring[index].next = *first;
        *first = index;
    }
    return true;
}

static void forget_oldest(struct rule_arrivals *arrivals) {
    int32_t oldest = arrivals->start;
    int32_t *link = bucket(arrivals, arrivals->ring[oldest].number);
    while (*link != oldest)
        link = &arrivals->ring[*link].next;
    *link = arrivals->ring[oldest].next;
    arrivals->start = (arrivals->start + 1) % arrivals->room;
    arrivals->count--;
}

/* The packet with this 16-bit number came (Arrivals.add). */
static void add_arrival(struct rule_arrivals *arrivals, uint16_t sequence, int most, double now) {
    if (!arrivals->ring) {
        if (!make_ring(arrivals, most < FIRST_ROOM ? most : FIRST_ROOM))
            return; /* without memory the publisher is told nothing */
        rule_unwrapper_init(&arrivals->numbers, 16);
    }
    int64_t number = rule_unwrap(&arrivals->numbers, sequence);
    for (int32_t at = *bucket(arrivals, number); at >= 0; at = arrivals->ring[at].next)
        if (arrivals->ring[at].number == number)
            return;
    bool grown = arrivals->count == arrivals->room && arrivals->room < most &&
                 make_ring(arrivals, 2 * arrivals->room < most ? 2 * arrivals->room : most);
    if (arrivals->count == arrivals->room && !grown)
        forget_oldest(arrivals);
    int32_t place = (arrivals->start + arrivals->count++) % arrivals->room;
    int32_t *first = bucket(arrivals, number);
    arrivals->ring[place] = (struct rule_arrival){number, (int64_t)(now / TICK_S), *first};
    *first = place;
    arrivals->pending++;
    if (!arrivals->known || number < arrivals->first) {
        arrivals->rewound = arrivals->known;
        arrivals->known = true;
        arrivals->first = number;
    }
}

static int by_number(const void *one, const void *other) {
    int64_t a = ((const struct rule_arrival *)one)->number, b = ((const struct rule_arrival *)other)->number;
    return (a > b) - (a < b);
}

/* Everything not yet told, by rising number, into `told` (room for TWCC_ARRIVALS); how many (Arrivals.take). */
int rule_arrivals_untold(struct rule_peer *peer, struct rule_arrival *told) {
    struct rule_arrivals *arrivals = &peer->arrivals;
    int count = 0;
    bool sorted = true;
    if (!arrivals->pending)
        return 0;
    bool all = arrivals->rewound || arrivals->pending > arrivals->count;
    for (int index = all ? 0 : arrivals->count - arrivals->pending; index < arrivals->count; index++) {
        const struct rule_arrival *one = &arrivals->ring[(arrivals->start + index) % arrivals->room];
        if (one->number < arrivals->first)
            continue;
        sorted = sorted && (!count || told[count - 1].number < one->number);
        told[count++] = *one;
    }
    if (!sorted)
        qsort(told, (size_t)count, sizeof *told, by_number);
    return count;
}

/* All before `next` was told; what came before `before` (ticks) is forgotten. They stand in the order of arrival. */
void rule_arrivals_told(struct rule_peer *peer, int64_t next, int64_t before) {
    struct rule_arrivals *arrivals = &peer->arrivals;
    arrivals->first = next;
    arrivals->pending = 0;
    arrivals->rewound = false;
    while (arrivals->count && arrivals->ring[arrivals->start].ticks < before)
        forget_oldest(arrivals);
}

static void add_stamp(struct rule_peer *peer, uint32_t send_time, size_t size, uint32_t ssrc, double now) {
    int most = peer->rule->limits.arrivals;
    if (!peer->stamps)
        peer->stamps = malloc((size_t)most * sizeof *peer->stamps);
    if (peer->stamps && peer->stamp_count < most)
        peer->stamps[peer->stamp_count++] = (struct rule_stamp){now, send_time, (uint32_t)size, ssrc};
}

/* Note one packet's arrival, of whatever SSRC (UpstreamFeedback.received). */
bool rule_note_arrival(struct rule_peer *peer, const uint8_t *data, size_t size, const struct rule_header *header,
                       double now) {
    const struct rule_limits *limits = &peer->rule->limits;
    int at = rule_find_extension(data, header, peer->feedback_id, peer->feedback_stamps ? 3 : 2);
    if (at < 0)
        return at == -1;
    if (peer->feedback_stamps)
        add_stamp(peer, (uint32_t)data[at] << 16 | rule_get16(data + at + 1), size, header->ssrc, now);
    else
        add_arrival(&peer->arrivals, rule_get16(data + at), limits->arrivals, now);
    peer->feedback_ssrc = header->ssrc;
    if (peer->feedback_due == INFINITY)
        peer->feedback_due = (floor(now / limits->feedback_s) + 1) * limits->feedback_s;
    else if (peer->arrivals.pending == limits->feedback_packets)
        peer->feedback_due = now;
    else
        return true;
    if (peer->rule->sink.control && !peer->feedback_stamps)
        rule_plan_feedback(peer);
    else
        rule_tell(peer->rule, RULE_OF_PEERS, &peer->news, RULE_FEEDBACK_DUE);
    return true;
}

void rule_upstream_free(struct rule_peer *peer) {
    free(peer->arrivals.ring);
    free(peer->arrivals.buckets);
    free(peer->stamps);
}

/* RFC 6464: the low seven bits are -dBov, so 127 is silence; the newest `levels` stay. */
void rule_note_level(struct rule_producer *producer, const uint8_t *data, const struct rule_header *header,
                     double now, bool *malformed) {
    int most = producer->peer->rule->limits.levels;
    int at = rule_find_extension(data, header, producer->ingress.level_id, 1);
    *malformed = at == -2;
    if (at < 0)
        return;
    if (!producer->levels && !(producer->levels = malloc((size_t)most * sizeof *producer->levels)))
        return; /* without memory nobody is heard */
    if (producer->level_count == most) {
        producer->level_start = (producer->level_start + 1) % most;
        producer->level_count--;
    }
    int place = (producer->level_start + producer->level_count++) % most;
    producer->levels[place] = (struct rule_level){now, (uint8_t)(127 - (data[at] & 0x7F))};
    if (!producer->levels_told) {
        producer->levels_told = true;
        rule_tell(producer->peer->rule, RULE_OF_PRODUCERS, &producer->news, RULE_LEVELS);
    }
}
