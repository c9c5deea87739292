/* The objects behind the rule: who owns what, SSRCs of a peer, and the news for Python. */
#include "rule_tables.h"

#include <stdlib.h>

/* -- news: every object with something to tell stands once in a ring of its order ------------------------- */

static void empty_ring(struct rule_news *head) { head->next = head->previous = head; }

void rule_tell(struct rule *rule, enum rule_order order, struct rule_news *news, unsigned kind) {
    if (kind == RULE_KEY_WANTED) /* the later of the two is what holds */
        news->kinds &= ~(unsigned)RULE_KEY_CAME;
    if (kind == RULE_KEY_CAME)
        news->kinds &= ~(unsigned)RULE_KEY_WANTED;
    news->kinds |= kind;
    if (news->next)
        return;
    struct rule_news *head = &rule->orders[order];
    atomic_fetch_add_explicit(&rule->telling, 1, memory_order_relaxed);
    news->previous = head->previous;
    news->next = head;
    head->previous->next = news;
    head->previous = news;
}

void rule_forget_news(struct rule *rule, struct rule_news *news) {
    if (news->next) {
        atomic_fetch_sub_explicit(&rule->telling, 1, memory_order_relaxed);
        news->previous->next = news->next;
        news->next->previous = news->previous;
        news->next = news->previous = NULL;
    }
    news->kinds = 0;
}

bool rule_has_news(const struct rule *rule) {
    return atomic_load_explicit(&rule->telling, memory_order_relaxed) > 0;
}

bool rule_next_event(struct rule *rule, struct rule_event *event) {
    for (int order = 0; order < RULE_ORDERS; order++) {
        struct rule_news *head = &rule->orders[order];
        while (head->next != head) {
            struct rule_news *news = head->next;
            *event = (struct rule_event){news->kinds, news->handle};
            rule_forget_news(rule, news);
            if (event->kinds) /* what was to be told may have become untrue meanwhile */
                return true;
        }
    }
    return false;
}

/* -- the whole -------------------------------------------------------------------------------------------- */

struct rule *rule_new(const struct rule_limits *limits) {
    struct rule *rule = calloc(1, sizeof *rule);
    if (!rule)
        return NULL;
    if (pthread_mutex_init(&rule->lock, NULL) != 0) {
        free(rule);
        return NULL;
    }
    rule->limits = *limits;
    rule->feedback_due = INFINITY;
    rule_pool_init(&rule->pool, limits->pool_packets, (size_t)limits->packet_bytes);
    for (int order = 0; order < RULE_ORDERS; order++)
        empty_ring(&rule->orders[order]);
    return rule;
}

void rule_free(struct rule *rule) {
    while (rule->waiting_slabs) {
        struct rule_waiting *slab = rule->waiting_slabs;
        rule->waiting_slabs = slab->next;
        free(slab);
    }
    rule_pool_free(&rule->pool);
    free(rule->scratch);
    pthread_mutex_destroy(&rule->lock);
    free(rule);
}

pthread_mutex_t *rule_lock(struct rule *rule) { return &rule->lock; }

void rule_set_sink(struct rule *rule, struct rule_sink sink) { rule->sink = sink; }

struct rule_stats rule_stats(const struct rule *rule) {
    struct rule_stats stats = rule->stats;
    stats.pool_used = rule->pool.used;
    stats.pool_size = rule->pool.size;
    return stats;
}

/* -- peers and their SSRCs -------------------------------------------------------------------------------- */

struct rule_peer *rule_peer_new(struct rule *rule, void *handle) {
    struct rule_peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->rule = rule;
    peer->news.handle = handle;
    peer->number = 1;
    peer->feedback_due = INFINITY;
    rule_pacer_init(&peer->pacer, &rule->limits);
    peer->next = rule->peers;
    if (rule->peers)
        rule->peers->previous = peer;
    rule->peers = peer;
    return peer;
}

void rule_peer_set_out(struct rule_peer *peer, void *out) { peer->out = out; }

