/* What differs between the consumers of one packet: media/relay/rewrite.rewrite, layers.TemporalFilter.
 *
 * Where Python overwrites the shared packet, C writes into the room that the sink gave: the packet's one copy
 * stays as it came, and the room is what is encrypted. */
#include "rule_tables.h"

/* Up only where the encoder allows it (RFC 7741 section 4.2, the Y bit), or at a key frame. */
static void move_temporal(struct rule_egress *egress, const struct rule_packet *packet) {
    int current = egress->temporal_current, target = egress->temporal_target;
    if (target < current || packet->keyframe)
        egress->temporal_current = target;
    else if (packet->layer_sync && packet->starts_frame && current > RULE_KEY_FRAMES &&
             current < packet->temporal_layer && packet->temporal_layer <= target)
        egress->temporal_current = packet->temporal_layer;
}

/* Whether the packet's frame is forwarded; the answer never changes within a frame (TemporalFilter.admits). */
static bool admits(struct rule_egress *egress, const struct rule_packet *packet) {
    if ((int64_t)packet->timestamp != egress->temporal_timestamp) {
        egress->temporal_timestamp = packet->timestamp;
        egress->temporal_is_key = packet->keyframe;
        if (egress->temporal_current != egress->temporal_target)
            move_temporal(egress, packet);
    }
    if (egress->temporal_current == RULE_KEY_FRAMES)
        return egress->temporal_is_key;
    return packet->temporal_layer <= egress->temporal_current;
}

/* `packet` is the first of another layer, or the first after a pause: everything continues there (rewrite.begin). */
void rule_begin(struct rule_egress *egress, const struct rule_packet *packet, uint32_t timestamp_delta) {
    rule_numbers_restart(&egress->sequences, packet->sequence);
    if (packet->picture_id >= 0)
        rule_numbers_restart(&egress->pictures, packet->picture_id);
    if (packet->tl0 >= 0)
        egress->tl0_delta = (uint8_t)(egress->tl0 + 1 - packet->tl0);
    egress->timestamp_delta = timestamp_delta;
    egress->temporal_current = egress->temporal_target;
    egress->temporal_timestamp = -1;
}

static void remember(struct rule_egress *egress, int most, int64_t sequence, int layer,
                     const struct rule_written *written) {
    struct rule_sent *entry = &egress->sent[written->out & (most - 1)];
    double resent_at = entry->out == written->out ? entry->resent_at : -INFINITY;
    *entry = (struct rule_sent){sequence,      resent_at,           written->timestamp, written->out,
                                written->picture_id, written->tl0, (int16_t)layer};
}

bool rule_rewrite(const struct rule_packet *packet, struct rule_egress *egress, const struct rule *rule, int layer,
                  struct rule_written *written) {
    int64_t sequence = packet->sequence, out, picture;
    bool is_newest = sequence > egress->sequences.newest;
    if (is_newest && !admits(egress, packet)) {
        rule_numbers_drop(&egress->sequences, sequence);
        if (packet->picture_id >= 0)
            rule_numbers_drop(&egress->pictures, packet->picture_id);
        return false;
    }
    written->picture_id = written->tl0 = -1;
    if (packet->picture_id >= 0) {
        if (!rule_numbers_map(&egress->pictures, packet->picture_id, &picture))
            return false;
        written->picture_id = (int32_t)(picture & 0x7FFF);
    }
    if (!rule_numbers_map(&egress->sequences, sequence, &out))
        return false;
    written->out = (uint16_t)out;
    written->timestamp = packet->timestamp + egress->timestamp_delta;
    if (packet->tl0 >= 0)
        written->tl0 = (uint8_t)(packet->tl0 + egress->tl0_delta);
    if (is_newest) {
        egress->last_timestamp = written->timestamp;
        egress->started = true;
        egress->last_sent_at = packet->received_at;
        if (written->tl0 >= 0)
            egress->tl0 = written->tl0;
    }
    if (egress->sent)
        remember(egress, rule->limits.sent_packets, sequence, layer, written);
    egress->packets++;
    egress->octets += (uint64_t)(packet->payload_end - packet->payload_start);
    return true;
}

static void write_payload_fields(const struct rule_packet *packet, const struct rule_written *written, uint8_t *data) {
    if (written->picture_id >= 0) {
        uint8_t *at = data + packet->picture_id_at;
        if (packet->picture_id_bits == 15) {
            at[0] = (uint8_t)(0x80 | ((written->picture_id >> 8) & 0x7F));
            at[1] = (uint8_t)written->picture_id;
        } else {
            at[0] = written->picture_id & 0x7F;
        }
    }
    if (written->tl0 >= 0)
        data[packet->tl0_at] = (uint8_t)written->tl0;
}

static void write_header_fields(const struct rule_packet *packet, const struct rule_egress *egress,
                                const struct rule_written *written, uint32_t send_time, uint8_t *data) {
    rule_put16(data + 2, written->out);
    rule_put32(data + 4, written->timestamp);
    rule_put32(data + 8, egress->ssrc);
    if (packet->send_time_at >= 0) {
        data[packet->send_time_at] = (uint8_t)(send_time >> 16);
        rule_put16(data + packet->send_time_at + 1, send_time);
    }
    if (egress->removes && packet->extension_profile) {
        int csrcs = data[0] & 0x0F;
        struct rule_header header = {.extension_profile = packet->extension_profile,
                                     .extension_start = (uint16_t)(16 + 4 * csrcs),
                                     .extension_end = packet->payload_start};
        rule_blank_extensions(data, &header, egress->removed);
    }
}

size_t rule_write(const struct rule_packet *packet, const struct rule_egress *egress,
                  const struct rule_written *written, uint32_t send_time, uint8_t *room, size_t gap) {
    size_t start = packet->payload_start, size = packet->size;
    if (gap == 0) {
        memcpy(room, packet->data, size);
    } else {
        memcpy(room, packet->data, start);
        memcpy(room + start + gap, packet->data + start, size - start);
    }
    write_header_fields(packet, egress, written, send_time, room);
    write_payload_fields(packet, written, room + gap);
    return size + gap;
}
