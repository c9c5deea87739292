/* Retransmission, in and out: media/relay/rtx, again, history.RetransmissionBudget.
 *
 * RFC 4588 section 4: an RTX packet has its own SSRC, payload type and sequence numbers; its payload is the
 * original sequence number (two bytes) and the original payload. */
#include "rule_tables.h"

#include <stdlib.h>

/* The packet inside an RTX packet; false for padding and probes without one. */
bool rule_unwrap_rtx(struct rule_layer *layer, const uint8_t *data, const struct rule_header *header,
                     int payload_type, struct rule_packet *packet) {
    size_t start = header->payload_start, end = header->payload_end;
    if (end - start <= 2)
        return false;
    memcpy(packet->data, data, start);
    memcpy(packet->data + start, data + start + 2, end - start - 2);
    packet->size = (uint16_t)(end - 2);
    packet->data[0] &= 0xDF; /* the padding went away with the rest */
    packet->data[1] = (uint8_t)((data[1] & 0x80) | payload_type);
    memcpy(packet->data + 2, data + start, 2);
    rule_put32(packet->data + 8, (uint32_t)layer->ssrc);
    return true;
}

/* A packet that left with this number, and its numbers, while both are remembered; without the first it may be NULL. */
static struct rule_packet *find_sent(struct rule_subscription *subscription, uint16_t sequence,
                                     struct rule_sent **entry) {
    *entry = NULL;
    if (!subscription->egress.sent)
        return NULL;
    struct rule_sent *found = &subscription->egress.sent[sequence & (subscription->rule->limits.sent_packets - 1)];
    if (found->out != sequence)
        return NULL;
    *entry = found;
    return rule_history_get(&subscription->producer->layers[(*entry)->layer].history, (*entry)->sequence);
}

/* Whether it may be sent again now; counts it when it may. Bounds what one consumer can have, however often it asks. */
static bool allows(struct rule_subscription *subscription, double *resent_at, double now, double queued_s) {
    const struct rule_limits *limits = &subscription->rule->limits;
    if (now - subscription->refilled_at >= limits->rtx_repeat_s) {
        double more = subscription->budget + (now - subscription->refilled_at) * limits->rtx_per_second;
        subscription->budget = more < limits->rtx_per_second ? more : limits->rtx_per_second;
        subscription->refilled_at = now;
    }
    bool recent = subscription->refilled_at - *resent_at < limits->rtx_repeat_s + queued_s;
    if (subscription->budget < 1 || recent) {
        subscription->budget_refused++;
        return false;
    }
    subscription->budget -= 1;
    *resent_at = now;
    return true;
}

/* -- voices: byte for byte (RFC 7714 section 8.1; media/relay/again) ---------------------------------------- */

static struct rule_spoken *spoken(const struct rule_subscription *subscription, uint16_t sequence) {
    const struct rule_limits *limits = &subscription->rule->limits;
    size_t stride = (sizeof(struct rule_spoken) + (size_t)limits->voice_bytes + 7) / 8 * 8;
    return (struct rule_spoken *)(subscription->spoken + stride * (sequence & (limits->voice_sent - 1)));
}

struct rule_spoken *rule_keep(struct rule_subscription *subscription, uint16_t out, const uint8_t *packet, size_t size,
                              int number_at) {
    const struct rule_limits *limits = &subscription->rule->limits;
    if (!subscription->voice || size > (size_t)limits->voice_bytes)
        return NULL;
    size_t stride = (sizeof(struct rule_spoken) + (size_t)limits->voice_bytes + 7) / 8 * 8;
    if (!subscription->spoken && !(subscription->spoken = calloc((size_t)limits->voice_sent, stride)))
        return NULL;
    struct rule_spoken *one = spoken(subscription, out);
    one->resent_at = -INFINITY;
    one->out = out;
    one->size = (uint16_t)size;
    one->number_at = (int16_t)number_at;
    memcpy(one->data, packet, size);
    if (number_at >= 0) /* the one that it gets when it leaves */
        rule_put16(one->data + number_at, (unsigned)(subscription->outlet->number & 0xFFFF));
    return one;
}

static struct rule_spoken *find_spoken(const struct rule_subscription *subscription, uint16_t sequence) {
    struct rule_spoken *one = subscription->spoken ? spoken(subscription, sequence) : NULL;
    return one && one->size && one->out == sequence ? one : NULL;
}

static void say_again(struct rule_subscription *subscription, const struct rule_spoken *one, double now) {
    if (!rule_repeat(subscription->outlet, one->data, one->size, one->number_at, now))
        subscription->refused++;
}

void rule_kept(struct rule_subscription *subscription, struct rule_spoken *kept, double now) {
    for (int copy = 0; kept && copy < subscription->outlet->voice_copies; copy++) {
        int back = subscription->rule->limits.voice_twice_after + copy;
        struct rule_spoken *before = find_spoken(subscription, (uint16_t)(kept->out - back));
        if (before)
            say_again(subscription, before, now);
    }
}

static int retransmit_voice(struct rule_subscription *subscription, const uint16_t *sequences, int count, double now) {
    int found = 0;
    for (int index = 0; index < count; index++) {
        struct rule_spoken *one = find_spoken(subscription, sequences[index]);
        if (!one || !allows(subscription, &one->resent_at, now, 0))
            continue;
        say_again(subscription, one, now);
        found++;
    }
    subscription->retransmitted += (uint64_t)found;
    return found;
}

/* -- pictures: by RTX --------------------------------------------------------------------------------------- */

