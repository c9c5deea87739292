/* Feeds the rule with packets that are nearly right, and with decisions at the wrong moment (see fuzz.py).
 *
 * Every packet goes in, and every room comes out, as memory of exactly its size: the sanitizers see one byte too
 * many. Usage: rule_fuzz INPUTS SEED. */
#include "rule_tables.h"

#include <stdio.h>
#include <stdlib.h>

#include "limits_values.h" /* RULE_LIMITS, made by fuzz.py of media/limits.py */

#define PEERS 4
#define TRACKS 3
#define SSRC 1000u

static uint64_t chance_state;

static uint32_t chance(uint32_t below) {
    chance_state = chance_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(chance_state >> 33) % below;
}

struct world {
    struct rule *rule;
    struct rule_peer *peers[PEERS]; /* the first sends */
    struct rule_producer *tracks[TRACKS];
    struct rule_subscription *subscriptions[PEERS][TRACKS];
    uint8_t *room;
    uint64_t out, bytes, heard, told;
    uint16_t sequences[TRACKS][3];
    uint32_t timestamps[TRACKS];
    double now;
};

static uint8_t *reserve(void *context, void *out, size_t size) {
    struct world *world = context;
    (void)out;
    return chance(50) ? world->room = malloc(size) : NULL;
}

static bool commit(void *context, void *out, size_t size) {
    struct world *world = context;
    struct rule_header header;
    (void)out;
    if (!rule_parse_header(world->room, size, &header)) {
        fprintf(stderr, "a packet that left cannot be read\n");
        abort();
    }
    world->out++;
    world->bytes += size;
    free(world->room);
    return chance(50) != 0;
}

static void make_track(struct world *world, int track) {
    struct rule_ingress ingress = {.send_time_id = 4, .number_id = 5, .level_id = track == 2 ? 1 : 0, .red_type = -1};
    for (int index = 0; index < 128; index++)
        ingress.payload_types[index] = ingress.rtx_payload_types[index] = -1;
    ingress.payload_types[96] = 101;
    ingress.rtx_payload_types[97] = 96;
    for (int id = 1; id < 8; id++)
        ingress.extension_ids[id] = (uint8_t)id;
    ingress.codec = (enum rule_codec[]){RULE_VP8, RULE_H264, RULE_OPUS}[track];
    if (track == 2) {
        ingress.payload_types[63] = 102;
        ingress.red_type = 102;
    }
    int layers = track == 0 ? 3 : 1;
    struct rule_producer *made = rule_producer_new(world->peers[0], &ingress, layers, track == 2 ? 48000 : 90000,
                                                   true, (void *)(intptr_t)(track + 1));
    for (int layer = 0; layer < layers; layer++) {
        rule_bind(world->peers[0], SSRC + 10 * (uint32_t)track + (uint32_t)layer, &made->layers[layer], false);
        rule_bind(world->peers[0], SSRC + 100 + 10 * (uint32_t)track + (uint32_t)layer, &made->layers[layer], true);
    }
    world->tracks[track] = made;
}

static void make_subscription(struct world *world, int peer, int track) {
    struct rule_subscription values = {.clock_rate = track == 2 ? 48000 : 90000, .numbered = peer == 1 ? 0 : 5};
    values.waits = track != 2;
    values.voice = track == 2;
    values.priority = (int)chance(RULE_CLASSES);
    values.rtx_payload_type = track == 2 ? -1 : 120;
    values.rtx_ssrc = 7;
    values.egress.plain_type = track == 2 && peer == 2 ? 100 : -1;
    if (peer == 1)
        values.egress.removes = values.egress.removed[5] = values.egress.removed[3] = true;
    world->subscriptions[peer][track] = rule_subscription_new(world->tracks[track], world->peers[peer], &values,
                                                              chance(1000), (int)chance(65536), track != 2, world);
}

static void drop_track(struct world *world, int track) {
    for (int peer = 1; peer < PEERS; peer++)
        rule_subscription_free(world->subscriptions[peer][track]);
    rule_producer_free(world->tracks[track]);
}

static void build_track(struct world *world, int track) {
    make_track(world, track);
    for (int peer = 1; peer < PEERS; peer++)
        make_subscription(world, peer, track);
}

/* -- a packet that is nearly right ------------------------------------------------------------------------ */

