/* When a packet may leave, what waits meanwhile, and the way out: media/relay/pacer, downstream.Path.
 *
 * Two virtual schedulers (the generic cell rate algorithm, ITU-T I.371) hold the rate: `pace_factor` times the
 * target at any moment, `pace_long_factor` times over half a second and longer. While something waits, `open_at` is
 * infinite: nothing overtakes. */
#include "rule_tables.h"

#include <stdlib.h>

#define SLAB_WAITING 128
enum { FIRST = 0 }; /* retransmissions, and the key frames that pictures begin with */

void rule_pacer_init(struct rule_pacer *pacer, const struct rule_limits *limits) {
    *pacer = (struct rule_pacer){.fast = -INFINITY, .slow = -INFINITY, .open_at = -INFINITY, .opens_at = -INFINITY};
    pacer->most_bytes = limits->pace_queue_bytes;
}

/* The estimate, bits per second, and what stands in the line's queue; from now on there is a pace. */
void rule_set_target(struct rule_peer *peer, double bps, double queued_s) {
    const struct rule_limits *limits = &peer->rule->limits;
    queued_s = queued_s > 0 ? queued_s : 0;
    peer->pacer.queued_s = queued_s < limits->rtx_queue_s ? queued_s : limits->rtx_queue_s;
    double most = bps * limits->pace_queue_s / 8;
    peer->pacer.pace = 8 / (limits->pace_factor * bps);
    peer->pacer.most_bytes = most > limits->pace_queue_bytes ? most : limits->pace_queue_bytes;
}

static void spend(struct rule_pacer *pacer, const struct rule_limits *limits, size_t size, double now) {
    double took = (double)size * pacer->pace;
    double fast = pacer->fast = (pacer->fast > now ? pacer->fast : now) + took;
    double slow = pacer->slow =
        (pacer->slow > now ? pacer->slow : now) + took * (limits->pace_factor / limits->pace_long_factor);
    fast -= limits->pace_burst_s;
    slow -= limits->pace_long_s;
    pacer->opens_at = fast > slow ? fast : slow;
    if (!pacer->count)
        pacer->open_at = pacer->opens_at;
}

/* -- what waits ------------------------------------------------------------------------------------------- */

static struct rule_waiting *take_node(struct rule *rule) {
    if (!rule->free_waiting) {
        /* The first of a slab holds the list of slabs together, for rule_free. */
        struct rule_waiting *slab = calloc(SLAB_WAITING, sizeof *slab);
        if (!slab)
            return NULL;
        slab->next = rule->waiting_slabs;
        rule->waiting_slabs = slab;
        for (int index = 1; index < SLAB_WAITING; index++) {
            slab[index].next = rule->free_waiting;
            rule->free_waiting = &slab[index];
        }
    }
    struct rule_waiting *node = rule->free_waiting;
    rule->free_waiting = node->next;
    return node;
}

static void hold_list(struct rule_peer *peer) {
    struct rule *rule = peer->rule;
    if (peer->holding)
        return;
    peer->holding = true;
    peer->previous_holding = NULL;
    peer->next_holding = rule->holding;
    if (rule->holding)
        rule->holding->previous_holding = peer;
    rule->holding = peer;
}

static void unhold_list(struct rule_peer *peer) {
    if (!peer->holding)
        return;
    peer->holding = false;
    if (peer->previous_holding)
        peer->previous_holding->next_holding = peer->next_holding;
    else
        peer->rule->holding = peer->next_holding;
    if (peer->next_holding)
        peer->next_holding->previous_holding = peer->previous_holding;
}

static bool push(struct rule_peer *peer, struct rule_waiting item, double now) {
    struct rule_pacer *pacer = &peer->pacer;
    struct rule_waiting *node = take_node(peer->rule);
    if (!node)
        return false;
    *node = item;
    node->next = NULL;
    bool goes_first = !item.packet || item.packet->timestamp == item.subscription->starting;
    int index = goes_first ? FIRST : item.subscription->priority;
    struct rule_queue *queue = &pacer->queues[index];
    if (queue->tail) {
        queue->tail->next = node;
    } else {
        queue->head = node;
        pacer->turns[index] = now;
    }
    queue->tail = node;
    if (item.packet)
        rule_packet_keep(item.packet);
    pacer->count++;
    pacer->bytes += item.size;
    pacer->open_at = INFINITY;
    item.subscription->held++;
    hold_list(peer);
    return true;
}

