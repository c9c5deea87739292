/* Reports (RFC 3550 section 6.4): what publishers and receivers are told, and what they tell. The twin of
 * media/relay/reports, of feedback.Reception.report, feedback.Rate, and the reading of reports in media/rtp/rtcp. */
#include "rule_tables.h"

enum { SR = 200, RR = 201, SDES = 202, CNAME = 1, BLOCK = 24, SENDER = 28, HEADER = 4, COMPOUND_ROOM = 2048 };

static const double SHORT_S = 65536, NTP_S = 4294967296.0; /* 16.16 fixed point, NTP's fraction */

/* -- what is told ----------------------------------------------------------------------------------------- */

static void put64(uint8_t *at, uint64_t value) {
    rule_put32(at, (uint32_t)(value >> 32));
    rule_put32(at + 4, (uint32_t)value);
}

static void put_header(uint8_t *at, int count, int kind, size_t size) {
    at[0] = (uint8_t)(0x80 | count);
    at[1] = (uint8_t)kind;
    rule_put16(at + 2, (unsigned)(size / 4 - 1));
}

static void read_rate(struct rule_bitrate *rate, int64_t octets, double now) {
    if (rate->known && now > rate->at)
        rate->bps = llrint((double)(8 * (octets - rate->octets)) / (now - rate->at));
    rate->known = true;
    rate->at = now;
    rate->octets = octets;
}