static size_t put_extensions(uint8_t *at) {
    if (!chance(4))
        return 0;
    bool one_byte = chance(5) != 0;
    size_t body = 0;
    uint8_t *elements = at + 4;
    for (uint32_t count = chance(6); count; count--) {
        size_t length = chance(4) ? 1 + chance(4) : 1 + chance(16);
        if (one_byte) {
            elements[body++] = (uint8_t)(chance(16) << 4 | (length - 1));
        } else {
            elements[body++] = (uint8_t)chance(40);
            elements[body++] = (uint8_t)length;
        }
        for (size_t index = 0; index < length; index++)
            elements[body++] = (uint8_t)chance(256);
    }
    while (body % 4)
        elements[body++] = 0;
    rule_put16(at, one_byte ? 0xBEDE : 0x1000);
    rule_put16(at + 2, (unsigned)body / 4);
    return 4 + body;
}

static size_t put_payload(uint8_t *at, int track, bool is_rtx, bool is_red) {
    static const uint8_t key[] = {0x90, 0xE0, 0x81, 0x02, 0x05, 0x20, 0x10, 0, 0, 0x9D, 0x01, 0x2A, 16, 0, 16, 0};
    static const uint8_t delta[] = {0x90, 0xE0, 0x81, 0x03, 0x06, 0x60, 0x11, 0};
    static const uint8_t unit[] = {0x7C, 0x85, 1, 2, 3}, aggregate[] = {0x78, 0, 2, 0x67, 1, 0, 1, 0x68};
    static const uint8_t blocks[] = {0xE0, 1, 0, 4, 0x60, 1, 2, 3, 4, 5};
    const uint8_t *from = delta;
    size_t size = sizeof delta;
    if (is_rtx) {
        rule_put16(at, chance(65536));
        return 2 + put_payload(at + 2, track, false, is_red);
    }
    if (track == 0 && !chance(4))
        from = key, size = sizeof key;
    else if (track == 1)
        from = chance(2) ? unit : aggregate, size = from == unit ? sizeof unit : sizeof aggregate;
    else if (is_red)
        from = blocks, size = sizeof blocks;
    memcpy(at, from, size);
    size_t more = chance(20) ? chance(60) : chance(1400);
    memset(at + size, 0x55, more);
    return size + more;
}

static size_t make_packet(struct world *world, uint8_t *packet) {
    int track = (int)chance(TRACKS), layer = track == 0 ? (int)chance(3) : 0;
    bool is_rtx = !chance(6) && track != 2, is_red = track == 2 && chance(2);
    uint16_t *sequence = &world->sequences[track][layer];
    *sequence = (uint16_t)(*sequence + (chance(10) ? 1 : chance(1200)));
    world->timestamps[track] += chance(3) ? 0 : 3000;
    memset(packet, 0, 12);
    packet[0] = 0x80;
    packet[1] = (uint8_t)(is_rtx ? 97 : is_red ? 63 : 96);
    rule_put16(packet + 2, *sequence);
    rule_put32(packet + 4, world->timestamps[track]);
    rule_put32(packet + 8, SSRC + (is_rtx ? 100u : 0u) + 10u * (uint32_t)track + (uint32_t)layer);
    size_t size = 12 + put_extensions(packet + 12);
    if (size > 12)
        packet[0] |= 0x10;
    if (chance(15))
        size += put_payload(packet + size, track, is_rtx, is_red);
    if (!chance(12)) {
        size_t padding = 1 + chance(40);
        memset(packet + size, 0, padding);
        size += padding;
        packet[size - 1] = (uint8_t)padding;
        packet[0] |= 0x20;
    }
    if (!chance(3))
        for (uint32_t count = 1 + chance(4); count; count--)
            packet[chance(chance(2) ? (uint32_t)size : 40) % size] = (uint8_t)chance(256);
    return chance(20) ? size : chance((uint32_t)size + 1);
}

/* -- decisions -------------------------------------------------------------------------------------------- */

static void decide_stuck(struct world *world) {
    struct rule_peer *peer = world->peers[0];
    struct rule_layer *dead;
    const struct rule_packet *packet;
    while ((packet = rule_stuck(peer, &dead))) {
        struct rule_header header;
        rule_parse_header(packet->data, packet->size, &header);
        if (dead)
            dead->alive = true;
        else if (!chance(40)) {
            struct rule_layer *layer = &world->tracks[0]->layers[chance(3)];
            rule_unbind(peer, (uint32_t)layer->ssrc);
            rule_bind(peer, header.ssrc, layer, false);
            layer->alive = true;
            rule_layer_replaced(layer);
        }
        rule_resume(world->rule, peer, !chance(9));
    }
}

