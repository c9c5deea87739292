/* What a receiver says of the packets that came: media/relay/hearing, and the reading half of media/rtp/twcc.
 *
 * Transport-wide feedback is read, compared with what left, and shown to the delay gradient as it comes. While
 * Python has nothing to decide it is gathered; otherwise each is told of (RULE_HEARD) and fetched whole. */
#include "rule_tables.h"

#include <stdlib.h>

#define TICK_S 0.00025
#define REFERENCE_S 0.064
#define FIXED 16 /* sender, media, base, count, reference time and feedback count */

enum { RTPFB = 205, TRANSPORT_FEEDBACK = 15, NOT_RECEIVED = 0, RESERVED = 3, CHUNK_SYMBOLS = 14 };

/* -- reading (twcc.parse) --------------------------------------------------------------------------------- */

struct chunk {
    int count; /* packets spoken of; 0 = broken */
    bool run;  /* all of them are `symbols[0]` */
    uint8_t symbols[CHUNK_SYMBOLS];
};

static struct chunk read_chunk(const uint8_t *body, size_t size, size_t *at, int left) {
    struct chunk chunk = {.count = 0};
    if (*at + 2 > size)
        return chunk;
    unsigned word = rule_get16(body + *at);
    *at += 2;
    if (!(word & 0x8000)) {
        int run = (int)(word & 0x1FFF);
        chunk.run = true;
        chunk.symbols[0] = word >> 13 & 3;
        chunk.count = run < left ? run : left;
        return chunk;
    }
    bool two_bits = word & 0x4000;
    int most = two_bits ? 7 : 14;
    chunk.count = most < left ? most : left;
    for (int index = 0; index < chunk.count; index++)
        chunk.symbols[index] = two_bits ? word >> (12 - 2 * index) & 3 : word >> (13 - index) & 1;
    return chunk;
}

/* A symbol is the number of bytes of its delta. */
static bool is_readable(const uint8_t *body, size_t size, int most, size_t *deltas_at) {
    if (size < FIXED)
        return false;
    int count = rule_get16(body + 10);
    size_t at = FIXED, deltas = 0;
    if (count < 1 || count > most)
        return false;
    for (int spoken = 0; spoken < count;) {
        struct chunk chunk = read_chunk(body, size, &at, count - spoken);
        if (!chunk.count)
            return false;
        for (int index = 0; index < (chunk.run ? 1 : chunk.count); index++) {
            if (chunk.symbols[index] == RESERVED)
                return false;
            deltas += (size_t)chunk.symbols[index] * (chunk.run ? (size_t)chunk.count : 1);
        }
        spoken += chunk.count;
    }
    *deltas_at = at;
    return at + deltas <= size;
}

/* -- what left (hearing.SentLog) -------------------------------------------------------------------------- */

static bool acknowledge(struct rule_peer *peer, int64_t told, double arrived_at, struct rule_told *found) {
    int mask = peer->rule->limits.estimate_sent - 1;
    if (!peer->sent)
        return false;
    struct rule_sent_number *entry = &peer->sent[told & mask];
    int64_t newest = peer->number - 1, number = newest - ((newest - told) & mask);
    if (entry->size < 0 || (number - told) & 0xFFFF)
        return false;
    *found = (struct rule_told){number, entry->at, arrived_at, entry->size};
    entry->size = -1;
    return true;
}

/* -- gathering -------------------------------------------------------------------------------------------- */

static bool keep_told(struct rule_hearing *hearing, const struct rule_told *told, int most) {
    if (hearing->told_count == hearing->told_room) {
        int room = hearing->told_room ? 2 * hearing->told_room : 32;
        room = room < most ? room : most;
        struct rule_told *larger = room > hearing->told_room
                                       ? realloc(hearing->told, (size_t)room * sizeof *larger)
                                       : NULL;
        if (!larger)
            return false; /* counted as arrived, and not told of one by one */
        hearing->told = larger;
        hearing->told_room = room;
    }
    hearing->told[hearing->told_count++] = *told;
    return true;
}

struct news { /* one feedback, read */
    struct rule_heard heard;
    struct rule_rate rate; /* of those with bytes */
    struct rule_told luckiest, last;
    int timed;
};

static void note(struct rule_hearing *hearing, struct news *news, const struct rule_told *told) {
    if (!told->size)
        return; /* sent twice: when it arrives tells nothing */
    if (!news->timed++ || told->arrived_at - told->sent_at < news->luckiest.arrived_at - news->luckiest.sent_at)
        news->luckiest = *told;
    news->last = *told;
    news->rate = (struct rule_rate){told->arrived_at, news->rate.size + told->size};
    if (!hearing->probing || told->number < hearing->probe_first || told->number > hearing->probe_last)
        rule_gradient_packet(&hearing->gradient, told->sent_at, told->arrived_at);
}