static int send_again(struct rule_subscription *subscription, const struct rule_packet *packet,
                      const struct rule_sent *entry, double now) {
    struct rule_written written = {entry->timestamp, entry->picture_id, entry->tl0, (uint16_t)entry->out};
    size_t size = (size_t)packet->size + 2;
    subscription->rtx_sequence++;
    uint8_t *room = rule_reserve(subscription->outlet, size);
    if (!room) {
        subscription->refused++;
        return (int)size;
    }
    rule_write(packet, &subscription->egress, &written, rule_send_time(now), room, 2);
    rule_put16(room + packet->payload_start, written.out);
    room[1] = (uint8_t)((room[1] & 0x80) | subscription->rtx_payload_type);
    rule_put16(room + 2, subscription->rtx_sequence);
    rule_put32(room + 8, subscription->rtx_ssrc);
    int number_at = subscription->numbered ? packet->number_at : -1;
    if (!rule_commit(subscription->outlet, room, size, number_at, now))
        subscription->refused++;
    return (int)size;
}

/* Whether this was sent of the layer that is sent now, is kept no more, and no key frame came since (again._is_gone). */
static bool is_gone(const struct rule_subscription *subscription, const struct rule_sent *entry, double now) {
    const struct rule_layer *current = subscription->current;
    if (!entry || !current || &subscription->producer->layers[entry->layer] != current)
        return false;
    return now - current->frames.key_at >= subscription->rule->limits.history_s;
}

/* Answer a NACK by RTX from the layers' histories, at the line's pace; how many can be (again.retransmit). */
int rule_retransmit(struct rule_subscription *subscription, const uint16_t *sequences, int count, double now) {
    const struct rule_pacer *pacer = &subscription->outlet->pacer;
    bool gone = false;
    int found = 0;
    if (subscription->voice)
        return retransmit_voice(subscription, sequences, count, now);
    for (int index = 0; index < count; index++) {
        struct rule_sent *entry;
        struct rule_packet *packet = find_sent(subscription, sequences[index], &entry);
        if (!packet) {
            gone = gone || is_gone(subscription, entry, now);
            continue;
        }
        bool waits = now < pacer->open_at;
        if (waits && rule_resends(subscription, sequences[index]))
            continue;
        if (!allows(subscription, &entry->resent_at, now, pacer->queued_s))
            continue;
        if (waits) {
            struct rule_waiting item = {.subscription = subscription};
            item.sequence = sequences[index];
            item.size = packet->size + 2;
            rule_hold(subscription->outlet, item, now);
        } else {
            send_again(subscription, packet, entry, now);
        }
        found++;
    }
    subscription->retransmitted += (uint64_t)found;
    if (gone)
        rule_tell(subscription->rule, RULE_OF_SUBSCRIPTIONS, &subscription->news, RULE_STARVED);
    return found;
}

/* Send one packet again if it is still there; its size in bytes, or 0. */
int rule_resend(struct rule_subscription *subscription, uint16_t sequence, double now) {
    struct rule_sent *entry;
    struct rule_packet *packet = find_sent(subscription, sequence, &entry);
    return packet ? send_again(subscription, packet, entry, now) : 0;
}

void rule_resend_waiting(struct rule_subscription *subscription, uint16_t sequence, double now) {
    struct rule_sent *entry;
    struct rule_packet *packet = find_sent(subscription, sequence, &entry);
    if (!packet)
        return;
    send_again(subscription, packet, entry, now);
    entry->resent_at = now;
}

/* A packet of padding alone, as long as one can be: RFC 3550 section 5.1, 255 bytes, and a transport-wide number. */
static size_t send_padding(struct rule_subscription *subscription, double now) {
    static const uint8_t extension[] = {0xBE, 0xDE, 0, 1};
    struct rule_peer *peer = subscription->outlet;
    size_t size = 12 + 8 + 255;
    subscription->rtx_sequence++;
    uint8_t *room = rule_reserve(peer, size);
    if (!room)
        return size;
    memset(room, 0, size);
    room[0] = 0x80 | 0x20 | 0x10;
    room[1] = (uint8_t)subscription->rtx_payload_type;
    rule_put16(room + 2, subscription->rtx_sequence);
    rule_put32(room + 4, subscription->egress.started ? subscription->egress.last_timestamp : 0);
    rule_put32(room + 8, subscription->rtx_ssrc);
    memcpy(room + 12, extension, sizeof extension);
    room[16] = (uint8_t)(subscription->numbered << 4 | 1);
    room[size - 1] = 255;
    rule_commit(peer, room, size, 17, now);
    return size;
}

static int pad_with_newest(const struct rule *rule, struct rule_subscription *subscription, int least, double now) {
    uint16_t newest = (uint16_t)subscription->egress.sequences.newest_out;
    int sent = 0, back = 0, size;
    while (sent < least && (size = rule_resend(subscription, (uint16_t)(newest - back), now))) {
        sent += size;
        back = (back + 1) % rule->limits.padding_history;
    }
    return sent;
}

/* Send at least so many bytes that carry nothing new; how many, 0 when no track has RTX (plane.pad). */
int rule_pad(struct rule_peer *peer, struct rule_subscription *const *subscriptions, int count, int least, double now) {
    struct rule_subscription *able = NULL;
    for (int index = 0; index < count; index++) {
        struct rule_subscription *one = subscriptions[index];
        if (one->rtx_payload_type < 0 || !one->numbered)
            continue;
        if (!able)
            able = one;
        int sent = pad_with_newest(peer->rule, one, least, now);
        if (sent)
            return sent;
    }
    int sent = 0;
    while (able && sent < least)
        sent += (int)send_padding(able, now);
    return sent;
}