static void retransmit(struct world *world, struct rule_subscription *one) {
    uint16_t numbers[8];
    for (int index = 0; index < 8; index++)
        numbers[index] = (uint16_t)(one->egress.sequences.newest_out - chance(40));
    rule_retransmit(one, numbers, 8, world->now);
}

/* What we tell a publisher can be read by us. */
static void control(void *context, void *out, const uint8_t *packet, size_t size) {
    struct world *world = context;
    (void)out;
    if (!rule_hear(world->peers[3], packet, size, world->now)) {
        fprintf(stderr, "feedback of ours cannot be read\n");
        abort();
    }
    world->told++;
}

/* Feedback that is nearly right: numbers of about what was sent, any chunks, deltas that fit or do not. */
static size_t make_feedback(struct world *world, int peer, uint8_t *packet) {
    static const uint16_t chunks[] = {0x2003, 0x4002, 0x0007, 0x6001, 0xBFFF, 0xA5A5, 0xD555, 0xE4E4, 0x0000, 0x3FFF};
    uint32_t words = chance(6), bytes = chance(40);
    memset(packet, 0, 20);
    packet[0] = (uint8_t)(chance(30) ? 0x8F : chance(256));
    packet[1] = (uint8_t)(chance(30) ? 205 : chance(256));
    rule_put16(packet + 12, (unsigned)(world->peers[peer]->number - chance(60)) & 0xFFFF);
    rule_put16(packet + 14, chance(8) ? 1 + chance(30) : chance(65536));
    rule_put32(packet + 16, (uint32_t)(world->now / 0.064) << 8);
    size_t size = 20;
    for (uint32_t index = 0; index < words; index++, size += 2)
        rule_put16(packet + size, chance(4) ? chunks[chance(10)] : chance(65536));
    for (uint32_t index = 0; index < bytes; index++)
        packet[size++] = (uint8_t)(chance(3) ? chance(8) : chance(256));
    while (size % 4)
        packet[size++] = 0;
    rule_put16(packet + 2, (unsigned)(chance(40) ? size / 4 - 1 : chance(30)));
    return chance(20) ? size : chance((uint32_t)size + 1);
}

/* Reports that are nearly right, of streams that there are; parts of several kinds, one behind the other. */
static size_t make_reports(struct world *world, int peer, uint8_t *packet) {
    size_t size = 0;
    for (uint32_t parts = 1 + chance(3); parts; parts--) {
        uint32_t kind = 200 + chance(3), count = chance(4), body = 4 * (1 + chance(14));
        uint8_t *part = packet + size;
        if (chance(8))
            body = (kind == 200 ? 24 : 4) + 24 * count;
        for (uint32_t at = 0; at < 4 + body; at++)
            part[at] = (uint8_t)(chance(3) ? chance(4) : chance(256));
        part[0] = (uint8_t)(chance(40) ? 0x80 | count : chance(256));
        part[1] = (uint8_t)(chance(40) ? kind : chance(256));
        rule_put16(part + 2, chance(40) ? body / 4 : chance(40));
        rule_put32(part + 4, (uint32_t)world->tracks[chance(TRACKS)]->layers[0].ssrc);
        for (uint32_t block = 0; kind != 202 && block < count; block++) {
            size_t at = (kind == 200 ? 28 : 8) + 24 * block;
            const struct rule_subscription *one = world->subscriptions[peer][chance(TRACKS)];
            if (at + 24 <= 4 + body && one)
                rule_put32(part + at, one->egress.ssrc);
        }
        size += 4 + body;
    }
    return chance(20) ? size : chance((uint32_t)size + 1);
}

static void report(struct world *world) {
    int peer = (int)chance(PEERS);
    uint8_t packet[512];
    size_t size = make_reports(world, peer, packet);
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, packet, size);
    world->heard += rule_hear(world->peers[peer], exact, size, world->now);
    free(exact);
    if (!chance(4))
        rule_report(world->peers[peer], chance(5), (uint64_t)chance(UINT32_MAX) << 32, world->now, control, world);
}