/* The books of one that waits no longer; its reference is the caller's. */
static void taken(struct rule_peer *peer, const struct rule_waiting *item) {
    struct rule_pacer *pacer = &peer->pacer;
    pacer->count--;
    pacer->bytes -= item->size;
    item->subscription->held--;
    if (!pacer->count) {
        pacer->open_at = pacer->opens_at;
        unhold_list(peer);
    }
}

static void give_back(struct rule *rule, struct rule_waiting *node) {
    node->next = rule->free_waiting;
    rule->free_waiting = node;
}

/* Whether a packet that is to be sent again waits already. */
bool rule_resends(const struct rule_subscription *subscription, uint16_t sequence) {
    const struct rule_waiting *one = subscription->outlet->pacer.queues[FIRST].head;
    while (one && (one->packet || one->subscription != subscription || one->sequence != sequence))
        one = one->next;
    return one;
}

/* The class whose turn it is (Pacer.pop); something waits. */
static int whose_turn(const struct rule_peer *peer, double now) {
    const struct rule_pacer *pacer = &peer->pacer;
    int chosen = -1, longest = -1;
    for (int index = 0; index < RULE_CLASSES; index++) {
        if (!pacer->queues[index].head)
            continue;
        chosen = chosen < 0 ? index : chosen;
        longest = longest < 0 || pacer->turns[index] < pacer->turns[longest] ? index : longest;
    }
    bool overdue = now - pacer->turns[longest] >= peer->rule->limits.pace_turn_s;
    return chosen != FIRST && overdue ? longest : chosen;
}

static struct rule_waiting pop(struct rule_peer *peer, int index) {
    struct rule_queue *queue = &peer->pacer.queues[index];
    struct rule_waiting *node = queue->head, item = *node;
    queue->head = node->next;
    if (!queue->head)
        queue->tail = NULL;
    give_back(peer->rule, node);
    taken(peer, &item);
    return item;
}

/* It was sent. A turn before more important classes lasts for a frame (Pacer.passed). */
static void passed(struct rule_pacer *pacer, int index, const struct rule_waiting *item, double now) {
    const struct rule_waiting *next = pacer->queues[index].head;
    bool goes_on = item->packet && next && next->packet && next->subscription == item->subscription &&
                   next->packet->timestamp == item->packet->timestamp;
    bool overtakes = false;
    for (int above = 0; above < index; above++)
        overtakes = overtakes || pacer->queues[above].head;
    if (!goes_on || !overtakes)
        pacer->turns[index] = now;
}

/* Take what waits of `victim` out of a queue; how much it was. */
static int purge(struct rule_peer *peer, struct rule_queue *queue, const struct rule_subscription *victim,
                 bool media_alone) {
    struct rule_waiting **link = &queue->head, *last = NULL, *node;
    int count = 0;
    while ((node = *link)) {
        if (node->subscription != victim || (media_alone && !node->packet)) {
            last = node;
            link = &node->next;
            continue;
        }
        *link = node->next;
        taken(peer, node);
        if (node->packet)
            rule_packet_release(&peer->rule->pool, node->packet);
        give_back(peer->rule, node);
        count++;
    }
    queue->tail = last;
    return count;
}

void rule_leave_out(struct rule_peer *peer, const struct rule_subscription *subscription) {
    for (int index = 0; subscription->held && index < RULE_CLASSES; index++)
        peer->pacer.dropped += (uint64_t)purge(peer, &peer->pacer.queues[index], subscription, true);
}

/* The drop rule of media/relay/pacer: the lowest class that waits gives way, there the track that waited longest. */
static struct rule_subscription *shed(struct rule_peer *peer) {
    int index = RULE_CLASSES - 1;
    while (!peer->pacer.queues[index].head)
        index--;
    struct rule_subscription *victim = peer->pacer.queues[index].head->subscription;
    uint64_t before = peer->pacer.dropped;
    rule_leave_out(peer, victim);
    if (peer->pacer.dropped > before)
        return victim;
    peer->pacer.dropped += (uint64_t)purge(peer, &peer->pacer.queues[FIRST], victim, false);
    return NULL; /* retransmissions were all that waited */
}

