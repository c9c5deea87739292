/* What a publisher is told of its uplink, written: media/rtp/arrivals (FeedbackWriter), and the writing half of
 * media/rtp/twcc. Where a sink takes control packets the rule sends them by itself, all publishers on one time grid. */
#include "rule_tables.h"

#include <stdlib.h>

#define TICK_S 0.00025
#define TICKS_PER_REFERENCE 256

enum { RTPFB = 205, TRANSPORT_FEEDBACK = 15, HEAD = 20, MAX_DELTA = 0x7FFF, MAX_RUN = 0x1FFF };
enum { NOT_RECEIVED, SMALL, LARGE };

struct writer {
    const struct rule_limits *limits;
    uint8_t *symbols; /* of one packet; room for `twcc_statuses` and 14 */
    uint8_t *packet;
    size_t room;
    rule_control_function send;
    void *context;
};

/* Where one packet's share of the arrivals ends. */
static int share_end(const struct writer *writer, const struct rule_arrival *all, int count, int at, int64_t base) {
    int64_t before = all[at].ticks;
    int end = at;
    while (end < count && end - at < writer->limits->twcc_packet_arrivals) {
        if (all[end].number - base >= writer->limits->twcc_statuses || llabs(all[end].ticks - before) > MAX_DELTA)
            break;
        before = all[end++].ticks;
    }
    return end;
}

/* Status chunks, each the one that says most (twcc._chunks); where they end. */
static uint8_t *put_chunks(uint8_t *out, const uint8_t *symbols, int count) {
    for (int at = 0; at < count;) {
        int left = count - at, run = 1, ahead = left < 14 ? left : 14, most = 14;
        while (run < left && run < MAX_RUN && symbols[at + run] == symbols[at])
            run++;
        for (int index = 0; index < ahead; index++)
            most = symbols[at + index] == LARGE ? 7 : most;
        unsigned word;
        if (run >= (ahead < most ? ahead : most)) {
            word = (unsigned)symbols[at] << 13 | (unsigned)run;
            most = run;
        } else {
            word = most == 14 ? 0x8000 : 0xC000;
            for (int index = 0; index < ahead && index < most; index++)
                word |= (unsigned)symbols[at + index] << (most == 14 ? 13 - index : 12 - 2 * index);
        }
        rule_put16(out, word);
        out += 2;
        at += most;
    }
    return out;
}

static uint8_t *put_delta(uint8_t *out, int64_t delta, uint8_t *symbol) {
    *symbol = delta >= 0 && delta <= 0xFF ? SMALL : LARGE;
    if (*symbol == SMALL)
        *out = (uint8_t)delta;
    else
        rule_put16(out, (unsigned)delta & 0xFFFF);
    return out + *symbol;
}

static void write_packet(const struct writer *writer, struct rule_peer *peer, const struct rule_arrival *all,
                         int count, int64_t base) {
    int64_t reference = all[0].ticks / TICKS_PER_REFERENCE, before = reference * TICKS_PER_REFERENCE;
    int statuses = (int)(all[count - 1].number - base + 1);
    uint8_t deltas[2 * RULE_FEEDBACK_ARRIVALS], *delta = deltas, *packet = writer->packet;
    memset(writer->symbols, NOT_RECEIVED, (size_t)statuses);
    for (int index = 0; index < count; index++) {
        delta = put_delta(delta, all[index].ticks - before, &writer->symbols[all[index].number - base]);
        before = all[index].ticks;
    }
    uint8_t *end = put_chunks(packet + HEAD, writer->symbols, statuses);
    memcpy(end, deltas, (size_t)(delta - deltas));
    end += delta - deltas;
    while ((end - packet) % 4)
        *end++ = 0;
    packet[0] = 0x80 | TRANSPORT_FEEDBACK;
    packet[1] = RTPFB;
    rule_put16(packet + 2, (unsigned)(end - packet) / 4 - 1);
    rule_put32(packet + 4, peer->local_ssrc);
    rule_put32(packet + 8, peer->feedback_ssrc);
    rule_put16(packet + 12, (unsigned)(base & 0xFFFF));
    rule_put16(packet + 14, (unsigned)statuses);
    rule_put32(packet + 16, (uint32_t)(reference & 0xFFFFFF) << 8 | peer->feedback_count++);
    writer->send(writer->context, peer->out, packet, (size_t)(end - packet));
}

static void write_all(const struct writer *writer, struct rule_peer *peer, const struct rule_arrival *all, int count,
                      double now) {
    int64_t base = peer->arrivals.first;
    for (int at = 0; at < count;) {
        if (all[at].number - base >= writer->limits->twcc_statuses)
            base = all[at].number; /* a jump of the sender; nothing can be said of what lies between */
        int end = share_end(writer, all, count, at, base);
        write_packet(writer, peer, all + at, end - at, base);
        base = all[end - 1].number + 1;
        at = end;
    }
    if (count)
        rule_arrivals_told(peer, base, (int64_t)((now - writer->limits->twcc_late_s) / TICK_S));
}

/* Each packet of what is due goes to `send`; from now on nothing is. Without memory nothing is told this time. */
void rule_write_feedback(struct rule_peer *peer, double now, rule_control_function send, void *context) {
    struct rule *rule = peer->rule;
    const struct rule_limits *limits = &rule->limits;
    size_t statuses = (size_t)limits->twcc_statuses + 14, room = HEAD + statuses / 7 * 2 + 2 + 2 * RULE_FEEDBACK_ARRIVALS + 4;
    peer->feedback_due = INFINITY;
    if (!rule->scratch)
        rule->scratch = malloc((size_t)limits->arrivals * sizeof(struct rule_arrival) + statuses + room);
    if (!rule->scratch)
        return;
    struct rule_arrival *told = rule->scratch;
    uint8_t *symbols = (uint8_t *)(told + limits->arrivals);
    struct writer writer = {limits, symbols, symbols + statuses, room, send, context};
    write_all(&writer, peer, told, rule_arrivals_untold(peer, told), now);
}

/* -- by the rule itself ----------------------------------------------------------------------------------- */

void rule_plan_feedback(struct rule_peer *peer) {
    struct rule *rule = peer->rule;
    if (peer->feedback_due < rule->feedback_due)
        rule->feedback_due = peer->feedback_due;
    if (peer->telling)
        return;
    peer->telling = true;
    peer->previous_telling = NULL;
    peer->next_telling = rule->telling_peers;
    if (rule->telling_peers)
        rule->telling_peers->previous_telling = peer;
    rule->telling_peers = peer;
}

void rule_forget_feedback(struct rule_peer *peer) {
    if (!peer->telling)
        return;
    peer->telling = false;
    if (peer->previous_telling)
        peer->previous_telling->next_telling = peer->next_telling;
    else
        peer->rule->telling_peers = peer->next_telling;
    if (peer->next_telling)
        peer->next_telling->previous_telling = peer->previous_telling;
}

/* So many in one call, that packets wait no longer than that; the others are due still. */
void rule_tell_publishers(struct rule *rule, double now) {
    int left = rule->limits.feedback_turn;
    double due = INFINITY;
    for (struct rule_peer *peer = rule->telling_peers, *next; peer; peer = next) {
        next = peer->next_telling;
        if (peer->feedback_due <= now && left-- > 0) {
            rule_forget_feedback(peer);
            rule_write_feedback(peer, now, rule->sink.control, rule->sink.context);
        } else if (peer->feedback_due < due) {
            due = peer->feedback_due;
        }
    }
    rule->feedback_due = due;
}
