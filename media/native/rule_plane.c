/* From a peer's packet to each consumer's: media/relay/plane and transport.rtp_received. */
#include "rule_tables.h"

#include <stdlib.h>

/* -- out -------------------------------------------------------------------------------------------------- */

/* Where `timestamp` lies on the outgoing time line, by the layers' sender reports (plane._by_reports). */
static bool by_reports(const struct rule_subscription *subscription, const struct rule_layer *layer,
                       uint32_t timestamp, uint32_t *result) {
    const struct rule_layer *before = subscription->timeline;
    if (!before)
        return false;
    *result = timestamp + subscription->egress.timestamp_delta;
    if (before == layer)
        return true;
    if (!before->clock.known || !layer->clock.known)
        return false;
    uint64_t ntp = rule_ntp_of(&layer->clock, timestamp, layer->clock_rate);
    *result = rule_rtp_of(&before->clock, ntp, before->clock_rate) + subscription->egress.timestamp_delta;
    return true;
}

/* Continue the consumer's stream with `packet` of another layer, or after a pause (plane._switch). */
static void switch_layer(struct rule_subscription *subscription, struct rule_layer *layer,
                         const struct rule_packet *packet, double now) {
    struct rule_egress *egress = &subscription->egress;
    struct rule_layer *before = subscription->current;
    uint32_t reports = 0;
    bool reported = by_reports(subscription, layer, packet->timestamp, &reports);
    uint32_t timestamp = rule_continued(reported, reports, egress->started, egress->last_timestamp,
                                        now - egress->last_sent_at, subscription->clock_rate, packet->timestamp);
    rule_begin(egress, packet, timestamp - packet->timestamp);
    subscription->current = subscription->timeline = layer;
    subscription->starting = packet->timestamp;
    if (before)
        rule_unsubscribe(before, subscription);
    if (subscription->started_at < 0)
        subscription->started_at = now;
    rule_tell(subscription->rule, RULE_OF_SUBSCRIPTIONS, &subscription->news, RULE_SWITCHED);
}

/* Of redundant audio the newest block alone (RFC 2198; red.plain). */
static size_t leave_newest(const struct rule_packet *packet, int payload_type, uint8_t *room, size_t size) {
    size_t start = packet->payload_start, primary = (size_t)packet->primary_at;
    memmove(room + start, room + primary, size - primary);
    room[1] = (uint8_t)((room[1] & 0x80) | payload_type);
    return size - (primary - start);
}

/* Give one packet to one subscription; it gets its numbers here, however long it waited (plane.deliver). */
void rule_deliver(struct rule_subscription *subscription, struct rule_layer *layer, struct rule_packet *packet,
                  bool starts, uint32_t send_time, double now) {
    if (subscription->current != layer) {
        if (!starts || subscription->target != layer)
            return;
        switch_layer(subscription, layer, packet, now);
    }
    struct rule_egress *egress = &subscription->egress;
    struct rule_written written;
    if (!rule_rewrite(packet, egress, subscription->rule, layer->index, &written))
        return;
    uint8_t *room = rule_reserve(subscription->outlet, packet->size);
    if (!room) {
        subscription->refused++;
        return;
    }
    size_t size = rule_write(packet, egress, &written, send_time, room, 0);
    if (egress->plain_type >= 0 && packet->primary_at >= 0)
        size = leave_newest(packet, egress->plain_type, room, size);
    int number_at = subscription->numbered ? packet->number_at : -1;
    struct rule_spoken *kept = rule_keep(subscription, written.out, room, size, number_at);
    if (rule_commit(subscription->outlet, room, size, number_at, now)) {
        rule_kept(subscription, kept, now);
        return;
    }
    subscription->refused++;
    if (kept)
        kept->size = 0;
}

/* Whether a packet that may not leave yet is to wait. With a key frame the target begins now (plane._is_wanted). */
static bool is_wanted(struct rule_subscription *subscription, struct rule_layer *layer,
                      const struct rule_packet *packet, bool starts) {
    if (subscription->current == layer)
        return true;
    if (starts && subscription->target == layer)
        rule_start(subscription, packet->timestamp);
    return rule_begun(subscription) && subscription->target == layer;
}

/* Give one packet to every subscription that is on this layer, or may begin with this packet (plane.forward). */
void rule_forward(struct rule_layer *layer, struct rule_packet *packet, double now) {
    uint32_t send_time = rule_send_time(now);
    /* a key frame's late first packet is no start: what follows it has passed already */
    bool starts = packet->keyframe && packet->sequence >= layer->reception.highest;
    int count = layer->listed;
    layer->walked = true;
    for (int index = 0; index < count; index++) {
        struct rule_subscription *one = layer->subscribers[index].subscription;
        if (one->waits && now < one->outlet->pacer.open_at) {
            if (is_wanted(one, layer, packet, starts)) {
                struct rule_waiting item = {.subscription = one, .layer = layer, .packet = packet, .starts = starts};
                item.size = packet->size;
                rule_hold(one->outlet, item, now);
            }
            continue;
        }
        rule_deliver(one, layer, packet, starts, send_time, now);
    }
    rule_layer_walked(layer);
}