void rule_hold(struct rule_peer *peer, struct rule_waiting item, double now) {
    struct rule_pacer *pacer = &peer->pacer;
    if (!push(peer, item, now)) {
        peer->rule->stats.exhausted++;
        return;
    }
    while (pacer->count > peer->rule->limits.pace_queue_packets || (double)pacer->bytes > pacer->most_bytes) {
        struct rule_subscription *victim = shed(peer);
        if (victim)
            rule_cut(victim);
    }
    rule_tell(peer->rule, RULE_OF_PEERS, &peer->news, RULE_HELD);
}

/* A subscription is closed: what waits of it goes. */
void rule_forget_waiting(struct rule_peer *peer, const struct rule_subscription *subscription) {
    for (int index = 0; subscription->held && index < RULE_CLASSES; index++)
        purge(peer, &peer->pacer.queues[index], subscription, false);
}

/* -- the way out ------------------------------------------------------------------------------------------ */

uint8_t *rule_reserve(struct rule_peer *peer, size_t size) {
    const struct rule_sink *sink = &peer->rule->sink;
    return peer->out && sink->reserve ? sink->reserve(sink->context, peer->out, size) : NULL;
}

static void note_sent(struct rule_peer *peer, size_t size, double now) {
    int most = peer->rule->limits.estimate_sent;
    if (!peer->sent) {
        peer->sent = malloc((size_t)most * sizeof *peer->sent);
        if (!peer->sent)
            return; /* without memory this peer's line is not estimated */
        for (int index = 0; index < most; index++)
            peer->sent[index].size = -1;
    }
    peer->sent[peer->number & (most - 1)] = (struct rule_sent_number){now, (int32_t)size};
}

/* A transport-wide number is written where it stands, and is used up when the packet left (Path.send). */
bool rule_commit(struct rule_peer *peer, uint8_t *room, size_t size, int number_at, double now) {
    const struct rule_sink *sink = &peer->rule->sink;
    if (number_at >= 0)
        rule_put16(room + number_at, (unsigned)(peer->number & 0xFFFF));
    if (!sink->commit(sink->context, peer->out, size))
        return false;
    peer->rule->stats.sent++;
    if (number_at >= 0) {
        if (peer->news.handle) /* a tap hears no feedback */
            note_sent(peer, size, now);
        peer->number++;
        if (peer->pacer.pace > 0)
            spend(&peer->pacer, &peer->rule->limits, size, now);
    }
    return true;
}

static void doubt(struct rule_peer *peer, uint16_t number) {
    int most = peer->rule->limits.estimate_sent;
    struct rule_sent_number *entry = peer->sent ? &peer->sent[number & (most - 1)] : NULL;
    if (entry && entry->size > 0 && (uint16_t)(peer->number - 1 - number) < most)
        entry->size = 0;
}

bool rule_repeat(struct rule_peer *peer, const uint8_t *packet, size_t size, int number_at, double now) {
    const struct rule_sink *sink = &peer->rule->sink;
    uint8_t *room = rule_reserve(peer, size);
    if (!room)
        return false;
    memcpy(room, packet, size);
    if (!sink->commit(sink->context, peer->out, size))
        return false;
    peer->rule->stats.sent++;
    if (number_at >= 0) {
        doubt(peer, rule_get16(packet + number_at));
        if (peer->pacer.pace > 0)
            spend(&peer->pacer, &peer->rule->limits, size, now);
    }
    return true;
}

void rule_drain(struct rule *rule, struct rule_peer *peer, double now) {
    uint32_t send_time = rule_send_time(now);
    while (peer->pacer.count && now >= peer->pacer.opens_at) {
        int index = whose_turn(peer, now);
        struct rule_waiting item = pop(peer, index);
        int64_t before = peer->number;
        if (item.packet)
            rule_deliver(item.subscription, item.layer, item.packet, item.starts, send_time, now);
        else
            rule_resend_waiting(item.subscription, item.sequence, now);
        if (peer->number > before)
            passed(&peer->pacer, index, &item, now);
        if (item.packet)
            rule_packet_release(&rule->pool, item.packet);
    }
}

void rule_run(struct rule *rule, double now) {
    if (now >= rule->feedback_due)
        rule_tell_publishers(rule, now);
    for (struct rule_peer *peer = rule->holding, *next; peer; peer = next) {
        next = peer->next_holding;
        rule_drain(rule, peer, now);
    }
}

double rule_due(const struct rule *rule) {
    double due = rule->feedback_due;
    for (const struct rule_peer *peer = rule->holding; peer; peer = peer->next_holding)
        if (peer->pacer.opens_at < due)
            due = peer->pacer.opens_at;
    return due;
}
