/* What the rule sends: into the outbox, where it is protected, or up to Python. Under the lock. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "engine.h"

#include <string.h>

static uint8_t *sink_reserve(void *context, void *out, size_t size)
{
    struct engine *engine = context;
    struct engine_peer *peer = out;
    if (peer == NULL || size > DATAGRAM_MOST)
        return NULL;
    if (peer->way == WAY_UDP && peer->protect != NULL)
        return outbox_room(engine->in_batch ? &engine->outbox : &engine->side);
    if (peer->way == WAY_UP) {
        struct up_record *record = up_reserve(&engine->up, UP_OUT, size, false);
        if (record != NULL)
            return up_packet(record);
    }
    peer->counters.dropped++;
    return NULL;
}

static bool commit_up(struct engine *engine, struct engine_peer *peer, size_t size)
{
    struct up_record *record = (struct up_record *)(void *)(engine->up.filling + engine->up.used);
    record->size = (uint32_t)size;
    record->peer = peer->number;
    record->generation = peer->generation;
    record->at_ns = engine->in_batch ? engine->batch_ns : monotonic_ns();
    up_commit(&engine->up, record);
    return true;
}

static bool sink_commit(void *context, void *out, size_t size)
{
    struct engine *engine = context;
    struct engine_peer *peer = out;
    if (peer->way == WAY_UP)
        return commit_up(engine, peer, size);
    struct outbox *outbox = engine->in_batch ? &engine->outbox : &engine->side;
    uint32_t length = (uint32_t)size;
    if (!srtp_in_place(srtp_library.protect, peer->protect, outbox_room(outbox), &length)) {
        peer->counters.dropped++;
        return false;
    }
    outbox_add(outbox, &peer->to, length);
    peer->counters.packets_sent++;
    peer->counters.bytes_sent += length;
    return true;
}

static void sink_control(void *context, void *out, const uint8_t *packet, size_t size)
{
    struct engine *engine = context;
    struct engine_peer *peer = out;
    if (peer == NULL || size > DATAGRAM_MOST)
        return;
    if (peer->way == WAY_UP) {
        struct up_record *record = up_reserve(&engine->up, UP_CONTROL, size, false);
        if (record != NULL) {
            memcpy(up_packet(record), packet, size);
            commit_up(engine, peer, size);
        }
        return;
    }
    struct outbox *outbox = engine->in_batch ? &engine->outbox : &engine->side;
    uint32_t length = (uint32_t)size;
    if (peer->way != WAY_UDP || peer->protect == NULL)
        return;
    memcpy(outbox_room(outbox), packet, size);
    if (!srtp_in_place(srtp_library.protect_rtcp, peer->protect, outbox_room(outbox), &length))
        return;
    outbox_add(outbox, &peer->to, length);
    peer->counters.packets_sent++;
    peer->counters.bytes_sent += length;
}

static void sink_settle(void *context)
{
    engine_settle(context);
}

struct rule_sink engine_sink(struct engine *engine)
{
    return (struct rule_sink){engine, sink_reserve, sink_commit, sink_settle, sink_control};
}