static void hear(struct world *world) {
    int peer = 1 + (int)chance(PEERS - 1);
    uint8_t packet[256];
    size_t size = make_feedback(world, peer, packet);
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, packet, size);
    world->heard += rule_hear(world->peers[peer], exact, size, world->now);
    free(exact);
    if (!chance(5))
        rule_be_calm(world->peers[peer], world->now + chance(3), (double)chance(3) - 1, 1e5 * chance(30));
    if (!chance(50))
        rule_probing(world->peers[peer], chance(2), world->peers[peer]->number - 5, world->peers[peer]->number + 5);
    if (!chance(90))
        rule_forget_delays(world->peers[peer]);
    if (!chance(30)) {
        struct rule_heard_all all;
        int64_t told = 0;
        rule_heard_take(world->peers[peer], &all);
        for (int index = 0; index < all.count; index++)
            for (int one = 0; one < all.records[index].told; one++)
                told += all.told[told].number >= world->peers[peer]->number ? (abort(), 0) : 1;
        free(all.told);
    }
}

static void decide(struct world *world) {
    int peer = 1 + (int)chance(PEERS - 1), track = (int)chance(TRACKS);
    struct rule_subscription *one = world->subscriptions[peer][track];
    struct rule_layer *layer = &world->tracks[track]->layers[track == 0 ? chance(3) : 0];
    int64_t missing[512];
    switch (chance(14)) {
    case 0: case 1: case 2:
        rule_aim(one, layer);
        break;
    case 3:
        if (!chance(4))
            rule_leave(one);
        break;
    case 4:
        rule_set_target(world->peers[peer], 60000 + chance(3000000), chance(500) / 1000.0);
        world->peers[peer]->voice_copies = (int)chance(3);
        break;
    case 5: case 6:
        retransmit(world, one);
        break;
    case 7:
        rule_pad(world->peers[peer], world->subscriptions[peer], TRACKS, (int)chance(4000), world->now);
        break;
    case 8:
        rule_missing_take(world->rule, &layer->missing, missing, world->now);
        break;
    case 9:
        one->egress.temporal_target = (int)chance(5) - 1;
        break;
    case 10:
        layer->clock = (struct rule_clock){(uint64_t)chance(1 << 30) << 32, chance(1u << 31), world->now, true};
        break;
    case 11:
        rule_write_feedback(world->peers[0], world->now, control, world);
        break;
    case 12:
        layer->alive = chance(3) != 0;
        break;
    default:
        rule_subscription_free(one);
        make_subscription(world, peer, track);
    }
}

static void drain_news(struct world *world) {
    struct rule_event event;
    while (rule_next_event(world->rule, &event))
        if (!event.kinds)
            abort();
}

int main(int count, char **arguments) {
    uint64_t inputs = count > 1 ? strtoull(arguments[1], NULL, 10) : 100000;
    chance_state = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    struct world world = {.now = 100};
    world.rule = rule_new(&RULE_LIMITS);
    rule_set_sink(world.rule, (struct rule_sink){.context = &world, .reserve = reserve, .commit = commit, .control = control});
    for (int peer = 0; peer < PEERS; peer++) {
        world.peers[peer] = rule_peer_new(world.rule, (void *)(intptr_t)(peer + 1));
        rule_peer_set_out(world.peers[peer], &world);
    }
    world.peers[0]->feedback_id = 5;
    for (int track = 0; track < TRACKS; track++)
        build_track(&world, track);
    for (uint64_t input = 0; input < inputs; input++) {
        uint8_t packet[4096];
        size_t size = make_packet(&world, packet);
        uint8_t *exact = malloc(size ? size : 1);
        memcpy(exact, packet, size);
        rule_receive(world.rule, world.peers[0], exact, size, world.now);
        free(exact);
        world.now += chance(5) ? 0.0005 : 0.004;
        decide_stuck(&world);
        if (!chance(8))
            decide(&world);
        if (!chance(3))
            hear(&world);
        if (!chance(6))
            report(&world);
        if (!chance(4))
            drain_news(&world);
        rule_run(world.rule, world.now);
        if (!chance(20000)) {
            int track = (int)chance(TRACKS);
            drop_track(&world, track);
            build_track(&world, track);
        }
    }
    for (int track = 0; track < TRACKS; track++)
        drop_track(&world, track);
    for (int peer = 0; peer < PEERS; peer++)
        rule_peer_free(world.peers[peer]);
    struct rule_stats stats = rule_stats(world.rule);
    printf("{\"inputs\": %llu, \"sent\": %llu, \"heard\": %llu, \"told\": %llu, \"left_in_pool\": %d}\n",
           (unsigned long long)stats.received, (unsigned long long)world.out, (unsigned long long)world.heard,
           (unsigned long long)world.told, stats.pool_used);
    rule_free(world.rule);
    return stats.pool_used != 0;
}