/* Whether more came with the newest two feedbacks than is expected; pictures make one alone uneven. */
static bool grows(struct rule_hearing *hearing, const struct news *news) {
    if (!news->timed)
        return false;
    int64_t octets = hearing->newest.size + news->rate.size;
    double seconds = news->rate.at - hearing->before_at;
    hearing->before_at = hearing->newest.at;
    hearing->newest = news->rate;
    return (double)(8 * octets) > hearing->calm_bps * seconds;
}

static bool is_calm(const struct rule_hearing *hearing, const struct news *news) {
    const struct rule_heard *heard = &news->heard;
    return hearing->calm_until > -INFINITY && !heard->silent && heard->expected > 0 &&
           heard->expected == heard->arrived && heard->signal == RULE_NORMAL && news->timed &&
           news->last.arrived_at - news->last.sent_at <= hearing->calm_delay;
}

static void add_rate(struct rule_hearing *hearing, struct rule_heard *record, struct rule_rate rate) {
    if (hearing->rate_count == RULE_HEARD_RATES) {
        struct rule_rate *last = &hearing->rates[hearing->rate_count - 1];
        *last = (struct rule_rate){rate.at, last->size + rate.size};
        return;
    }
    hearing->rates[hearing->rate_count++] = rate;
    record->rates++;
}

static void join(struct rule_heard *record, const struct rule_heard *heard) {
    record->at = heard->at;
    record->silent |= heard->silent;
    record->signal = heard->signal;
    record->expected += heard->expected;
    record->arrived += heard->arrived;
    record->feedbacks++;
}

/* What was gathered and may take another one; a free place; NULL = neither. */
static struct rule_heard *gathered(struct rule_hearing *hearing, int most_feedbacks) {
    struct rule_heard *last = hearing->count ? &hearing->records[hearing->count - 1] : NULL;
    if (last && last->calm)
        return last->feedbacks < most_feedbacks ? last : NULL;
    return hearing->count < RULE_HEARD_RECORDS ? &hearing->records[hearing->count] : NULL;
}

/* Into it; of the packets the luckiest and the last are kept. */
static void gather(struct rule_hearing *hearing, struct rule_heard *record, const struct news *news, int most_told) {
    struct rule_told luckiest = news->luckiest;
    if (record == &hearing->records[hearing->count]) {
        hearing->count++;
        *record = news->heard;
        record->calm = true;
    } else {
        const struct rule_told *before = &hearing->told[hearing->told_count - record->told];
        if (record->told && before->arrived_at - before->sent_at <= luckiest.arrived_at - luckiest.sent_at)
            luckiest = *before;
        hearing->told_count -= record->told;
        record->told = 0;
        join(record, &news->heard);
    }
    if (luckiest.number != news->last.number)
        record->told += keep_told(hearing, &luckiest, most_told);
    record->told += keep_told(hearing, &news->last, most_told);
    add_rate(hearing, record, news->rate);
}

/* `body` was found readable; false when there is nothing to look at yet. */
static bool take_feedback(struct rule_peer *peer, const uint8_t *body, size_t size, size_t deltas_at, double now) {
    struct rule_hearing *hearing = peer->hearing;
    const struct rule_limits *limits = &peer->rule->limits;
    int count = rule_get16(body + 10), told_before = hearing->told_count;
    int64_t base = rule_unwrap(&hearing->numbers, rule_get16(body + 8));
    double reference = (double)rule_unwrap(&hearing->references, rule_get32(body + 12) >> 8) * REFERENCE_S;
    struct news news = {.heard = {.at = now, .feedbacks = 1}};
    struct rule_heard *heard = &news.heard;
    heard->silent = hearing->heard && now - hearing->heard_at > limits->silence_s;
    hearing->heard = true;
    hearing->heard_at = now;
    if (heard->silent)
        rule_gradient_reset(&hearing->gradient);
    size_t at = FIXED;
    int64_t ticks = 0;
    for (int spoken = 0; spoken < count;) {
        struct chunk chunk = read_chunk(body, size, &at, count - spoken);
        for (int index = 0; index < chunk.count; index++) {
            int symbol = chunk.symbols[chunk.run ? 0 : index];
            struct rule_told told;
            if (symbol == NOT_RECEIVED)
                continue;
            ticks += symbol == 1 ? body[deltas_at] : (int16_t)rule_get16(body + deltas_at);
            deltas_at += (size_t)symbol;
            if (!acknowledge(peer, base + spoken + index, reference + (double)ticks * TICK_S, &told))
                continue;
            heard->arrived++;
            heard->told += keep_told(hearing, &told, limits->heard_packets);
            note(hearing, &news, &told);
        }
        spoken += chunk.count;
    }
    int64_t end = base + count;
    heard->expected = hearing->spoken && end > hearing->end ? end - hearing->end : 0;
    hearing->end = hearing->spoken && hearing->end > end ? hearing->end : end;
    hearing->spoken = true;
    heard->signal = hearing->gradient.signal;
    bool more = grows(hearing, &news);
    struct rule_heard *record = !more && is_calm(hearing, &news) ? gathered(hearing, limits->heard_feedbacks) : NULL;
    if (record) {
        hearing->told_count = told_before;
        heard->told = 0;
        gather(hearing, record, &news, limits->heard_packets);
        return now >= hearing->calm_until;
    }
    if (hearing->count == RULE_HEARD_RECORDS) {
        struct rule_heard *last = &hearing->records[hearing->count - 1];
        join(last, heard);
        last->calm = false;
        last->told += heard->told;
        if (news.timed)
            add_rate(hearing, last, news.rate);
        return true;
    }
    record = &hearing->records[hearing->count++];
    *record = *heard;
    if (news.timed)
        add_rate(hearing, record, news.rate);
    return true;
}