static uint32_t short_from_seconds(double seconds) {
    double value = rint(seconds * SHORT_S);
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* For the time since the last one (RFC 3550 appendix A.3). */
static void put_block(struct rule_layer *layer, uint8_t *at, double now) {
    struct rule_reception *one = &layer->reception;
    int64_t expected = one->known ? one->highest - one->first + 1 : 0, packets = (int64_t)one->packets;
    int64_t due = expected - one->told_expected, lost = due - (packets - one->told_packets);
    one->told_expected = expected;
    one->told_packets = packets;
    int64_t fraction = due > 0 && lost > 0 ? (lost << 8) / due : 0, all = expected - packets;
    all = all < -0x800000 ? -0x800000 : all > 0x7FFFFF ? 0x7FFFFF : all;
    rule_put32(at, (uint32_t)layer->ssrc);
    rule_put32(at + 4, (uint32_t)(fraction > 255 ? 255 : fraction) << 24 | ((uint32_t)all & 0xFFFFFF));
    rule_put32(at + 8, (uint32_t)one->highest);
    rule_put32(at + 12, (uint32_t)one->jitter);
    rule_put32(at + 16, one->last_sr);
    rule_put32(at + 20, one->last_sr ? short_from_seconds(now - one->last_sr_at) : 0);
}

struct compound { /* what is written, until it leaves */
    struct rule_peer *peer;
    rule_control_function send;
    void *context;
    size_t used;
    uint8_t bytes[COMPOUND_ROOM];
};

static void send_compound(struct compound *compound) {
    if (compound->used)
        compound->send(compound->context, compound->peer->out, compound->bytes, compound->used);
    compound->used = 0;
}

static void send_blocks(struct compound *compound, int count) {
    put_header(compound->bytes, count, RR, compound->used);
    rule_put32(compound->bytes + 4, compound->peer->local_ssrc);
    send_compound(compound);
}

/* One block for each layer that has ever sent. */
static void tell_publisher(struct compound *compound, bool connected, double now) {
    const struct rule_limits *limits = &compound->peer->rule->limits;
    int count = 0;
    for (struct rule_producer *producer = compound->peer->producers; producer; producer = producer->next)
        for (int index = 0; index < producer->layer_count; index++) {
            struct rule_layer *layer = &producer->layers[index];
            read_rate(&layer->rate, (int64_t)layer->reception.octets, now);
            if (!connected || layer->ssrc < 0 || !layer->reception.packets)
                continue;
            if (!count)
                compound->used = 8;
            put_block(layer, compound->bytes + compound->used, now);
            compound->used += BLOCK;
            if (++count == limits->reports_per_packet) {
                send_blocks(compound, count);
                count = 0;
            }
        }
    if (count)
        send_blocks(compound, count);
}

/* The publisher's clock carried over to our timestamps, so that lips match voices; false when nothing can be said. */
static bool clock_now(const struct rule_subscription *one, uint64_t wall_ntp, double now, uint64_t *ntp,
                      uint32_t *timestamp) {
    const struct rule_layer *layer = one->current;
    const struct rule_egress *egress = &one->egress;
    if (!layer || !egress->started || one->started_at < 0)
        return false;
    if (layer->clock.known) {
        double elapsed = now - layer->clock.received_at;
        *ntp = layer->clock.ntp + (uint64_t)llrint(elapsed * NTP_S);
        *timestamp = layer->clock.rtp_timestamp + (uint32_t)llrint(elapsed * layer->clock_rate) + egress->timestamp_delta;
        return true;
    }
    *ntp = wall_ntp;
    *timestamp = egress->last_timestamp + (uint32_t)llrint((now - egress->last_sent_at) * layer->clock_rate);
    return now - one->started_at > one->rule->limits.without_reports_s;
}

/* Sender report and canonical name of one stream; its size, 0 = nothing can be said. */
static size_t put_sender(struct rule_subscription *one, uint8_t *at, uint64_t wall_ntp, double now) {
    uint64_t ntp;
    uint32_t timestamp;
    if (!clock_now(one, wall_ntp, now, &ntp, &timestamp))
        return 0;
    struct rule_answers *answers = &one->answers;
    int most = one->rule->limits.reports_kept;
    answers->sent[answers->next] = (struct rule_report_sent){(uint32_t)(ntp >> 16), now};
    answers->next = (answers->next + 1) % most;
    answers->count += answers->count < most;
    put_header(at, 0, SR, SENDER);
    rule_put32(at + 4, one->egress.ssrc);
    put64(at + 8, ntp);
    rule_put32(at + 16, timestamp);
    rule_put32(at + 20, (uint32_t)one->egress.packets);
    rule_put32(at + 24, (uint32_t)one->egress.octets);
    uint8_t *name = at + SENDER;
    size_t chunk = 4 + 2 + (size_t)one->cname_length, padding = 4 - chunk % 4, size = HEADER + chunk + padding;
    put_header(name, 1, SDES, size);
    rule_put32(name + 4, one->egress.ssrc);
    name[8] = CNAME;
    name[9] = one->cname_length;
    memcpy(name + 10, one->cname, one->cname_length);
    memset(name + HEADER + chunk, 0, padding);
    return SENDER + size;
}

/* A temporal layer moves inside the plane, and how many there are is seen here: Python is told when either did. */
static void tell_layers(struct rule_subscription *one) {
    const struct rule_producer *producer = one->producer;
    int seen = 0, layer = one->current ? one->current->index : -1;
    for (int index = 0; index < producer->layer_count; index++)
        for (int temporal = seen; temporal < RULE_TEMPORAL_LAYERS; temporal++)
            if (producer->layers[index].frames.spread[temporal])
                seen = temporal + 1;
    int told = (layer + 1) << 16 | (one->egress.temporal_current + 1) << 8 | seen;
    if (told != one->told_layers)
        rule_tell(one->rule, RULE_OF_SUBSCRIPTIONS, &one->news, RULE_SWITCHED);
    one->told_layers = told;
}

/* To be called once in a report interval: what there is to say goes to `send`, if the peer is connected. `wall_ntp` is
 * for who has not said what time it is. */
void rule_report(struct rule_peer *peer, bool connected, uint64_t wall_ntp, double now, rule_control_function send,
                 void *context) {
    struct compound compound;
    compound.peer = peer;
    compound.send = send;
    compound.context = context;
    compound.used = 0;
    size_t most = (size_t)peer->rule->limits.rtcp_bytes;
    tell_publisher(&compound, connected, now);
    for (struct rule_subscription *one = peer->leaving; one; one = one->next_leaving) {
        uint8_t part[512];
        read_rate(&one->rate, (int64_t)one->egress.octets, now);
        tell_layers(one);
        size_t size = put_sender(one, part, wall_ntp, now);
        if (!connected || !size)
            continue;
        if (compound.used && compound.used + size > most)
            send_compound(&compound);
        memcpy(compound.bytes + compound.used, part, size);
        compound.used += size;
    }
    send_compound(&compound);
}

/* -- what they tell --------------------------------------------------------------------------------------- */

/* The size of a chunk that holds one source's items; 0 = broken. */
static size_t chunk_size(const uint8_t *body, size_t size) {
    size_t at = 4;
    while (at < size && body[at]) {
        if (at + 2 > size || at + 2 + body[at + 1] > size)
            return 0;
        at += 2u + body[at + 1];
    }
    return at < size ? (at / 4 + 1) * 4 : 0;
}

static bool is_description(const uint8_t *body, size_t size, int count) {
    size_t at = 0;
    for (; count; count--) {
        size_t chunk = at + 4 <= size ? chunk_size(body + at, size - at) : 0;
        if (!chunk)
            return false;
        at += chunk;
    }
    return true;
}

/* Whether it is reports and descriptions alone, whole and without padding. */
static bool is_reports(const uint8_t *rtcp, size_t size) {
    size_t at = 0;
    while (at + HEADER <= size) {
        int count = rtcp[at] & 0x1F, kind = rtcp[at + 1];
        size_t words = rule_get16(rtcp + at + 2), body = 4 * words, blocks = BLOCK * (size_t)count;
        if (rtcp[at] >> 5 != 4 || at + HEADER + body > size)
            return false;
        if (kind == SR ? body < SENDER - HEADER + blocks
                       : kind == RR ? body < 4 + blocks
                                    : kind != SDES || !is_description(rtcp + at + HEADER, body, count))
            return false;
        at += HEADER + body;
    }
    return size && at == size;
}

/* The next one that the receiver speaks of is mostly the next one that leaves. */
static struct rule_subscription *spoken_of(struct rule_peer *peer, uint32_t ssrc) {
    struct rule_subscription *first = peer->spoken_of ? peer->spoken_of : peer->leaving, *one = first;
    while (one && one->egress.ssrc != ssrc) {
        one = one->next_leaving ? one->next_leaving : peer->leaving;
        if (one == first)
            return NULL;
    }
    if (one)
        peer->spoken_of = one->next_leaving;
    return one;
}

void rule_answered(struct rule_subscription *one, const struct rule_block *block, double now) {
    struct rule_answers *answers = &one->answers;
    int most = one->rule->limits.reports_kept;
    answers->known = true;
    answers->block = *block;
    for (int index = 0; index < answers->count; index++) {
        const struct rule_report_sent *sent = &answers->sent[(answers->next + most - answers->count + index) % most];
        if (!block->last_sr || sent->middle != block->last_sr)
            continue;
        double round_trip = now - sent->at - block->delay / SHORT_S;
        answers->round_trip = round_trip > 0.0 ? round_trip : 0.0;
    }
}

static void take_blocks(struct rule_peer *peer, const uint8_t *at, int count, double now) {
    for (; count; count--, at += BLOCK) {
        struct rule_subscription *one = spoken_of(peer, rule_get32(at));
        uint32_t lost = rule_get32(at + 4);
        struct rule_block block = {
            .fraction_lost = (int)(lost >> 24),
            .cumulative_lost = (int32_t)(lost << 8) >> 8,
            .highest = rule_get32(at + 8),
            .jitter = rule_get32(at + 12),
            .last_sr = rule_get32(at + 16),
            .delay = rule_get32(at + 20),
        };
        if (one)
            rule_answered(one, &block, now);
    }
}

void rule_learn_clock(struct rule_layer *layer, uint64_t ntp, uint32_t timestamp, double now) {
    layer->clock = (struct rule_clock){ntp, timestamp, now, true};
    layer->reception.last_sr = (uint32_t)(ntp >> 16);
    layer->reception.last_sr_at = now;
}

static void take_sender(struct rule_peer *peer, const uint8_t *at, double now) {
    const struct rule_route *route = rule_route(peer, rule_get32(at));
    uint64_t ntp = (uint64_t)rule_get32(at + 4) << 32 | rule_get32(at + 8);
    if (route && !route->is_rtx)
        rule_learn_clock(route->layer, ntp, rule_get32(at + 12), now);
}

/* Take a compound of reports and descriptions; false = it is another one, or broken: Python's. */
bool rule_take_reports(struct rule_peer *peer, const uint8_t *rtcp, size_t size, double now) {
    if (!is_reports(rtcp, size))
        return false;
    for (size_t at = 0; at < size; at += HEADER + 4 * (size_t)rule_get16(rtcp + at + 2)) {
        int count = rtcp[at] & 0x1F;
        if (rtcp[at + 1] == SR)
            take_sender(peer, rtcp + at + HEADER, now);
        if (rtcp[at + 1] == SR)
            take_blocks(peer, rtcp + at + SENDER, count, now);
        else if (rtcp[at + 1] == RR)
            take_blocks(peer, rtcp + at + 8, count, now);
    }
    return true;
}