/* -- in --------------------------------------------------------------------------------------------------- */

static void note_keyframe(struct rule_layer *layer, const struct rule_packet *packet) {
    struct rule_vp8 descriptor;
    int start = packet->payload_start, end = packet->payload_end;
    if (layer->producer->ingress.codec == RULE_VP8 && rule_parse_vp8(packet->data, start, end, &descriptor))
        rule_vp8_size(packet->data, descriptor.end, end, &layer->width, &layer->height);
    for (int index = 0; index < layer->listed; index++) {
        const struct rule_subscription *one = layer->subscribers[index].subscription;
        if (one->target == layer && one->current != layer && !rule_begun(one))
            return; /* somebody still waits for one */
    }
    rule_tell(layer->rule, RULE_OF_LAYERS, &layer->news, RULE_KEY_CAME);
}

/* `packet->data` holds a packet that is news; the reference is the caller's. False = malformed. */
static bool forward_new(struct rule_layer *layer, struct rule_packet *packet, struct rule_header *header,
                        int64_t sequence, double now) {
    const struct rule_ingress *ingress = &layer->producer->ingress;
    enum rule_verdict verdict = rule_normalize(packet, header, ingress, sequence, now);
    if (verdict != RULE_OK)
        return verdict == RULE_NOT_FORWARDED;
    if (packet->picture_id >= 0)
        packet->picture_id = rule_unwrap_picture(layer, (int)packet->picture_id, packet->picture_id_bits);
    rule_frames_count(&layer->frames, packet, now);
    if (layer->asks_again && !layer->voice)
        rule_history_add(layer->rule, &layer->history, packet);
    rule_forward(layer, packet, now);
    if (packet->keyframe && ingress->codec != RULE_OPUS)
        note_keyframe(layer, packet);
    return true;
}

/* A packet of the pool; where that is used up, this layer's oldest gives its place. */
static struct rule_packet *take_packet(struct rule_layer *layer) {
    struct rule *rule = layer->rule;
    struct rule_packet *packet = rule_packet_take(&rule->pool);
    while (!packet && rule_history_shed(rule, &layer->history))
        packet = rule_packet_take(&rule->pool);
    if (!packet)
        rule->stats.exhausted++;
    return packet;
}

/* Padding alone: it took a number, and receivers are not to miss it. */
static void leave_out(struct rule_layer *layer, int64_t sequence) {
    for (int index = 0; index < layer->listed; index++) {
        struct rule_subscription *one = layer->subscribers[index].subscription;
        if (one->current == layer)
            rule_numbers_drop(&one->egress.sequences, sequence);
    }
}

static bool receive_media(struct rule_layer *layer, const uint8_t *data, size_t size, struct rule_header *header,
                          double now) {
    struct rule *rule = layer->rule;
    struct rule_reception *reception = &layer->reception;
    int64_t sequence = rule_unwrap(&layer->sequences, header->sequence);
    if (reception->packets && llabs(sequence - reception->highest) > rule->limits.max_step) {
        rule_layer_replaced(layer);
        sequence = rule_unwrap(&layer->sequences, header->sequence);
    }
    if (layer->voice && rule_missing_asked(&layer->missing, sequence))
        layer->recovered++; /* as with RTX: reports tell what the line lost, not what was repaired */
    else
        rule_received(reception, sequence, header->timestamp, size, layer->clock_rate, rule->limits.freeze_s, now);
    if (!layer->listed)
        return true;
    if (layer->asks_again)
        rule_missing_arrived(rule, &layer->missing, sequence, now, layer->voice);
    if (header->payload_start == header->payload_end) {
        leave_out(layer, sequence);
        return true;
    }
    struct rule_packet *packet = take_packet(layer);
    if (!packet)
        return true;
    memcpy(packet->data, data, size);
    packet->size = (uint16_t)size;
    bool fine = forward_new(layer, packet, header, sequence, now);
    rule_packet_release(&rule->pool, packet);
    return fine;
}