static struct rule_hearing *hearing_of(struct rule_peer *peer) {
    if (peer->hearing)
        return peer->hearing;
    struct rule_hearing *hearing = peer->hearing = calloc(1, sizeof *hearing);
    if (!hearing)
        return NULL;
    rule_unwrapper_init(&hearing->numbers, 16);
    rule_unwrapper_init(&hearing->references, 24);
    rule_gradient_init(&hearing->gradient);
    hearing->calm_until = hearing->before_at = hearing->newest.at = -INFINITY;
    hearing->calm_bps = INFINITY;
    return hearing;
}

bool rule_hear(struct rule_peer *peer, const uint8_t *rtcp, size_t size, double now) {
    size_t deltas_at;
    if (size < 4 || rtcp[0] >> 6 != 2 || (rtcp[0] & 0x1F) != TRANSPORT_FEEDBACK || rtcp[1] != RTPFB ||
        4 + 4 * (size_t)rule_get16(rtcp + 2) != size ||
        !is_readable(rtcp + 4, size - 4, peer->rule->limits.twcc_statuses, &deltas_at))
        return rule_take_reports(peer, rtcp, size, now);
    if (!hearing_of(peer))
        return true; /* without memory this peer's line is not estimated */
    if (take_feedback(peer, rtcp + 4, size - 4, deltas_at, now))
        rule_tell(peer->rule, RULE_OF_PEERS, &peer->news, RULE_HEARD);
    return true;
}

/* All that was heard is the caller's, `told` to be freed; nothing has been heard from now on. */
void rule_heard_take(struct rule_peer *peer, struct rule_heard_all *all) {
    struct rule_hearing *hearing = peer->hearing;
    *all = (struct rule_heard_all){.count = 0};
    if (!hearing)
        return;
    all->count = hearing->count;
    memcpy(all->records, hearing->records, (size_t)hearing->count * sizeof *all->records);
    memcpy(all->rates, hearing->rates, (size_t)hearing->rate_count * sizeof *all->rates);
    all->told = hearing->told;
    hearing->told = NULL;
    hearing->count = hearing->told_count = hearing->told_room = hearing->rate_count = 0;
}

/* Feedbacks that tell nothing new are gathered: nothing lost, nobody waited for longer than `delay`, and no more came than
 * `most_bps`. From `until` on what was gathered is told of with the next one. -INFINITY: nothing is gathered. */
void rule_be_calm(struct rule_peer *peer, double until, double delay, double most_bps) {
    struct rule_hearing *hearing = hearing_of(peer);
    if (!hearing)
        return;
    hearing->calm_until = until;
    hearing->calm_delay = delay;
    hearing->calm_bps = most_bps;
}

/* Packets from `first` to `last` make a queue that is ours: the gradient does not see them. */
void rule_probing(struct rule_peer *peer, bool probing, int64_t first, int64_t last) {
    struct rule_hearing *hearing = hearing_of(peer);
    if (!hearing)
        return;
    hearing->probing = probing;
    hearing->probe_first = first;
    hearing->probe_last = last;
}

/* The way may be another one. */
void rule_forget_delays(struct rule_peer *peer) {
    if (peer->hearing)
        rule_gradient_reset(&peer->hearing->gradient);
}

void rule_hearing_free(struct rule_peer *peer) {
    if (peer->hearing)
        free(peer->hearing->told);
    free(peer->hearing);
}