void rule_peer_free(struct rule_peer *peer) {
    struct rule *rule = peer->rule;
    if (peer->previous)
        peer->previous->next = peer->next;
    else
        rule->peers = peer->next;
    if (peer->next)
        peer->next->previous = peer->previous;
    while (peer->parked) {
        struct rule_packet *packet = peer->parked;
        peer->parked = packet->next;
        rule_packet_release(&rule->pool, packet);
    }
    rule_forget_news(rule, &peer->news);
    rule_forget_feedback(peer);
    rule_upstream_free(peer);
    free(peer->routes);
    free(peer->sent);
    rule_hearing_free(peer);
    free(peer);
}

static int place(const struct rule_peer *peer, uint32_t ssrc) {
    unsigned mask = (unsigned)peer->route_room - 1, at = (ssrc * 2654435761u) >> 8 & mask;
    while (peer->routes[at].layer && peer->routes[at].ssrc != ssrc)
        at = (at + 1) & mask;
    return (int)at;
}

const struct rule_route *rule_route(const struct rule_peer *peer, uint32_t ssrc) {
    if (!peer->route_count)
        return NULL;
    const struct rule_route *route = &peer->routes[place(peer, ssrc)];
    return route->layer ? route : NULL;
}

/* Make the table anew with `room` places, without the routes to `without`. */
static bool rebuild(struct rule_peer *peer, int room, const struct rule_producer *without) {
    struct rule_route *before = peer->routes;
    int count = peer->route_room;
    struct rule_route *routes = calloc((size_t)room, sizeof *routes);
    if (!routes)
        return false;
    peer->routes = routes;
    peer->route_room = room;
    peer->route_count = 0;
    for (int index = 0; index < count; index++)
        if (before[index].layer && before[index].layer->producer != without) {
            peer->routes[place(peer, before[index].ssrc)] = before[index];
            peer->route_count++;
        }
    free(before);
    return true;
}

/* Packets of `ssrc` go to `layer` from now on; false without memory. */
bool rule_bind(struct rule_peer *peer, uint32_t ssrc, struct rule_layer *layer, bool is_rtx) {
    if (2 * (peer->route_count + 1) > peer->route_room && !rebuild(peer, peer->route_room ? 2 * peer->route_room : 8, NULL))
        return false;
    struct rule_route *route = &peer->routes[place(peer, ssrc)];
    peer->route_count += !route->layer;
    *route = (struct rule_route){layer, ssrc, is_rtx};
    if (is_rtx)
        layer->rtx_ssrc = ssrc;
    else
        layer->ssrc = ssrc;
    return true;
}

void rule_unbind(struct rule_peer *peer, uint32_t ssrc) {
    if (!rule_route(peer, ssrc))
        return;
    unsigned mask = (unsigned)peer->route_room - 1, hole = (unsigned)place(peer, ssrc), at = hole;
    peer->routes[hole].layer = NULL;
    peer->route_count--;
    while (peer->routes[at = (at + 1) & mask].layer) { /* those behind the hole may belong into it */
        struct rule_route moved = peer->routes[at];
        peer->routes[at].layer = NULL;
        peer->routes[place(peer, moved.ssrc)] = moved;
    }
}

/* -- producers -------------------------------------------------------------------------------------------- */

struct rule_producer *rule_producer_new(struct rule_peer *peer, const struct rule_ingress *ingress, int layers,
                                        int clock_rate, bool asks_again, void *handle) {
    struct rule_producer *producer = calloc(1, sizeof *producer);
    if (!producer)
        return NULL;
    producer->peer = peer;
    producer->ingress = *ingress;
    producer->news.handle = handle;
    producer->layer_count = layers;
    for (int index = 0; index < layers; index++) {
        struct rule_layer *layer = &producer->layers[index];
        layer->rule = peer->rule;
        layer->producer = producer;
        layer->index = index;
        layer->clock_rate = clock_rate;
        layer->asks_again = asks_again;
        layer->voice = ingress->codec == RULE_OPUS;
        rule_layer_init(layer);
        layer->missing.voice = layer->voice;
    }
    struct rule_producer **link = &peer->producers; /* the oldest first, as they are told of */
    while (*link)
        link = &(*link)->next;
    *link = producer;
    return producer;
}

