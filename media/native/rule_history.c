/* One copy of a packet for everyone: the pool it lies in, and a layer's history (media/relay/history.History). */
#include "rule_tables.h"

#include <stdlib.h>

#define SLAB_PACKETS 64

void rule_pool_init(struct rule_pool *pool, int most, size_t packet_bytes) {
    size_t stride = sizeof(struct rule_packet) + packet_bytes + RULE_GROWTH;
    *pool = (struct rule_pool){.most = most, .stride = (stride + 63) & ~(size_t)63};
}

void rule_pool_free(struct rule_pool *pool) {
    for (int index = 0; index < pool->slab_count; index++)
        free(pool->slabs[index]);
    free(pool->slabs);
    *pool = (struct rule_pool){0};
}

static bool grow(struct rule_pool *pool) {
    int wanted = pool->most - pool->size < SLAB_PACKETS ? pool->most - pool->size : SLAB_PACKETS;
    if (wanted <= 0)
        return false;
    void **slabs = realloc(pool->slabs, (size_t)(pool->slab_count + 1) * sizeof *slabs);
    if (!slabs)
        return false;
    pool->slabs = slabs;
    char *slab = aligned_alloc(64, (size_t)wanted * pool->stride);
    if (!slab)
        return false;
    pool->slabs[pool->slab_count++] = slab;
    for (int index = wanted - 1; index >= 0; index--) {
        struct rule_packet *packet = (struct rule_packet *)(slab + (size_t)index * pool->stride);
        packet->next = pool->free;
        pool->free = packet;
    }
    pool->size += wanted;
    return true;
}

struct rule_packet *rule_packet_take(struct rule_pool *pool) {
    if (!pool->free && !grow(pool))
        return NULL;
    struct rule_packet *packet = pool->free;
    pool->free = packet->next;
    pool->used++;
    packet->references = 1;
    return packet;
}

void rule_packet_keep(struct rule_packet *packet) { packet->references++; }

void rule_packet_release(struct rule_pool *pool, struct rule_packet *packet) {
    if (--packet->references == 0) {
        packet->next = pool->free;
        pool->free = packet;
        pool->used--;
    }
}

/* -- history ---------------------------------------------------------------------------------------------- */

static bool make(struct rule_history *history, int most) {
    history->order = malloc((size_t)most * sizeof *history->order);
    history->buckets = calloc((size_t)most, sizeof *history->buckets);
    history->most = most;
    history->start = history->count = 0;
    if (history->order && history->buckets)
        return true;
    free(history->order);
    free(history->buckets);
    *history = (struct rule_history){0};
    return false;
}

static struct rule_packet **bucket(const struct rule_history *history, int64_t sequence) {
    return &history->buckets[(uint64_t)sequence % (uint64_t)history->most];
}

static void drop_oldest(struct rule *rule, struct rule_history *history) {
    struct rule_packet *oldest = history->order[history->start];
    struct rule_packet **link = bucket(history, oldest->sequence);
    while (*link != oldest)
        link = &(*link)->next;
    *link = oldest->next;
    history->start = (history->start + 1) % history->most;
    history->count--;
    rule_packet_release(&rule->pool, oldest);
}

/* Keep a packet; the oldest go. Of two with one number the newer is found. */
void rule_history_add(struct rule *rule, struct rule_history *history, struct rule_packet *packet) {
    if (!history->order && !make(history, rule->limits.history_packets))
        return; /* without memory it cannot be sent again */
    double oldest = packet->received_at - rule->limits.history_s;
    while (history->count && history->order[history->start]->received_at < oldest)
        drop_oldest(rule, history);
    if (history->count == history->most)
        drop_oldest(rule, history);
    rule_packet_keep(packet);
    history->order[(history->start + history->count++) % history->most] = packet;
    struct rule_packet **first = bucket(history, packet->sequence);
    packet->next = *first;
    *first = packet;
}

struct rule_packet *rule_history_get(const struct rule_history *history, int64_t sequence) {
    if (!history->count)
        return NULL;
    struct rule_packet *packet = *bucket(history, sequence);
    while (packet && packet->sequence != sequence)
        packet = packet->next;
    return packet;
}

/* Give one packet back; false when there is none. */
bool rule_history_shed(struct rule *rule, struct rule_history *history) {
    if (!history->count)
        return false;
    drop_oldest(rule, history);
    return true;
}

void rule_history_clear(struct rule *rule, struct rule_history *history) {
    while (history->count)
        drop_oldest(rule, history);
    free(history->order);
    free(history->buckets);
    *history = (struct rule_history){0};
}