static bool receive_rtx(struct rule_layer *layer, const uint8_t *data, const struct rule_header *header, double now) {
    struct rule *rule = layer->rule;
    int payload_type = layer->producer->ingress.rtx_payload_types[header->payload_type];
    if (payload_type < 0 || layer->ssrc < 0)
        return true;
    if (header->payload_end - header->payload_start <= 2) {
        layer->rtx_padding++;
        return true;
    }
    if (!layer->reception.packets || !layer->listed)
        return true;
    int64_t sequence = rule_unwrap(&layer->sequences, rule_get16(data + header->payload_start));
    if (!rule_missing_arrived(rule, &layer->missing, sequence, now, true)) {
        layer->duplicates++;
        return true;
    }
    layer->recovered++;
    struct rule_packet *packet = take_packet(layer);
    if (!packet)
        return true;
    struct rule_header inner;
    bool fine = rule_unwrap_rtx(layer, data, header, payload_type, packet) &&
                rule_parse_header(packet->data, packet->size, &inner) &&
                forward_new(layer, packet, &inner, sequence, now);
    rule_packet_release(&rule->pool, packet);
    return fine;
}

/* One packet whose layer is known (producer.receive). */
static void take(struct rule *rule, struct rule_layer *layer, bool is_rtx, const uint8_t *data, size_t size,
                 struct rule_header *header, double now) {
    struct rule_producer *producer = layer->producer;
    bool fine, malformed = false;
    if (is_rtx) {
        fine = receive_rtx(layer, data, header, now);
    } else {
        layer->last_at = now;
        if (producer->ingress.level_id && !producer->paused)
            rule_note_level(producer, data, header, now, &malformed);
        fine = !malformed && receive_media(layer, data, size, header, now);
    }
    if (!fine)
        producer->peer->malformed++;
    if (layer->missing.due <= now || layer->missing.lost_for_good)
        rule_tell(rule, RULE_OF_LAYERS, &layer->news, RULE_GAP);
}

/* -- from the peer ---------------------------------------------------------------------------------------- */

static void park(struct rule *rule, struct rule_peer *peer, const uint8_t *data, size_t size, double now) {
    struct rule_packet *packet = NULL;
    if (peer->parked_count < rule->limits.parked_packets)
        packet = rule_packet_take(&rule->pool);
    if (!packet) {
        peer->overflowed++;
        return;
    }
    memcpy(packet->data, data, size);
    packet->size = (uint16_t)size;
    packet->received_at = now;
    packet->next = NULL;
    if (peer->parked)
        peer->parked_last->next = packet;
    else
        peer->parked = packet;
    peer->parked_last = packet;
    peer->parked_count++;
    rule_tell(rule, RULE_OF_PEERS, &peer->news, RULE_STUCK);
}

void rule_receive(struct rule *rule, struct rule_peer *peer, const uint8_t *packet, size_t size, double now) {
    struct rule_header header;
    rule->stats.received++;
    if (size > (size_t)rule->limits.packet_bytes || !rule_parse_header(packet, size, &header) ||
        (peer->feedback_id && !rule_note_arrival(peer, packet, size, &header, now))) {
        peer->malformed++;
        return;
    }
    const struct rule_route *route = rule_route(peer, header.ssrc);
    if (route && (route->is_rtx || route->layer->alive))
        take(rule, route->layer, route->is_rtx, packet, size, &header, now);
    else
        park(rule, peer, packet, size, now);
}

const struct rule_packet *rule_stuck(const struct rule_peer *peer, struct rule_layer **dead) {
    struct rule_header header;
    *dead = NULL;
    if (peer->parked && rule_parse_header(peer->parked->data, peer->parked->size, &header)) {
        const struct rule_route *route = rule_route(peer, header.ssrc);
        *dead = route ? route->layer : NULL;
    }
    return peer->parked;
}

/* Take the first packet out of the list behind `link`. */
static struct rule_packet *unpark(struct rule_peer *peer, struct rule_packet **link, struct rule_packet *before) {
    struct rule_packet *packet = *link;
    *link = packet->next;
    if (peer->parked_last == packet)
        peer->parked_last = before;
    peer->parked_count--;
    return packet;
}

void rule_resume(struct rule *rule, struct rule_peer *peer, bool malformed) {
    struct rule_packet **link = &peer->parked, *before = NULL;
    bool is_first = true;
    while (*link) {
        struct rule_header header;
        rule_parse_header((*link)->data, (*link)->size, &header);
        const struct rule_route *route = rule_route(peer, header.ssrc);
        bool ready = route && (route->is_rtx || route->layer->alive || is_first);
        if (!ready && !is_first) {
            before = *link;
            link = &before->next;
            continue;
        }
        struct rule_packet *packet = unpark(peer, link, before);
        if (malformed && is_first)
            peer->malformed++;
        else if (!ready)
            peer->unrouted++;
        else
            take(rule, route->layer, route->is_rtx, packet->data, packet->size, &header, packet->received_at);
        rule_packet_release(&rule->pool, packet);
        is_first = false;
    }
    if (peer->parked)
        rule_tell(rule, RULE_OF_PEERS, &peer->news, RULE_STUCK);
}