void rule_producer_free(struct rule_producer *producer) {
    struct rule_peer *peer = producer->peer;
    struct rule_producer **link = &peer->producers;
    while (*link != producer)
        link = &(*link)->next;
    *link = producer->next;
    for (unsigned index = 0; index < (unsigned)peer->route_room;) {
        struct rule_layer *layer = peer->routes[index].layer;
        if (layer && layer->producer == producer)
            rule_unbind(peer, peer->routes[index].ssrc); /* another may have moved here: look again */
        else
            index++;
    }
    for (int index = 0; index < producer->layer_count; index++) {
        struct rule_layer *layer = &producer->layers[index];
        rule_history_clear(peer->rule, &layer->history);
        rule_missing_free(&layer->missing);
        rule_forget_news(peer->rule, &layer->news);
        free(layer->subscribers);
    }
    rule_forget_news(peer->rule, &producer->news);
    free(producer->levels);
    free(producer);
}

/* -- subscriptions ---------------------------------------------------------------------------------------- */

struct rule_subscription *rule_subscription_new(struct rule_producer *producer, struct rule_peer *outlet,
                                                const struct rule_subscription *values, uint32_t ssrc,
                                                int first_sequence, bool remember, void *handle) {
    const struct rule_limits *limits = &producer->peer->rule->limits;
    struct rule_subscription *one = malloc(sizeof *one);
    if (!one)
        return NULL;
    *one = *values;
    one->news = (struct rule_news){.handle = handle};
    one->rule = producer->peer->rule;
    one->producer = producer;
    one->outlet = outlet;
    one->started_at = -1;
    one->starting = -1;
    one->budget = limits->rtx_per_second;
    struct rule_egress *egress = &one->egress;
    egress->ssrc = ssrc;
    egress->tl0 = -1;
    egress->temporal_target = egress->temporal_current = RULE_ALL_TEMPORAL;
    egress->temporal_timestamp = -1;
    rule_numbers_init(&egress->sequences, first_sequence, limits->drops);
    rule_numbers_init(&egress->pictures, 0, limits->drops);
    if (remember) {
        egress->sent = calloc((size_t)limits->sent_packets, sizeof *egress->sent);
        if (!egress->sent) {
            free(one);
            return NULL;
        }
        for (int index = 0; index < limits->sent_packets; index++)
            egress->sent[index].out = -1;
    }
    one->answers.round_trip = -1;
    producer->consumers++;
    outlet->subscriptions++;
    one->previous_leaving = outlet->last_leaving;
    *(outlet->last_leaving ? &outlet->last_leaving->next_leaving : &outlet->leaving) = one;
    outlet->last_leaving = one;
    return one;
}

static void leave_outlet(struct rule_subscription *one) {
    struct rule_peer *outlet = one->outlet;
    *(one->previous_leaving ? &one->previous_leaving->next_leaving : &outlet->leaving) = one->next_leaving;
    *(one->next_leaving ? &one->next_leaving->previous_leaving : &outlet->last_leaving) = one->previous_leaving;
    if (outlet->spoken_of == one)
        outlet->spoken_of = one->next_leaving;
}

void rule_subscription_free(struct rule_subscription *subscription) {
    rule_leave(subscription);
    rule_forget_waiting(subscription->outlet, subscription);
    rule_forget_news(subscription->rule, &subscription->news);
    rule_numbers_free(&subscription->egress.sequences);
    rule_numbers_free(&subscription->egress.pictures);
    free(subscription->egress.sent);
    free(subscription->spoken);
    subscription->producer->consumers--;
    subscription->outlet->subscriptions--;
    leave_outlet(subscription);
    free(subscription);
}
